/**
 * Decides whether calls to a disk may block the event loop.
 *
 * A synchronous call to the page cache takes less time than a switch to another thread: asynchronous
 * writes of 256 KiB take about twice as long. But a disk that stalls would stall every client. So
 * each call is timed: after a slow one the store calls the disk asynchronously, until it has been
 * fast for a minute.
 *
 * @module
 */

import type { Maybe } from "./store.ts";

/** Milliseconds after which a call counts as slow. */
const SLOW_MS = 100;

/** Milliseconds without a slow call after which a disk counts as fast again. */
const FORGIVEN_MS = 60_000;

/** How fast one disk answers. */
export class DiskPace {
  #slowUntil = -Infinity;

  /** Runs and times one of two forms of a call: the synchronous one, unless the disk is slow. */
  call<T>(atOnce: () => Maybe<T>, later: () => Promise<T>): Maybe<T> {
    const began = performance.now();
    if (began < this.#slowUntil) return later().finally(() => this.#took(began));
    try {
      return atOnce();
    } finally {
      this.#took(began);
    }
  }

  #took(began: number): void {
    const now = performance.now();
    if (now - began > SLOW_MS) this.#slowUntil = now + FORGIVEN_MS;
  }
}
