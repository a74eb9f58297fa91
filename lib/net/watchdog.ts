/**
 * The one timer of a connection: it reports an idle connection, and a greeting that is late even
 * though its bytes keep arriving. A patient one allows a longer silence, and can be asked whether the
 * usual limits are exceeded.
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
  /**
   * Milliseconds of silence that are allowed while the watchdog is patient. Without it, it never is.
   */
  patienceMs?: number | undefined;
  /** Whether the peer waits for this side, so that its silence does not count. */
  isOwnSilence(): boolean;
  /** Called once, when the connection times out. */
  onTimeout(error: InletError): void;
}

/** Watches one connection until it is stopped. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  #opened = awakeNow();
  #patient: boolean;
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
    this.#patient = options.patienceMs !== undefined;
    this.#watch();
  }

  /** Whether only the silence of {@linkcode WatchdogOptions.patienceMs} ends the connection. */
  get patient(): boolean {
    return this.#patient;
  }

  set patient(patient: boolean) {
    if (patient === this.#patient || this.#options.patienceMs === undefined) return;
    this.#patient = patient;
    // What is left of a greeting, such as the proof of a key, has the usual time from now on.
    if (!this.hasGreeted) this.#opened = awakeNow();
    this.#timer?.[Symbol.dispose]();
    if (!this.#stopped) this.#watch();
  }

  /**
   * Milliseconds of silence, if the usual limits are exceeded: such a connection goes where another
   * client needs its place.
   */
  get overdueMs(): number | undefined {
    const now = awakeNow();
    const silentMs = now - this.#lastMove;
    const isLate = now - this.#opened >= this.#greetingTimeoutMs;
    return isLate || silentMs >= this.#idleTimeoutMs ? silentMs : undefined;
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
    const limitMs = this.#patient ? this.#options.patienceMs! : this.#idleTimeoutMs;
    const silentBy = this.#lastMove + limitMs;
    const greetBy = this.#patient ? Infinity : this.#opened + this.#greetingTimeoutMs;
    if (now < silentBy && now < greetBy) {
      this.#timer = new AwakeTimer(Math.min(silentBy, greetBy) - now, () => this.#watch());
    } else if (now < silentBy) {
      this.#giveUp(`No complete greeting within ${formatSeconds(this.#greetingTimeoutMs)} s`);
    } else {
      const what = this.#awaitingReply ? "No reply" : "No data in either direction";
      this.#giveUp(`${what} for ${formatSeconds(limitMs)} s`);
    }
  }

  #giveUp(reason: string): void {
    this.#options.onTimeout(new InletError("timeout", reason));
  }
}
