/**
 * A limit on bytes per second: a token bucket of a tenth of a second, small enough that a low rate
 * is even, not a burst and a pause.
 *
 * @module
 */

/** Capacity of the bucket, in milliseconds at the full rate. */
const PIECE_MS = 100;

/** Most bytes that are read or written at once, however high the rate. */
const MAX_PIECE_BYTES = 1024 * 1024;

/** The clock of a {@linkcode RateLimit}; tests substitute one. */
export interface Clock {
  /** Milliseconds since an arbitrary time. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/** A limit on bytes per second, shared by all its users. */
export class RateLimit {
  /** Most bytes to read or write at once. */
  readonly pieceBytes: number;
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  /** Bytes that may be transferred without a wait; a negative number is a debt. */
  #tokens: number;
  #filled: number;
  #users = 0;

  /**
   * Makes a limit.
   *
   * @param bytesPerSecond At least 1.
   * @param clock Tells the time and waits: tests have one of their own.
   * @throws {RangeError} if it is not
   */
  constructor(bytesPerSecond: number, clock: Clock = realClock) {
    if (!(bytesPerSecond >= 1)) {
      throw new RangeError(`Cannot limit to ${bytesPerSecond} bytes per second: give at least 1`);
    }
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#clock = clock;
    this.#tokens = this.#bytesPerMs * PIECE_MS;
    this.pieceBytes = Math.min(Math.ceil(this.#tokens), MAX_PIECE_BYTES);
    this.#filled = clock.now();
  }

  /** Connections that share it. */
  get users(): number {
    return this.#users;
  }

  /** Bytes per second that each connection gets. */
  get share(): number {
    return this.#bytesPerMs * 1000 / Math.max(1, this.#users);
  }

  /** Adds a connection, until the result is disposed of. */
  join(): Disposable {
    this.#users++;
    return { [Symbol.dispose]: () => void this.#users-- };
  }

  /** Takes tokens for transferred bytes, and waits until the debt is paid. */
  async take(bytes: number): Promise<void> {
    const now = this.#clock.now();
    const most = this.#bytesPerMs * PIECE_MS;
    this.#tokens = Math.min(most, this.#tokens + (now - this.#filled) * this.#bytesPerMs) - bytes;
    this.#filled = now;
    if (this.#tokens < 0) await this.#clock.sleep(-this.#tokens / this.#bytesPerMs);
  }
}
