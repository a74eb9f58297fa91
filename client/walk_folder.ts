/**
 * Walks a folder, and finds its files, empty folders and symbolic links as items to send: the files
 * of each folder, and then those of its subfolders; the links behind all of them.
 *
 * Symbolic links are not followed; pipes, sockets and devices are not opened, and each of those is
 * reported. An unreadable entry is reported too and the walk continues, where @std's walk would end.
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
  SymbolicLink,
  unusable,
} from "../lib/body/sources.ts";
import { isLeftOut, type LinkRule, linksLeftOut } from "../lib/store/link_rules.ts";
import { MAX_COMPONENTS, OWN_FOLDER } from "../lib/store/names.ts";
import { quoted, REPLACED } from "../lib/text.ts";

/** Most items of one page. */
const MAX_PAGE = 1000;

/** Options of {@linkcode folderItems}. */
export interface WalkOptions {
  /** Name to store the folder under, instead of its own, or, with a `/` at its end, a folder for it. */
  as?: string | undefined;
  /** Excludes entries. */
  exclude?: Exclude | undefined;
  /**
   * Which symbolic links are sent.
   *
   * @default {"tree"}
   */
  links?: LinkRule | undefined;
  /** Called at the end with the number of excluded entries, if there are any. A folder counts as one. */
  onLeftOut?(count: number): void;
  /** Called with the path of each excluded entry. */
  onExcluded?: ((path: string) => void) | undefined;
  /** Called with a notice for each entry that is neither a file nor a folder. */
  onSkip(text: string): void;
  /** Called for each entry that cannot be sent. */
  onFailure(label: string, error: InletError): void;
  /** Stops waiting for a pipe. A walk ends when nobody asks for more. */
  signal?: AbortSignal | undefined;
}

/**
 * The items of a folder in pages, sorted by name within each folder. Each page is found when it is
 * asked for.
 *
 * @throws {InletError} `usage` if the folder has no name
 */
export async function folderItems(
  folder: string,
  options: WalkOptions,
): Promise<Iterable<readonly Item[]>> {
  const { as } = options;
  // The root of a disk has no name of its own, and may not need one.
  const top = as && !as.endsWith("/") ? as : nameAs(await folderName(folder), as);
  return new Walk(folder, top, options).pages();
}

/** The folder's name. For `.` and `..` it is that of the real path. */
async function folderName(path: string): Promise<string> {
  const name = basename(isNamed(path) ? path : await Deno.realPath(path));
  if (name !== "" && name !== SEPARATOR) return name;
  throw new InletError("usage", `Cannot send ${quoted(path)} without a name: give --as NAME`);
}

class Walk {
  #leftOut = 0;
  #linksLeftOut = 0;
  readonly #links: SymbolicLink[] = [];
  readonly #folder: string;
  readonly #top: string;
  readonly #options: WalkOptions;

  constructor(folder: string, top: string, options: WalkOptions) {
    this.#folder = folder;
    this.#top = top;
    this.#options = options;
  }

  *pages(): Generator<readonly Item[], void> {
    yield* this.#visit(this.#folder, "", undefined);
    // No link may stand where a file is to go.
    for (let start = 0; start < this.#links.length; start += MAX_PAGE) {
      yield this.#links.slice(start, start + MAX_PAGE);
    }
    const { links, onSkip } = this.#options;
    if (this.#linksLeftOut > 0) onSkip(linksLeftOut(this.#linksLeftOut, links, "sent"));
    if (this.#leftOut > 0) this.#options.onLeftOut?.(this.#leftOut);
  }

  /** @param below The folder's path relative to the top; empty for the top itself. */
  *#visit(
    path: string,
    below: string,
    parent: Parent | undefined,
  ): Generator<readonly Item[], void> {
    let entries: Deno.DirEntry[];
    let info: Deno.FileInfo;
    try {
      entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
      info = Deno.statSync(path);
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
    // Joining the parts of each path would take longer than finding it.
    const inside = join(path, "-").slice(0, -1);
    const innerOf = (part: string): string => below === "" ? part : `${below}/${part}`;
    const { files, folders, links, isEmpty } = this.#sort(entries, inside, innerOf);
    const facts = { mode: permissionsOf(info.mode), modified: info.mtime ?? undefined };
    const isLeaf = folders.length + links.length === 0;
    const here: Parent = { name, ...facts, parent, files: files.length, isLeaf };
    for (const { part, ...link } of links) {
      const place = { label: inside + part, folder: this.#folder, parent: here };
      this.#links.push(new SymbolicLink(place, { name: `${name}/${part}`, ...link }));
    }
    if (isEmpty) return yield [new EmptyFolder(path, here, this.#folder)];
    for (let start = 0; start < files.length; start += MAX_PAGE) {
      yield files.slice(start, start + MAX_PAGE).map((part) =>
        new FileSource(inside + part, `${name}/${part}`, undefined, this.#folder, here)
      );
    }
    for (const part of folders) yield* this.#visit(inside + part, innerOf(part), here);
  }

  /** The names of what is sent of a folder. What is not is told. */
  #sort(
    entries: readonly Deno.DirEntry[],
    inside: string,
    innerOf: (part: string) => string,
  ): { files: string[]; folders: string[]; links: Link[]; isEmpty: boolean } {
    const files: string[] = [];
    const folders: string[] = [];
    const links: Link[] = [];
    let isEmpty = true;
    for (const { name, isFile, isDirectory, isSymlink } of entries) {
      // A folder that was received into has it, and a server would refuse it.
      if (name === OWN_FOLDER) continue;
      if (this.#options.exclude?.(innerOf(name), isDirectory)) {
        this.#leftOut++;
        this.#options.onExcluded?.(inside + name);
        continue;
      }
      const path = inside + name;
      const lost = lostName(path, name);
      const link = isSymlink && !lost ? this.#linkAt(path, innerOf(name)) : undefined;
      if (link === "left out") continue;
      if (link) links.push({ part: name, ...link });
      if (!isFile && !isDirectory && !isSymlink && !lost) {
        this.#skip(path, "it is neither a file nor a folder");
      } else isEmpty = false;
      if (lost) this.#options.onFailure(path, unusable(lost, path));
      else if (isFile) files.push(name);
      else if (isDirectory) folders.push(name);
    }
    return { files, folders, links, isEmpty };
  }

  /** What is sent of a link. What keeps it from being sent is told. */
  #linkAt(path: string, inner: string): Omit<Link, "part"> | "left out" | undefined {
    const { links = "tree", onFailure } = this.#options;
    try {
      const target = Deno.readLinkSync(path);
      if (!isLeftOut(links, inner, target)) {
        return { target, modified: Deno.lstatSync(path).mtime ?? undefined };
      }
      this.#linksLeftOut++;
      return "left out";
    } catch (error) {
      onFailure(path, unreadableLink(error, path));
      return undefined;
    }
  }

  #skip(path: string, why: string): void {
    this.#options.onSkip(`Skipped ${quoted(path)}: ${why}`);
  }
}

/** A symbolic link in a folder. */
interface Link {
  readonly part: string;
  readonly target: string;
  readonly modified: Date | undefined;
}

/** The error for a link whose target cannot be read. */
function unreadableLink(error: unknown, path: string): InletError {
  if (!(error instanceof Deno.errors.InvalidData)) return unusable(error, path);
  const why = "its target is not valid UTF-8, which Deno cannot read";
  return new InletError("usage", `Cannot send ${quoted(path)}: ${why}`, { cause: error });
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
