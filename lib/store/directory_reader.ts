/**
 * The read side of a directory store: published files opened, found, and listed in pages.
 *
 * @module
 */

import type { ListEntry } from "../../protocol.ts";
import { tallyOf } from "../body/streams.ts";
import { explain, InletError } from "../errors.ts";
import { printable, quoted } from "../text.ts";
import { takeTurns } from "../turns.ts";
import { type Folders, lstatIfThere } from "./folders.ts";
import { numberedName, safeName } from "./names.ts";
import type { Fingerprint } from "./store.ts";
import { DirectoryFile } from "./stored_file.ts";

/** Entries of one page. */
const PAGE_ENTRIES = 500;

/** Opens a published file. A link is not followed. */
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
    if (!seen.isFile) throw new InletError("not-found", `${what}: it is no file`);
    const file = Deno.openSync(path);
    const opened = file.statSync();
    // A link put there between the two calls would be another file.
    if (opened.ino !== seen.ino || opened.dev !== seen.dev) {
      file.close();
      throw new InletError("denied", `${what}: it changed while it was opened`);
    }
    return new DirectoryFile(file, name, opened);
  } catch (error) {
    throw explain(error, what);
  }
}

/** Finds a file under its name, or under one of the numbered names that follow it. */
export async function findFile(
  folders: Folders,
  name: string,
  same: Fingerprint,
): Promise<string | undefined> {
  const safe = safeName(name);
  try {
    for (let number = 1;; number++) {
      const numbered = numberedName(safe, number);
      const there = lstatIfThere(folders.path(numbered));
      if (!there) return undefined;
      if (there.isFile && await isSame(folders, numbered, same)) return numbered;
    }
  } catch (error) {
    throw explain(error, `Cannot compare ${quoted(name)}`);
  }
}

async function isSame(
  folders: Folders,
  name: string,
  { size, crc, modified }: Fingerprint,
): Promise<boolean> {
  using stored = openFile(folders, name);
  // Times are kept to the second.
  const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);
  if (stored.size !== size || seconds(stored.modified) !== seconds(modified)) return false;
  const tally = await tallyOf((buffer) => stored.readNext(buffer), size);
  return tally.bytes === size && tally.crc === crc;
}

/** A folder and all that is published below it, or one file, in pages. */
export async function* treePages(
  folders: Folders,
  name: string,
): AsyncGenerator<readonly ListEntry[]> {
  const safe = safeName(name);
  const what = `Cannot get ${quoted(name)}`;
  try {
    folders.check(safe);
    const { isFile, isDirectory, size, mtime } = Deno.lstatSync(folders.path(safe));
    const modified = mtime ?? new Date(0);
    if (isFile) return yield [{ name: safe, size, modified }];
    if (!isDirectory) throw new InletError("not-found", `${what}: it is no folder`);
    const first: ListEntry = { name: safe, size: null, modified };
    yield* entryPages(folders, `${safe}/`, { first, withFolders: true });
  } catch (error) {
    throw explain(error, what);
  }
}

/** Every published file, in pages. */
export function listPages(folders: Folders): AsyncGenerator<readonly ListEntry[]> {
  return entryPages(folders, "", { withFolders: false });
}

/**
 * Entries from a folder downwards. Only the names of the folders on the way are held, as text: a
 * folder of 100,000 files takes 5 MB while it is listed.
 *
 * @param top Empty for the root, else ends with `/`.
 */
async function* entryPages(
  folders: Folders,
  top: string,
  { first, withFolders }: { first?: ListEntry; withFolders: boolean },
): AsyncGenerator<readonly ListEntry[]> {
  let page: ListEntry[] = first ? [first] : [];
  const open = [{ prefix: top, names: await sortedNames(folders.path(top)), next: 0 }];
  for (let folder; (folder = open.at(-1));) {
    const own = folder.names[folder.next++];
    if (own === undefined) {
      open.pop();
      continue;
    }
    const isFolder = own.endsWith("/");
    const name = folder.prefix + (isFolder ? own.slice(0, -1) : own);
    const info = isPublishedName(name) ? lstatIfThere(folders.path(name)) : undefined;
    // It went, or became something else, since its folder was read.
    if (!info || (isFolder ? !info.isDirectory : !info.isFile)) continue;
    if (isFolder) {
      const names = await namesIfThere(folders.path(name));
      open.push({ prefix: `${name}/`, names, next: 0 });
    }
    if (!isFolder || withFolders) {
      page.push({ name, size: isFolder ? null : info.size, modified: info.mtime ?? new Date(0) });
    }
    await takeTurns();
    if (page.length < PAGE_ENTRIES) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

async function namesIfThere(path: string): Promise<string[]> {
  try {
    return await sortedNames(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The files and folders in a folder, by the UTF-8 bytes of their names; folders end with `/`. */
async function sortedNames(path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(path)) {
    // What is neither, a pipe for one, would make whoever opens it wait.
    if (isFile || isDirectory) names.push(isDirectory ? `${name}/` : name);
  }
  // The order of UTF-16 differs from that of UTF-8 only where there are surrogates.
  return names.some((name) => SURROGATE.test(name)) ? names.sort(byCodePoints) : names.sort();
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
