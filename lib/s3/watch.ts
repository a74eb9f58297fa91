/**
 * The time that one request may take.
 *
 * @module
 */

import { NoAnswer } from "./answer.ts";

/** Ends a request when its time is up, or its caller gives up. */
export class Watch {
  readonly #giveUp = new AbortController();
  readonly #abort = (): void => this.#giveUp.abort(this.outer!.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The caller's. */
  readonly outer: AbortSignal | undefined;

  /** @param outer The caller's. */
  constructor(outer: AbortSignal | undefined) {
    this.outer = outer;
    outer?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Ends the request. */
  get signal(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** Sets the time, anew. */
  limit(ms: number, what: string): void {
    clearTimeout(this.#timer);
    const seconds = Math.ceil(ms / 1000);
    const abort = (): void => this.#giveUp.abort(new NoAnswer(`${what} ${seconds} s`));
    this.#timer = setTimeout(abort, ms);
  }

  /** The caller's turn: how long it takes is not the store's fault. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Nothing more is waited for. */
  end(): void {
    this.pause();
    this.outer?.removeEventListener("abort", this.#abort);
  }
}
