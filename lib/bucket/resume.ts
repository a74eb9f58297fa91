/**
 * Uploads of which something is kept: which of them a client may go on with, at whatever server.
 *
 * They are found by the hash of the fingerprint, and each is taken over by If-Match: of several that
 * resume one, one gets it. The parts of an open upload cannot be read, so a client proves by samples
 * that it has the file.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { explain } from "../errors.ts";
import type { OngoingBody } from "../store/ongoing.ts";
import type { Asker, PartialFile, PartialQuery, Resumable, Upload } from "../store/store.ts";
import { ConcludedUpload } from "./concluded.ts";
import type { BucketContext } from "./context.ts";
import { type FoundState, isFree, LeasedState, readState } from "./leased.ts";
import { scheduleFor } from "./part_schedule.ts";
import { ownObjects } from "./own_objects.ts";
import type { PartUpload } from "./part_upload.ts";
import type { PartUploadOptions, PartUploads, Resuming } from "./part_upload_options.ts";
import type { NameList } from "./placing.ts";
import { cutSamples } from "./samples.ts";
import {
  bytesOf,
  certainOf,
  hashOf,
  newId,
  newState,
  ONGOING_REFERENCE,
  ongoingKey,
  type Sample,
  stateKey,
} from "./state.ts";
import { cutToStored, withoutDoubt } from "./stored_parts.ts";

/** Milliseconds without a byte after which the upload of another client can be taken over. */
const QUIET_MS = 5000;

/** The rank of one that another server holds, as far as is known: it may have died. */
const AWAITED = 3;

/** Milliseconds between two looks at such an upload. */
const LOOK_MS = 500;

/** Failed attempts to resume an upload, after which its content counts as wrong. */
const MAX_FAILURES = 3;

/**
 * Most uploads of one fingerprint that are kept. None is removed for a further one: a stranger who knows
 * the fingerprint could have an owner's removed.
 */
const MAX_PARTIALS = 8;

/** Most states of one fingerprint that are read. Those of published uploads stay for a while. */
const MOST_READ = 64;

/** Milliseconds for which it counts as known how many there are. */
const KNOWN_MS = 1000;

/** What differs between uploads. */
export type Beginning = Omit<PartUploadOptions, keyof PartUploads>;

/** What {@linkcode BucketPartials} need. */
export interface PartialsOptions {
  readonly context: BucketContext;
  /** The names under which a file may be published. */
  names(safe: string): Promise<NameList>;
  begin(options: Beginning): PartUpload;
}

/** How an upload is taken over. */
export interface TakeOptions {
  /** The name to publish under. It stays what it was once the upload has its place. */
  readonly name?: string | undefined;
  /** The secret of its client from now on. @param found As it is when it is taken over. */
  ticketOf(found: FoundState): string;
  /** Whether what is written counts only once it is confirmed. */
  readonly isTentative?: boolean | undefined;
  /** Whether it may be taken over as it is now. */
  isDue(found: FoundState): boolean;
  /** As of {@linkcode Resumable}. */
  readonly onTaken?: (() => void) | undefined;
}

/** An upload that may be resumed. */
interface Candidate {
  readonly found: FoundState;
  /** Less is better. */
  readonly rank: number;
  readonly bytes: number;
}

/** What a client asks for. */
interface Wanted {
  /** The name to publish under. */
  readonly name: string;
  readonly ticket: string | undefined;
  readonly ticketHash: string | undefined;
}

/** The uploads of a bucket of which something is kept. */
export class BucketPartials {
  readonly #options: PartialsOptions;
  /** What the keys of the states of this process's uploads begin with, or are. */
  readonly #keys = new WeakMap<PartUpload, { readonly prefix: string; key?: string }>();
  /** How many uploads there were lately, by the hashes of their fingerprints. */
  readonly #counts = new Map<string, { readonly count: number; readonly at: number }>();

  constructor(options: PartialsOptions) {
    this.#options = options;
  }

  /** Starts an upload of which is kept what has arrived, if it is disposed of unpublished. */
  async receive(
    safe: string,
    size: number | null,
    { fingerprint, onTaken }: Partial<Resumable> = {},
  ): Promise<PartUpload> {
    const { context, names } = this.#options;
    const hash = fingerprint === undefined ? undefined : await hashOf("file", fingerprint);
    const isKept = hash !== undefined && context.keepPartialsMs > 0 &&
      !await this.areMany(hash);
    const prefix = stateKey(context.prefix, isKept ? hash : UNKEPT, "");
    const resuming = isKept ? resumingBy(crypto.randomUUID(), onTaken) : undefined;
    return await this.#begin({ prefix }, { names: await names(safe), size, resuming }, safe);
  }

