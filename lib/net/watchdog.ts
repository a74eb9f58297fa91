/**
 * The one timer of a connection: it tells when nothing has moved for too long, and when the greeting
 * is late, however steadily its bytes drip.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatSeconds } from "../text.ts";

/** Options of a {@linkcode Watchdog}. */
export interface WatchdogOptions {
  /** Milliseconds without a move after which it gives up. */
  idleTimeoutMs: number;
  /** Milliseconds after which it gives up unless the peer has greeted; `Infinity` for no limit. */
  greetingTimeoutMs: number;
  /** Whether the silence is this side's own: the peer waits for it. */
  isOwnSilence(): boolean;
  /** Called once, when it gives up. */
  onTimeout(error: InletError): void;
}

/** Watches one connection until it is stopped. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #opened = performance.now();
  #idleTimeoutMs: number;
  #greetingTimeoutMs: number;
  #lastMove = this.#opened;
  #awaitingReply = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#greetingTimeoutMs = options.greetingTimeoutMs;
    this.#watch();
  }

  /** Whether the peer owes an answer. Then its silence counts, whatever this side sends. */
  get awaitingReply(): boolean {
    return this.#awaitingReply;
  }

  set awaitingReply(awaiting: boolean) {
    if (awaiting && !this.#awaitingReply) this.received();
    this.#awaitingReply = awaiting;
  }

  /** Whether no greeting is waited for, or not any more. */
  get hasGreeted(): boolean {
    return this.#greetingTimeoutMs === Infinity;
  }

  /** Notes that the greeting is complete. */
  greeted(): void {
    this.#greetingTimeoutMs = Infinity;
  }

  /** Notes that something came, or that silence counts anew from now on. */
  received(): void {
    this.#lastMove = performance.now();
  }

  /** Notes that the peer took something. Where it owes an answer, that is not enough. */
  sent(): void {
    if (!this.#awaitingReply) this.received();
  }

  /**
   * Counts silence anew, against another limit in milliseconds.
   *
   * @returns The limit before.
   */
  allowSilence(limitMs: number): number {
    const before = this.#idleTimeoutMs;
    clearTimeout(this.#timer);
    this.#idleTimeoutMs = limitMs;
    this.received();
    if (!this.#stopped) this.#watch();
    return before;
  }

  /** Watches no more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** The timer is set again for what is left of the nearest limit, not on every read. */
  #watch(): void {
    const now = performance.now();
    if (this.#options.isOwnSilence()) this.#lastMove = now;
    const silentBy = this.#lastMove + this.#idleTimeoutMs;
    const greetBy = this.#opened + this.#greetingTimeoutMs;
    if (now < silentBy && now < greetBy) {
      this.#timer = setTimeout(() => this.#watch(), Math.min(silentBy, greetBy) - now + 1);
    } else if (now < silentBy) {
      this.#giveUp(`No whole greeting came within ${formatSeconds(this.#greetingTimeoutMs)} s`);
    } else {
      const what = this.#awaitingReply ? "No answer came" : "Nothing moved on the connection";
      this.#giveUp(`${what} for ${formatSeconds(this.#idleTimeoutMs)} s`);
    }
  }

  #giveUp(reason: string): void {
    this.#options.onTimeout(new InletError("timeout", reason));
  }
}
