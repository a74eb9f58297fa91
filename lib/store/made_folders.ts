/**
 * Remembers which folders were made for whom, so that their makers can give them their permission
 * bits and times at the end. A folder that was there before is never changed.
 *
 * @module
 */

import type { FolderFacts } from "../../protocol.ts";
import type { Disk } from "./disk.ts";
import { tryTo } from "./temp_file.ts";

/** Most folders that are remembered. The oldest is forgotten first. */
const MOST_FOLDERS = 65_536;

/** The folders that were made, each with the id of its maker. */
export class MadeFolders {
  readonly #makers = new Map<string, string>();
  #last = "";

  /** Remembers a folder. */
  add(info: Deno.FileInfo, id: string): void {
    // One text for all folders of a maker.
    if (id === this.#last) id = this.#last;
    else this.#last = id;
    this.#makers.set(identityOf(info), id);
    if (this.#makers.size > MOST_FOLDERS) {
      this.#makers.delete(this.#makers.keys().next().value!);
    }
  }

  /** Whether a folder was made for an id. */
  has(info: Deno.FileInfo, id: string | undefined): boolean {
    return id !== undefined && this.#makers.get(identityOf(info)) === id;
  }

  /** Forgets a folder that is finished. */
  delete(info: Deno.FileInfo): void {
    this.#makers.delete(identityOf(info));
  }
}

/** Not the inode alone: that of a removed folder is given to the next one. */
function identityOf({ dev, ino, birthtime }: Deno.FileInfo): string {
  return `${dev} ${ino} ${birthtime?.getTime() ?? ""}`;
}

/**
 * Gives a folder its permission bits and its time, as far as its disk can.
 *
 * @param info The folder as it is. Its umask was applied when it was made.
 */
export function finishFolder(
  disk: Disk,
  path: string,
  info: Deno.FileInfo,
  { mode, modified }: FolderFacts,
): void {
  if (mode !== undefined && info.mode !== null) {
    // What the system gave it beside these nine, such as a group for all that is made in it, stays.
    const permitted = (info.mode & 0o7000) | (info.mode & mode & 0o777);
    if (permitted !== (info.mode & 0o7777)) tryTo(() => disk.chmodSync(path, permitted));
  }
  if (modified) tryTo(() => disk.utimeSync(path, new Date(), modified));
}