  /** Starts an upload whose names nobody has asked for, such as `7.file`. It is not kept. */
  async receiveNumbered(names: NameList): Promise<PartUpload> {
    const prefix = stateKey(this.#options.context.prefix, UNKEPT, "");
    return await this.#begin({ prefix }, { names, size: null }, names.nameOf(names.first));
  }

  async #begin(
    known: { readonly prefix: string; key?: string },
    options: Pick<Beginning, "names" | "size" | "resuming">,
    want: string,
  ): Promise<PartUpload> {
    const { context, begin } = this.#options;
    const { size, resuming } = options;
    const schedule = scheduleFor(size);
    const ticket = resuming && await hashOf("ticket", resuming.ticket);
    const upload = begin({
      ...{ ...options, schedule },
      createState: async () => {
        const state = newState({ id: newId(), want, size, schedule, ticket });
        known.key = known.prefix + state.id;
        return await LeasedState.create({
          bucket: context.bucket,
          leaseMs: context.leaseMs,
          key: known.key,
        }, state);
      },
    });
    this.#keys.set(upload, known);
    return upload;
  }

  /** Finds the uploads of a file, also those that go on over several requests. */
  async *find(safe: string, { fingerprint, ticket }: PartialQuery): AsyncGenerator<PartialFile> {
    const ticketHash = ticket === undefined ? undefined : await hashOf("ticket", ticket);
    const wanted: Wanted = { name: safe, ticket, ticketHash };
    if (this.#options.context.keepPartialsMs === 0) return;
    const candidates = await this.#candidates(await hashOf("file", fingerprint), wanted);
    for (const candidate of candidates.slice(0, MAX_PARTIALS)) {
      yield new BucketPartial(
        candidate,
        (how, asker) => this.#takeFound(candidate, wanted, how, asker),
      );
    }
  }

  /**
   * Takes an upload over, and has its state tell what is there.
   *
   * @returns `undefined` if another was faster, or goes on uploading it
   */
  async take(key: string, options: TakeOptions): Promise<OngoingBody | undefined> {
    const { context } = this.#options;
    const { name, isTentative, isDue, ticketOf, onTaken } = options;
    const live = this.live(key);
    if (live && live.quietMs > 0) await live.handOver();
    const found = await readState(context.bucket, key);
    if (!found || found.state.stage === "discarding" || !isDue(found)) return undefined;
    const ticket = ticketOf(found);
    const hash = await hashOf("ticket", ticket);
    const leased = await LeasedState.adopt(context, found, (state) => {
      const certain = withoutDoubt(state);
      const kept = isTentative ? { certain: certainOf(certain) } : {};
      return { ...certain, ...kept, ticket: hash, want: name ?? state.want };
    });
    if (!leased) return undefined;
    try {
      if (leased.state.facts) {
        return new ConcludedUpload(context, leased, resumingBy(ticket, onTaken));
      }
      await cutToStored(context, leased);
      return await this.#resume(leased, ticket, options);
    } catch (error) {
      await leased.release();
      throw error;
    }
  }

  async #resume(
    leased: LeasedState,
    ticket: string,
    { isTentative, onTaken }: TakeOptions,
  ): Promise<PartUpload> {
    const { names, begin } = this.#options;
    const { want, size, schedule } = leased.state;
    const upload = begin({
      ...{ names: await names(want), size, schedule, resumed: leased, isTentative },
      resuming: resumingBy(ticket, onTaken),
      createState: () => Promise.resolve(leased),
    });
    this.#keys.set(upload, { prefix: leased.key, key: leased.key });
    return upload;
  }

