/**
 * A folder, as the files and empty folders that are to be sent of it.
 *
 * Symbolic links are not followed, and pipes, sockets and devices are not opened: whoever asked is
 * told of each. What cannot be read is told too, and the rest goes on, where @std's walk would end.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { SEPARATOR } from "@std/path/constants";
import { join } from "@std/path/join";
import { InletError } from "../lib/errors.ts";
import { type Exclude, excludeOf } from "./exclude.ts";
import { EmptyFolder, FileSource, type Item, unusable } from "../lib/body/sources.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";
import { quoted } from "../lib/text.ts";

/** Options of {@linkcode folderItems}. */
export interface WalkOptions {
  /** The name of the folder for the other side, instead of its own. */
  as?: string | undefined;
  /** Globs of what is left out. */
  exclude?: readonly string[] | undefined;
  /** Told what is not sent because it is neither a file nor a folder. */
  onSkip(text: string): void;
  /** Told what cannot be sent. */
  onFailure(label: string, error: InletError): void;
  /** Gives up, with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * What is to be sent of a folder, in the order of the names in each folder.
 *
 * @throws {InletError} `usage` if the folder has no name
 */
export async function folderItems(folder: string, options: WalkOptions): Promise<Item[]> {
  const walk = new Walk(folder, options.as ?? await folderName(folder), options);
  await walk.visit(folder, "");
  return walk.found;
}

/** The folder's name. `.` and `..` have none of their own. */
async function folderName(path: string): Promise<string> {
  const isNamed = !/(^|[/\\])\.{1,2}[/\\]*$/.test(path);
  const name = basename(isNamed ? path : await Deno.realPath(path));
  if (name !== "" && name !== SEPARATOR) return name;
  throw new InletError("usage", `Cannot send ${quoted(path)} without a name: give --as NAME`);
}

class Walk {
  readonly found: Item[] = [];
  readonly #folder: string;
  readonly #top: string;
  readonly #exclude: Exclude;
  readonly #options: WalkOptions;

  constructor(folder: string, top: string, options: WalkOptions) {
    this.#folder = folder;
    this.#top = top;
    this.#exclude = excludeOf(options.exclude ?? []);
    this.#options = options;
  }

  /** @param below The folder's path below the top, empty for the top itself. */
  async visit(path: string, below: string): Promise<void> {
    let entries: Deno.DirEntry[];
    try {
      entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
    } catch (error) {
      return this.#options.onFailure(path, unusable(error, path));
    }
    let isEmpty = true;
    for (const { name, isFile, isDirectory, isSymlink } of entries) {
      const inner = below === "" ? name : `${below}/${name}`;
      if (this.#exclude(inner, isDirectory)) continue;
      const innerPath = join(path, name);
      if (isSymlink) this.#skip(innerPath, "symbolic links are not followed");
      else if (!isFile && !isDirectory) this.#skip(innerPath, "it is neither a file nor a folder");
      else isEmpty = false;
      if (isFile) {
        const file = new FileSource(innerPath, `${this.#top}/${inner}`, undefined, this.#folder);
        this.found.push(file);
      }
      if (isDirectory) await this.visit(innerPath, inner);
      if (isTurnDue()) await this.#rest();
    }
    const name = below === "" ? this.#top : `${this.#top}/${below}`;
    if (isEmpty) this.found.push(new EmptyFolder(path, name, this.#folder));
  }

  #skip(path: string, why: string): void {
    this.#options.onSkip(`Skipped ${quoted(path)}: ${why}`);
  }

  async #rest(): Promise<void> {
    await takeTurns();
    this.#options.signal?.throwIfAborted();
  }
}
