/**
 * What one run sends, in order. What is in a folder is found while the run sends what was found
 * before, so that the first byte need not wait for the walk.
 *
 * @module
 */

import type { Item } from "../lib/body/sources.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";

/** Milliseconds that one {@linkcode Items.look} takes. */
const LOOK_MS = 5;

/** The items of a run. */
export class Items {
  readonly #pages: Iterator<readonly Item[]>;
  /** Items that were found, and not taken yet. */
  #ahead: Item[] = [];
  /** How many of {@linkcode Items.#ahead} were taken. */
  #taken = 0;
  /** How many of {@linkcode Items.#ahead} were measured, and their bytes, without those taken. */
  #measured = 0;
  #measuredBytes = 0;
  #isWalked = false;
  #found = 0;
  /** Items that were taken and have no result yet, in order. */
  readonly #left = new Set<Item>();
  /** The item that was taken last, until the next one is. */
  #current: Item | undefined;
  /** Bytes of all other items that were taken; `null` if that of any item is unknown. */
  #takenBytes: number | null = 0;
  #doneBytes = 0;
  #doneCount = 0;

  /** @param pages Finds more items whenever it is asked. */
  constructor(pages: Iterable<readonly Item[]>) {
    this.#pages = pages[Symbol.iterator]();
  }

  /** How many items there are; `null` while not all are found. */
  get count(): number | null {
    return this.#isWalked ? this.#found : null;
  }

  /** Items that were found, and not taken yet. */
  get ahead(): readonly Item[] {
    return this.#ahead.slice(this.#taken);
  }

  /** The bytes of all items that were not taken yet; `null` while not all are found and measured. */
  get bytesAhead(): number | null {
    return this.#isWalked && this.#measured >= this.#ahead.length ? this.#measuredBytes : null;
  }

  /** Whether there is no further item. The next one is found to tell. */
  get isOver(): boolean {
    while (this.#taken >= this.#ahead.length) {
      if (!this.#walk()) return true;
    }
    return false;
  }

  /** The next item, which stays the next one. */
  get first(): Item | undefined {
    return this.isOver ? undefined : this.#ahead[this.#taken];
  }

  /** Items that were taken and have no result yet, in order. */
  get left(): ReadonlySet<Item> {
    return this.#left;
  }

  /** Whether all items have a result. */
  get isDone(): boolean {
    return this.#left.size === 0 && this.isOver;
  }

  /** How many items are on the server. */
  get doneCount(): number {
    return this.#doneCount;
  }

  /** The bytes of the items that are on the server. */
  get doneBytes(): number {
    return this.#doneBytes;
  }

  /** The bytes of all items; `null` while they are not known, or if they never are. */
  get bytes(): number | null {
    const known = plus(this.bytesAhead, this.#takenBytes);
    return this.#current ? plus(known, this.#current.size) : known;
  }

  /** The bytes of all items without a result, once they are known, if there are several items. */
  get total(): number | undefined {
    const ahead = this.bytesAhead;
    if (ahead === null || this.#found === 1) return undefined;
    return [...this.#left].reduce((sum, { size }) => sum + (size ?? 0), ahead);
  }

  /** The items without a result: those that were taken before, and then all others. */
  *remaining(): Generator<Item, void> {
    for (const item of [...this.#left]) {
      if (this.#left.has(item)) yield item;
    }
    for (let item; (item = this.take());) {
      this.#left.add(item);
      this.#current = item;
      try {
        yield item;
      } finally {
        // Not before: it is measured anew right before it is sent.
        this.#takenBytes = plus(this.#takenBytes, item.size);
        this.#current = undefined;
      }
    }
  }

  /** Notes that an item has its result. */
  finish(item: Item, result: ItemResult): void {
    this.#left.delete(item);
    if ("error" in result) return;
    this.#doneCount++;
    this.#doneBytes += item.size ?? 0;
  }

  /** Takes the next item. */
  take(): Item | undefined {
    if (this.isOver) return undefined;
    const item = this.#ahead[this.#taken++]!;
    if (this.#taken <= this.#measured) this.#measuredBytes -= item.size ?? 0;
    else this.#measured = this.#taken;
    return item;
  }

  /** Finds all items. */
  async collect(signal?: AbortSignal): Promise<void> {
    while (this.#walk()) {
      if (!isTurnDue()) continue;
      await takeTurns();
      signal?.throwIfAborted();
    }
  }

  /** Finds and measures all items. Of most it is not known yet how large they are. */
  async measure(signal?: AbortSignal): Promise<void> {
    await this.collect(signal);
    while (this.look()) {
      await takeTurns();
      signal?.throwIfAborted();
    }
  }

  /**
   * Finds and measures items for a few milliseconds.
   *
   * @returns Whether there is more to do.
   */
  look(): boolean {
    for (const until = performance.now() + LOOK_MS; performance.now() < until;) {
      if (this.#measured < this.#ahead.length) {
        const { size } = this.#ahead[this.#measured++]!;
        this.#measuredBytes += size ?? 0;
        if (size === null) this.#takenBytes = null;
      } else if (!this.#walk()) return false;
    }
    return true;
  }

  /** Measures files that were named themselves: how much there is to move is known at once then. */
  lookAtNamed(): void {
    const { first } = this;
    if (first && first.folder === undefined) this.look();
  }

  /** Finds further items; none if that was all. */
  #walk(): boolean {
    if (this.#isWalked) return false;
    const { done, value } = this.#pages.next();
    if (done) this.#isWalked = true;
    else {
      if (this.#taken === this.#ahead.length) {
        this.#ahead = [];
        this.#taken = this.#measured = this.#measuredBytes = 0;
      }
      this.#found += value.length;
      this.#ahead.push(...value);
    }
    return !this.#isWalked;
  }
}

/** A sum; `null` if one of the two is unknown. */
function plus(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}
