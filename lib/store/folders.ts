/**
 * The folders of a directory store: maps names to paths, and ensures that no link leads elsewhere.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Disk } from "./disk.ts";

/** Most messages to the operator, as a peer may be able to cause them. */
const MAX_WARNINGS = 1000;

/** The root of a store and the folders below it. */
export class Folders {
  readonly root: string;
  readonly disk: Disk;
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<string>();

  constructor(root: string, disk: Disk, warn: (message: string) => void) {
    this.root = root;
    this.disk = disk;
    this.#warn = warn;
  }

  /** Reports what the operator should know, each message once. */
  warnOnce(message: string): void {
    if (this.#warned.has(message) || this.#warned.size >= MAX_WARNINGS) return;
    this.#warned.add(message);
    this.#warn(message);
  }

  /** Returns the path of a name; an empty name is the root. */
  path(name: string): string {
    // Every system accepts a slash, and `safeName` has refused `.` and `..`.
    return name === "" ? this.root : `${this.root}/${name}`;
  }

  /** Makes the folders of a name. Each is checked before the next is made, as it may be a link. */
  make(name: string): void {
    for (const folder of foldersOf(name)) {
      const there = lstatIfThere(this.path(folder));
      if (!there) this.#makeOne(this.path(folder));
      this.#checkOne(folder, there);
    }
  }

  /**
   * Checks that a name leads through real folders only.
   *
   * @throws {InletError} `denied` if one of them is a link or a file
   */
  check(name: string): void {
    for (const folder of foldersOf(name)) this.#checkOne(folder);
  }

  #makeOne(path: string): void {
    try {
      this.disk.mkdirSync(path);
    } catch (error) {
      // Another client made it in the meantime.
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }

  #checkOne(folder: string, seen = Deno.lstatSync(this.path(folder))): void {
    if (!seen.isDirectory) {
      throw new InletError("denied", `Cannot go through ${quoted(folder)}: it is not a folder`);
    }
  }
}

/** Returns the folders of a name, outermost first. */
function foldersOf(name: string): string[] {
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
