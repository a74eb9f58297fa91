/**
 * The memory for parts of uploads on their way into a bucket: one pool for the process.
 *
 * A part has to be whole in memory before it is sent, since it is signed with its SHA-256 and may have
 * to be sent again. So its memory is granted before its first byte is read, in the order of the
 * requests: an upload without a part waits, and its client with it. One that fills its part slowly
 * cannot keep the others waiting: once it has had the part for some seconds, it is asked to set aside
 * what it has, the slowest one first. From then on it is one of the slow ones, until it has filled a part:
 * all of them together have half of the pool while others wait.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { PART_BYTES } from "./part_schedule.ts";

/** Smallest size that is granted. */
const LEAST_BYTES = 64 * 1024;

/** Larger sizes are multiples of this one, smaller ones powers of two: so freed memory fits again. */
const STEP_BYTES = 1024 * 1024;

/** Freed memory that is kept for the next part even if nothing is lent: what one upload uses. */
const KEPT_BYTES = 5 * PART_BYTES;

/** What is set aside soon: an upload that has no more by a fifth of the patience gives way already. */
const LITTLE_BYTES = 64 * 1024;

/** What fills a part. */
export interface PartHolder {
  /** Bytes of the part that have arrived. */
  readonly filledBytes: number;
  /** Called when others need the memory more: it sets aside what it has, and then gives it back. */
  giveWay(): void;
}

/** Options of a {@linkcode PartPool}. */
export interface PartPoolOptions {
  /**
   * Bytes that are lent at once, at most.
   *
   * @default 100663296 (12 parts of 8 MiB)
   */
  readonly budgetBytes?: number | undefined;
  /**
   * Milliseconds for which a part is its holder's, whoever waits; a fifth of it if next to nothing comes.
   *
   * @default 5000
   */
  readonly patienceMs?: number | undefined;
}

/** Memory for one part. Dispose of it to give it back. */
export interface PartBuffer extends Disposable {
  /** At least as many bytes as were asked for. */
  readonly memory: Uint8Array<ArrayBuffer>;
  /**
   * Tells that its holder cannot fill it before something is done. Nobody asks it to give way before: at a
   * slow store it would get nowhere.
   */
  busyUntil(done: Promise<void>): void;
  /** Tells that it is filled: it comes back soon, and nobody is asked to give way. */
  filled(): void;
}

/** A part that is lent. */
interface Loan {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly holder: PartHolder;
  /** When its holder could begin to fill it, if it can. */
  since: number;
  /** Whether it is on its way back: filled, or being set aside. */
  isReturning: boolean;
}

/** An upload that waits for a part. */
interface Waiter {
  readonly bytes: number;
  readonly holder: PartHolder;
  grant(buffer: PartBuffer): void;
}

