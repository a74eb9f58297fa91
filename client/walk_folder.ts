/**
 * Walks a folder, and returns its files and empty folders as items to send.
 *
 * Symbolic links are not followed; pipes, sockets and devices are not opened. Each is reported. An
 * unreadable entry is reported too and the walk continues, where @std's walk would end.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { SEPARATOR } from "@std/path/constants";
import { join } from "@std/path/join";
import { InletError } from "../lib/errors.ts";
import type { Exclude } from "./exclude.ts";
import { isNamed, nameAs } from "../lib/body/path_source.ts";
import {
  EmptyFolder,
  FileSource,
  type Item,
  type Parent,
  permissionsOf,
  unusable,
} from "../lib/body/sources.ts";
import { MAX_COMPONENTS, OWN_FOLDER } from "../lib/store/names.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";
import { quoted, REPLACED } from "../lib/text.ts";

/** Options of {@linkcode folderItems}. */
export interface WalkOptions {
  /** Name to store the folder under, instead of its own, or, with a `/` at its end, a folder for it. */
  as?: string | undefined;
  /** Excludes entries. */
  exclude?: Exclude | undefined;
  /** Called with the number of excluded entries, if there are any. A folder counts as one. */
  onLeftOut?(count: number): void;
  /** Called with a notice for each entry that is neither a file nor a folder. */
  onSkip(text: string): void;
  /** Called for each entry that cannot be sent. */
  onFailure(label: string, error: InletError): void;
  /** Stops the walk, which then throws its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * The items of a folder, sorted by name within each folder.
 *
 * @throws {InletError} `usage` if the folder has no name
 */
export async function folderItems(folder: string, options: WalkOptions): Promise<Item[]> {
  const { as } = options;
  // The root of a disk has no name of its own, and may not need one.
  const top = as && !as.endsWith("/") ? as : nameAs(await folderName(folder), as);
  const walk = new Walk(folder, top, options);
  await walk.visit(folder, "", undefined);
  if (walk.leftOut > 0) options.onLeftOut?.(walk.leftOut);
  return walk.found;
}

/** The folder's name. For `.` and `..` it is that of the real path. */
async function folderName(path: string): Promise<string> {
  const name = basename(isNamed(path) ? path : await Deno.realPath(path));
  if (name !== "" && name !== SEPARATOR) return name;
  throw new InletError("usage", `Cannot send ${quoted(path)} without a name: give --as NAME`);
}

class Walk {
  readonly found: Item[] = [];
  leftOut = 0;
  readonly #folder: string;
  readonly #top: string;
  readonly #options: WalkOptions;

  constructor(folder: string, top: string, options: WalkOptions) {
    this.#folder = folder;
    this.#top = top;
    this.#options = options;
  }

  /** @param below The folder's path relative to the top; empty for the top itself. */
  async visit(path: string, below: string, parent: Parent | undefined): Promise<void> {
    let entries: Deno.DirEntry[];
    let mode: number | undefined;
    try {
      entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
      mode = permissionsOf(Deno.statSync(path).mode);
    } catch (error) {
      return this.#options.onFailure(path, unusable(error, path));
    }
    const name = below === "" ? this.#top : `${this.#top}/${below}`;
    if (entries.length > 0 && name.split("/").length >= MAX_COMPONENTS) {
      const what = `Cannot send what is in ${quoted(path)}`;
      const error = new InletError(
        "bad-name",
        `${what}: names have at most ${MAX_COMPONENTS} parts`,
      );
      return this.#options.onFailure(path, error);
    }
    const here: Parent = { name, mode, parent };
    let isEmpty = true;
    for (const { name: part, isFile, isDirectory, isSymlink } of entries) {
      const inner = below === "" ? part : `${below}/${part}`;
      // A folder that was received into has it, and a server would refuse it.
      if (part === OWN_FOLDER) continue;
      if (this.#options.exclude?.(inner, isDirectory)) {
        this.leftOut++;
        continue;
      }
      const innerPath = join(path, part);
      const lost = lostName(innerPath, part);
      if (lost) {
        this.#options.onFailure(innerPath, unusable(lost, innerPath));
        isEmpty = false;
        continue;
      }
      if (isSymlink) this.#skip(innerPath, "symbolic links are not followed");
      else if (!isFile && !isDirectory) this.#skip(innerPath, "it is neither a file nor a folder");
      else isEmpty = false;
      if (isFile) {
        const name = `${this.#top}/${inner}`;
        this.found.push(new FileSource(innerPath, name, undefined, this.#folder, here));
      }
      if (isDirectory) await this.visit(innerPath, inner, here);
      if (isTurnDue()) await this.#rest();
    }
    if (isEmpty) this.found.push(new EmptyFolder(path, here, this.#folder));
  }

  #skip(path: string, why: string): void {
    this.#options.onSkip(`Skipped ${quoted(path)}: ${why}`);
  }

  async #rest(): Promise<void> {
    await takeTurns();
    this.#options.signal?.throwIfAborted();
  }
}

/** The error for an entry whose name Deno could not tell: no path leads to what it put instead. */
function lostName(path: string, name: string): unknown {
  if (!name.includes(REPLACED)) return undefined;
  try {
    Deno.lstatSync(path);
    return undefined;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? error : undefined;
  }
}
