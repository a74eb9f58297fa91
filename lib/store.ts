/**
 * The directory of received files. This file alone touches it.
 *
 * On disk:
 *
 * - `NAME.temp` is a file in flight. It is made with `createNew`, which follows no link and replaces
 *   nothing, and it is locked (flock) for as long as its writer lives, so that another server that
 *   starts on the same directory can tell a file in flight from what a crash left behind.
 * - `NAME` is complete and verified. It is made by a hard link to the finished `.temp`, because a
 *   link refuses to replace what is there; a rename would replace it silently.
 * - A name that is taken gives way: `report (2).pdf`. Folders are made one by one, and neither they
 *   nor a file are ever reached through a symbolic link.
 * - What comes without a name is counted: `1.file`, `2.file`, on from the highest number that is
 *   there, finished or in flight. Whoever holds `7.file.temp` alone may make `7.file`.
 *
 * It does not limit how much is stored in all, and it deletes no published file.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import { SEPARATOR } from "@std/path/constants";
import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import { relative } from "@std/path/relative";
import type { ListEntry } from "../protocol.ts";
import { explain, InletError } from "./errors.ts";
import { numberedName, safeName, TEMP } from "./names.ts";
import { writeFully } from "./streams.ts";
import { quoted } from "./text.ts";

/** Options of a {@linkcode Store}. */
export interface StoreOptions {
  /**
   * Whether a file and its folders are on the disk itself, not only in its cache, before it counts
   * as stored.
   *
   * @default {false}
   */
  fsync?: boolean;
}

/** A file that is open for reading. */
export interface StoredFile extends Disposable {
  file: Deno.FsFile;
  /** Size in bytes when it was opened. */
  size: number;
}

/** Files in a directory, each either whole or in flight. */
export class Store {
  readonly #root: string;
  readonly #fsync: boolean;
  readonly #inFlight = new Set<Upload>();
  /** The highest number given so far, by the ending that follows it. */
  readonly #highest = new Map<string, number>();

  /** A directory as it is, which may not be there yet. */
  constructor(root: string, options: StoreOptions = {}) {
    this.#root = root;
    this.#fsync = options.fsync ?? false;
  }

  /**
   * Opens a directory, made if it is missing.
   *
   * @throws {InletError} `usage` if it cannot be made
   */
  static async open(directory: string, options: StoreOptions = {}): Promise<Store> {
    const store = new Store(directory, options);
    await store.#use(() => Deno.mkdir(directory, { recursive: true }));
    return store;
  }

