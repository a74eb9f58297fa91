/**
 * Reading much of a file for its CRC-32, and telling how far that is.
 *
 * @module
 */

import { formatBytes, formatDuration } from "../text.ts";
import { combineCrc } from "./crc_combine.ts";
import { type OnBytes, Tally } from "./streams.ts";

/** Consecutive bytes of a file. */
export interface Extent {
  /** How many. */
  readonly bytes: number;
  /** Their CRC-32. */
  readonly crc: number;
}

/** How much is read. */
export interface ReadOptions {
  /** Gives up, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes just read. */
  readonly onBytes?: OnBytes | undefined;
}

/** How far a long reading is. */
export class Reading {
  readonly #total: number;
  #done = 0;
  #began: number | undefined;

  /** @param total Bytes that are to be read. */
  constructor(total: number) {
    this.#total = total;
  }

  /** Counts bytes that were read. */
  add(bytes: number): void {
    // The wait for its turn is not counted.
    this.#began ??= performance.now();
    this.#done += bytes;
  }

  /** Percent, bytes and time left: `42 %, 63 GiB of 150 GiB, 3:20 left`. */
  toString(): string {
    const total = formatBytes(this.#total);
    if (this.#began === undefined) return `${total}, in turn`;
    const percent = Math.floor(Math.min(1, this.#done / this.#total) * 100);
    const elapsedMs = performance.now() - this.#began;
    const leftMs = Math.max(0, this.#total - this.#done) * elapsedMs / this.#done;
    return `${percent} %, ${formatBytes(this.#done)} of ${total}, ${formatDuration(leftMs)} left`;
  }
}

/**
 * The CRC-32 of the beginning of a file, which is read while the rest moves. Dispose of it to end the
 * reading.
 */
export class BeginningCrc implements Disposable {
  /** Its length. */
  readonly bytes: number;
  /** How far the reading is. */
  readonly reading: Reading;
  readonly #stop = new AbortController();
  readonly #crc: Promise<number>;

  /** @param read Computes it, by reading. */
  constructor(bytes: number, read: (options: ReadOptions) => number | Promise<number>) {
    this.bytes = bytes;
    const reading = this.reading = new Reading(bytes);
    const { signal } = this.#stop;
    this.#crc = (async () => await read({ signal, onBytes: (count) => reading.add(count) }))();
    // Whoever waits for it is told.
    this.#crc.catch(() => {});
  }

  /**
   * The size and the CRC-32 of the whole file.
   *
   * @param rest What follows the beginning.
   */
  async whole(rest: Readonly<Tally>): Promise<Tally> {
    const crc = combineCrc(await this.#crc, rest.crc, rest.bytes);
    return Object.assign(new Tally(), { bytes: this.bytes + rest.bytes, crc });
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new DOMException("The file is not needed any more", "AbortError"));
  }
}
