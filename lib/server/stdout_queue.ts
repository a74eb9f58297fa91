/**
 * The queue for this process's stdout: messages from clients are written whole, one after another.
 *
 * @module
 */

import { writeStdout } from "../body/stdio.ts";

/** Serializes writes to stdout, in the order of the calls of `lock`. */
export class StdoutQueue {
  readonly #write: (chunk: Uint8Array) => Promise<void>;
  #last: Promise<void> = Promise.resolve();
  #places = 0;

  constructor(write: (chunk: Uint8Array) => Promise<void> = writeStdout) {
    this.#write = write;
  }

  /** Queues behind the earlier locks. */
  lock(): StdoutLock {
    const ready = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = ready.then(() => promise).then(() => void this.#places--);
    const mustWait = this.#places++ > 0;
    return { ready, mustWait, write: this.#write, [Symbol.dispose]: resolve };
  }
}

/** Exclusive use of stdout for one message. Dispose of it to pass it on. */
export interface StdoutLock extends Disposable {
  /** Settles when the earlier locks are released. */
  readonly ready: Promise<void>;
  /** Whether earlier locks are not released yet. */
  readonly mustWait: boolean;
  /** Writes a chunk completely. */
  readonly write: (chunk: Uint8Array) => Promise<void>;
}
