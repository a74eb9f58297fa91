/**
 * The lease of an upload's state: who holds it may go on with the upload.
 *
 * - The state is changed by PUT If-Match alone, one at a time. Each holder has a random id in it, so
 *   that after an unclear answer a look tells whose the state is.
 * - The holder saves it again within a third of the lease, whether anything arrives or not. Another
 *   server may take it over once the lease has run out by the clock of the store.
 * - A holder that was stopped for longer learns with its next save whether the state is still its own.
 *   So it saves before it does anything that only a holder may do: {@linkcode LeasedState.hold}.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import type { Bucket, Put } from "../s3/bucket.ts";
import {
  decodeState,
  encodeState,
  type Lease,
  type Leased,
  MAX_STATE_BYTES,
  type UploadState,
} from "./state.ts";
import { readWhole } from "./whole_object.ts";

/** Milliseconds that a lease is held for after each save. */
const LEASE_MS = 15_000;

/** The clock of the store tells whole seconds, and a request takes its time. */
const DOUBT_MS = 3000;

/** Milliseconds after which a store that cannot be reached ends an upload. */
const GIVE_UP_MS = 60_000;

/** Bytes of a state for each of which a save waits a millisecond after the one before. */
const BYTES_PER_MS = 4096;

/** A state as it was read. */
export interface FoundState extends Leased {
  readonly key: string;
  readonly etag: string;
  /** Milliseconds since it was saved, by the clock of the store, to the second. */
  readonly ageMs: number;
}

/** Reads a state; `undefined` if it is gone, or none. */
export async function readState(bucket: Bucket, key: string): Promise<FoundState | undefined> {
  const object = await readWhole(bucket, key, MAX_STATE_BYTES + 1);
  if (!object) return undefined;
  const { etag, modified, answered, content } = object;
  const leased = decodeState(content);
  return leased && { ...leased, key, etag, ageMs: answered.getTime() - modified.getTime() };
}

/** Whether nobody holds a lease any more. */
export function isFree({ lease, ageMs }: FoundState): boolean {
  return !lease.isHeld || ageMs > lease.ttlMs;
}

/** What changes a state. */
export type Change = (state: UploadState) => UploadState;

/** How a lease is held. */
export interface LeaseOptions {
  readonly bucket: Bucket;
  readonly key: string;
  /** In milliseconds. @default {15_000} */
  readonly leaseMs?: number | undefined;
}

/** A state that this process holds. Release it, or remove it, to end that. */
export class LeasedState {
  readonly key: string;
  readonly #bucket: Bucket;
  readonly #ttlMs: number;
  readonly #holder = crypto.randomUUID();
  readonly #lost = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;
  #state: UploadState;
  #etag: string | undefined;
  #serial: number;
  /** How many times it has changed, and how many of those are saved. */
  #changes = 1;
  #saved = 0;
  #saving: Promise<void> | undefined;
  #isReleased = false;
  #isEnded = false;
  #heldFrom = new Moment();
  #savedBytes = 0;
  #movedAt = performance.now();

  private constructor(
    { bucket, key, leaseMs = LEASE_MS }: LeaseOptions,
    state: UploadState,
    before?: FoundState,
  ) {
    this.#bucket = bucket;
    this.key = key;
    this.#ttlMs = leaseMs;
    this.#state = state;
    this.#etag = before?.etag;
    this.#serial = before?.lease.serial ?? 0;
    this.#timer = setInterval(() => this.#renew(), leaseMs / 3);
  }

  /** Writes the state of a new upload. */
  static async create(options: LeaseOptions, state: UploadState): Promise<LeasedState> {
    const leased = new LeasedState(options, state);
    await leased.#begin();
    return leased;
  }

  /** Writes the state of a new upload, and leaves it to whoever takes it over. */
  static async add(options: LeaseOptions, state: UploadState): Promise<void> {
    const leased = new LeasedState(options, state);
    leased.#isReleased = true;
    await leased.#begin();
    leased.#end();
  }

  /**
   * Takes over a state that was found. Whether that is due is for the caller to judge.
   *
   * @returns `undefined` if another was faster, or its holder has changed it
   */
  static async adopt(
    options: Omit<LeaseOptions, "key">,
    found: FoundState,
    change: Change = (state) => state,
  ): Promise<LeasedState | undefined> {
    const leased = new LeasedState({ ...options, key: found.key }, change(found.state), found);
    try {
      await leased.#begin();
      return leased;
    } catch (error) {
      if (error instanceof InletError && error.code === "aborted") return undefined;
      throw error;
    }
  }

  /** As it is now, saved or not. */
  get state(): UploadState {
    return this.#state;
  }

  /** Aborted once the lease is lost, or the state cannot be saved. Nothing may be done then. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Milliseconds since {@linkcode moved}. */
  get idleMs(): number {
    return performance.now() - this.#movedAt;
  }

  /** Notes that something of the upload has arrived. */
  moved(): void {
    this.#movedAt = performance.now();
  }

  /** Changes the state. It is saved soon; of several changes, in one. */
  note(change: Change): void {
    this.#saveAll(this.#change(change)).catch(() => {});
  }

