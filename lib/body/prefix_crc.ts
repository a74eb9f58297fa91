/**
 * The CRC-32 of the beginning of a file, by which two peers verify that a partial file belongs to
 * the same file before they resume it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { takeTurns } from "../turns.ts";
import { buffers } from "./buffer_pool.ts";

/** The beginning of an open file. Dispose of it to give its buffer back; the file stays open. */
export class Prefix implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #lent = buffers.borrow();
  readonly #buffer = this.#lent ?? new Uint8Array(64 * 1024);
  /** The CRC-32 of the first N pieces, by N. */
  readonly #crcs = [0];
  #aheadStopped = false;
  #ahead: Promise<void> = Promise.resolve();

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Computes ahead in the background, while the caller waits for the peer.
   *
   * @param most Bytes after which to stop.
   */
  readAhead(most: number): void {
    this.#ahead = this.#read(Math.floor(most / this.#buffer.length), () => this.#aheadStopped)
      // `crc` fails on the same error if it needs those bytes.
      .catch(() => {});
  }

  /**
   * Returns the CRC-32 of the first `bytes` bytes, or `undefined` if the file is shorter. It leaves
   * the file's position behind them.
   */
  async crc(bytes: number): Promise<number | undefined> {
    this.#aheadStopped = true;
    await this.#ahead;
    const pieceBytes = this.#buffer.length;
    const pieces = Math.floor(bytes / pieceBytes);
    await this.#read(pieces, () => false);
    const crc = this.#crcs[pieces];
    if (crc === undefined) return undefined;
    this.#file.seekSync(pieces * pieceBytes, Deno.SeekMode.Start);
    const rest = this.#buffer.subarray(0, bytes - pieces * pieceBytes);
    return this.#fill(rest) ? crc32(rest, crc) : undefined;
  }

  [Symbol.dispose](): void {
    this.#aheadStopped = true;
    // Reads are synchronous, so none can still be writing into the buffer.
    if (this.#lent) buffers.giveBack(this.#lent);
  }

  async #read(pieces: number, isOver: () => boolean): Promise<void> {
    this.#file.seekSync((this.#crcs.length - 1) * this.#buffer.length, Deno.SeekMode.Start);
    while (this.#crcs.length <= pieces && !isOver()) {
      if (!this.#fill(this.#buffer)) return;
      this.#crcs.push(crc32(this.#buffer, this.#crcs.at(-1)));
      await takeTurns();
    }
  }

  /** Fills a buffer; returns `false` if the file ends before. */
  #fill(buffer: Uint8Array): boolean {
    for (let filled = 0; filled < buffer.length;) {
      const read = this.#file.readSync(buffer.subarray(filled));
      if (read === null) return false;
      filled += read;
    }
    return true;
  }
}
