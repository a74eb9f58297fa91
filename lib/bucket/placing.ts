/**
 * Gives an object the first free one of its names.
 *
 * Writers of one name in one process get distinct numbers to try, each of which is tried: so there are no
 * gaps. Where another process is ahead, the next number is searched for as in a directory.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { ObjectHead } from "../s3/bucket.ts";
import { freeNumberLater } from "../store/free_number.ts";
import { numberedName } from "../store/names.ts";
import type { Names } from "../store/numbering.ts";
import { claim, type Claimed, type NewObject } from "./claim.ts";
import type { BucketContext } from "./context.ts";
import type { BucketFolders } from "./folders.ts";
import { markOf } from "./layout.ts";

/** The names of a file or link, in order of preference. */
export type NameList = Pick<Names, "nameOf" | "first"> & {
  /** What the numbers are remembered by: the name without one. */
  readonly series: string;
};

/** How an object is placed. */
export interface PlacingOptions {
  /** Called for what has a name: whether it is the same file, so that no other name is needed. */
  isSame?(head: ObjectHead): Promise<boolean>;
  /**
   * Called with the number that is tried next. The one that it returns is tried in its place.
   *
   * @param number From 2.
   */
  choose?(number: number): Promise<number>;
  /** Called before each attempt with the name that is tried. */
  onTry?(name: string): Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Most names of which the next number is remembered. The oldest is forgotten first. */
const MOST_SERIES = 1000;

/** The numbers of one name. */
interface Series {
  /** The next that nobody of this process has tried. */
  next: number;
  searching?: Promise<void> | undefined;
}

/** Places objects, and remembers the numbers that were given. */
export class Placing {
  readonly #context: BucketContext;
  readonly #folders: BucketFolders;
  readonly #series = new Map<string, Series>();

  constructor(context: BucketContext, folders: BucketFolders) {
    this.#context = context;
    this.#folders = folders;
  }

  /**
   * A stored name and its numbered variants.
   *
   * @param located With the numbers of its folders.
   */
  variants(located: string): NameList {
    const { maxNameBytes } = this.#context;
    const nameOf = (number: number): string => numberedName(located, number, maxNameBytes);
    return { nameOf, first: 1, series: located };
  }

  /**
   * Names after the next unused number: each call gives another one.
   *
   * @param ending The part of the name behind the number.
   */
  async numbered(ending: string): Promise<NameList> {
    const nameOf = (number: number): string => `${number}${ending}`;
    const names = { nameOf, first: 0, series: `\\0${ending}` };
    return { ...names, first: await this.#next(names, 0, 0) };
  }

  /**
   * Writes an object under the first free one of its names. Nothing is replaced.
   *
   * @returns The name.
   * @throws {InletError} as {@linkcode claim} does, or `bad-name` if no number fits
   */
  async place(
    names: NameList,
    object: NewObject,
    { isSame, choose, onTry, signal }: PlacingOptions = {},
  ): Promise<string> {
    let number = names.first;
    let isChosen = false;
    for (let collisions = 0;; collisions++) {
      const name = names.nameOf(number);
      // A name that was taken before is not sent the content just to be refused.
      const isKnown = isChosen || number === 1 && this.#series.has(names.series);
      let there = isKnown ? await this.look(name) : undefined;
      if (!there) {
        await onTry?.(name);
        const claimed = await this.tryAt(name, object, signal);
        if ("etag" in claimed) return name;
        there = claimed.taken;
      }
      if (there !== "folder" && await isSame?.(there)) return name;
      const next = await this.#next(names, number, collisions);
      number = await choose?.(next) ?? next;
      isChosen = number !== next;
      if (isChosen) this.#giveBack(names, next);
    }
  }

  /** Writes an object at a name, unless something is there: a folder, or another object. */
  async tryAt(
    name: string,
    object: NewObject,
    signal?: AbortSignal,
  ): Promise<Claimed | { readonly taken: "folder" }> {
    let isFolder = this.#folders.isFolder(name);
    // Asked again at once: nothing may happen between the answer and the note that it is being written.
    while (isFolder instanceof Promise) isFolder = await isFolder || this.#folders.isFolder(name);
    if (isFolder) return { taken: "folder" };
    const claimed = claim(this.#context, name, object, signal);
    this.#folders.writing(name, claimed);
    return await claimed;
  }

  /** What is at a name; `undefined` if it is free. */
  async look(name: string): Promise<ObjectHead | "folder" | undefined> {
    if (await this.#folders.isFolder(name)) return "folder";
    const head = await this.#context.bucket.head(this.#context.key(name));
    return head && markOf(head) !== "free" ? head : undefined;
  }

  async #isTaken({ nameOf }: NameList, number: number): Promise<boolean> {
    let name: string;
    try {
      name = nameOf(number);
    } catch (error) {
      // A number that makes no valid name. Using it says so.
      if (error instanceof InletError) return false;
      throw error;
    }
    return await this.look(name) !== undefined;
  }

  /**
   * Returns the next number to try, while one is taken.
   *
   * @param collisions How many were taken before: after two, others are ahead of this process.
   */
  async #next(names: NameList, taken: number, collisions: number): Promise<number> {
    const series = this.#seriesOf(names.series);
    for (let isSearched = collisions < 2;; isSearched = true) {
      if (isSearched && series.next > taken) return series.next++;
      series.searching ??= this.#search(series, names, taken).finally(() => {
        series.searching = undefined;
      });
      await series.searching;
    }
  }

  /** Gives a number to the next that wants one, unless others were given since. */
  #giveBack({ series }: NameList, number: number): void {
    const known = this.#seriesOf(series);
    if (known.next === number + 1) known.next = number;
  }

  async #search(series: Series, names: NameList, taken: number): Promise<void> {
    const free = await freeNumberLater(taken, (number) => this.#isTaken(names, number));
    series.next = Math.max(series.next, free);
  }

  #seriesOf(key: string): Series {
    const series = this.#series.get(key) ?? { next: 0 };
    this.#series.delete(key);
    this.#series.set(key, series);
    if (this.#series.size > MOST_SERIES) this.#series.delete(this.#series.keys().next().value!);
    return series;
  }
}
