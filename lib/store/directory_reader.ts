/**
 * The read side of a directory store: opens, finds and lists published files.
 *
 * @module
 */

import type { ListEntry } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import { printable, quoted } from "../text.ts";
import { isTurnDue, takeTurns } from "../turns.ts";
import { type Folders, lstatIfThere } from "./folders.ts";
import { numberedName, safeName } from "./names.ts";
import type { Fingerprint } from "./store.ts";
import { DirectoryFile } from "./stored_file.ts";

/** Entries of one page. */
const PAGE_ENTRIES = 500;

/** Opens a published file without following a link. */
export function openFile(folders: Folders, name: string): DirectoryFile {
  const safe = safeName(name);
  const what = `Cannot get ${quoted(name)}`;
  try {
    folders.check(safe);
    const path = folders.path(safe);
    const seen = Deno.lstatSync(path);
    if (seen.isDirectory) {
      throw new InletError("not-found", `${what}: it is a folder, get "${printable(name)}/"`);
    }
    if (!seen.isFile) throw new InletError("not-found", `${what}: it is not a regular file`);
    const file = Deno.openSync(path);
    const opened = file.statSync();
    // A link made between the two calls leads to a different file.
    if (opened.ino !== seen.ino || opened.dev !== seen.dev) {
      file.close();
      throw new InletError("denied", `${what}: it changed while it was opened`);
    }
    return new DirectoryFile(file, name, opened, () => openFile(folders, name));
  } catch (error) {
    throw explain(error, what);
  }
}

/** Finds the same file under its name or a numbered variant. */
export async function findFile(
  folders: Folders,
  name: string,
  same: Fingerprint,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const safe = safeName(name);
  try {
    for (let number = 1;; number++) {
      const numbered = numberedName(safe, number);
      const there = lstatIfThere(folders.path(numbered));
      if (!there) return undefined;
      if (there.isFile && await isSame(folders, numbered, same, signal)) return numbered;
      await takeTurns();
      signal?.throwIfAborted();
    }
  } catch (error) {
    throw explain(error, `Cannot compare ${quoted(name)}`);
  }
}

async function isSame(
  folders: Folders,
  name: string,
  { size, crc, modified }: Fingerprint,
  signal?: AbortSignal,
): Promise<boolean> {
  using stored = openFile(folders, name);
  // The wire has times to the second.
  const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);
  if (stored.size !== size || seconds(stored.modified) !== seconds(modified)) return false;
  const tally = await stored.beginning(size, signal);
  return tally.bytes === size && tally.crc === crc;
}

/** Lists a folder and everything published below it, or one file, in pages. */
export async function* treePages(
  folders: Folders,
  name: string,
  signal?: AbortSignal,
): AsyncGenerator<readonly ListEntry[]> {
  const safe = safeName(name);
  const what = `Cannot get ${quoted(name)}`;
  try {
    folders.check(safe);
    const { isFile, isDirectory, size, mtime } = Deno.lstatSync(folders.path(safe));
    const modified = mtime ?? new Date(0);
    if (isFile) return yield [{ name: safe, size, modified }];
    if (!isDirectory) throw new InletError("not-found", `${what}: it is not a folder`);
    const first: ListEntry = { name: safe, size: null, modified };
    yield* entryPages(folders, `${safe}/`, { first, withFolders: true, signal });
  } catch (error) {
    throw explain(error, what);
  }
}

/** Lists every published file, in pages. */
export function listPages(
  folders: Folders,
  signal?: AbortSignal,
): AsyncGenerator<readonly ListEntry[]> {
  return entryPages(folders, "", { withFolders: false, signal });
}

/**
 * Lists entries from a folder downwards. It holds only the names in the folders that are open:
 * about a megabyte for a folder of 100,000 files.
 *
 * @param top Empty for the root; otherwise it ends with `/`.
 */
