/**
 * The ways to the folders of a directory store: paths, and steps in a folder that is reached through
 * no link.
 *
 * @module
 */

import { resolve } from "@std/path/resolve";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { changesFolder, here, within } from "./current_folder.ts";
import { type Identity, isSameFile } from "./temp_file.ts";

/** A folder, and what was seen on the way to it. */
export interface Way {
  /** Its name; empty for the root. */
  readonly folder: string;
  /** It and the folders above it below the root, outermost first, as they were a moment ago. */
  readonly seen: readonly Deno.FileInfo[];
}

/** Leads to the folders below a root. */
export class FolderWays {
  /** Its path: absolute where the current folder is changed. */
  readonly root: string;
  /** Its path as the user gave it. */
  readonly shownRoot: string;
  readonly #refused = new Map<string, Identity>();
  /** What the system calls the root: its path without links. */
  #realRoot: string | undefined;
  /** The folder of which the way is being watched. */
  #watched: string | undefined;

  constructor(root: string) {
    this.root = changesFolder() ? resolve(root) : root;
    this.shownRoot = root;
  }

  /**
   * Returns the path of a name; an empty name is the root. Inside of {@linkcode inFolder} it is good
   * for that long only.
   */
  path(name: string): string {
    return here(this.#absolute(name));
  }

  #absolute(name: string): string {
    // Every system accepts a slash, and `safeName` has refused `.` and `..`.
    return name === "" ? this.root : `${this.root}/${name}`;
  }

  /**
   * Runs an action on entries of a folder, such as to link, make, rename or open one, so that none of
   * the folders above can be a link. The action gets its paths from {@linkcode path}.
   *
   * Where the current folder can be changed (current_folder.ts), the action is inside the folder, and
   * nothing that another program does leads elsewhere. Otherwise the way is looked at before and
   * after: a program that puts a link there only between the two looks is not noticed.
   *
   * @param way The folder, or its name: then the way to it is looked at first.
   * @param action It does not wait for anything.
   * @throws {InletError} `denied` if a folder on the way is a link, or another one than before: what
   * the action did may be elsewhere then
   */
  inFolder<T>(way: Way | string, action: () => T): T {
    const folder = typeof way === "string" ? way : way.folder;
    if (!changesFolder()) return this.#watching(folder, way, action);
    const check = (): void => this.#checkHere(folder);
    return within(this.#absolute(folder), check, action, () => void this.look(folder));
  }

  #watching<T>(folder: string, way: Way | string, action: () => T): T {
    if (folder === "" || this.#watched === folder) return action();
    const seen = typeof way === "string" ? this.look(folder) : way.seen;
    const outer = this.#watched;
    this.#watched = folder;
    try {
      const result = action();
      const names = withAbove(folder);
      names.forEach((name, index) =>
        this.#compare(name, lstatIfThere(this.path(name)), seen[index]!)
      );
      return result;
    } finally {
      this.#watched = outer;
    }
  }

  /** Checks that the current folder is one of the store. */
  #checkHere(folder: string): void {
    this.#realRoot ??= Deno.realPathSync(this.root);
    const expected = folder === "" ? this.#realRoot : `${this.#realRoot}/${folder}`;
    // The system tells the true path, of one moment: no part of it is a link.
    if (currentPath() === expected && !this.#isRefused(Deno.lstatSync("."))) return;
    // The disk may write it another way, or the root may be elsewhere by now.
    const names = withAbove(folder);
    const seen = [Deno.statSync(this.root), ...this.look(folder)];
    for (let path = "."; seen.length > 0; path = path === "." ? ".." : `../${path}`) {
      this.#compare(names.pop() ?? "", lstatIfThere(path), seen.pop()!);
    }
    this.#realRoot = Deno.realPathSync(this.root);
  }

  #compare(name: string, now: Deno.FileInfo | undefined, seen: Deno.FileInfo): void {
    if (now && isSameFile(now, seen)) return;
    const what = name === "" ? "the directory" : quoted(name);
    throw new InletError("denied", `Cannot go through ${what}: another program replaced it`);
  }

  /**
   * Refuses every name that leads into a folder, under whatever name: one of the store's own.
   *
   * @param path Where the folder is: another one can get its number once it is removed.
   */
  refuse(path: string, own: Identity): void {
    this.#refused.set(path, own);
  }

  #isRefused(seen: Identity): boolean {
    for (const [path, own] of this.#refused) {
      if (!isSameFile(own, seen)) continue;
      const there = lstatIfThere(path);
      if (there && isSameFile(own, there)) return true;
    }
    return false;
  }

  /**
   * Checks that a name leads through real folders only.
   *
   * @throws {InletError} `denied` if one of them is a link or a file
   */
  check(name: string): void {
    for (const folder of foldersOf(name)) this.checkOne(folder);
  }

  /** Looks at a folder and those above it. @throws {InletError} as {@linkcode check} does */
  look(folder: string): Deno.FileInfo[] {
    return withAbove(folder).map((name) => {
      const info = Deno.lstatSync(this.#absolute(name));
      this.checkOne(name, info);
      return info;
    });
  }

  /** Checks one folder. @throws {InletError} `denied` if it is a link, a file, or refused */
  protected checkOne(folder: string, seen = Deno.lstatSync(this.path(folder))): void {
    if (!seen.isDirectory) {
      const why = seen.isSymlink ? "it is a symbolic link" : "it is not a folder";
      throw new InletError("denied", `Cannot go through ${quoted(folder)}: ${why}`);
    }
    if (this.#isRefused(seen)) {
      throw new InletError("denied", `Cannot go through ${quoted(folder)}: it is reserved`);
    }
  }
}

/** Where the process is; `undefined` if that was removed. */
function currentPath(): string | undefined {
  try {
    return Deno.cwd();
  } catch {
    return undefined;
  }
}

/** Returns the innermost folder of a name; empty for the root. */
export function folderOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf("/"), 0));
}

/** A folder and those above it, outermost first; none for the root. */
function withAbove(folder: string): string[] {
  return folder === "" ? [] : foldersOf(`${folder}/`);
}

/** Returns the folders of a name, outermost first. */
export function foldersOf(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** Returns what is at a path, or `undefined` if nothing is. A link is not followed. */
export function lstatIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
