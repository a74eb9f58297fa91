/**
 * A file on its way into the store: claimed and locked, then published under its name, kept for
 * another attempt, or gone.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import type { Disk } from "./disk.ts";
import type { Folders } from "./folders.ts";
import type { Facts, Upload } from "./store.ts";
import { explain } from "../errors.ts";
import { Tally, tallyOf, writeFully } from "../body/streams.ts";
import { quoted } from "../text.ts";

/** The names that a file can get, in order of preference. */
export interface Names {
  nameOf(number: number): string;
  /** Number of the first one to try. */
  first: number;
  /** Number of the next one to try, where the first is taken. */
  next?: number | undefined;
  /** Told the number that it got. */
  onNumber?(number: number): void;
}

/** What a {@linkcode FileUpload} is made of. */
export interface FileUploadOptions {
  folders: Folders;
  /** The open and locked file. */
  file: Deno.FsFile;
  /** Its path while it is in flight. */
  temp: string;
  names: Names;
  /** Whether it is on the disk itself before it counts as published. */
  fsync: boolean;
  /** Whether what is not published stays, as a partial file. */
  keeps: boolean;
  onEnd(): void;
}

/** A file in flight in a directory store. */
export class FileUpload implements Upload {
  kept: Tally = new Tally();
  readonly #options: FileUploadOptions;
  #empty = true;
  #ended = false;

  /** For the store alone: its `receive()` and `resume()` make uploads. */
  constructor(options: FileUploadOptions) {
    this.#options = options;
  }

  /**
   * Reads what an earlier attempt left, so that it can be proved to be the same file.
   *
   * @param most In bytes. A partial file that is larger was another file: then nothing is kept.
   */
  async readKept(most: number): Promise<void> {
    const { file } = this.#options;
    try {
      this.#empty = false;
      if (file.statSync().size > most) this.startOver();
      else this.kept = await tallyOf((buffer) => file.readSync(buffer), most);
      this.#empty = this.kept.bytes === 0;
    } catch (error) {
      throw explain(error, this.#what);
    }
  }

  startOver(): void {
    try {
      this.#options.file.truncateSync(0);
      this.#options.file.seekSync(0, Deno.SeekMode.Start);
      this.kept = new Tally();
      this.#empty = true;
    } catch (error) {
      throw explain(error, this.#what);
    }
  }

  write(chunk: Uint8Array): void {
    try {
      this.#empty = false;
      writeFully(this.#options.file, chunk);
    } catch (error) {
      throw explain(error, this.#what);
    }
  }

  async publish({ modified }: Facts = {}): Promise<string> {
    const { folders, file, fsync, names, temp } = this.#options;
    try {
      if (modified) tryTo(() => file.utimeSync(new Date(), modified));
      if (fsync) await file.sync();
      folders.check(this.#name);
      const name = linkUnder(names, folders, temp);
      tryTo(() => folders.disk.removeSync(temp));
      this.#end();
      if (fsync) await this.#syncFolders();
      return name;
    } catch (error) {
      throw explain(error, this.#what);
    }
  }

  discard(): void {
    if (this.#ended) return;
    const { folders, temp } = this.#options;
    tryTo(() => {
      // Else it could remove what is not its own.
      folders.check(this.#name);
      folders.disk.removeSync(temp);
    });
    this.#end();
  }

  /** Ends it now: keeps it as a partial file where that was asked for, else discards it. */
  close(): void {
    if (this.#options.keeps && !this.#empty) this.#end();
    else this.discard();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.onEnd();
    this.#options.file.close();
  }

  /** From the file's own folder up to the store's: any of them may have been made for it. */
  async #syncFolders(): Promise<void> {
    const { folders, temp } = this.#options;
    let folder = temp;
    for (const _ of this.#name.split("/")) {
      folder = dirname(folder);
      await syncFolder(folders.disk, folder);
    }
  }

  /** The name that it gets unless that is taken. */
  get #name(): string {
    const { nameOf, first } = this.#options.names;
    return nameOf(first);
  }

  get #what(): string {
    return `Cannot store ${quoted(this.#name)}`;
  }
}

/**
 * Gives a complete file the first of its names that is free.
 *
 * @returns The name that it got.
 */
export function linkUnder(names: Names, folders: Folders, temp: string): string {
  for (let number = names.first;;) {
    const name = names.nameOf(number);
    try {
      folders.disk.linkSync(temp, folders.path(name));
      names.onNumber?.(number);
      return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    number = Math.max(number + 1, names.next ?? 0);
  }
}

/** Makes and locks a file, or gives `undefined` where there is one already. */
export function claim(disk: Disk, path: string): Deno.FsFile | undefined {
  for (;;) {
    let file: Deno.FsFile;
    try {
      file = disk.openSync(path, { read: true, write: true, createNew: true });
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return undefined;
      throw error;
    }
    try {
      // Another server's sweep can have caught it before the lock: then it is no longer linked.
      if (file.tryLockSync(true) && file.statSync().nlink !== 0) return file;
    } catch (error) {
      tryTo(() => disk.removeSync(path));
      file.close();
      throw error;
    }
    file.close();
  }
}

/**
 * Makes and locks a file, or takes over what an earlier attempt left. Gives `undefined` where
 * somebody is at it now.
 *
 * @param isExpired Whether one last changed at this time is not to be resumed any more.
 */
export function claimKept(
  disk: Disk,
  path: string,
  isExpired: (modified: Date) => boolean,
): Deno.FsFile | undefined {
  for (;;) {
    const made = claim(disk, path);
    if (made) return made;
    try {
      const file = takeOver(disk, path, isExpired);
      if (file !== "gone") return file;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function takeOver(
  disk: Disk,
  path: string,
  isExpired: (modified: Date) => boolean,
): Deno.FsFile | undefined | "gone" {
  const seen = disk.lstatSync(path);
  if (!seen.isFile) return undefined;
  const file = disk.openSync(path, { read: true, write: true });
  let taken = false;
  try {
    const locked = file.tryLockSync(true);
    const { ino, dev, nlink, mtime } = file.statSync();
    // A link put there between the two calls would be another file.
    if (!locked || ino !== seen.ino || dev !== seen.dev) return undefined;
    taken = nlink === 1 && !isExpired(mtime ?? new Date(0));
    if (taken) return file;
    // After a crash between its link and its removal, to write into it would change what is published.
    if (nlink !== 0) disk.removeSync(path);
    return "gone";
  } finally {
    if (!taken) file.close();
  }
}

/**
 * Does what is good to have, and no reason to fail: to set a time, which some file systems do not keep;
 * to remove what the sweep of the next start removes as well.
 */
export function tryTo(action: () => void): void {
  try {
    action();
  } catch {
    // See above.
  }
}

async function syncFolder(disk: Disk, path: string): Promise<void> {
  // Windows has no such call, and opens no folder as a file.
  if (Deno.build.os === "windows") return;
  using folder = await disk.open(path);
  await folder.sync();
}
