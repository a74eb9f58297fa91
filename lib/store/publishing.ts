/**
 * Gives a complete file its final name: by a hard link, or by a rename where the disk has none.
 *
 * The open file is what gets the name. Both names, before and after, are compared with it.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { folderOf, type Folders } from "./folders.ts";
import { linkUnder, moveUnder, type Names } from "./numbering.ts";
import { isSameFile, type TempFile, tryTo } from "./temp_file.ts";
import type { Workspace } from "./workspace.ts";

/** A file to publish. */
export interface Complete {
  readonly folders: Folders;
  /** Where its temporary file is. */
  readonly workspace: Workspace;
  readonly temp: TempFile;
  readonly names: Names;
  /** The action, for messages: `Cannot store "a.txt"`. */
  readonly what: string;
  /** Checks it, and makes it what is to be published. May be called more than once. */
  settle(): void;
  /** Called once it has its name, before anything else happens. */
  onPublished(name: string): void;
}

/**
 * Publishes a file under the first free one of its names. No file is ever replaced.
 *
 * @returns The published name.
 * @throws {InletError} `aborted` if another program removed, replaced or changed its temporary file
 */
export async function publishFile(file: Complete): Promise<string> {
  try {
    return await linkOrMove(file);
  } catch (error) {
    // What does not exist can be its temporary file, which was there when it was settled.
    if (error instanceof Deno.errors.NotFound) file.temp.check(file.what);
    throw error;
  }
}

async function linkOrMove(file: Complete): Promise<string> {
  const { abilities } = file.workspace;
  try {
    if (abilities.hasLinks) return link(file);
  } catch (error) {
    if (!abilities.lacksLinks(error)) throw error;
  }
  return await move(file);
}

function link(file: Complete): string {
  const { folders, temp, names } = file;
  file.settle();
  const name = folders.inFolder(folderOf(names.nameOf(names.first)), () => {
    const name = linkUnder(names, folders, temp.path);
    const path = folders.path(name);
    if (temp.isAt(path)) return name;
    tryTo(() => takeBack(file, path));
    throw replaced(file);
  });
  tryTo(() => temp.remove());
  file.onPublished(name);
  return name;
}

/** Removes a name that was given to another file by mistake, if that has its own name still. */
function takeBack({ folders: { disk }, temp }: Complete, path: string): void {
  if (isSameFile(disk.lstatSync(path), disk.lstatSync(temp.path))) disk.removeSync(path);
}

async function move(file: Complete): Promise<string> {
  const { folders, temp, names } = file;
  let name = "";
  const lock = await file.workspace.abilities.renameLock();
  await lock.publish(temp, () => {
    file.settle();
    name = folders.inFolder(folderOf(names.nameOf(names.first)), () => {
      const name = moveUnder(names, folders, (path) => temp.moveTo(path));
      if (temp.isAt(folders.path(name))) return name;
      throw replaced(file);
    });
    file.onPublished(name);
  });
  return name;
}

function replaced({ what }: Complete): InletError {
  return new InletError("aborted", `${what}: another program replaced it`);
}