  async #takeFound(
    { found: { key, state: { id }, lease: { serial } }, rank }: Candidate,
    wanted: Wanted,
    { onTaken }: Resumable,
    { signal }: Asker = {},
  ): Promise<Upload | undefined> {
    if (rank === AWAITED && !await this.#isAbandoned(key, serial, signal)) return undefined;
    return await this.take(key, {
      ...{ name: wanted.name, onTaken },
      isDue: (found) => found.state.id === id && (this.#rankOf(found, wanted) ?? AWAITED) < AWAITED,
      // A client that was not told of its new ticket comes again with the old one.
      ticketOf: (found) => isOf(found, wanted) ? wanted.ticket! : crypto.randomUUID(),
    });
  }

  /**
   * Waits until the server that holds an upload saves its state once more, or does not in time.
   *
   * @param serial Of the state when it was found.
   */
  async #isAbandoned(key: string, serial: number, signal?: AbortSignal): Promise<boolean> {
    const { context } = this.#options;
    for (;;) {
      const found = await readState(context.bucket, key);
      if (!found) return false;
      if (isFree(found) || found.lease.idleMs >= QUIET_MS) return true;
      if (found.lease.serial !== serial) return false;
      const seconds = found.lease.ttlMs / 1000;
      context.warnOnce(`waits up to ${seconds} s: another server may have the partial file`);
      await delay(LOOK_MS, signal && { signal });
    }
  }

  async #candidates(hash: string, wanted: Wanted): Promise<Candidate[]> {
    const prefix = stateKey(this.#options.context.prefix, hash, "");
    for (const upload of this.#uploads()) {
      const isTaken = upload.ticket !== undefined && upload.ticket === wanted.ticket
        ? upload.quietMs > 0
        : upload.quietMs >= QUIET_MS;
      if (isTaken && this.#keys.get(upload)!.prefix === prefix) await upload.setAside();
    }
    const candidates: Candidate[] = [];
    for (const found of await this.#states(hash)) {
      const rank = this.#rankOf(found, wanted);
      const bytes = bytesOf(certainOf(found.state));
      if (rank !== undefined) candidates.push({ found, rank, bytes });
    }
    return candidates.sort((one, other) => one.rank - other.rank || other.bytes - one.bytes);
  }

  /** The states of the uploads of a file, the newest of them if there are many. */
  async #states(hash: string): Promise<FoundState[]> {
    const { context: { bucket, prefix: root } } = this.#options;
    const prefix = stateKey(root, hash, "");
    const listed = (await Array.fromAsync(ownObjects({ bucket }, prefix))).flat();
    listed.sort((one, other) => other.modified.getTime() - one.modified.getTime());
    const states = await Promise.all(
      listed.slice(0, MOST_READ).map(({ key }) => {
        const id = key.slice(prefix.length);
        const isReference = id.startsWith(ONGOING_REFERENCE);
        const of = isReference ? ongoingKey(root, id.slice(ONGOING_REFERENCE.length)) : key;
        return readState(bucket, of).catch(unlessDenied);
      }),
    );
    const found = states.filter((state) => state !== undefined);
    this.#noteCount(hash, found.filter(({ state }) => state.stage !== "published").length);
    return found;
  }

  /** How well an upload can be taken over; `undefined` if it cannot. */
  #rankOf(found: FoundState, wanted: Wanted): number | undefined {
    const { context } = this.#options;
    const { key, state, lease, ageMs } = found;
    const { stage, want, name, failures, samples } = state;
    // What has its place in the bucket would have to be copied to another.
    if (want !== wanted.name && name !== undefined) return undefined;
    if (stage === "discarding" || failures >= MAX_FAILURES) return undefined;
    const bytes = bytesOf(certainOf(state));
    // Of what may have come later there is no proof.
    const canProve = cutSamples(samples, bytes).length > 0;
    // Its client still gets the place of one of which nothing has arrived.
    if (isOf(found, wanted)) return bytes === 0 || canProve ? 0 : undefined;
    if (!canProve) return undefined;
    // It has been stored: another client that has the file stores another one.
    if (stage === "published") return undefined;
    const live = this.live(key);
    if (!live && isFree(found)) {
      if (ageMs <= context.keepPartialsMs) return 1;
      context.warnOnce("a partial file has expired");
      return undefined;
    }
    if (live) return live.quietMs >= QUIET_MS ? 2 : undefined;
    return lease.idleMs >= QUIET_MS ? 2 : AWAITED;
  }

  /** Whether there are so many uploads of a file that a further one is not kept. */
  async areMany(hash: string): Promise<boolean> {
    return await this.#count(hash) >= MAX_PARTIALS;
  }

  /** The upload of this process that has a state. */
  live(key: string): PartUpload | undefined {
    return this.#uploads().find((upload) => this.#keys.get(upload)!.key === key);
  }

  #uploads(): PartUpload[] {
    const all = [...this.#options.context.inFlight] as PartUpload[];
    return all.filter((upload) => this.#keys.has(upload));
  }

  async #count(hash: string): Promise<number> {
    const known = this.#counts.get(hash);
    if (known && performance.now() - known.at < KNOWN_MS) return known.count;
    await this.#states(hash);
    return this.#counts.get(hash)!.count;
  }

  #noteCount(hash: string, count: number): void {
    const at = performance.now();
    for (const [old, known] of this.#counts) {
      if (at - known.at < KNOWN_MS) break;
      this.#counts.delete(old);
    }
    this.#counts.delete(hash);
    this.#counts.set(hash, { count, at });
  }
}

/** What stands for the hash of a fingerprint where an upload is not kept. */
const UNKEPT = "unkept";

function resumingBy(ticket: string, onTaken?: () => void): Resuming {
  return { ticket, ...onTaken && { onTaken } };
}

/** One that another program wrote may belong to another account. */
function unlessDenied(error: unknown): undefined {
  if (explain(error).code !== "denied") throw error;
}

/** Whether a client has shown the ticket of an upload. */
function isOf({ state }: FoundState, { ticketHash }: Wanted): boolean {
  return ticketHash !== undefined && state.ticket === ticketHash;
}

/** An upload that may be resumed, as it was when it was found. */
class BucketPartial implements PartialFile {
  readonly bytes: number;
  readonly samples: { readonly length: number; readonly offsets: readonly number[] };
  readonly take: PartialFile["take"];
  readonly #samples: readonly Sample[];

  constructor({ found: { state }, bytes }: Candidate, take: PartialFile["take"]) {
    this.bytes = bytes;
    this.take = take;
    const all = cutSamples(state.samples, bytes);
    // Those of a short tail can be shorter.
    const length = Math.max(0, ...all.map(({ bytes }) => bytes.length));
    this.#samples = all.filter(({ bytes }) => bytes.length === length);
    this.samples = { length, offsets: this.#samples.map(({ offset }) => offset) };
  }

  read(offset: number, into: Uint8Array): number {
    const sample = this.#samples.find((sample) => sample.offset === offset);
    const bytes = sample?.bytes.subarray(0, into.length) ?? new Uint8Array();
    into.set(bytes);
    return bytes.length;
  }
}
