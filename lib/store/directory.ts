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
 *   nor a file are ever reached through a symbolic link: also not through one that was put there
 *   while a transfer ran.
 * - A file that is there whole is written and published in one go, without a turn of the event loop in
 *   between, so that it needs no lock: its `.temp` has a name that is this process's own, and if a
 *   sweep takes that for a crash's, it is written again.
 * - `NAME.temp.temp` is a file in flight that stays when its connection breaks, so that a later one
 *   can go on with it. It is locked too, while somebody is at it, and goes when it is too old.
 * - What comes without a name is counted: `1.file`, `2.file`, on from the highest number that is
 *   there, finished or in flight. Whoever holds `7.file.temp` alone may make `7.file`.
 *
 * It does not limit how much is stored in all, and it deletes no published file.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import { SEPARATOR } from "@std/path/constants";
import { join } from "@std/path/join";
import { relative } from "@std/path/relative";
import type { ListEntry } from "../../protocol.ts";
import type { Disk } from "./disk.ts";
import { explain, InletError } from "../errors.ts";
import { claim, claimKept, linkUnder, type Names, tryTo, Upload } from "./upload.ts";
import { KEPT, keptName, numberedName, safeName, TEMP } from "./names.ts";
import { nextTurn, tallyOf } from "../body/streams.ts";
import { printable, quoted } from "../text.ts";

/** Options of a {@linkcode Store}. */
export interface StoreOptions {
  /**
   * Whether a file and its folders are on the disk itself, not only in its cache, before it counts
   * as stored.
   *
   * @default {false}
   */
  fsync?: boolean;
  /**
   * Milliseconds that a partial is kept for another attempt, where that was asked for. 0 keeps none.
   *
   * @default {86_400_000}
   */
  keepPartialsMs?: number;
  /**
   * The functions that touch the disk.
   *
   * @default {Deno}
   */
  disk?: Disk;
}

/** Facts by which a file is known to be the same. */
export interface Fingerprint {
  /** In bytes. */
  size: number;
  /** CRC-32 of the whole file. */
  crc: number;
  /** Time of its last change, to the second. */
  modified: Date;
}

/** How often a file that is there whole is written again, when it goes before it is published. */
const MAX_ATTEMPTS = 3;

/** Names that were taken and are remembered, with the number that they gave way to. */
const MAX_GIVEN = 1000;

/** Entries of a directory that are looked at before others have their turn. */
const TURN_ENTRIES = 500;

/** A file that is open for reading. */
export interface StoredFile extends Disposable {
  file: Deno.FsFile;
  /** Size in bytes when it was opened. */
  size: number;
  /** Time of its last change then. */
  modified: Date;
}

/** Files in a directory, each either whole or in flight. */
export class Store {
  readonly #root: string;
  readonly #fsync: boolean;
  readonly #keepPartialsMs: number;
  readonly #disk: Disk;
  readonly #inFlight = new Set<Upload>();
  /** What a file that is there whole is called while it is in flight. */
  #ownTemp = ownTemp();
  /** The highest number given so far, by the ending that follows it. */
  readonly #highest = new Map<string, number>();
  /** The number to try next for a name that was taken, by that name. The oldest is forgotten first. */
  readonly #given = new Map<string, number>();

