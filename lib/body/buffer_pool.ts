/**
 * A pool of large buffers, lent to busy connections within a budget for the process.
 *
 * A megabyte for each of a thousand clients would be a gigabyte. So a connection starts with a
 * small buffer of its own, and borrows a larger one when the incoming data fills it. The loan is
 * limited to the connection's share of the budget. While the budget is lent out, a connection keeps
 * what it has.
 *
 * @module
 */

/**
 * Size of the largest buffer in bytes. Measured: larger ones were no faster, smaller ones slower.
 */
export const LARGE_BUFFER_BYTES = 1024 * 1024;

/** Size of the smallest buffer in bytes. Each larger size is twice the one before. */
export const LEAST_LENT_BYTES = 32 * 1024;

/** Fraction of the budget that the borrowers share. The rest serves new borrowers meanwhile. */
const SHARED = 0.5;

/**
 * Offset of a buffer in its memory. The allocator starts such memory 16 bytes into a page, where
 * some processors (AMD's, with fast short copies) take 1.6 times as long to copy a file's pages.
 * With this offset they do not, and the buffer starts at a cache line.
 */
const OFFSET_BYTES = 48;

/** Lends buffers of {@linkcode LEAST_LENT_BYTES} to {@linkcode LARGE_BUFFER_BYTES} bytes. */
export class BufferPool {
  readonly #budgetBytes: number;
  /** Returned buffers, by size. */
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  #freeBytes = 0;
  #lentBytes = 0;
  #borrowers = 0;

  /** @param budgetBytes Most bytes that are lent out at once. */
  constructor(budgetBytes = 64 * LARGE_BUFFER_BYTES) {
    this.#budgetBytes = budgetBytes;
  }

  /** Bytes that are lent out now. */
  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** Most bytes that each borrower should hold at present. */
  get shareBytes(): number {
    return this.#share(this.#borrowers);
  }

  /**
   * Lends a buffer, to be given back later; returns `undefined` while the budget is lent out.
   *
   * @param wanted The size in bytes that suffices. The buffer can be smaller.
   * @param instead A borrowed buffer that the caller gives back next. It can be returned itself.
   */
  borrow(
    wanted: number = LARGE_BUFFER_BYTES,
    instead?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | undefined {
    const most = Math.min(
      this.#share(this.#borrowers + (instead ? 0 : 1)),
      this.#budgetBytes - this.#lentBytes + (instead?.length ?? 0),
    );
    let size = LARGE_BUFFER_BYTES;
    while (size > most || (size > LEAST_LENT_BYTES && size / 2 >= wanted)) size /= 2;
    if (size < LEAST_LENT_BYTES) return undefined;
    if (size === instead?.length) return instead;
    this.#lentBytes += size;
    this.#borrowers++;
    const free = this.#free.get(size)?.pop();
    if (!free) return this.#make(size);
    this.#freeBytes -= size;
    return free;
  }

  /** Takes a borrowed buffer back, to lend it again. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    this.forget(buffer);
    const free = this.#free.get(buffer.length) ?? [];
    this.#free.set(buffer.length, free);
    free.push(buffer);
    this.#freeBytes += buffer.length;
  }

  /** Ends a loan without reusing the memory, which may still be in use. */
  forget(buffer: Uint8Array<ArrayBuffer>): void {
    this.#lentBytes -= buffer.length;
    this.#borrowers--;
  }

  #share(borrowers: number): number {
    return Math.max(this.#budgetBytes * SHARED / borrowers, LEAST_LENT_BYTES);
  }

  /** Allocates a buffer, after freeing the returned ones if the budget would be exceeded. */
  #make(size: number): Uint8Array<ArrayBuffer> {
    if (this.#lentBytes + this.#freeBytes > this.#budgetBytes) {
      this.#free.clear();
      this.#freeBytes = 0;
    }
    return new Uint8Array(new ArrayBuffer(OFFSET_BYTES + size), OFFSET_BYTES);
  }
}

/** The pool of this process. */
export const buffers: BufferPool = new BufferPool();
