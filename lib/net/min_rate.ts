/**
 * The floor on the speed of bodies: whoever sends or takes one too slowly holds a place that others
 * could have.
 *
 * Only the time that the other side takes counts. What this side does in between, on a slow disk for
 * one, is not in it.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatBytes, formatSeconds } from "../text.ts";

/** The slowest that a body may be, on average over a window. */
export interface MinRate {
  bytesPerSecond: number;
  windowMs: number;
}

/** How fast one body moves, window after window. */
export class MinRateMeter {
  readonly #floor: MinRate;
  #bytes = 0;
  #elapsedMs = 0;

  constructor(floor: MinRate) {
    this.#floor = floor;
  }

  /**
   * Counts what has moved, and how long the other side took for it.
   *
   * @throws {InletError} `timeout` at the end of a window that was too slow
   */
  count(bytes: number, elapsedMs: number): void {
    this.#bytes += bytes;
    this.#elapsedMs += elapsedMs;
    const { bytesPerSecond, windowMs } = this.#floor;
    if (this.#elapsedMs < windowMs) return;
    const rate = this.#bytes / (this.#elapsedMs / 1000);
    const window = formatSeconds(this.#elapsedMs);
    this.#bytes = this.#elapsedMs = 0;
    if (rate >= bytesPerSecond) return;
    throw new InletError(
      "timeout",
      `Cannot wait for a body at ${formatBytes(Math.floor(rate))}/s over ${window} s: ` +
        `the floor is ${formatBytes(bytesPerSecond)}/s`,
    );
  }
}