  /**
   * Changes the state, and saves it.
   *
   * @throws {InletError} `aborted` if the lease is lost; `overloaded` if the store cannot be reached
   */
  async save(change: Change): Promise<void> {
    await this.#saveAll(this.#change(change));
  }

  /**
   * Makes sure that the lease is held, after a pause in which another could have taken it over.
   *
   * @throws {InletError} as `save`
   */
  async hold(): Promise<void> {
    this.signal.throwIfAborted();
    if (this.#heldFrom.elapsedMs > this.#ttlMs - DOUBT_MS) await this.save((state) => state);
  }

  /** Ends the lease, so that any server may take the upload over at once. Settles in any case. */
  async release(change: Change = (state) => state): Promise<void> {
    if (this.#isEnded || this.signal.aborted) return this.#end();
    this.#isReleased = true;
    try {
      await this.save(change);
    } catch {
      // It is lost, or runs out by itself.
    } finally {
      this.#end();
    }
  }

  /** Removes the state. Only of a stage in which no other server goes on with the upload. */
  async remove(): Promise<void> {
    this.#end();
    await this.#saving?.catch(() => {});
    await this.#bucket.delete(this.key);
  }

  async #begin(): Promise<void> {
    try {
      await this.#saveAll(this.#changes);
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  #change(change: Change): number {
    this.signal.throwIfAborted();
    if (this.#isEnded) {
      throw new InletError("aborted", "Cannot store the file: the upload has ended");
    }
    this.#state = change(this.#state);
    return ++this.#changes;
  }

  async #saveAll(changes: number): Promise<void> {
    while (this.#saved < changes) {
      this.signal.throwIfAborted();
      await (this.#saving ??= this.#saveNewest().finally(() => this.#saving = undefined));
    }
  }

  #renew(): void {
    // A save that is under way renews it too.
    if (this.#saving || this.signal.aborted) return;
    if (this.#heldFrom.elapsedMs >= this.#ttlMs / 4) this.note((state) => state);
  }

  /** Saves the state as it is when that begins. */
  async #saveNewest(): Promise<void> {
    // A large one is not written after each part.
    const restMs = this.#savedBytes / BYTES_PER_MS - this.#heldFrom.elapsedMs;
    if (restMs > 1 && !this.#isReleased) await delay(restMs);
    const began = performance.now();
    let changes;
    for (let attempt = 0;; attempt++) {
      // What another attempt would save again may be another server's by then.
      changes = this.#changes;
      try {
        if (await this.#put()) break;
      } catch (error) {
        if (!(error instanceof InletError) || error.code !== "overloaded") throw this.#fail(error);
      }
      if (performance.now() - began > GIVE_UP_MS) throw this.#fail(unreachable());
      await delay(Math.random() * Math.min(50 * 2 ** attempt, 2000));
    }
    this.#saved = changes;
  }

  /** Writes the state once. Returns `false` if it was not written, but may be again. */
  async #put(): Promise<boolean> {
    const heldFrom = new Moment();
    const lease: Lease = {
      holder: this.#holder,
      isHeld: !this.#isReleased,
      serial: ++this.#serial,
      ttlMs: this.#ttlMs,
      idleMs: Math.floor(this.idleMs),
    };
    const content = encodeState({ lease, state: this.#state });
    const etag = this.#etag;
    const condition = etag === undefined ? { absent: true as const } : { etag };
    const put = await this.#bucket.put(this.key, content, { condition });
    const written = isPut(put) ? put.etag : await this.#look(lease.serial, etag);
    if (written === undefined) return false;
    this.#etag = written;
    this.#heldFrom = heldFrom;
    this.#savedBytes = content.length;
    return true;
  }

  /**
   * Looks what became of a PUT.
   *
   * @returns The ETag if it was written, `undefined` if it was not and can be sent again
   */
  async #look(serial: number, before: string | undefined): Promise<string | undefined> {
    const found = await readState(this.#bucket, this.key);
    if (found?.etag === before) return undefined;
    if (!found) throw this.#fail(removed());
    if (found.lease.holder !== this.#holder) throw this.#fail(lost());
    if (found.lease.serial === serial) return found.etag;
    // An earlier attempt that arrived late.
    this.#etag = found.etag;
    return undefined;
  }

  #fail(reason: unknown): unknown {
    this.#end();
    this.#lost.abort(reason);
    return reason;
  }

  #end(): void {
    this.#isEnded = true;
    clearInterval(this.#timer);
  }
}

function isPut(put: Put): put is { readonly etag: string } {
  return typeof put === "object";
}

/** A moment of this process. */
class Moment {
  readonly #wall = Date.now();
  readonly #monotonic = performance.now();

  /** Milliseconds since, or more: neither clock is trusted alone. One of them may stop with the machine. */
  get elapsedMs(): number {
    const wall = Math.abs(Date.now() - this.#wall);
    return Math.max(wall, performance.now() - this.#monotonic);
  }
}

function lost(): InletError {
  return new InletError("aborted", "Another connection resumed this upload");
}

function removed(): InletError {
  return new InletError("aborted", "Cannot store the file: its upload has been removed");
}

function unreachable(): InletError {
  return new InletError("overloaded", "Cannot store the file: the store cannot be reached");
}
