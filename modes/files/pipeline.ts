/**
 * Pipelines small requests of the client. One write carries many requests, and answers are read
 * while further requests are sent, so that the two peers never block each other.
 *
 * @module
 */

import type { Reply } from "../../protocol.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { MAX_AHEAD_BYTES, type Requester } from "./requester.ts";

/** Maximum size of one write, and of one request with its body, in bytes. */
export const BATCH_BYTES: number = 1024 * 1024;

/** Milliseconds between two calls of `idle`, while the client waits for the server. */
const IDLE_MS = 50;

/**
 * Handles the answer to one request, or its failure. It must not throw.
 *
 * @param isUnsent Whether nothing of the request has left, once it has failed.
 */
export type Taker = (answer: Reply | InletError, isUnsent: () => boolean) => void;

/** A request in a batch or in flight. */
interface Pending {
  take: Taker;
  /** Bytes that the server may have to read before it can reply. */
  readBytes: number;
  /** Bytes that all requests before it take. */
  start: number;
}

/** Calls `idle` from time to time, if there is one, until it is disposed of. */
export function calling(idle: (() => void) | undefined): Disposable {
  const timer = idle && setInterval(idle, IDLE_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Requests in flight. Call `settle()` before any request outside the pipeline. */
export class Pipeline {
  readonly #requester: Requester;
  readonly #idle: (() => void) | undefined;
  /** The buffer that is being filled, and the one that is being written. */
  #batch: Uint8Array<ArrayBuffer> | undefined;
  #other: Uint8Array<ArrayBuffer> | undefined;
  #writing: Promise<void> | undefined;
  #filled = 0;
  /** Bytes of all batches before this one. */
  #written = 0;
  #batched: Pending[] = [];
  /** Requests in flight, in order. Those before `#answered` have their answer. */
  #unanswered: Pending[] = [];
  #answered = 0;
  #listening: Promise<void> | undefined;

  /** @param idle Called from time to time while a write waits for the server. */
  constructor(requester: Requester, idle?: () => void) {
    this.#requester = requester;
    this.#idle = idle;
  }

  /**
   * Reserves room for a request with its body. Sends the batch first if it is too full.
   *
   * @param bytes At most {@linkcode BATCH_BYTES}.
   */
  async room(bytes: number): Promise<Uint8Array> {
    if (!this.hasRoom(bytes)) await this.send();
    return this.roomNow(bytes);
  }

  /** Whether a request with its body fits into the batch, so that room for it takes no wait. */
  hasRoom(bytes: number): boolean {
    // The first batch may run ahead of the welcome, and a server with nothing to do gets the next soon.
    const most = this.#unanswered.length === 0 ? MAX_AHEAD_BYTES : BATCH_BYTES;
    return this.#filled === 0 || this.#filled + bytes <= most;
  }

  /** Reserves room that there is. */
  roomNow(bytes: number): Uint8Array {
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

  /**
   * Sends a request behind those of the batch, and returns its answer once all have theirs. A server
   * that waits for more files need not wait any longer then.
   *
   * @param readBytes As for {@linkcode Pipeline.add}.
   * @throws {InletError} if there is no answer
   */
  async ask(request: Uint8Array, readBytes?: number): Promise<Reply> {
    let answer: Reply | InletError | undefined;
    (await this.room(request.length)).set(request);
    this.add(request.length, (reply) => answer = reply, readBytes);
    await this.settle();
    if (answer instanceof InletError) throw answer;
    return answer!;
  }

  /** Sends the batch, and waits for all answers, or for the welcome if there are none. */
  async settle(): Promise<void> {
    await this.send();
    await this.#writing;
    await this.#listening;
    await this.#requester.welcomed.catch(() => {});
  }

  /**
   * Sends the batch, without waiting for the answers. After the first one it waits only for the batch
   * before it, so that the next one is filled meanwhile.
   */
  async send(): Promise<void> {
    if (this.#batched.length === 0) return;
    await this.#writing;
    this.#unanswered.push(...this.#batched);
    this.#batched = [];
    const batch = this.#batch!.subarray(0, this.#filled);
    [this.#batch, this.#other] = [this.#other, this.#batch];
    // What the requester does not even try to write is never counted.
    if (!this.#requester.end) this.#written += this.#filled;
    this.#filled = 0;
    this.#listening ??= this.#listen();
    this.#writing = this.#write(batch);
    if (!this.#requester.isWelcome) await this.#writing;
  }

  async #write(batch: Uint8Array): Promise<void> {
    using _ = calling(this.#idle);
    // Each request receives this error when its reply is read.
    await this.#requester.writeAhead(batch).catch(() => {});
  }

  async #listen(): Promise<void> {
    // Each request receives this error, too.
    await this.#requester.welcomed.catch(() => {});
    for (; this.#answered < this.#unanswered.length; this.#answered++) {
      const { take, readBytes, start } = this.#unanswered[this.#answered]!;
      const isUnsent = (): boolean => start >= this.#written - this.#requester.unsent;
      // Waiting for each of thousands of answers that have arrived together is measurable.
      const answer = this.#requester.arrived() ??
        await this.#requester.reply(readBytes).catch(explain);
      take(answer, isUnsent);
    }
    // At once: a request that is sent after the look above would not be listened for.
    this.#unanswered = [];
    this.#answered = 0;
    this.#listening = undefined;
  }
}
