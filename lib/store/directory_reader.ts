/**
 * The read side of a directory store: opens, finds and lists published files.
 *
 * @module
 */

import { type ListEntry, modeField } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import { permissionsOf } from "../body/sources.ts";
import { printable, quoted } from "../text.ts";
import { isTurnDue, takeTurns } from "../turns.ts";
import { folderOf, type Folders, lstatIfThere } from "./folders.ts";
import { FolderNames, unlessLeftOut } from "./folder_names.ts";
import { freeNumber } from "./free_number.ts";
import { isLeftOut, isListable } from "./link_rules.ts";
import { EVERYTHING, numberedName } from "./names.ts";
import type { DiskTraits, TraitsOf } from "./disk_traits.ts";
import { isTaken } from "./numbering.ts";
import { RegularFile } from "./regular_file.ts";
import type { RememberedSums } from "./remembered_sums.ts";
import { hasSameShape, judge } from "./sameness.ts";
import type { Asker, Fingerprint, Found } from "./store.ts";
import { DirectoryFile } from "./stored_file.ts";

/** Entries of one page. */
const PAGE_ENTRIES = 500;

/** Most files of another time that are read for one comparison. */
const MOST_OTHERS = 2;

/** What is known of files beside what a look at them tells. */
export interface Known {
  readonly sums: RememberedSums;
  readonly traitsOf: TraitsOf;
}

/** Opens a published file without following a link. */
export function openFile(folders: Folders, sums: RememberedSums, name: string): DirectoryFile {
  const safe = folders.safe(name);
  const what = `Cannot get ${quoted(name)}`;
  const open = (): DirectoryFile => {
    const path = folders.path(safe);
    const seen = Deno.lstatSync(path);
    if (seen.isDirectory) {
      throw new InletError("not-found", `${what}: it is a folder, get "${printable(name)}/"`);
    }
    if (!seen.isFile) {
      const why = seen.isSymlink ? "it is a symbolic link" : "it is not a regular file";
      throw new InletError("not-found", `${what}: ${why}`);
    }
    const opened = RegularFile.open(path, seen);
    if (!opened) throw new InletError("denied", `${what}: it changed while it was opened`);
    const { file, facts } = opened;
    const reopen = (): DirectoryFile => openFile(folders, sums, name);
    return new DirectoryFile(file, safe, facts, folders.pace, sums, reopen);
  };
  try {
    return folders.inFolder(folderOf(safe), open);
  } catch (error) {
    throw explain(error, what);
  }
}

/** Returns a name with the numbers of its folders, without making any. */
export function whereIs(folders: Folders, name: string): string {
  const safe = folders.safe(name);
  try {
    if (lstatIfThere(folders.path(safe))) return safe;
  } catch (error) {
    // A file has the name of a folder.
    if (!(error instanceof Deno.errors.NotADirectory)) throw error;
  }
  return folders.located(safe);
}

/**
 * Finds the same file under its name or a numbered variant: first the name itself, then the newest
 * variant, which is the one that a client asks for after it lost an answer.
 *
 * Without a CRC-32 no file is read: {@linkcode judge} has the rule. With one, no file is read whose
 * checksum is remembered.
 */