async function* entryPages(
  folders: Folders,
  top: string,
  { first, withFolders, signal }: {
    first?: ListEntry;
    withFolders: boolean;
    signal: AbortSignal | undefined;
  },
): AsyncGenerator<readonly ListEntry[]> {
  let page: ListEntry[] = first ? [first] : [];
  const open = [await FolderNames.read(folders, top)];
  for (let folder; (folder = open.at(-1));) {
    const name = folder.next();
    if (name === undefined) {
      open.pop();
      continue;
    }
    const isFolder = name.endsWith("/");
    const entry = entryOf(folders, isFolder ? name.slice(0, -1) : name, isFolder);
    const entered = entry !== undefined && isFolder;
    if (entered) open.push(await FolderNames.read(folders, name));
    if (entry && (withFolders || !isFolder)) page.push(entry);
    const isFull = page.length >= PAGE_ENTRIES;
    if (!isFull && !entered && !isTurnDue()) continue;
    if (isFull) {
      yield page;
      page = [];
    }
    await takeTurns();
    signal?.throwIfAborted();
    // Others may have had their turn: a folder can have become a link to another one.
    while (open.length > 0 && !open.at(-1)!.isThere) open.pop();
  }
  if (page.length > 0) yield page;
}

/** Returns the entry of a name, unless it changed its kind or went since its folder was read. */
function entryOf(folders: Folders, name: string, isFolder: boolean): ListEntry | undefined {
  if (!isPublishedName(name)) return undefined;
  const info = unlessGone(() => Deno.lstatSync(folders.path(name)));
  if (!info || (isFolder ? !info.isDirectory : !info.isFile)) return undefined;
  return { name, size: isFolder ? null : info.size, modified: info.mtime ?? new Date(0) };
}

/** Does something with a path, or returns `undefined` when it is gone or leads elsewhere. */
function unlessGone<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that a folder was removed, or replaced by a file or a link. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    (error instanceof InletError && error.code === "denied");
}

/** A folder of fewer bytes than this holds few thousand entries, and is read beside others. */
const SMALL_FOLDER_BYTES = 64 * 1024;

function isSmall(path: string): boolean {
  const size = unlessGone(() => Deno.lstatSync(path).size);
  return size !== undefined && size < SMALL_FOLDER_BYTES;
}

/** The last large read that was begun. Large folders are read one at a time, to bound the memory, */
let reading: Promise<unknown> = Promise.resolve();

/** unless one takes longer than this, in milliseconds: a disk that hangs must not stop all lists. */
const LONGEST_READ_MS = 10_000;

/** Waits for the read before, but not for long. */
async function takePlace(before: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => timer = setTimeout(resolve, LONGEST_READ_MS));
  await Promise.race([before, late]).finally(() => clearTimeout(timer));
}

/**
 * The files and folders in a folder, sorted by the UTF-8 bytes of their names; folders end with
 * `/`. They are held as one string: a string for each would take four times the memory.
 */
class FolderNames {
  readonly #folders: Folders;
  readonly #prefix: string;
  readonly #names: string;
  #at = 0;

  private constructor(folders: Folders, prefix: string, names: string) {
    this.#folders = folders;
    this.#prefix = prefix;
    this.#names = names;
  }

  /**
   * Reads a folder.
   *
   * @param prefix The path in front of its names; empty for the root, otherwise it ends with `/`.
   */
  static async read(folders: Folders, prefix: string): Promise<FolderNames> {
    if (isSmall(folders.path(prefix))) return await this.#read(folders, prefix);
    const names = takePlace(reading).then(() => this.#read(folders, prefix));
    reading = names.catch(() => {});
    return await names;
  }

  static async #read(folders: Folders, prefix: string): Promise<FolderNames> {
    const names: string[] = [];
    try {
      folders.check(prefix);
      for await (const { name, isFile, isDirectory } of Deno.readDir(folders.path(prefix))) {
        // Opening anything else, such as a pipe, could block.
        if (isFile || isDirectory) names.push(isDirectory ? `${name}/` : name);
      }
    } catch (error) {
      // A folder that is gone counts as empty, except the root.
      if (prefix === "" || !isGone(error)) throw error;
    }
    // The order of UTF-16 differs from that of UTF-8 only if there are surrogates.
    if (names.some((name) => SURROGATE.test(name))) names.sort(byCodePoints);
    else names.sort();
    names.push("");
    return new FolderNames(folders, prefix, names.join("\0"));
  }

  /** Whether the folder is still where it was, and is reached through no link. */
  get isThere(): boolean {
    return unlessGone(() => (this.#folders.check(this.#prefix), true)) ?? false;
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

function isPublishedName(name: string): boolean {
  try {
    return safeName(name) === name;
  } catch {
    return false;
  }
}
