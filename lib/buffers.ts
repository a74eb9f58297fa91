/**
 * Large read buffers, lent to the connections that carry bodies, within a budget for the process.
 *
 * A megabyte for each of a thousand clients would be a gigabyte. So a connection lives with a small
 * buffer of its own, borrows a large one for a large body, and goes on with its small one when the
 * budget is lent out.
 *
 * @module
 */

/** Size of a lent buffer in bytes. Larger ones measured no faster, smaller ones slower. */
export const LARGE_BUFFER_BYTES = 1024 * 1024;

/**
 * Where a lent buffer begins in its memory. Memory of that size begins 16 bytes into a page, and
 * there some processors (AMD's, with fast short copies) take 1.6 times as long to copy a file's
 * pages. From here on they do not, and it is the beginning of a cache line.
 */
const OFFSET_BYTES = 48;

/** Lends buffers of {@linkcode LARGE_BUFFER_BYTES} bytes. */
export class BufferPool {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  #unmade: number;

  /** @param budgetBytes Most bytes that are lent out at one time. */
  constructor(budgetBytes = 64 * LARGE_BUFFER_BYTES) {
    this.#unmade = Math.floor(budgetBytes / LARGE_BUFFER_BYTES);
  }

  /** A large buffer to give back later, or `undefined` while the budget is lent out. */
  borrow(): Uint8Array<ArrayBuffer> | undefined {
    const free = this.#free.pop();
    if (free || this.#unmade === 0) return free;
    this.#unmade--;
    return new Uint8Array(new ArrayBuffer(OFFSET_BYTES + LARGE_BUFFER_BYTES), OFFSET_BYTES);
  }

  /** Takes a borrowed buffer back. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer);
  }
}

/** The pool of this process. */
export const buffers: BufferPool = new BufferPool();
