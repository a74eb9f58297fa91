/**
 * Cuts a body into parts as it arrives: fills one part after another, and hands each on to be sent once
 * the next byte has arrived.
 *
 * What has arrived of a part can be set aside as an object (tails.ts), which gives its memory back. It is
 * taken up again with the next byte.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Maybe } from "../store/store.ts";
import type { BucketContext } from "./context.ts";
import type { LeasedState } from "./leased.ts";
import type { PartBuffer, PartHolder, PartPool } from "./part_pool.ts";
import { type PartRange, partRange, type PartSchedule } from "./part_schedule.ts";
import type { PartSender } from "./part_sender.ts";
import type { NotedTail } from "./state.ts";
import { deleteTail, putTail, takeTail } from "./tails.ts";

/** What a {@linkcode PartFiller} is made of. */
export interface PartFillerOptions {
  readonly context: BucketContext;
  readonly pool: PartPool;
  readonly sender: PartSender;
  /** Of the body, in bytes; `null` if it is not known. */
  readonly size: number | null;
  readonly schedule: PartSchedule;
  /** Aborted once no more bytes come. */
  readonly signal: AbortSignal;
  /** The state of the upload, which is made by the first call if there is none. */
  lease(): Promise<LeasedState>;
  /** @throws if the upload has failed or ended */
  check(): void;
  /** Has the state tell all that has arrived, if there is one. */
  save(): Promise<void>;
  /** Called if something fails that nobody waits for. */
  onFailure(error: unknown): void;
}

/** Fills the parts of one upload. */
export class PartFiller implements PartHolder {
  filledBytes = 0;
  /** Whether there is a tail, or was. */
  hadTail = false;
  readonly #options: PartFillerOptions;
  /** A tail that stays where it is: the attempt that goes on with it may prove wrong. */
  readonly #kept: NotedTail | undefined;
  /** The part that is being filled. */
  #number: number;
  #range: PartRange | undefined;
  #buffer: PartBuffer | undefined;
  #takingUp: Promise<void> | undefined;
  /** No byte is added meanwhile. */
  #settingAside: Promise<void> | undefined;
  /** A tail that the state tells until it tells the one that took its place. */
  #replaced: NotedTail | undefined;

  /** Goes on behind what has arrived. */
  constructor(options: PartFillerOptions) {
    this.#options = options;
    const { count, tail } = options.sender.arrived;
    this.#number = count + 1;
    this.#kept = tail;
    this.hadTail = tail !== undefined;
    this.filledBytes = tail?.size ?? 0;
  }

  /** Appends a chunk: at once, if it fits into the part. */
  append(chunk: Uint8Array): Maybe<void> {
    const room = this.#buffer && !this.#settingAside ? this.#range!.bytes - this.filledBytes : 0;
    if (chunk.length > room) return this.#appendInTime(chunk);
    this.#append(this.#buffer!, chunk);
  }

