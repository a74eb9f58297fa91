/**
 * Pipelines small requests of the client. One write carries many requests, and answers are read
 * while further requests are sent, so that the two peers never block each other.
 *
 * @module
 */

import type { Reply } from "../../protocol.ts";
import { MAX_AHEAD_BYTES, type Requester } from "./requester.ts";

/** Maximum size of one write, and of one request with its body, in bytes. */
export const BATCH_BYTES: number = 256 * 1024;

/**
 * Handles the answer to one request, or its failure. It must not reject.
 *
 * @param isUnsent Whether nothing of the request has left, once it has failed.
 */
export type Taker = (reply: Promise<Reply>, isUnsent: () => boolean) => Promise<void>;

/** A request in a batch or in flight. */
interface Pending {
  take: Taker;
  /** Bytes that the server may have to read before it can reply. */
  readBytes: number;
  /** Bytes that all requests before it take. */
  start: number;
}

/** Requests in flight. Call `settle()` before any request outside the pipeline. */
export class Pipeline {
  readonly #requester: Requester;
  #batch: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  /** Bytes of all batches before this one. */
  #written = 0;
  #batched: Pending[] = [];
  readonly #unanswered: Pending[] = [];
  #listening: Promise<void> | undefined;

  constructor(requester: Requester) {
    this.#requester = requester;
  }

  /**
   * Reserves room for a request with its body. Sends the batch first if it is too full.
   *
   * @param bytes At most {@linkcode BATCH_BYTES}.
   */
  async room(bytes: number): Promise<Uint8Array> {
    // The first batch may run ahead of the welcome.
    const most = this.#written === 0 ? MAX_AHEAD_BYTES : BATCH_BYTES;
    if (this.#filled + bytes > most) await this.send();
    this.#batch ??= new Uint8Array(BATCH_BYTES);
    return this.#batch.subarray(this.#filled, this.#filled + bytes);
  }

  /**
   * Adds the request that the caller wrote into the reserved room.
   *
   * @param readBytes Bytes that the server may have to read before it can reply.
   */
  add(bytes: number, take: Taker, readBytes = 0): void {
    this.#batched.push({ take, readBytes, start: this.#written + this.#filled });
    this.#filled += bytes;
  }

  /** Sends the batch, and waits for all answers, or for the welcome if there are none. */
  async settle(): Promise<void> {
    await this.send();
    await this.#listening;
    await this.#requester.welcomed.catch(() => {});
  }

  /** Sends the batch, without waiting for the answers. */
  async send(): Promise<void> {
    if (this.#batched.length === 0) return;
    this.#unanswered.push(...this.#batched);
    this.#batched = [];
    const batch = this.#batch!.subarray(0, this.#filled);
    // What the requester does not even try to write is never counted.
    if (!this.#requester.end) this.#written += this.#filled;
    this.#filled = 0;
    this.#listening ??= this.#listen();
    // Each request receives this error when its reply is read.
    await this.#requester.writeAhead(batch).catch(() => {});
  }

  async #listen(): Promise<void> {
    // Each request receives this error, too.
    await this.#requester.welcomed.catch(() => {});
    for (let next; (next = this.#unanswered.shift());) {
      const { take, readBytes, start } = next;
      const isUnsent = (): boolean => start >= this.#written - this.#requester.unsent;
      await take(this.#requester.reply(readBytes), isUnsent);
    }
    // At once: a request that is sent after the look above would not be listened for.
    this.#listening = undefined;
  }
}
