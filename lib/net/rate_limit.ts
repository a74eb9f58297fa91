/**
 * A limit to bytes a second: a token bucket that holds a tenth of a second, so that a low rate is
 * felt evenly, and not as a burst and a pause.
 *
 * @module
 */

/** How often a piece moves, in milliseconds, and how much the bucket holds. */
const PIECE_MS = 100;

/** Most bytes of one piece, however high the rate: what is read and written at once. */
const MAX_PIECE_BYTES = 1024 * 1024;

/** Time, as a {@linkcode RateLimit} sees it. */
export interface Clock {
  /** Milliseconds since whenever. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/** Bytes a second, counted over everything that takes of it. */
export class RateLimit {
  /** Most bytes to move at once. */
  readonly pieceBytes: number;
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  /** What may move for nothing; less than nothing is what the next ones have to wait for. */
  #tokens: number;
  #filled: number;

  /** @param bytesPerSecond At least 1. */
  constructor(bytesPerSecond: number, clock: Clock = realClock) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#clock = clock;
    this.#tokens = this.#bytesPerMs * PIECE_MS;
    this.pieceBytes = Math.min(Math.ceil(this.#tokens), MAX_PIECE_BYTES);
    this.#filled = clock.now();
  }

  /** Takes out bytes that have moved, and waits until the next ones may. */
  async take(bytes: number): Promise<void> {
    const now = this.#clock.now();
    const most = this.#bytesPerMs * PIECE_MS;
    this.#tokens = Math.min(most, this.#tokens + (now - this.#filled) * this.#bytesPerMs) - bytes;
    this.#filled = now;
    if (this.#tokens < 0) await this.#clock.sleep(-this.#tokens / this.#bytesPerMs);
  }
}
