/**
 * The names in a folder of a directory store, for lists. What cannot be read is left out of a list,
 * and the operator is told once.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted, REPLACED } from "../text.ts";
import type { Folders } from "./folders.ts";
import { readingFolder } from "./regular_file.ts";

/** Looks at a path, or returns `undefined` if it has to be left out of a list. */
export function unlessLeftOut<T>(folders: Folders, name: string, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    leaveOut(folders, name, error);
    return undefined;
  }
}

/**
 * Notes that an entry is left out of a list. One that was removed meanwhile needs no note.
 *
 * @throws {unknown} the error, if the whole list has to fail: the server is short of open files
 */
function leaveOut(folders: Folders, name: string, error: unknown): void {
  const why = explain(error, `Left ${quoted(name)} out of lists`);
  if (why.code === "overloaded") throw error;
  if (name.includes(REPLACED) && isGone(error)) {
    folders.warnOnce(`Left ${quoted(name)} out of lists: its name is not valid UTF-8`);
  } else if (!isGone(error)) folders.warnOnce(why.message);
}

/** Whether an error says that a folder was removed, or replaced by a file or a link. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    (error instanceof InletError && error.code === "denied");
}

/** A folder of fewer bytes than this holds few thousand entries, and is read beside others. */
const SMALL_FOLDER_BYTES = 64 * 1024;

function isSmall(path: string): boolean {
  try {
    return Deno.lstatSync(path).size < SMALL_FOLDER_BYTES;
  } catch {
    // Reading it reports the error.
    return true;
  }
}

/** The last large read that was begun. Large folders are read one at a time, to bound the memory. */
let reading: Promise<unknown> = Promise.resolve();

/** Milliseconds after which the next read does not wait: a disk that hangs must not stop all lists. */
const LONGEST_READ_MS = 10_000;

/** Waits for the read before, but not for long. */
async function takePlace(before: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => timer = setTimeout(resolve, LONGEST_READ_MS));
  await Promise.race([before, late]).finally(() => clearTimeout(timer));
}

/** Reads a folder. It is read at once, unless it is large or the disk is slow. */
async function namesIn(folders: Folders, prefix: string, withLinks: boolean): Promise<string[]> {
  const names: string[] = [];
  const add = ({ name, isFile, isDirectory, isSymlink }: Deno.DirEntry): void => {
    // Opening anything else, such as a pipe, could block.
    if (isDirectory) names.push(`${name}/`);
    else if (isFile || (isSymlink && withLinks)) names.push(name);
  };
  const later = async (path: string): Promise<void> => {
    for await (const entry of Deno.readDir(path)) add(entry);
  };
  let isRead = true;
  await folders.inFolder(prefix.slice(0, -1), () => {
    const path = folders.path(prefix);
    const slowly = (): Promise<void> => {
      const reading = readingFolder(path, later);
      isRead = reading !== undefined;
      return reading ?? Promise.resolve();
    };
    if (!isSmall(path)) return slowly();
    return folders.pace.call(() => Deno.readDirSync(path).forEach(add), slowly);
  });
  if (isRead) return names;
  folders.check(prefix);
  await later(folders.path(prefix));
  folders.check(prefix);
  return names;
}

/**
 * The files and folders in a folder, sorted by the UTF-8 bytes of their names; folders end with
 * `/`. They are held as one string: a string for each would take four times the memory.
 */
export class FolderNames {
  readonly #prefix: string;
  readonly #names: string;
  #at = 0;

  private constructor(prefix: string, names: string) {
    this.#prefix = prefix;
    this.#names = names;
  }

  /**
   * Reads a folder.
   *
   * @param prefix The path in front of its names; empty for the root, otherwise it ends with `/`.
   * @param withLinks Whether symbolic links are among them.
   */
  static async read(folders: Folders, prefix: string, withLinks: boolean): Promise<FolderNames> {
    if (isSmall(folders.path(prefix))) return await this.#read(folders, prefix, withLinks);
    const names = takePlace(reading).then(() => this.#read(folders, prefix, withLinks));
    reading = names.catch(() => {});
    return await names;
  }

  /** Reads a folder inside a list, or returns `undefined` if it has to be left out. */
  static async readBelow(
    folders: Folders,
    prefix: string,
    withLinks: boolean,
  ): Promise<FolderNames | undefined> {
    try {
      return await FolderNames.read(folders, prefix, withLinks);
    } catch (error) {
      leaveOut(folders, prefix, error);
      return undefined;
    }
  }

  static async #read(
    folders: Folders,
    prefix: string,
    withLinks: boolean,
  ): Promise<FolderNames> {
    let names: string[] = [];
    try {
      names = await namesIn(folders, prefix, withLinks);
    } catch (error) {
      // A folder that is gone counts as empty, except the root.
      if (prefix === "" || !isGone(error)) throw error;
    }
    // Two names that are not UTF-8 can become the same one.
    const distinct = names.some((name) => name.includes(REPLACED)) ? [...new Set(names)] : names;
    // The order of UTF-16 differs from that of UTF-8 only if there are surrogates.
    if (distinct.some((name) => SURROGATE.test(name))) distinct.sort(byCodePoints);
    else distinct.sort();
    distinct.push("");
    return new FolderNames(prefix, distinct.join("\0"));
  }

  /** The name of the folder; empty for the root. */
  get folder(): string {
    return this.#prefix.slice(0, -1);
  }

  /** Returns the next name, with its folders. */
  next(): string | undefined {
    const end = this.#names.indexOf("\0", this.#at);
    if (end < 0) return undefined;
    const name = this.#names.slice(this.#at, end);
    this.#at = end + 1;
    return this.#prefix + name;
  }
}

const SURROGATE = /[\ud800-\udfff]/;

function byCodePoints(one: string, other: string): number {
  for (let index = 0; index < one.length && index < other.length; index++) {
    if (one[index] !== other[index]) return one.codePointAt(index)! - other.codePointAt(index)!;
  }
  return one.length - other.length;
}
