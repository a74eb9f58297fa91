/**
 * Another program that works in the folder of what is in flight, and means no good.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { OWN } from "../helpers.ts";
import type { Dice } from "./content.ts";

/** Most milliseconds between two deeds. */
const PAUSE_MS = 10;

/** A file that is no larger may be one that is written and published in one breath. */
const ONE_BREATH_BYTES = 64 * 1024;

/** A program that takes files away, and puts others in their places. */
export class Gremlin {
  /** What it has done, by the kind of deed. */
  readonly deeds: Record<string, number> = {};
  readonly #folder: string;
  readonly #dice: Dice;
  /** Paths of its own files, each with the inode. */
  readonly #own = new Map<string, number | null>();

  /** @param dir A directory of received files. */
  constructor(dir: string, dice: Dice) {
    this.#folder = `${dir}/${OWN}`;
    this.#dice = dice;
  }

  /** Works until it is told that it is over. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.#actOnce();
      await delay(this.#dice.below(PAUSE_MS));
    }
  }

  /**
   * Takes away what it made, and all that the servers could not know to be theirs any more.
   *
   * @throws {AssertionError} if one of its files is gone
   */
  end(): void {
    const gone = [...this.#own].filter(([path, inode]) => inodeOf(path) !== inode);
    // Whoever gives a file a name of the servers' own has given it away.
    assertEquals(gone.filter(([path]) => !path.endsWith(".temp")), []);
    for (const name of namesIn(this.#folder)) Deno.removeSync(`${this.#folder}/${name}`);
  }

  #actOnce(): void {
    const victims = namesIn(this.#folder).filter((name) =>
      name.endsWith(".temp") && !this.#isOwn(`${this.#folder}/${name}`)
    );
    if (victims.length === 0) return;
    const path = `${this.#folder}/${this.#dice.of(victims)}`;
    const other = `${this.#folder}/${this.#dice.of(victims)}`;
    const possible = this.#possible(path, other);
    // Two large files at once are rare on a slow machine: what they allow comes first, once.
    const undone = possible.filter(({ name }) => !this.deeds[name]);
    const deed = this.#dice.of(undone.length > 0 ? undone : possible);
    try {
      deed.act();
      this.deeds[deed.name] = (this.deeds[deed.name] ?? 0) + 1;
    } catch (error) {
      // The server was faster.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #possible(path: string, other: string): { name: string; act: () => void }[] {
    const all = [
      { name: "removed", act: () => Deno.removeSync(path) },
      { name: "linked", act: () => this.#link(path) },
    ];
    if (isInOneBreath(path) || isInOneBreath(other)) return all;
    all.push(
      { name: "replaced", act: () => this.#replace(path) },
      { name: "renamed", act: () => this.#rename(path) },
    );
    // A file that was swapped for itself would be back at its place.
    if (path !== other) all.push({ name: "swapped", act: () => this.#swap(path, other) });
    if (path.includes("/kept-")) {
      all.push({ name: "truncated", act: () => this.#truncate(path) });
    }
    return all;
  }

  #link(path: string): void {
    const mine = this.#newPath();
    Deno.linkSync(path, mine);
    this.#own.set(mine, inodeOf(mine));
  }

  #replace(path: string): void {
    const mine = this.#newPath();
    Deno.writeFileSync(mine, new Uint8Array(this.#dice.below(500_000)));
    const inode = inodeOf(mine);
    Deno.renameSync(mine, path);
    this.#own.set(path, inode);
  }

  #rename(path: string): void {
    const mine = this.#newPath();
    Deno.renameSync(path, mine);
    this.#own.set(mine, inodeOf(mine));
  }

  #swap(path: string, other: string): void {
    const between = this.#newPath();
    Deno.renameSync(path, between);
    try {
      Deno.renameSync(other, path);
    } finally {
      Deno.renameSync(between, other);
    }
  }

  /** Not under the hands of its writer: whoever writes into the same file can put anything there. */
  #truncate(path: string): void {
    using file = Deno.openSync(path, { write: true });
    const { size, nlink } = file.statSync();
    if (nlink === 1 && file.tryLockSync(true)) file.truncateSync(this.#dice.below(size + 1));
  }

  #newPath(): string {
    return `${this.#folder}/gremlin-${crypto.randomUUID()}`;
  }

  #isOwn(path: string): boolean {
    return this.#own.get(path) === inodeOf(path);
  }
}

/** Whether a file may be one whose content was written at once: its name is known to nobody. */
function isInOneBreath(path: string): boolean {
  try {
    const isResumable = /\/(kept-)?[0-9a-f]{64}-/.test(path);
    return !isResumable && Deno.lstatSync(path).size <= ONE_BREATH_BYTES;
  } catch {
    return true;
  }
}

function inodeOf(path: string): number | null {
  try {
    return Deno.lstatSync(path).ino;
  } catch {
    return null;
  }
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}
