/**
 * Large buffers, lent to the connections that are busy, within a budget for the process.
 *
 * A megabyte for each of a thousand clients would be a gigabyte. So a connection begins with a small
 * buffer of its own, borrows a larger one when what comes fills that, and no more than its share of
 * the budget: alone the largest there is, one of a thousand much less. Where the budget is lent out it
 * goes on with what it has.
 *
 * @module
 */

/** Size of the largest lent buffer in bytes. Larger ones measured no faster, smaller ones slower. */
export const LARGE_BUFFER_BYTES = 1024 * 1024;

/** Size of the smallest lent buffer in bytes. Sizes double from here on. */
export const LEAST_LENT_BYTES = 32 * 1024;

/** Of the budget, what its borrowers share. The rest is for who comes next, before they shrink. */
const SHARED = 0.5;

/**
 * Where a lent buffer begins in its memory. Memory of that size begins 16 bytes into a page, and
 * there some processors (AMD's, with fast short copies) take 1.6 times as long to copy a file's
 * pages. From here on they do not, and it is the beginning of a cache line.
 */
const OFFSET_BYTES = 48;

/** Lends buffers of {@linkcode LEAST_LENT_BYTES} to {@linkcode LARGE_BUFFER_BYTES} bytes. */
export class BufferPool {
  readonly #budgetBytes: number;
  /** What came back, by size. */
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  #freeBytes = 0;
  #lentBytes = 0;
  #borrowers = 0;

  /** @param budgetBytes Most bytes that are lent out at one time. */
  constructor(budgetBytes = 64 * LARGE_BUFFER_BYTES) {
    this.#budgetBytes = budgetBytes;
  }

  /** Bytes that are lent out now. */
  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** Most bytes that each borrower should hold now. */
  get shareBytes(): number {
    return this.#share(this.#borrowers);
  }

  /**
   * A buffer to give back later, or `undefined` while the budget is lent out.
   *
   * @param wanted The size in bytes that would do. What is lent can be smaller.
   * @param instead A borrowed one that is given back next. It can be the answer itself.
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

  /** Counts a borrowed buffer as lent no more, and leaves its memory to whoever still uses it. */
  forget(buffer: Uint8Array<ArrayBuffer>): void {
    this.#lentBytes -= buffer.length;
    this.#borrowers--;
  }

  #share(borrowers: number): number {
    return Math.max(this.#budgetBytes * SHARED / borrowers, LEAST_LENT_BYTES);
  }

  /** Memory of other sizes that nobody borrows makes room first. */
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