  /** A directory as it is, which may not be there yet. */
  constructor(root: string, options: StoreOptions = {}) {
    this.#root = root;
    this.#fsync = options.fsync ?? false;
    this.#keepPartialsMs = options.keepPartialsMs ?? 24 * 3_600_000;
    this.#disk = options.disk ?? Deno;
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
      await this.sweep();
      this.create("probe").discard();
    });
  }

  /** Removes what a crash left in flight, and the partials that were kept for long enough. */
  async sweep(): Promise<void> {
    for await (const { path, isFile } of walk(this.#root, { includeSymlinks: false })) {
      if (isFile && path.endsWith(TEMP)) this.#removeUnlessLive(path);
    }
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
      const names = this.#namesOf(safe);
      for (let number = 1;; number++) {
        const upload = this.#open(number, names);
        if (upload) return upload;
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  /**
   * Stores a file that is there whole.
   *
   * @param name A name off the wire.
   * @param modified The time of its last change, where the sender told it.
   * @returns The name that it got.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  async put(name: string, content: Uint8Array, modified?: Date): Promise<string> {
    if (!this.#fsync) return this.#putAtOnce(name, content, modified);
    // To wait for the disk others have to have their turn: that takes a file that is locked.
    using upload = this.create(name);
    upload.write(content);
    return await upload.publish(modified);
  }

  /**
   * Claims a place for a file that is kept when it is disposed of unpublished, and goes on with what
   * an earlier attempt of that name left.
   *
   * @param name A name off the wire.
   * @param size Its size in bytes.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  async resume(name: string, size: number): Promise<Upload> {
    if (this.#keepPartialsMs === 0) return this.create(name);
    const upload = this.#reopen(name);
    try {
      await upload.readKept(size);
      return upload;
    } catch (error) {
      upload[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Makes a folder and those above it, where they are not there yet.
   *
   * @param name A name off the wire.
   * @returns The name that it has.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  makeFolder(name: string): string {
    const safe = safeName(name);
    try {
      this.#makeFolders(`${safe}/`);
      return safe;
    } catch (error) {
      throw explain(error, `Cannot make the folder ${quoted(name)}`);
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
        if (!lstatIfThere(this.path(nameOf(number)))) return upload;
        upload.discard();
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
      this.#checkFolders(safe);
      const path = this.path(safe);
      const seen = Deno.lstatSync(path);
      if (seen.isDirectory) {
        throw new InletError("not-found", `${what}: it is a folder, get "${printable(name)}/"`);
      }
      if (!seen.isFile) throw new InletError("not-found", `${what}: it is no file`);
      const file = Deno.openSync(path);
      const opened = file.statSync();
      // A link put there between the two calls would be another file.
      if (opened.ino !== seen.ino || opened.dev !== seen.dev) {
        file.close();
        throw new InletError("denied", `${what}: it changed while it was opened`);
      }
      const { size, mtime } = opened;
      return { file, size, modified: mtime ?? new Date(0), [Symbol.dispose]: () => file.close() };
    } catch (error) {
      throw explain(error, what);
    }
  }

  /**
   * Finds a file under its name, or under one that a taken name gives way to.
   *
   * @param name A name off the wire.
   * @returns The name that it has, or `undefined` if it is not there.
   * @throws {InletError} `bad-name` or `denied`
   */
  async find(name: string, fingerprint: Fingerprint): Promise<string | undefined> {
    const safe = safeName(name);
    try {
      for (let number = 1;; number++) {
        const numbered = numberedName(safe, number);
        const there = lstatIfThere(this.path(numbered));
        if (!there) return undefined;
        if (there.isFile && await this.#isSame(numbered, fingerprint)) return numbered;
      }
    } catch (error) {
      throw explain(error, `Cannot compare ${quoted(name)}`);
    }
  }

  /** The published files in the order of their names: what `read` would open, and nothing else. */
  async list(): Promise<ListEntry[]> {
    return (await this.#entries(this.#root)).filter(({ size }) => size !== null);
  }

  /**
   * A folder and all that is published below it, in the order of names; or one file.
   *
   * @param name A name off the wire.
   * @throws {InletError} `bad-name`, `denied` or `not-found`
   */
  async tree(name: string): Promise<ListEntry[]> {
    const safe = safeName(name);
    const what = `Cannot get ${quoted(name)}`;
    try {
      this.#checkFolders(safe);
      const { isFile, isDirectory, size, mtime } = Deno.lstatSync(this.path(safe));
      if (isFile) return [{ name: safe, size, modified: mtime ?? new Date(0) }];
      if (!isDirectory) throw new InletError("not-found", `${what}: it is no folder`);
      return await this.#entries(this.path(safe));
    } catch (error) {
      throw explain(error, what);
    }
  }

  /** Discards everything in flight, at once. */
  discardAll(): void {
    for (const upload of this.#inFlight) upload[Symbol.dispose]();
  }

  #putAtOnce(name: string, content: Uint8Array, modified?: Date): string {
    const safe = safeName(name);
    try {
      for (let attempt = 1;; attempt++) {
        this.#makeFolders(safe);
        const temp = this.path(safe.slice(0, safe.lastIndexOf("/") + 1) + this.#ownTemp);
        try {
          this.#disk.writeFileSync(temp, content, { createNew: true });
          if (modified) tryTo(() => this.#disk.utimeSync(temp, new Date(), modified));
          return linkUnder(this.#namesOf(safe), this.#disk, temp, (it) => this.path(it));
        } catch (error) {
          // Another server's sweep, or one of its own that could not be removed.
          const taken = error instanceof Deno.errors.NotFound ||
            error instanceof Deno.errors.AlreadyExists;
          if (!taken || attempt === MAX_ATTEMPTS) throw error;
          this.#ownTemp = ownTemp();
        } finally {
          tryTo(() => this.#disk.removeSync(temp));
        }
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  /** Opens a file in flight, or gives `undefined` where there is one already. */
  #open(number: number, names: Names): Upload | undefined {
    const temp = this.path(names.nameOf(number) + TEMP);
    const file = claim(this.#disk, temp);
    return file && this.#begin(file, temp, names, false);
  }

  /** Opens a file that may be in flight since an earlier attempt, or another one like it. */
  #reopen(name: string): Upload {
    const safe = safeName(name);
    const names = this.#namesOf(safe);
    try {
      this.#makeFolders(safe);
      for (let number = 1;; number++) {
        const temp = this.path(keptName(safe, number));
        const file = claimKept(this.#disk, temp, (modified) => this.#isExpired(modified));
        if (file) return this.#begin(file, temp, names, true);
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  /** A name, and those that it gives way to. To try all of them each time would take ever longer. */
  #namesOf(name: string): Names {
    return {
      nameOf: (number) => numberedName(name, number),
      first: 1,
      next: this.#given.get(name),
      onNumber: (number) => {
        if (number === 1) return;
        this.#given.delete(name);
        this.#given.set(name, number + 1);
        if (this.#given.size > MAX_GIVEN) this.#given.delete(this.#given.keys().next().value!);
      },
    };
  }

  #begin(file: Deno.FsFile, temp: string, names: Names, keeps: boolean): Upload {
    const upload = new Upload({
      disk: this.#disk,
      file,
      temp,
      names,
      pathOf: (name) => this.path(name),
      checkFolders: () => this.#checkFolders(names.nameOf(names.first)),
      fsync: this.#fsync,
      keeps,
      onEnd: () => this.#inFlight.delete(upload),
    });
    this.#inFlight.add(upload);
    return upload;
  }

  #isExpired(modified: Date): boolean {
    return Date.now() - modified.getTime() > this.#keepPartialsMs;
  }

  #removeUnlessLive(path: string): void {
    try {
      using file = Deno.openSync(path);
      const { nlink, mtime } = file.statSync();
      const resumable = path.endsWith(KEPT) && nlink === 1 &&
        !this.#isExpired(mtime ?? new Date(0));
      if (!resumable && file.tryLockSync(true)) this.#disk.removeSync(path);
    } catch (error) {
      // Published or discarded by its writer in the meantime.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #isSame(name: string, { size, crc, modified }: Fingerprint): Promise<boolean> {
    using stored = this.read(name);
    // Times are kept to the second.
    const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);
    if (stored.size !== size || seconds(stored.modified) !== seconds(modified)) return false;
    const tally = await tallyOf(stored.file, size);
    return tally.bytes === size && tally.crc === crc;
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

  /** Files and folders with a published name, from a path downwards. */
  async #entries(root: string): Promise<ListEntry[]> {
    const entries: ListEntry[] = [];
    let seen = 0;
    for await (const { path, isFile, isDirectory } of walk(root, { includeSymlinks: false })) {
      if (++seen % TURN_ENTRIES === 0) await nextTurn();
      const name = relative(this.#root, path).replaceAll(SEPARATOR, "/");
      // What is neither, a pipe for one, would make whoever opens it wait.
      if (!(isFile || isDirectory) || !isPublishedName(name)) continue;
      const info = lstatIfThere(path);
      if (!info) continue;
      const size = isFile ? info.size : null;
      entries.push({ name, size, modified: info.mtime ?? new Date(0) });
    }
    return entries.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Makes the folders of a name. Each is checked before the next is made: it could be a link. */
  #makeFolders(name: string): void {
    for (const folder of foldersOf(name)) {
      const there = lstatIfThere(this.path(folder));
      if (!there) this.#makeFolder(this.path(folder));
      this.#checkFolder(folder, there);
    }
  }

  #makeFolder(path: string): void {
    try {
      this.#disk.mkdirSync(path);
    } catch (error) {
      // Another client's, made in the meantime.
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }

  #checkFolders(name: string): void {
    for (const folder of foldersOf(name)) this.#checkFolder(folder);
  }

  #checkFolder(folder: string, seen = Deno.lstatSync(this.path(folder))): void {
    if (!seen.isDirectory) {
      throw new InletError("denied", `Cannot go through ${quoted(folder)}: it is no folder`);
    }
  }
}

/** A name that nobody else can know. */
function ownTemp(): string {
  return `inlet-${crypto.randomUUID()}${TEMP}`;
}

/** The folders of a name, outermost first. */
function foldersOf(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
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

/** What is at a path; a link is not followed. */
function lstatIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function isPublishedName(name: string): boolean {
  try {
    return safeName(name) === name;
  } catch {
    return false;
  }
}
