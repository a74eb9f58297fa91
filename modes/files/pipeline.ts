/**
 * The client's side of small requests that follow each other: many go out in one write, and answers
 * are taken while more goes out, so that neither side ever waits for the other to read.
 *
 * @module
 */

import type { Reply } from "../../protocol.ts";
import type { Requester } from "./requester.ts";

/** Most bytes of one write, and of one request with its body. */
export const BATCH_BYTES: number = 256 * 1024;

/** Takes the answer to one request, and what it fails with. It never fails itself. */
export type Taker = (reply: Promise<Reply>) => Promise<void>;

/** Requests on their way. Another one than these can follow once they are settled. */
export class Pipeline {
  readonly #requester: Requester;
  #batch: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  #batched: Taker[] = [];
  readonly #unanswered: Taker[] = [];
  #listening: Promise<void> | undefined;

  constructor(requester: Requester) {
    this.#requester = requester;
  }

  /**
   * Makes room for a request with its body. What stands before it is sent when there is none.
   *
   * @param bytes At most {@linkcode BATCH_BYTES}.
   */
  async room(bytes: number): Promise<Uint8Array> {
    if (this.#filled + bytes > BATCH_BYTES) await this.send();
    this.#batch ??= new Uint8Array(BATCH_BYTES);
    return this.#batch.subarray(this.#filled, this.#filled + bytes);
  }

  /** Adds the request that was written into the room, of so many bytes. */
  add(bytes: number, take: Taker): void {
    this.#filled += bytes;
    this.#batched.push(take);
  }

  /** Sends what is left, and waits until each has its answer. */
  async settle(): Promise<void> {
    await this.send();
    await this.#listening;
  }

  /** Sends what is left, and does not wait for the answers. */
  async send(): Promise<void> {
    if (this.#batched.length === 0) return;
    this.#unanswered.push(...this.#batched);
    this.#batched = [];
    const batch = this.#batch!.subarray(0, this.#filled);
    this.#filled = 0;
    this.#listening ??= this.#listen().finally(() => this.#listening = undefined);
    // What ends the conversation is told to each of them.
    await this.#requester.write(batch).catch(() => {});
  }

  async #listen(): Promise<void> {
    for (let take; (take = this.#unanswered.shift());) await take(this.#requester.reply());
  }
}
