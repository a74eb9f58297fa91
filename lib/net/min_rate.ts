/**
 * The minimum rate of bodies: a peer that sends or receives too slowly occupies a connection that
 * another client could use.
 *
 * Only time spent waiting for the peer counts. Time that this side takes, such as for a slow disk,
 * does not.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatBytes, formatSeconds } from "../text.ts";

/** The minimum rate of a body, averaged over a window. */
export interface MinRate {
  bytesPerSecond: number;
  windowMs: number;
}

/** Measures the rate of one body, window after window. */
export class MinRateMeter {
  readonly #floor: MinRate;
  #bytes = 0;
  #elapsedMs = 0;

  constructor(floor: MinRate) {
    this.#floor = floor;
  }

  /**
   * Counts transferred bytes, and the time that the peer took for them.
   *
   * @returns At the end of a window the error for a peer that was too slow, or `null`; within a
   * window nothing.
   */
  count(bytes: number, elapsedMs: number): InletError | null | undefined {
    this.#bytes += bytes;
    this.#elapsedMs += elapsedMs;
    const { bytesPerSecond, windowMs } = this.#floor;
    if (this.#elapsedMs < windowMs) return undefined;
    const rate = this.#bytes / (this.#elapsedMs / 1000);
    const window = formatSeconds(this.#elapsedMs);
    this.#bytes = this.#elapsedMs = 0;
    if (rate >= bytesPerSecond) return null;
    return new InletError(
      "timeout",
      `Cannot continue at ${formatBytes(Math.floor(rate))}/s over ${window} s: ` +
        `the minimum is ${formatBytes(bytesPerSecond)}/s`,
    );
  }
}
