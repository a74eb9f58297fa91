/**
 * Bytes that are held in memory, up to a limit. The memory grows with them, so that many clients
 * that send little cost little.
 *
 * @module
 */

/** Size of the first memory in bytes. Each larger one is at least twice the one before. */
const FIRST_BYTES = 1024;

/** Bytes in memory. */
export class HeldBytes {
  readonly #mostBytes: number;
  #memory: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** @param mostBytes Most bytes to hold. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Holds a copy of a chunk. Returns `false` if that would be too much. */
  add(chunk: Uint8Array): boolean {
    const length = this.#length + chunk.length;
    if (length > this.#mostBytes) return false;
    if (length > this.#memory.length) this.#grow(length);
    this.#memory.set(chunk, this.#length);
    this.#length = length;
    return true;
  }

  /** Gives the bytes out, and holds nothing any more. */
  take(): Uint8Array {
    const bytes = this.#memory.subarray(0, this.#length);
    this.#memory = new Uint8Array(0);
    this.#length = 0;
    return bytes;
  }

  #grow(length: number): void {
    const size = Math.max(length, 2 * this.#memory.length, FIRST_BYTES);
    const larger = new Uint8Array(Math.min(size, this.#mostBytes));
    larger.set(this.#memory.subarray(0, this.#length));
    this.#memory = larger;
  }
}
