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
  /** When the time is up, and what is said then. */
  #end = Infinity;
  #late = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer rings. */
  #rings = Infinity;
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
    this.#end = performance.now() + ms;
    this.#late = `${what} ${Math.ceil(ms / 1000)} s`;
    // It is not set anew for each piece of a large object: that takes more time than the piece.
    if (this.#end < this.#rings) this.#ringIn(ms);
  }

  /** The caller's turn: how long it takes is not the store's fault. */
  pause(): void {
    this.#end = Infinity;
  }

  /** Nothing more is waited for. */
  end(): void {
    clearTimeout(this.#timer);
    this.outer?.removeEventListener("abort", this.#abort);
  }

  #ringIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#rings = performance.now() + ms;
    this.#timer = setTimeout(() => this.#ring(), ms);
  }

  #ring(): void {
    this.#rings = Infinity;
    const ms = this.#end - performance.now();
    if (ms <= 0) this.#giveUp.abort(new NoAnswer(this.#late));
    else if (ms < Infinity) this.#ringIn(ms);
  }
}