/** Lends memory for parts, first come, first served. */
export class PartPool {
  readonly #budgetBytes: number;
  readonly #patienceMs: number;
  readonly #loans = new Set<Loan>();
  readonly #waiters = new Set<Waiter>();
  /** Those that have been asked to give way, and have filled no part since. */
  readonly #slow = new WeakSet<PartHolder>();
  /** Memory that was given back, the latest last. */
  #free: Uint8Array<ArrayBuffer>[] = [];
  #lentBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ budgetBytes = 12 * PART_BYTES, patienceMs = 5000 }: PartPoolOptions = {}) {
    this.#budgetBytes = budgetBytes;
    this.#patienceMs = patienceMs;
  }

  /** Bytes that are lent now. */
  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** How many uploads wait for a part. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Lends memory for a part, if there is some and nobody waits for it.
   *
   * @param bytes Of the part, from 1.
   */
  tryLend(bytes: number, holder: PartHolder): PartBuffer | undefined {
    const size = this.#sizeFor(bytes);
    if (this.#waiters.size > 0 || this.#lentBytes + size > this.#budgetBytes) return undefined;
    return this.#lend(size, holder);
  }

  /**
   * Lends memory for a part, once there is some.
   *
   * @param signal Leaves the queue, with its reason.
   */
  async lend(bytes: number, holder: PartHolder, signal?: AbortSignal): Promise<PartBuffer> {
    const lent = this.tryLend(bytes, holder);
    if (lent) return lent;
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<PartBuffer>();
    const waiter: Waiter = { bytes: this.#sizeFor(bytes), holder, grant: resolve };
    const leave = (): void => {
      if (!this.#waiters.delete(waiter)) return;
      reject(signal!.reason);
      this.#serve();
    };
    this.#waiters.add(waiter);
    signal?.addEventListener("abort", leave);
    this.#schedule();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  /** @throws {InletError} `overloaded` for a part that is larger than the whole pool */
  #sizeFor(bytes: number): number {
    let size = LEAST_BYTES;
    while (size < bytes && size < STEP_BYTES) size *= 2;
    if (size < bytes) size = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
    if (size <= this.#budgetBytes) return size;
    throw new InletError(
      "overloaded",
      "Cannot store the file: its parts are larger than the memory",
    );
  }

  #lend(size: number, holder: PartHolder): PartBuffer {
    const loan = { memory: this.#take(size), holder, since: performance.now(), isReturning: false };
    this.#loans.add(loan);
    this.#lentBytes += size;
    return {
      memory: loan.memory,
      busyUntil: (done) => {
        loan.since = Infinity;
        const ready = (): void => {
          loan.since = performance.now();
          this.#schedule();
        };
        done.then(ready, ready);
      },
      filled: () => {
        loan.isReturning = true;
        this.#slow.delete(holder);
      },
      [Symbol.dispose]: () => this.#giveBack(loan),
    };
  }

  #giveBack(loan: Loan): void {
    if (!this.#loans.delete(loan)) return;
    this.#lentBytes -= loan.memory.length;
    this.#free.push(loan.memory);
    this.#shrink(Math.max(this.#lentBytes, KEPT_BYTES));
    this.#serve();
  }

  /** Takes memory that was freed, or makes some within the budget. */
  #take(size: number): Uint8Array<ArrayBuffer> {
    const index = this.#free.findLastIndex(({ length }) => length === size);
    if (index !== -1) return this.#free.splice(index, 1)[0]!;
    this.#shrink(this.#budgetBytes - this.#lentBytes - size);
    return new Uint8Array(size);
  }

  /** Frees memory at once, and not when it is collected: that it may be long since. */
  #shrink(mostBytes: number): void {
    let bytes = this.#free.reduce((sum, { length }) => sum + length, 0);
    while (bytes > mostBytes) {
      const { length, buffer } = this.#free.shift()!;
      buffer.transfer(0);
      bytes -= length;
    }
  }

  /** Lends to those that have waited longest, as far as there is memory. */
  #serve(): void {
    for (let next; (next = this.#next());) {
      if (this.#lentBytes + next.bytes > this.#budgetBytes) break;
      this.#waiters.delete(next);
      next.grant(this.#lend(next.bytes, next.holder));
    }
    this.#schedule();
  }

  /** Whose turn it is: of the first one, but for a slow one if such have their half, and others wait. */
  #next(): Waiter | undefined {
    const [first] = this.#waiters;
    if (!first || !this.#slow.has(first.holder)) return first;
    let slowBytes = first.bytes;
    for (const { holder, memory } of this.#loans) {
      if (this.#slow.has(holder)) slowBytes += memory.length;
    }
    if (slowBytes <= this.#budgetBytes / 2) return first;
    for (const waiter of this.#waiters) if (!this.#slow.has(waiter.holder)) return waiter;
    return first;
  }

  /** Looks at the holders once one of them has had its part for long enough, if it is needed. */
  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#missingBytes() <= 0) return;
    let first = Infinity;
    for (const loan of this.#loans) {
      if (!loan.isReturning) first = Math.min(first, this.#dueAt(loan));
    }
    if (first === Infinity) return;
    const waitMs = Math.max(first - performance.now(), 0);
    this.#timer = setTimeout(() => this.#makeWay(), waitMs);
  }

  /** Until when a part is its holder's, whoever waits. */
  #dueAt({ holder, since }: Loan): number {
    return since + (holder.filledBytes < LITTLE_BYTES ? this.#patienceMs / 5 : this.#patienceMs);
  }

  /** Bytes that have to come back for all that wait, beside those that are on their way back. */
  #missingBytes(): number {
    let missing = this.#lentBytes - this.#budgetBytes;
    for (const { bytes } of this.#waiters) missing += bytes;
    for (const { isReturning, memory } of this.#loans) if (isReturning) missing -= memory.length;
    return this.#waiters.size > 0 ? missing : 0;
  }

  /** Asks as many holders to give way as the waiting uploads need, the slowest first. */
  #makeWay(): void {
    const now = performance.now();
    const rate = ({ holder, since }: Loan): number => holder.filledBytes / (now - since + 1);
    const slow = [...this.#loans].filter((loan) => !loan.isReturning && now >= this.#dueAt(loan))
      .sort((one, other) => rate(one) - rate(other));
    let missing = this.#missingBytes();
    for (const loan of slow) {
      if (missing <= 0) break;
      loan.isReturning = true;
      missing -= loan.memory.length;
      this.#slow.add(loan.holder);
      loan.holder.giveWay();
    }
    this.#schedule();
  }
}

/** The pool of this process. */
export const parts: PartPool = new PartPool();
