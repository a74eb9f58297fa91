/**
 * The numbers in names: `report (2).pdf` for a name that is taken, and `7.file` for an upload
 * without a name.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { systemCode } from "../system_errors.ts";
import { type Folders, lstatIfThere } from "./folders.ts";
import { freeNumber } from "./free_number.ts";
import { numberedName, TEMP } from "./names.ts";

/** The names that a file can be published under, in order of preference. */
export interface Names {
  nameOf(number: number): string;
  /** Number of the first name to try. */
  first: number;
  /** Number of the next name to try, if the first is taken. */
  next?: number | undefined;
  /** Called with the number of the published name. */
  onNumber?(number: number): void;
}

/** Most taken names whose next free number is remembered. */
const MAX_GIVEN = 1000;

/** Remembers the numbers that were given, so that finding the next one stays fast. */
export class Numbering {
  /** The highest number used so far, by the ending that follows it. */
  readonly #highest = new Map<string, number>();
  /** The number to try next, by the taken name. The oldest entry is forgotten first. */
  readonly #given = new Map<string, number>();

  /** A name and its numbered variants. */
  variants(name: string): Names {
    return {
      nameOf: (number) => numberedName(name, number),
      first: 1,
      next: this.#given.get(name),
      onNumber: (number) => {
        if (number === 1) return;
        this.#given.delete(name);
        this.#given.set(name, number + 1);
        if (this.#given.size > MAX_GIVEN) this.#given.delete(this.#given.keys().next().value!);
      },
    };
  }

  /**
   * Returns the next number in front of an ending. It is given once.
   *
   * @param existing Reads the names of published files and of uploads, at the first call.
   */
  next(ending: string, existing: () => readonly string[]): number {
    const number = (this.#highest.get(ending) ?? highestNumber(existing(), ending)) + 1;
    this.#highest.set(ending, number);
    return number;
  }
}

/**
 * Publishes a complete file under the first free one of its names.
 *
 * @returns The published name.
 */
export function linkUnder(names: Names, folders: Folders, temp: string): string {
  return placeUnder(names, folders, (path) => folders.disk.linkSync(temp, path));
}

/**
 * The same where the disk has no hard links. The caller holds the lock of rename_lock.ts.
 *
 * @param move Renames the file. What is there is replaced.
 */
export function moveUnder(names: Names, folders: Folders, move: (path: string) => void): string {
  return placeUnder(names, folders, (path) => {
    if (lstatIfThere(path)) throw new Deno.errors.AlreadyExists(path);
    try {
      move(path);
    } catch (error) {
      // A folder was made there in this moment, which no file replaces.
      if (!FOLDER_IS_THERE.includes(systemCode(error) ?? "")) throw error;
      throw new Deno.errors.AlreadyExists(path);
    }
  });
}

const FOLDER_IS_THERE: readonly string[] = ["EISDIR", "EEXIST", "ENOTEMPTY"];

/** @param place Gives the file a path, or throws `AlreadyExists`. */
function placeUnder(names: Names, folders: Folders, place: (path: string) => void): string {
  for (let number = names.first;;) {
    const name = names.nameOf(number);
    try {
      place(folders.path(name));
      names.onNumber?.(number);
      return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const next = names.next ?? 0;
    number = next > number ? next : freeNumber(number, (other) => isTaken(names, folders, other));
  }
}

/** Whether a file has the name of a number. A number that makes no valid name is not taken. */
export function isTaken(
  { nameOf }: Pick<Names, "nameOf">,
  folders: Folders,
  number: number,
): boolean {
  try {
    return lstatIfThere(folders.path(nameOf(number))) !== undefined;
  } catch (error) {
    if (error instanceof InletError) return false;
    throw error;
  }
}

function highestNumber(names: readonly string[], ending: string): number {
  let highest = 0;
  for (const name of names) {
    const published = name.endsWith(TEMP) ? name.slice(0, -TEMP.length) : name;
    const number = published.endsWith(ending) ? published.slice(0, -ending.length) : "";
    if (/^\d{1,15}$/.test(number)) highest = Math.max(highest, Number(number));
  }
  return highest;
}
