/**
 * A file in flight: open, locked, and known by its device and inode.
 *
 * Its path is never trusted: another program can remove the file and put another one in its place.
 * So the path is compared with the open file before it is linked, renamed or removed.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { systemCode } from "../system_errors.ts";
import { takeTurns } from "../turns.ts";
import { here } from "./current_folder.ts";
import type { Disk } from "./disk.ts";
import { HoleWriter } from "./holes.ts";

/** Size of the buffer for a copy, in bytes. */
const COPIED_BYTES = 256 * 1024;

/** Permission bits of a file that only its owner may read and write. */
export const OWNERS = 0o600;

/** What identifies a file, whatever its path. */
export type Identity = Pick<Deno.FileInfo, "dev" | "ino">;

/** A key of a file, whatever its path. */
export function keyOf({ dev, ino }: Identity): string {
  return `${dev}:${ino}`;
}

/** Whether two paths, or a path and an open file, lead to one file. */
export function isSameFile(one: Identity, other: Identity): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/**
 * Lets its owner open a file again. A crash may have left it with the permission bits that it was to
 * be published with.
 */
export function giveToOwner(disk: Disk, path: string, seen: Deno.FileInfo): void {
  if (seen.mode === null || (seen.mode & OWNERS) === OWNERS) return;
  tryTo(() => disk.chmodSync(here(path), OWNERS));
}

/**
 * Sees to it that only its owner can read a folder: others would learn what its files are called.
 *
 * @returns The folder as it is then. Some disks keep no permission bits.
 */
export function madePrivate(disk: Disk, path: string, seen: Deno.FileInfo): Deno.FileInfo {
  if (!seen.isDirectory || !((seen.mode ?? 0) & 0o077)) return seen;
  tryTo(() => disk.chmodSync(path, 0o700));
  return disk.lstatSync(path);
}

/** An open temporary file. */
export class TempFile {
  readonly file: Deno.FsFile;
  readonly #disk: Disk;
  #info: Deno.FileInfo;
  #path: string;

  private constructor(disk: Disk, path: string, file: Deno.FsFile, info: Deno.FileInfo) {
    this.#disk = disk;
    this.#path = path;
    this.file = file;
    this.#info = info;
  }

  /**
   * Makes and locks a file. It follows no link, and replaces nothing.
   *
   * @param mode Its permission bits: until it is published, it is its owner's alone.
   */
  static create(disk: Disk, path: string, mode = OWNERS): TempFile {
    const file = disk.openSync(here(path), { read: true, write: true, createNew: true, mode });
    try {
      // The lock tells the servers that share the directory that this one is alive.
      file.tryLockSync(true);
      return new TempFile(disk, path, file, file.statSync());
    } catch (error) {
      file.close();
      tryTo(() => disk.removeSync(here(path)));
      throw error;
    }
  }

