/**
 * Opens files without following a link, and without waiting for a pipe.
 *
 * A link can take the place of a file after it was looked at. Only node:fs passes on to the system
 * that the last step of a path must not be one, and only where everything is permitted. Elsewhere the
 * open file is compared with the one that was seen.
 *
 * @module
 */

import { closeSync, constants, fstatSync, openSync, read, readSync, writeSync } from "node:fs";
import { systemCode } from "../system_errors.ts";
import { hasAllPermissions } from "./current_folder.ts";
import { type Identity, isSameFile } from "./temp_file.ts";

// Windows has neither flag.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_WRONLY, O_APPEND, O_CREAT } = constants;

const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** What is known of an open file. */
export type FileFacts = Pick<
  Deno.FileInfo,
  "dev" | "ino" | "size" | "mtime" | "ctime" | "mode" | "isFile"
>;

/** A file that was just opened. */
export interface Opened {
  readonly file: RegularFile;
  readonly facts: FileFacts;
}

/** A regular file that is open for reading, at any position. */
export class RegularFile implements Disposable {
  readonly #descriptor: number;
  #reads = 0;
  #isClosing = false;
  #isClosed = false;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /**
   * Opens the file that was seen at a path.
   *
   * @returns The file with its facts; `undefined` if something else is there by now, such as a link.
   * @throws {Deno.errors.NotFound} if nothing is there
   */
  static open(path: string, seen: Identity): Opened | undefined {
    const descriptor = openIfNoLink(path, READ);
    if (descriptor === undefined) return undefined;
    const file = new RegularFile(descriptor);
    try {
      const facts = file.statSync();
      if (facts.isFile && isSameFile(facts, seen)) return { file, facts };
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    return undefined;
  }

  /** The facts of the file as it is now. */
  statSync(): FileFacts {
    if (hasProc()) return Deno.statSync(`/proc/self/fd/${this.#descriptor}`);
    const stats = fstatSync(this.#descriptor);
    const { dev, ino, size, mtimeMs, ctime, mode } = stats;
    // `stats.mtime` is rounded up, which is a millisecond off before 1970.
    return { dev, ino, size, mtime: new Date(mtimeMs), ctime, mode, isFile: stats.isFile() };
  }

  /** Reads from a position. 0 at the end. */
  readSync(into: Uint8Array, position: number): number {
    return readSync(this.#descriptor, into, 0, into.length, position);
  }

  /** Reads from a position, in another thread. 0 at the end. */
  async read(into: Uint8Array, position: number): Promise<number> {
    this.#reads++;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    read(this.#descriptor, into, 0, into.length, position, (error, bytes) => {
      this.#reads--;
      if (this.#isClosing) this.close();
      if (error) reject(error);
      else resolve(bytes);
    });
    return await promise;
  }

  /** Closes the file, as soon as nothing is being read: its number could be that of another one. */
  close(): void {
    this.#isClosing = true;
    if (this.#reads > 0 || this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Reads the beginning of a file in one call, and takes no look at the open file unless it has to.
 *
 * @param seen What was seen at the path right before.
 * @returns How many bytes were read; `undefined` if a link is there, or the system cannot tell links.
 * @throws {Deno.errors.NotFound} if nothing is there
 */
export function readAtOnce(path: string, seen: Identity, into: Uint8Array): number | undefined {
  const descriptor = O_NOFOLLOW === 0 ? undefined : openIfNoLink(path, READ);
  if (descriptor === undefined) return undefined;
  try {
    // With fewer permissions Deno itself follows a link, and hands the system what that leads to.
    if (!hasAllPermissions() && !isSameFile(fstatSync(descriptor), seen)) return undefined;
    return readSync(descriptor, into, 0, into.length, 0);
  } finally {
    closeSync(descriptor);
  }
}

/** Appends text to a file, and makes it if it is missing. @throws if it is a link */
export function appendTo(path: string, text: string): void {
  const descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    writeSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Has an action read a folder by a path that leads to it whatever becomes of its own.
 *
 * @param path Of the folder, which is opened before this returns.
 * @returns `undefined` if the system has no such paths.
 */
export function readingFolder<T>(
  path: string,
  action: (path: string) => Promise<T>,
): Promise<T> | undefined {
  if (!hasProc()) return undefined;
  const descriptor = openSync(path, READ);
  return action(`/proc/self/fd/${descriptor}`).finally(() => closeSync(descriptor));
}

function openIfNoLink(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") throw new Deno.errors.NotFound(undefined, { cause: error });
    // Such as a link, a socket, or a device that is missing.
    if (code === "ELOOP" || code === "ENXIO" || code === "EMLINK") return undefined;
    throw error;
  }
}

let isProcThere: boolean | undefined;

/** Whether /proc tells of this process: reading a file's facts there takes a third of the time. */
function hasProc(): boolean {
  return isProcThere ??= Deno.build.os === "linux" && hasAllPermissions() && isMounted();
}

function isMounted(): boolean {
  try {
    return Deno.statSync("/proc/self/fd").isDirectory;
  } catch {
    return false;
  }
}