export async function findFile(
  folders: Folders,
  { sums, traitsOf }: Known,
  name: string,
  same: Fingerprint,
  asker?: Asker,
): Promise<Found | undefined> {
  let others = MOST_OTHERS;
  let unsure: Found | undefined;
  const look = async (name: string): Promise<Found | undefined> => {
    const look = (): Deno.FileInfo | undefined => lstatIfThere(folders.path(name));
    const there = folders.inFolder(folderOf(name), look);
    if (!there?.isFile) return undefined;
    const traits = (): DiskTraits => traitsOf(there.dev);
    const verdict = judge(there, same, traits);
    if (same.crc === null) {
      if (verdict === "same" && !same.byContent) return { name, isSame: true };
      const mayBe = same.byContent ? hasSameShape(there, same, traits) : verdict === "unsure";
      if (mayBe) unsure ??= { name, isSame: false };
      return undefined;
    }
    if (!hasSameShape(there, same, traits)) return undefined;
    const known = await sums.crcOf(name, there);
    if (known === undefined && verdict === "other" && others-- <= 0) return undefined;
    const isSame = known === undefined
      ? await hasContent(folders, sums, name, same, asker)
      : known === same.crc;
    return isSame ? { name, isSame } : undefined;
  };
  try {
    const safe = whereIs(folders, name);
    // First, so that nothing is told of what is behind a link.
    folders.check(safe);
    const names = { nameOf: (number: number) => numberedName(safe, number) };
    if (!isTaken(names, folders, 1)) return undefined;
    const found = await look(safe);
    if (found) return found;
    const free = freeNumber(1, (number) => isTaken(names, folders, number));
    for (let number = free - 1; number > 1; number--) {
      const found = await look(numberedName(safe, number));
      if (found) return found;
      // A name can have tens of thousands of copies.
      if (isTurnDue()) await takeTurns();
      asker?.signal?.throwIfAborted();
    }
    return unsure;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // A client must not be told whether what a link leads to is a file.
    if (error instanceof Deno.errors.NotADirectory) folders.check(folders.safe(name));
    throw explain(error, `Cannot compare ${quoted(name)}`);
  }
}

async function hasContent(
  folders: Folders,
  sums: RememberedSums,
  name: string,
  same: Fingerprint,
  asker: Asker | undefined,
): Promise<boolean> {
  using stored = openFile(folders, sums, name);
  try {
    const { bytes, crc } = await stored.beginning(same.size, asker);
    return bytes === same.size && crc === same.crc;
  } catch (error) {
    // Another program writes it.
    if (explain(error).code === "changed") return false;
    throw error;
  }
}

/**
 * Lists a folder and everything published below it, one file, or everything, in pages.
 *
 * @param isFlat Whether what is in the folders of the folder is left out.
 */
export async function* treePages(
  folders: Folders,
  name: string,
  signal?: AbortSignal,
  isFlat = false,
): AsyncGenerator<readonly ListEntry[]> {
  const what = `Cannot get ${quoted(name)}`;
  if (name === EVERYTHING) return yield* allPages(folders, what, { isTree: true, isFlat, signal });
  const safe = folders.safe(name);
  try {
    const look = (): Deno.FileInfo => Deno.lstatSync(folders.path(safe));
    const seen = folders.inFolder(folderOf(safe), look);
    const { isFile, isDirectory, isSymlink, size, mtime, mode } = seen;
    const modified = mtime ?? new Date(0);
    if (isFile) return yield [{ name: safe, size, modified }];
    if (!isDirectory) {
      const why = isSymlink ? "it is a symbolic link" : "it is not a folder";
      throw new InletError("not-found", `${what}: ${why}`);
    }
    const fields = modeField(permissionsOf(mode));
    const first: ListEntry = { name: safe, size: null, modified, ...fields };
    yield* entryPages(folders, `${safe}/`, { first, isTree: true, isFlat, signal });
  } catch (error) {
    throw explain(error, what);
  }
}

/** Lists every published file, in pages. */
export async function* listPages(
  folders: Folders,
  signal?: AbortSignal,
): AsyncGenerator<readonly ListEntry[]> {
  yield* allPages(folders, "Cannot list the files", { isTree: false, isFlat: false, signal });
}