  /**
   * Opens and locks an existing file; returns `undefined` if a live server holds the lock, or if it
   * has another name too: after a crash between link and removal, it is a published file.
   */
  static reopen(disk: Disk, path: string): TempFile | undefined {
    const seen = disk.lstatSync(here(path));
    if (!seen.isFile || (seen.nlink ?? 1) > 1) return undefined;
    giveToOwner(disk, path, seen);
    const file = disk.openSync(here(path), { read: true, write: true });
    try {
      const info = file.statSync();
      const isFree = file.tryLockSync(true) && isSameFile(info, seen) && (info.nlink ?? 1) <= 1;
      if (isFree) return new TempFile(disk, path, file, info);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    return undefined;
  }

  get path(): string {
    return this.#path;
  }

  /** What the disk told of it when it was opened, or cut. */
  get info(): Deno.FileInfo {
    return this.#info;
  }

  /** Cuts it to so many bytes at most. */
  cutTo(bytes: number): void {
    if (this.#info.size <= bytes) return;
    this.file.truncateSync(bytes);
    this.#info = this.file.statSync();
  }

  /** Whether a path leads to this file. */
  isAt(path: string): boolean {
    return this.#infoAt(path) !== undefined;
  }

  /**
   * Checks that the path still leads to this file.
   *
   * @param size Bytes that the file has to have, if that is known.
   * @returns What the disk tells of it.
   * @throws {InletError} `aborted` if another program removed, replaced or changed it
   */
  check(what: string, size?: number): Deno.FileInfo {
    const info = this.#infoAt(this.#path);
    if (info && (size === undefined || info.size === size)) return info;
    const deed = info ? "changed" : "removed or replaced";
    throw new InletError("aborted", `${what}: another program ${deed} its temporary file`);
  }

  #infoAt(path: string): Deno.FileInfo | undefined {
    try {
      const info = this.#disk.lstatSync(here(path));
      return isSameFile(info, this.info) ? info : undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /**
   * Opens it once more, for reading.
   *
   * @throws {InletError} `aborted` if another program removed or replaced it
   */
  openAgain(what: string): Deno.FsFile {
    this.check(what);
    let file: Deno.FsFile;
    try {
      file = this.#disk.openSync(this.#path);
    } catch (error) {
      // It was there just now.
      if (error instanceof Deno.errors.NotFound) this.check(what);
      throw error;
    }
    if (isSameFile(file.statSync(), this.info)) return file;
    file.close();
    throw new InletError("aborted", `${what}: another program replaced its temporary file`);
  }

  /** Sets its permission bits, if its disk can. */
  setMode(mode: number | undefined): void {
    if (mode !== undefined) tryTo(() => this.#disk.chmodSync(here(this.#path), mode));
  }

  /** Sets its group. */
  setGroup(gid: number | null): void {
    this.#disk.chownSync(here(this.#path), null, gid);
  }

  /** Renames the file. */
  moveTo(path: string): void {
    this.#disk.renameSync(here(this.#path), here(path));
    this.#path = path;
  }

  /** Tells that a rename of its folder, or by another program, has moved it. */
  foundAt(path: string): void {
    this.#path = path;
  }

  /**
   * Copies all of the file into an empty one, which gets its group as well.
   *
   * @param keepHoles Whether runs of zeros become holes.
   */
  async copyTo(copy: TempFile, keepHoles: boolean): Promise<void> {
    const buffer = new Uint8Array(COPIED_BYTES);
    this.file.seekSync(0, Deno.SeekMode.Start);
    const holes = new HoleWriter();
    const call = (atOnce: () => void): void => atOnce();
    let end = 0;
    for (let read; (read = this.file.readSync(buffer)); await takeTurns()) {
      end += read;
      const hasHoles = (): boolean => keepHoles;
      await holes.append(copy.file, buffer.subarray(0, read), { end, hasHoles, call });
    }
    const { gid } = this.file.statSync();
    if (gid !== copy.info.gid) copy.setGroup(gid);
  }

  /** Removes the file, unless its path has come to lead to another one, or to nothing. */
  remove(): void {
    if (!this.isAt(this.#path)) return;
    try {
      this.#disk.removeSync(here(this.#path));
    } catch (error) {
      // Another program was faster.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Removes and closes the file. */
  discard(): void {
    try {
      this.remove();
    } finally {
      this.close();
    }
  }

  /**
   * Closes the file, which unlocks it once no call on it is under way.
   *
   * @param isAtRest Whether none is. Then it is unlocked at once: a program that this process is just
   * starting holds the lock too, until it runs.
   */
  close(isAtRest = false): void {
    if (isAtRest) tryTo(() => this.file.unlockSync());
    this.file.close();
  }
}

/** Whether a link failed because its two ends are on different file systems, or mounts. */
export function isOtherFileSystem(error: unknown): boolean {
  return (error as { code?: string }).code === "EXDEV";
}

/** Whether a rename failed because something has the name, or the folder is on another file system. */
export function isInTheWay(error: unknown): boolean {
  const code = systemCode(error);
  return code !== undefined && IN_THE_WAY.has(code);
}

const IN_THE_WAY = new Set(["ENOTEMPTY", "EEXIST", "ENOTDIR", "EISDIR", "EXDEV", "EBUSY"]);

/**
 * Runs an optional action and ignores its failure: setting a time, which some file systems do not
 * support, or removing a file that the next sweep removes as well.
 */
export function tryTo(action: () => void): void {
  try {
    action();
  } catch {
    // Optional.
  }
}
