/**
 * An upload to a directory store: a locked temporary file that is then published, kept as a partial
 * file, or discarded.
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

/** The names that a file can be published under, in order of preference. */
export interface Names {
  nameOf(number: number): string;
  /** Number of the first name to try. */
  first: number;
  /** Number of the next name to try, if the first is taken. */
  next?: number | undefined;
  /** Called with the number of the published name. */
  onNumber?(number: number): void;
}

/** Options of a {@linkcode FileUpload}. */
export interface FileUploadOptions {
  folders: Folders;
  /** The open and locked file. */
  file: Deno.FsFile;
  /** Its path until it is published. */
  temp: string;
  names: Names;
  /** Whether it is flushed to disk before it is published. */
  fsync: boolean;
  /** Whether it is kept as a partial file if it is not published. */
  keeps: boolean;
  onEnd(): void;
}

/** An upload to a directory store. */
export class FileUpload implements Upload {
  kept: Tally = new Tally();
  readonly #options: FileUploadOptions;
  #empty = true;
  #ended = false;

  /** For the store only: its `receive()` and `resume()` make uploads. */
  constructor(options: FileUploadOptions) {
    this.#options = options;
  }

  /**
   * Reads the partial file, so that the peer can verify that it belongs to the same file.
   *
   * @param most In bytes. A larger partial file belongs to another file, and is discarded.
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
      // Otherwise a link could lead to another file.
      folders.check(this.#name);
      folders.disk.removeSync(temp);
    });
    this.#end();
  }

  /** Ends the upload: keeps it as a partial file if the client asked to, otherwise discards it. */
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

  /** Flushes the file's folder and its parents up to the root: any of them may be new. */
  async #syncFolders(): Promise<void> {
    const { folders, temp } = this.#options;
    let folder = temp;
    for (const _ of this.#name.split("/")) {
      folder = dirname(folder);
      await syncFolder(folders.disk, folder);
    }
  }

  /** The preferred name. */
  get #name(): string {
    const { nameOf, first } = this.#options.names;
    return nameOf(first);
  }

  get #what(): string {
    return `Cannot store ${quoted(this.#name)}`;
  }
}

/**
 * Publishes a complete file under the first free one of its names.
 *
 * @returns The published name.
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

/** Makes and locks a file; returns `undefined` if it exists. */
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
      // Another server's sweep may have removed it before the lock: its link count is 0 then.
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
 * Makes and locks a file, or takes over an existing partial file. Returns `undefined` if another
 * upload writes it.
 *
 * @param isExpired Whether a partial file that was last changed at this time has expired.
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
    // A link made between the two calls leads to a different file.
    if (!locked || ino !== seen.ino || dev !== seen.dev) return undefined;
    taken = nlink === 1 && !isExpired(mtime ?? new Date(0));
    if (taken) return file;
    // A crash between link and removal left it linked: writing would change the published file.
    if (nlink !== 0) disk.removeSync(path);
    return "gone";
  } finally {
    if (!taken) file.close();
  }
}

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

async function syncFolder(disk: Disk, path: string): Promise<void> {
  // Windows cannot open a folder as a file, and has no such call.
  if (Deno.build.os === "windows") return;
  using folder = await disk.open(path);
  await folder.sync();
}
