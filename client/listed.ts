/**
 * What a list of `--files-from` names: paths to send, or names below a folder that is got.
 *
 * A path keeps its parts in the name that it is sent with, as with `rsync` and `tar`: those of a path
 * below the current folder; of an absolute one without the slash in front; and none of what a `..`
 * takes back or leads above.
 *
 * @module
 */

import { isNamed, isStdin } from "../lib/body/path_source.ts";
import type { Item } from "../lib/body/sources.ts";
import { explain, InletError } from "../lib/errors.ts";
import { safeName } from "../lib/store/names.ts";
import { quoted } from "../lib/text.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";
import type { Excludes } from "./exclude.ts";
import type { Named } from "./repeated_paths.ts";

/** A path of a list, and the name to send it under; empty where it has none of its own. */
interface ListedPath {
  readonly path: string;
  readonly name: string;
}

/** How {@linkcode ListedPaths.find} goes about it. */
export interface Finding {
  /** The items of one path, with the value of `--as` for it. */
  itemsAt(path: string, as: string | undefined): Promise<Iterable<readonly Item[]>>;
  excludes: Excludes | undefined;
  signal: AbortSignal | undefined;
  onNotice(text: string): void;
  onFailure(path: string, error: InletError): void;
}

/** The paths of a list that is sent. */
export class ListedPaths {
  /** What Deno has to be allowed to read. */
  readonly reads: readonly string[];
  readonly #paths: readonly ListedPath[];
  readonly #as: string | undefined;

  /** @param as The folder to put all in, with a `/` at its end. */
  constructor(paths: readonly string[], reads: readonly string[], as: string | undefined) {
    this.reads = reads;
    this.#as = as;
    this.#paths = paths.map((path) => ({ path, name: listedName(path) }));
  }

  get count(): number {
    return this.#paths.length;
  }

  /** Finds what is sent for each path. One that cannot be sent does not stop the others. */
  async find({ itemsAt, excludes, signal, onNotice, onFailure }: Finding): Promise<Named[]> {
    const named: Named[] = [];
    const excluded = new Map<string, boolean>();
    const isInExcluded = (path: string): boolean =>
      foldersOf(path).some((folder) => {
        const isExcluded = excluded.get(folder) ?? excludes?.at(folder)("", true) ?? false;
        excluded.set(folder, isExcluded);
        return isExcluded;
      });
    for (const { path, name } of this.#paths) {
      if (isTurnDue()) await takeTurns();
      signal?.throwIfAborted();
      if (excludes && isInExcluded(path)) {
        onNotice(`Skipped ${quoted(path)}: --exclude leaves it out`);
        continue;
      }
      try {
        if (isStdin(path)) throw cannotSend(path, "a list cannot name the standard input");
        // A list has no other way to name a file of that name.
        const pages = await itemsAt(path === "-" ? "./-" : path, this.#nameFor(name));
        named.push({ path, items: [...pages].flat() });
      } catch (error) {
        signal?.throwIfAborted();
        onFailure(path, explain(error));
      }
    }
    return named;
  }

  #nameFor(name: string): string | undefined {
    return name === "" ? this.#as : `${this.#as ?? ""}${name}`;
  }
}

/** The folders in a path, as it is written. */
function foldersOf(path: string): string[] {
  const ends = [...path.matchAll(/(?<=[^/])\/+(?=[^/])/g)].map(({ index }) => index);
  return ends.map((end) => path.slice(0, end)).filter(isNamed);
}

/** The name that a path is sent under; empty for `.`, `..` and the like. */
export function listedName(path: string): string {
  const parts: string[] = [];
  for (const part of path.split(Deno.build.os === "windows" ? /[/\\]/ : "/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const isDrive = Deno.build.os === "windows" && /^[a-z]:$/i.test(parts[0] ?? "");
  return parts.slice(isDrive ? 1 : 0).join("/");
}

function cannotSend(path: string, why: string): InletError {
  return new InletError("usage", `Cannot send ${quoted(path)}: ${why}`);
}

/** The names of a list, below the folder that is got. */
export class ListedNames {
  readonly #paths: readonly string[];
  /** The names that may be there, each with whether it was found. */
  readonly #found = new Map<string, boolean>();
  /** The folders above them. */
  readonly #above = new Set<string>();
  /** The names that were found, and the folders above those. */
  #used: ReadonlySet<string> | undefined;
  #isTold = false;
  /** Why each of the others is none. */
  readonly #refused = new Map<string, InletError>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
    for (const path of paths) {
      const name = nameIn(path);
      try {
        this.#found.set(name === "" ? name : safeName(name), false);
        for (const folder of foldersOf(name)) this.#above.add(folder);
      } catch (error) {
        this.#refused.set(path, new InletError("usage", explain(error).message, { cause: error }));
      }
    }
  }

  /** Whether an entry is wanted: it is on the list, or in a folder that is, or leads to one that is. */
  has(below: string, isFolder: boolean): boolean {
    let isWanted = below === "" || isFolder && this.#above.has(below);
    for (const name of ["", ...foldersOf(below), below]) {
      if (!this.#found.has(name)) continue;
      this.#found.set(name, true);
      isWanted = true;
    }
    return isWanted;
  }

  /** Whether an entry that {@linkcode ListedNames.has} took leads to something, once all are known. */
  isUsed(below: string): boolean {
    this.#used ??= new Set(
      [...this.#found].flatMap(([name, isFound]) => isFound ? ["", ...foldersOf(name), name] : []),
    );
    return below !== "" && !this.#above.has(below) || this.#used.has(below) ||
      ["", ...foldersOf(below)].some((name) => this.#found.get(name) === true);
  }

  /** Reports, once, each name that was not found. */
  reportMissing(onFailure: (path: string, error: InletError) => void): void {
    if (this.#isTold) return;
    for (const [path, error] of this.#refused) onFailure(path, error);
    for (const path of new Set(this.#paths)) {
      const name = nameIn(path);
      if (name === "" || this.#refused.has(path) || this.#found.get(safeName(name))) continue;
      onFailure(path, new InletError("not-found", `Cannot get ${quoted(path)}: no such file`));
    }
    this.#isTold = true;
  }
}

/** The name that a line stands for, below the folder that is got: empty for all of it. */
function nameIn(path: string): string {
  return path.split("/").filter((part) => part !== "" && part !== ".").join("/");
}
