/**
 * Decides whether calls to a disk may block the event loop.
 *
 * A synchronous call to the page cache takes less time than a switch to another thread: asynchronous
 * writes of 256 KiB take about twice as long. But a disk that stalls would stall every client. So
 * each call is timed: after a slow one the store makes a number of calls asynchronously. That number
 * doubles each time, until many calls have been fast: a process that had to wait for its processor
 * pays little for it, and a disk that stalls again and again is hardly ever waited for.
 *
 * @module
 */

import type { Maybe } from "./store.ts";

/** Milliseconds after which a synchronous call counts as slow. */
const SLOW_MS = 100;

/** The same for an asynchronous one, which also waits for its turns in two threads. */
const SLOW_LATER_MS = 1000;

/** Calls that are asynchronous after the first slow one, and after the latest of many. */
const FIRST_CALLS = 64;
const MOST_CALLS = 65_536;

/** Fast calls after which the slow ones before are forgotten. */
const FORGIVEN_CALLS = 4096;

/** How fast one disk answers. */
export class DiskPace {
  /** Calls that are still to be asynchronous. */
  #left = 0;
  #next = FIRST_CALLS;
  /** Fast calls since the last slow one. */
  #fast = 0;

  /** Runs and times one of two forms of a call: the synchronous one, unless the disk is slow. */
  call<T>(atOnce: () => Maybe<T>, later: () => Promise<T>): Maybe<T> {
    const began = performance.now();
    if (this.#left > 0) {
      this.#left--;
      return later().finally(() => this.#took(began, SLOW_LATER_MS));
    }
    try {
      return atOnce();
    } finally {
      this.#took(began, SLOW_MS);
    }
  }

  #took(began: number, slowMs: number): void {
    if (performance.now() - began > slowMs) {
      this.#left = this.#next;
      this.#next = Math.min(2 * this.#next, MOST_CALLS);
      this.#fast = 0;
    } else if (++this.#fast === FORGIVEN_CALLS) this.#next = FIRST_CALLS;
  }
}