  /** What is in the part. It is valid until it is sent, or released. */
  async content(): Promise<Uint8Array<ArrayBuffer>> {
    // Asked again after each wait: what is set aside meanwhile gives the memory to others.
    while (this.filledBytes > 0 && (this.#settingAside || !this.#buffer)) {
      await (this.#settingAside ?? this.#borrow({ isLast: true }));
    }
    if (this.filledBytes === 0) return new Uint8Array();
    this.#buffer!.filled();
    return this.#buffer!.memory.subarray(0, this.filledBytes);
  }

  /** Sends what is in the part, if anything is: no more comes. */
  async flush(): Promise<void> {
    const content = await this.content();
    if (content.length > 0) this.#send();
  }

  giveWay(): void {
    this.setAside().catch(this.#options.onFailure);
  }

  /**
   * Sets aside what is in the part, which gives the memory back.
   *
   * @param how.save Has the state tell it. What it told before is removed after that.
   * @param how.isCertain Whether the tail of the attempt before is not needed any more either.
   */
  async setAside({ save = this.#options.save, isCertain = false } = {}): Promise<void> {
    // That one may save in another way.
    while (this.#settingAside) await this.#settingAside;
    this.#settingAside = this.#setAside(save, isCertain).finally(() =>
      this.#settingAside = undefined
    );
    await this.#settingAside;
  }

  /** Gives the memory back, once nothing is being set aside. What is in it is lost. */
  async release(): Promise<void> {
    await this.#settingAside?.catch(() => {});
    this.#buffer?.[Symbol.dispose]();
    this.#buffer = undefined;
  }

  #append({ memory }: PartBuffer, chunk: Uint8Array): void {
    memory.set(chunk, this.filledBytes);
    this.filledBytes += chunk.length;
  }

  /** Appends a chunk that does not fit into the part, or for which there is no memory yet. */
  async #appendInTime(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      const buffer = await this.#room();
      const piece = rest.subarray(0, this.#range!.bytes - this.filledBytes);
      this.#append(buffer, piece);
      rest = rest.subarray(piece.length);
    }
  }

  /** Waits for a part that is not full. */
  async #room(): Promise<PartBuffer> {
    const { check, sender } = this.#options;
    for (;;) {
      check();
      if (this.#settingAside) await this.#settingAside.catch(() => {});
      else if (!this.#buffer) await this.#borrow();
      else if (this.filledBytes < this.#range!.bytes) return this.#buffer;
      else if (sender.hasRoom) this.#send();
      else {
        this.#buffer.filled();
        await sender.room();
      }
    }
  }

  /** Gets memory for a part, and what was set aside of it. @param isLast Whether nothing is added to it. */
  async #borrow({ isLast = false } = {}): Promise<void> {
    const { pool, signal } = this.#options;
    this.#range = this.#rangeOf(this.#number);
    const buffer = await pool.lend(this.#range.bytes, this, signal);
    // It may have been granted in the moment in which the upload ended.
    if (signal.aborted) buffer[Symbol.dispose]();
    signal.throwIfAborted();
    this.#buffer = buffer;
    if (isLast) buffer.filled();
    if (this.filledBytes === 0) return;
    // Noted at once: nobody else gets the memory before it is done.
    this.#takingUp = this.#takeUp(buffer).finally(() => this.#takingUp = undefined);
    buffer.busyUntil(this.#takingUp);
    await this.#takingUp;
  }

  /** Takes up again what was set aside of the part. */
  async #takeUp({ memory }: PartBuffer): Promise<void> {
    const { context, sender, signal, lease } = this.#options;
    const { tail } = sender.arrived;
    if (tail?.size !== this.filledBytes) {
      throw new InletError("aborted", "Cannot store the file: what had arrived of it is not there");
    }
    const { state: { id } } = await lease();
    await takeTail(context, id, tail, memory, signal);
  }

  #rangeOf(number: number): PartRange {
    const { schedule, size, sender } = this.#options;
    const { offset, bytes } = partRange(schedule, number);
    if (size === null) return { offset, bytes };
    // It has a second part, for which the upload has to begin.
    if (size > bytes) sender.begin();
    if (size - offset > 0) return { offset, bytes: Math.min(bytes, size - offset) };
    throw new InletError("internal", "Cannot store the file: it is longer than was announced");
  }

  #send(): void {
    const buffer = this.#buffer!;
    const range = { offset: this.#range!.offset, bytes: this.filledBytes };
    this.#buffer = undefined;
    this.#options.sender.send({ number: this.#number++, range, buffer });
    this.filledBytes = 0;
  }

  async #setAside(save: () => Promise<void>, isCertain: boolean): Promise<void> {
    const { context, sender, lease } = this.#options;
    await sender.settled();
    // The memory may have been granted meanwhile.
    while (this.#takingUp) await this.#takingUp.catch(() => {});
    await this.#emptyBuffer();
    await save();
    const isKept = !isCertain || this.#kept === sender.arrived.tail;
    const old = isKept ? [this.#replaced] : [this.#replaced, this.#kept];
    this.#replaced = undefined;
    for (const tail of old) {
      // What cannot be removed now is removed with the upload.
      if (tail) await deleteTail(context, (await lease()).state.id, tail).catch(() => {});
    }
  }

  /** Makes a tail of what is in the part. */
  async #emptyBuffer(): Promise<void> {
    const { arrived } = this.#options.sender;
    using buffer = this.#buffer;
    this.#buffer = undefined;
    if (!buffer || this.filledBytes === 0) return;
    // Behind a part that is missing nothing counts.
    if (arrived.count < this.#number - 1 || arrived.tail?.size === this.filledBytes) return;
    await this.#putTail(buffer.memory.subarray(0, this.filledBytes));
  }

  async #putTail(content: Uint8Array<ArrayBuffer>): Promise<void> {
    const { context, sender: { arrived } } = this.#options;
    const lease = await this.#options.lease();
    await lease.hold();
    this.hadTail = true;
    const tail = await putTail(context, lease.state.id, content);
    if (arrived.tail !== this.#kept) this.#replaced = arrived.tail;
    arrived.setTail(tail, content);
  }
}
