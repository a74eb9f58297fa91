/**
 * The one timer of a connection: it reports an idle connection, and a greeting that is late even
 * though its bytes keep arriving.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatSeconds } from "../text.ts";
import { awakeNow, AwakeTimer } from "./awake.ts";

/** Options of a {@linkcode Watchdog}. */
export interface WatchdogOptions {
  /** Milliseconds without activity after which the connection times out. */
  idleTimeoutMs: number;
  /** Milliseconds within which the greeting must be complete; `Infinity` for no limit. */
  greetingTimeoutMs: number;
  /** Whether the peer waits for this side, so that its silence does not count. */
  isOwnSilence(): boolean;
  /** Called once, when the connection times out. */
  onTimeout(error: InletError): void;
}

/** Watches one connection until it is stopped. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #opened = awakeNow();
  #idleTimeoutMs: number;
  #greetingTimeoutMs: number;
  #lastMove = this.#opened;
  #awaitingReply = false;
  #timer: AwakeTimer | undefined;
  #stopped = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#greetingTimeoutMs = options.greetingTimeoutMs;
    this.#watch();
  }

  /** Whether the peer must reply. Then its silence counts, even while this side sends. */
  get awaitingReply(): boolean {
    return this.#awaitingReply;
  }

  set awaitingReply(awaiting: boolean) {
    if (awaiting && !this.#awaitingReply) this.received();
    this.#awaitingReply = awaiting;
  }

  /** Whether the greeting is complete, or has no time limit. */
  get hasGreeted(): boolean {
    return this.#greetingTimeoutMs === Infinity;
  }

  /** Records that the greeting is complete. */
  greeted(): void {
    this.#greetingTimeoutMs = Infinity;
  }

  /** Records that data arrived, which restarts the idle timeout. */
  received(): void {
    this.#lastMove = awakeNow();
  }

  /** Records that the peer accepted data. While a reply is due, this does not count as activity. */
  sent(): void {
    if (!this.#awaitingReply) this.received();
  }

  /**
   * Restarts the idle timeout with another limit, in milliseconds.
   *
   * @returns The previous limit.
   */
  allowSilence(limitMs: number): number {
    const before = this.#idleTimeoutMs;
    this.#timer?.[Symbol.dispose]();
    this.#idleTimeoutMs = limitMs;
    this.received();
    if (!this.#stopped) this.#watch();
    return before;
  }

  /** Stops the timer for good. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
  }

  /** Sets the timer for the nearest limit. Reads do not reset it; it checks when it fires. */
  #watch(): void {
    if (this.#options.isOwnSilence()) this.received();
    const now = awakeNow();
    const silentBy = this.#lastMove + this.#idleTimeoutMs;
    const greetBy = this.#opened + this.#greetingTimeoutMs;
    if (now < silentBy && now < greetBy) {
      this.#timer = new AwakeTimer(Math.min(silentBy, greetBy) - now, () => this.#watch());
    } else if (now < silentBy) {
      this.#giveUp(`No complete greeting within ${formatSeconds(this.#greetingTimeoutMs)} s`);
    } else {
      const what = this.#awaitingReply ? "No reply" : "No data in either direction";
      this.#giveUp(`${what} for ${formatSeconds(this.#idleTimeoutMs)} s`);
    }
  }

  #giveUp(reason: string): void {
    this.#options.onTimeout(new InletError("timeout", reason));
  }
}