async function* allPages(
  folders: Folders,
  what: string,
  options: Parameters<typeof entryPages>[2],
): AsyncGenerator<readonly ListEntry[]> {
  try {
    yield* entryPages(folders, "", options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw explain(error, what);
    throw new InletError("not-found", `${what}: the directory was removed`, { cause: error });
  }
}

/**
 * Lists entries from a folder downwards. It holds only the names in the folders that are open:
 * about a megabyte for a folder of 100,000 files. An entry that cannot be read is left out.
 *
 * @param top Empty for the root; otherwise it ends with `/`.
 * @param options.isTree Whether folders and links are listed too.
 */
async function* entryPages(
  folders: Folders,
  top: string,
  { first, isTree, isFlat, signal }: {
    first?: ListEntry;
    isTree: boolean;
    isFlat: boolean;
    signal: AbortSignal | undefined;
  },
): AsyncGenerator<readonly ListEntry[]> {
  let page: ListEntry[] = first ? [first] : [];
  const withLinks = isTree && folders.links !== "none";
  const open = [await FolderNames.read(folders, top, withLinks)];
  for (let folder; (folder = open.at(-1));) {
    const next = takeFiles(folders, folder, { page, withLinks });
    if (next === "end") open.pop();
    const entry = typeof next === "string" ? undefined : next;
    const inner = entry && !isFlat &&
      await FolderNames.readBelow(folders, `${entry.name}/`, withLinks);
    if (inner) open.push(inner);
    if (entry && isTree && (inner || isFlat)) page.push(entry);
    const isFull = page.length >= PAGE_ENTRIES;
    if (!isFull && !inner && !isTurnDue()) continue;
    if (isFull) {
      yield page;
      page = [];
    }
    await takeTurns();
    signal?.throwIfAborted();
  }
  if (page.length > 0) yield page;
}

/**
 * Adds the files and links of a folder to a page, as far as the next folder in it, which is returned. Others may
 * have had their turn meanwhile: what has become a link to another folder has ended.
 */
function takeFiles(
  folders: Folders,
  folder: FolderNames,
  { page, withLinks }: { page: ListEntry[]; withLinks: boolean },
): ListEntry | "end" | "pause" {
  const take = (): ListEntry | "end" | "pause" => {
    for (let name; (name = folder.next()) !== undefined;) {
      const isFolder = name.endsWith("/");
      const entry = entryOf(folders, isFolder ? name.slice(0, -1) : name, isFolder);
      if (entry && isFolder) return entry;
      // A file can have become a link since.
      if (entry && (withLinks || entry.to === undefined)) page.push(entry);
      if (page.length >= PAGE_ENTRIES || isTurnDue()) return "pause";
    }
    return "end";
  };
  const taken = page.length;
  const where = folder.folder;
  const next = unlessLeftOut(folders, `${where}/`, () => folders.inFolder(where, take));
  // Where it led elsewhere, nothing of it is told.
  if (next === undefined) page.length = taken;
  return next ?? "end";
}

/** Returns the entry of a name, unless it changed its kind or went since its folder was read. */
function entryOf(folders: Folders, name: string, isFolder: boolean): ListEntry | undefined {
  if (!isPublishedName(folders, name)) return undefined;
  const info = unlessLeftOut(folders, name, () => Deno.lstatSync(folders.path(name)));
  if (!info || (isFolder ? !info.isDirectory : info.isDirectory)) return undefined;
  if (info.isSymlink) return linkOf(folders, name, info);
  if (!isFolder && !info.isFile) return undefined;
  const modified = info.mtime ?? new Date(0);
  if (!isFolder) return { name, size: info.size, modified };
  return { name, size: null, modified, ...modeField(permissionsOf(info.mode)) };
}

/** The entry of a link, unless links such as this are left out. */
function linkOf(folders: Folders, name: string, { mtime }: Deno.FileInfo): ListEntry | undefined {
  const to = unlessLeftOut(folders, name, () => Deno.readLinkSync(folders.path(name)));
  if (to === undefined || isLeftOut(folders.links, name, to)) return undefined;
  const entry = { name, size: null, to, modified: mtime ?? new Date(0) };
  if (isListable(entry)) return entry;
  folders.warnOnce(`Left ${quoted(name)} out of lists: the target of the link is too long`);
  return undefined;
}

function isPublishedName(folders: Folders, name: string): boolean {
  try {
    return folders.safe(name) === name;
  } catch {
    return false;
  }
}

/** The names of all entries of a folder. */
export function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}
