/**
 * Reads small published files, one after another, into one piece of memory.
 *
 * The folders above them are looked at once for all files of one folder, and none is read through a
 * link (regular_file.ts). A look at the open file would take longer than all the rest where not everything is permitted, so a file is looked at
 * right before it is opened, and a file of another size is not taken.
 *
 * @module
 */

import type { WholeFile } from "../body/file_facts.ts";
import { permissionsOf } from "../body/sources.ts";
import { folderOf, type Folders } from "./folders.ts";
import { readAtOnce } from "./regular_file.ts";
import type { Maybe } from "./store.ts";

/**
 * Reads files, as `Store.readSmall` does. On a slow disk it reads none: that would keep everybody
 * waiting.
 */
export function readSmall(
  folders: Folders,
  names: readonly string[],
  room: Uint8Array,
): Maybe<readonly WholeFile[]> {
  return folders.pace.call(() => readNow(folders, names, room), () => Promise.resolve([]));
}

/**
 * Reads files of one folder, from the first name on, up to one that is of another folder, or cannot be
 * read in this way, or does not fit.
 *
 * @param room Where their contents go. The last byte of it is not used.
 * @returns The files that were read.
 */
function readNow(
  folders: Folders,
  names: readonly string[],
  room: Uint8Array,
): WholeFile[] {
  const files: WholeFile[] = [];
  let filled = 0;
  const read = (safe: string): boolean => {
    const path = folders.path(safe);
    const { isFile, size, mtime, mode } = Deno.lstatSync(path);
    if (!isFile || filled + size >= room.length) return false;
    // With one byte more than there should be, a file that grew is told.
    if (readAtOnce(path, room.subarray(filled, filled + size + 1)) !== size) return false;
    const content = room.subarray(filled, filled + size);
    files.push({ content, modified: mtime ?? new Date(0), mode: permissionsOf(mode) });
    filled += size;
    return true;
  };
  try {
    const first = folders.safe(names[0]!);
    const folder = folderOf(first);
    folders.inFolder(folder, () => {
      for (let index = 0; index < names.length; index++) {
        const safe = index === 0 ? first : folders.safe(names[index]!);
        if (folderOf(safe) !== folder || !readOrLeave(() => read(safe))) return;
      }
    });
    return files;
  } catch {
    // Whatever it is, it keeps the first of them from being opened, and is told then.
    return [];
  }
}

/** Whether a file was read. Whatever keeps it from being read is told when it is opened. */
function readOrLeave(read: () => boolean): boolean {
  try {
    return read();
  } catch {
    return false;
  }
}