  /**
   * Makes the directory ready for a server: removes what a crash left in flight, and nothing that a
   * live server is writing; and proves that it can be written to, so that the person who starts the
   * server learns of it, and not its first client.
   *
   * @throws {InletError} `usage` if it cannot be used
   */
  async prepare(): Promise<void> {
    await this.#use(async () => {
      for await (const path of this.#files()) {
        if (path.endsWith(TEMP)) removeUnlessLive(path);
      }
      this.create("probe")[Symbol.dispose]();
    });
  }

  /** Where a stored file is. */
  path(name: string): string {
    return join(this.#root, ...name.split("/"));
  }

  /**
   * Claims a place for a file. Dispose of the upload to discard what was not published.
   *
   * @param name A name off the wire.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  create(name: string): Upload {
    const safe = safeName(name);
    try {
      this.#makeFolders(safe);
      const nameOf = (number: number): string => numberedName(safe, number);
      for (let number = 1;; number++) {
        const upload = this.#open(number, { nameOf, first: 1 });
        if (upload) return upload;
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  /**
   * Claims the number after the highest one, as a name like `1.file`. Dispose of the upload to
   * discard what was not published.
   *
   * @param ending What follows the number.
   * @throws {InletError} `denied` or `no-space`
   */
  createNumbered(ending: string): Upload {
    const nameOf = (number: number): string => `${number}${ending}`;
    try {
      for (;;) {
        const number = (this.#highest.get(ending) ?? highestNumber(this.#root, ending)) + 1;
        this.#highest.set(ending, number);
        const upload = this.#open(number, { nameOf, first: number });
        if (!upload) continue;
        // Another server can have published it, and given up the `.temp`, since the directory was read.
        if (!exists(this.path(nameOf(number)))) return upload;
        upload[Symbol.dispose]();
      }
    } catch (error) {
      throw explain(error, "Cannot store what came");
    }
  }

  /**
   * Opens a published file.
   *
   * @param name A name off the wire.
   * @throws {InletError} `bad-name`, `denied` or `not-found`
   */
  read(name: string): StoredFile {
    const safe = safeName(name);
    const what = `Cannot get ${quoted(name)}`;
    try {
      this.#folders(safe).forEach(checkFolder);
      const path = this.path(safe);
      const seen = Deno.lstatSync(path);
      if (!seen.isFile) throw new InletError("not-found", `${what}: it is no file`);
      const file = Deno.openSync(path);
      const opened = file.statSync();
      // A link put there between the two calls would be another file.
      if (opened.ino !== seen.ino || opened.dev !== seen.dev) {
        file.close();
        throw new InletError("denied", `${what}: it changed while it was opened`);
      }
      return { file, size: opened.size, [Symbol.dispose]: () => file.close() };
    } catch (error) {
      throw explain(error, what);
    }
  }

  /** The published files in the order of their names: what `read` would open, and nothing else. */
  async list(): Promise<ListEntry[]> {
    const entries: ListEntry[] = [];
    for await (const path of this.#files()) {
      const name = relative(this.#root, path).replaceAll(SEPARATOR, "/");
      if (!isPublishedName(name)) continue;
      const info = await Deno.lstat(path).catch(() => null);
      if (info) entries.push({ name, size: info.size, modified: info.mtime ?? new Date(0) });
    }
    return entries.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Discards everything in flight, at once. */
  discardAll(): void {
    for (const upload of this.#inFlight) upload[Symbol.dispose]();
  }

  /** Opens a file in flight, or gives `undefined` where there is one already. */
  #open(number: number, names: Names): Upload | undefined {
    const path = this.path(names.nameOf(number) + TEMP);
    const file = claim(path);
    if (!file) return undefined;
    const upload = new Upload(this, names, path, file, {
      fsync: this.#fsync,
      onEnd: () => this.#inFlight.delete(upload),
    });
    this.#inFlight.add(upload);
    return upload;
  }

  async #use(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      // The probe's own error would name a file that nobody asked for.
      const cause = error instanceof InletError ? error.cause : error;
      const { message } = explain(cause, `Cannot store into ${quoted(this.#root)}`);
      throw new InletError("usage", message, { cause });
    }
  }

  /** Regular files alone: opening a pipe would wait for whoever writes into it. */
  async *#files(): AsyncGenerator<string> {
    const found = walk(this.#root, { includeDirs: false, includeSymlinks: false });
    for await (const { path, isFile } of found) if (isFile) yield path;
  }

  /** Makes the folders of a name. Each is checked before the next is made: it could be a link. */
  #makeFolders(name: string): void {
    for (const path of this.#folders(name)) {
      try {
        Deno.mkdirSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
      checkFolder(path);
    }
  }

  /** The folders of a name, outermost first. */
  #folders(name: string): string[] {
    const parts = name.split("/").slice(0, -1);
    return parts.map((_, index) => join(this.#root, ...parts.slice(0, index + 1)));
  }
}

/** The names that a file can get, in order of preference. */
interface Names {
  nameOf(number: number): string;
  /** Number of the one that it is to get. */
  first: number;
}

/** A file in flight. Dispose of it: what was not published by then is gone. */
export class Upload implements Disposable {
  readonly #store: Store;
  readonly #names: Names;
  readonly #temp: string;
  readonly #file: Deno.FsFile;
  readonly #fsync: boolean;
  readonly #onEnd: () => void;
  #ended = false;

  /** For the store alone: `store.create()` makes uploads. */
  constructor(
    store: Store,
    names: Names,
    temp: string,
    file: Deno.FsFile,
    options: { fsync: boolean; onEnd: () => void },
  ) {
    this.#store = store;
    this.#names = names;
    this.#temp = temp;
    this.#file = file;
    this.#fsync = options.fsync;
    this.#onEnd = options.onEnd;
  }

  /** Appends to the file. */
  write(chunk: Uint8Array): void {
    try {
      writeFully(this.#file, chunk);
    } catch (error) {
      throw explain(error, this.#what);
    }
  }

  /**
   * Gives the file its name, once it is complete and verified.
   *
   * @returns The name that it got.
   */
  async publish(): Promise<string> {
    try {
      if (this.#fsync) await this.#file.sync();
      const name = this.#link();
      this[Symbol.dispose]();
      if (this.#fsync) await this.#syncFolders();
      return name;
    } catch (error) {
      throw explain(error, this.#what);
    }
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    try {
      Deno.removeSync(this.#temp);
    } catch {
      // What cannot be removed now is what the sweep of the next start is for.
    }
    this.#file.close();
  }

  /** From the file's own folder up to the store's: any of them may have been made for it. */
  async #syncFolders(): Promise<void> {
    let folder = this.#temp;
    for (const _ of this.#names.nameOf(this.#names.first).split("/")) {
      folder = dirname(folder);
      await syncFolder(folder);
    }
  }

  get #what(): string {
    return `Cannot store ${quoted(this.#names.nameOf(this.#names.first))}`;
  }

  #link(): string {
    const { nameOf, first } = this.#names;
    for (let number = first;; number++) {
      const name = nameOf(number);
      try {
        Deno.linkSync(this.#temp, this.#store.path(name));
        return name;
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
  }
}

function highestNumber(directory: string, ending: string): number {
  let highest = 0;
  for (const { name } of Deno.readDirSync(directory)) {
    const published = name.endsWith(TEMP) ? name.slice(0, -TEMP.length) : name;
    const number = published.endsWith(ending) ? published.slice(0, -ending.length) : "";
    if (/^\d{1,15}$/.test(number)) highest = Math.max(highest, Number(number));
  }
  return highest;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes and locks a file, or gives `undefined` where there is one already. */
function claim(path: string): Deno.FsFile | undefined {
  for (;;) {
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path, { write: true, createNew: true });
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return undefined;
      throw error;
    }
    // Another server's sweep can have caught it before the lock: then it is no longer linked.
    if (file.tryLockSync(true) && file.statSync().nlink !== 0) return file;
    file.close();
  }
}

function removeUnlessLive(path: string): void {
  try {
    using file = Deno.openSync(path);
    if (file.tryLockSync(true)) Deno.removeSync(path);
  } catch (error) {
    // Published or discarded by its writer in the meantime.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function checkFolder(path: string): void {
  if (!Deno.lstatSync(path).isDirectory) {
    throw new InletError("denied", `Cannot go through ${quoted(path)}: it is no folder`);
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no such call, and opens no folder as a file.
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

function isPublishedName(name: string): boolean {
  try {
    return safeName(name) === name;
  } catch {
    return false;
  }
}
