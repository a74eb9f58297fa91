/**
 * Reads small published files of one folder, one after another.
 *
 * The folders above them are looked at once for all of them, and none is read through a link
 * (regular_file.ts). A look at the open file takes as long as all the rest, so a file is looked at right
 * before it is opened, and a file of another size is not taken.
 *
 * @module
 */

import type { SmallReader } from "../body/file_facts.ts";
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
  reader: SmallReader,
): Maybe<number> {
  return folders.pace.call(() => readNow(folders, names, reader), () => Promise.resolve(0));
}

/**
 * Reads files of one folder, from the first name on, up to one that is of another folder, or cannot be
 * read in this way, or is not wanted.
 *
 * @returns How many were read.
 */
function readNow(folders: Folders, names: readonly string[], reader: SmallReader): number {
  let count = 0;
  const read = (safe: string): boolean => {
    const path = folders.path(safe);
    const seen = Deno.lstatSync(path);
    const { isFile, size, mtime, mode } = seen;
    const room = isFile ? reader.room(size) : undefined;
    // With one byte more than there should be, a file that grew is told.
    if (!room || readAtOnce(path, seen, room) !== size) return false;
    const content = room.subarray(0, size);
    reader.add({ content, modified: mtime ?? new Date(0), mode: permissionsOf(mode) });
    return true;
  };
  try {
    const first = folders.safe(names[0]!);
    const folder = folderOf(first);
    folders.inFolder(folder, () => {
      for (const name of names) {
        const safe = count === 0 ? first : folders.safe(name);
        if (folderOf(safe) !== folder || !readOrLeave(() => read(safe))) return;
        count++;
      }
    });
    return count;
  } catch {
    // Whatever it is, it keeps the first of them from being opened, and is told then.
    reader.drop();
    return 0;
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
