/**
 * StdoutQueue that clients send, on this process's stdout: each whole, one after the other.
 *
 * @module
 */

import { writeStdout } from "../body/stdio.ts";

/** The way to stdout. Clients take turns, in the order in which they asked. */
export class StdoutQueue {
  readonly #write: (chunk: Uint8Array) => Promise<void>;
  #last: Promise<void> = Promise.resolve();
  #places = 0;

  constructor(write: (chunk: Uint8Array) => Promise<void> = writeStdout) {
    this.#write = write;
  }

  /** Takes a place behind those who came before. */
  lock(): StdoutLock {
    const ready = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = ready.then(() => promise).then(() => void this.#places--);
    const mustWait = this.#places++ > 0;
    return { ready, mustWait, write: this.#write, [Symbol.dispose]: resolve };
  }
}

/** The right to write one message. Dispose of it to let the next one speak. */
export interface StdoutLock extends Disposable {
  /** Settles when those who came before are done. */
  readonly ready: Promise<void>;
  /** Whether others came before and are not done. */
  readonly mustWait: boolean;
  /** Writes all of a chunk. */
  readonly write: (chunk: Uint8Array) => Promise<void>;
}
