/**
 * What is to be done to get a folder, in order.
 *
 * @module
 */

import { folderOf } from "../lib/store/folders.ts";
import { isFolderEntry, type ListEntry } from "../protocol.ts";

/** Largest file that is requested together with others, in bytes. */
export const MAX_SMALL_BYTES: number = 512 * 1024;

/** A file or folder of the tree, and its name below the directory. */
export interface Wanted {
  entry: ListEntry;
  local: string;
}

/** A folder, and the files that are directly in it. */
export interface Folder {
  /** The folder itself, if it is one of the tree. */
  entry: Wanted | undefined;
  readonly small: Wanted[];
  readonly large: Wanted[];
  /** Whether there is nothing in it but small files. */
  isLeaf: boolean;
}

/** One thing to do, in order. */
export type Step = { type: "folder"; folder: Folder } | { type: "small" | "large"; file: Wanted };

/** What is wanted, folder by folder, in the order in which the folders are listed. */
export function byFolder(wanted: readonly Wanted[]): Folder[] {
  const folders = new Map<string, Folder>();
  const branched = new Set<string>();
  const folderAt = (name: string): Folder => {
    const known = folders.get(name) ?? { entry: undefined, small: [], large: [], isLeaf: false };
    folders.set(name, known);
    return known;
  };
  for (const one of wanted) {
    const { entry, local } = one;
    const { size } = entry;
    const outer = folderOf(local);
    if (size === null) branched.add(outer);
    else folderAt(outer)[size > MAX_SMALL_BYTES ? "large" : "small"].push(one);
    if (isFolderEntry(entry)) folderAt(local).entry = one;
  }
  for (const [name, folder] of folders) {
    folder.isLeaf = folder.large.length === 0 && !branched.has(name);
  }
  return [...folders.values()];
}

/** The bytes of files. */
export function sizeOf(some: readonly Wanted[]): number {
  return some.reduce((sum, { entry }) => sum + (entry.size ?? 0), 0);
}

/** What is to be done for each folder: to make it, and to get its small files and then its large ones. */
export function* stepsOf(folders: readonly Folder[]): Generator<Step, void> {
  for (const folder of folders) {
    yield { type: "folder", folder };
    for (const file of folder.small) yield { type: "small", file };
    for (const file of folder.large) yield { type: "large", file };
  }
}
