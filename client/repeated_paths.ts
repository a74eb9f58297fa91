/**
 * Finds what a command line names twice, so that it is sent once: `a.txt ./a.txt`, `photos
 * photos/2024`.
 *
 * A module of its own, because most commands name one thing.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import type { Item } from "../lib/body/sources.ts";
import { quoted } from "../lib/text.ts";

/** A path of the command line, and what is sent for it. */
export interface Named {
  readonly path: string;
  readonly items: readonly Item[];
}

/**
 * Leaves out what an earlier path or an enclosing folder sends already. Two names of one file, such
 * as those of a link, are two files, and so are all files within one folder.
 *
 * @param onRepeat Called with a notice for each path of which something is left out.
 */
export function withoutRepeats(named: readonly Named[], onRepeat: (text: string) => void): Item[] {
  const places = named.map(placeOf);
  const first = new Map<string, Place>();
  const folders = new Map<string, Place>();
  for (const place of places) {
    if (!place || first.has(place.identity)) continue;
    first.set(place.identity, place);
    if (place.isFolder) folders.set(place.real, place);
  }
  return named.flatMap(({ path, items }, index) => {
    const place = places[index];
    if (!place) return items;
    const same = first.get(place.identity)!;
    if (same !== place) {
      const isTyped = path === same.path;
      const why = isTyped ? "it is named twice" : `it is the same as ${quoted(same.path)}`;
      onRepeat(`Skipped ${quoted(path)}: ${why}`);
      return [];
    }
    for (let above = dirname(place.real); above !== dirname(above); above = dirname(above)) {
      const folder = folders.get(above);
      // What --exclude leaves out of the folder may be named all the same.
      const left = folder ? items.filter((item) => !folder.sent.has(place.realOf(item))) : items;
      if (left.length === items.length) continue;
      onRepeat(`Skipped ${quoted(path)}: it is sent with ${quoted(folder!.path)}`);
      return left;
    }
    return items;
  });
}

/** What a path leads to. */
class Place {
  readonly path: string;
  readonly real: string;
  readonly isFolder: boolean;
  /** Equal for two paths that lead to one file or folder, and give it one name. */
  readonly identity: string;
  readonly #inside: string;
  readonly #items: readonly Item[];
  #sent: ReadonlySet<string> | undefined;

  /** @param inode Equal for all names of one file. */
  constructor({ path, items }: Named, real: string, inode: string, isFolder: boolean) {
    this.path = path;
    this.real = real;
    this.isFolder = isFolder;
    // The items of a folder are labelled with it, as it is joined.
    this.#inside = join(path, "-").slice(0, -1);
    this.#items = items;
    const [item] = items;
    const below = item ? this.#belowOf(item) : "";
    this.identity = `${inode}/${item?.name.slice(0, item.name.length - below.length) ?? ""}`;
  }

  /** The real paths of all that is sent for it. */
  get sent(): ReadonlySet<string> {
    return this.#sent ??= new Set(this.#items.map((item) => this.realOf(item)));
  }

  /** The real path of an item: a folder is walked without following links. */
  realOf(item: Item): string {
    const below = this.#belowOf(item);
    return below === "" ? this.real : join(this.real, below);
  }

  /** The path of an item below the folder; empty for the folder itself, and for a file. */
  #belowOf({ label }: Item): string {
    return this.isFolder && label.startsWith(this.#inside) ? label.slice(this.#inside.length) : "";
  }
}

/** `undefined` for what may be read twice with another result, such as a named pipe. */
function placeOf(named: Named): Place | undefined {
  const { path } = named;
  // The standard input is at its end after the first time.
  if (path === "-") return new Place(named, path, path, false);
  try {
    const { dev, ino, isFile, isDirectory } = Deno.statSync(path);
    if (!isFile && !isDirectory) return undefined;
    const real = Deno.realPathSync(path);
    // Not every file system has inodes, and of a larger one the last digits are lost.
    const isKnown = ino && Number.isSafeInteger(ino);
    return new Place(named, real, isKnown ? `${dev} ${ino}` : real, isDirectory);
  } catch {
    return undefined;
  }
}
