/**
 * The folder `.inlet`, in which a store keeps its own files. No other file is ever removed.
 *
 * Its names, where ID is random and HASH identifies the file that is sent:
 *
 * - `ID.temp` is an upload. It is locked (flock) while its writer lives.
 * - `HASH-ID.temp` is an upload that can be resumed.
 * - `kept-HASH-ID.temp` is a partial file: what has arrived of such an upload. No one writes it.
 * - `7.file.temp` is an upload that is to be published as `7.file`.
 * - `places` lists the folders below the store that have a `.inlet` of their own.
 *
 * A lock may not reach other machines (NFS, SMB), so no file is taken for abandoned on the word of
 * its lock alone: it must not have been written for a time either.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Disk } from "./disk.ts";
import { lstatIfThere } from "./folders.ts";
import { OWN_FOLDER, TEMP } from "./names.ts";
import { type Identity, isSameFile, TempFile, tryTo } from "./temp_file.ts";

/** Milliseconds without a write after which a sweep removes the upload of a dead server. */
const ABANDONED_MS = 3_600_000;

/** Most partial files of one fingerprint. */
const MAX_PARTIALS = 4;

const KEPT = "kept-";
const PLACES = "places";
const HASH = /[0-9a-f]{64}/.source;
const ID = /[0-9a-f]{32}/.source;
const IN_FLIGHT = new RegExp(`^(?:(?:${HASH}-)?${ID}|\\d{1,15}\\.[a-z]{1,16})\\.temp$`);
const RESUMABLE = new RegExp(`^${HASH}-`);
const PARTIAL = new RegExp(`^${KEPT}${HASH}-${ID}\\.temp$`);

/** A file that may be resumed. */
export interface Candidate {
  readonly path: string;
  /** Whether its upload ended in order, so that no one can be writing it. */
  readonly kept: boolean;
  readonly info: Deno.FileInfo;
}

/** The folder `.inlet` in one folder. */
export class Workspace {
  readonly path: string;
  readonly info: Deno.FileInfo;
  readonly #disk: Disk;

  private constructor(path: string, disk: Disk, info: Deno.FileInfo) {
    this.path = path;
    this.#disk = disk;
    this.info = info;
  }

  /**
   * Opens the folder, and makes it if it is missing.
   *
   * @param parent Path of the folder that it is in.
   * @param warn Called if other users can read it.
   * @throws {InletError} `usage` if it is not a folder of this user's own
   */
  static open(parent: string, disk: Disk, warn: (message: string) => void): Workspace {
    const path = `${parent}/${OWN_FOLDER}`;
    try {
      disk.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const info = disk.lstatSync(path);
    const what = `Cannot use ${quoted(path)} for uploads`;
    if (!info.isDirectory) throw new InletError("usage", `${what}: it is not a folder; remove it`);
    const workspace = new Workspace(path, disk, info);
    // A client may be told this one, and not where the directory is.
    const ours = workspace.#probe(`Cannot use ${quoted(OWN_FOLDER)} for uploads`);
    if (ours.uid !== info.uid) {
      throw new InletError("usage", `${what}: it belongs to another user; use another directory`);
    }
    if ((info.mode ?? 0) & 0o077) {
      warn(`other users may read unfinished uploads: ${quoted(path)} is not private`);
    }
    return workspace;
  }

  /** Makes a file for an upload. @param hash That of an upload that can be resumed. */
  create(hash?: string): TempFile {
    return TempFile.create(this.#disk, this.#pathOf(hash));
  }

  /** Makes the file for an upload with a number; returns `undefined` if the number is taken. */
  createNumbered(name: string): TempFile | undefined {
    try {
      return TempFile.create(this.#disk, `${this.path}/${name}${TEMP}`);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return undefined;
      throw error;
    }
  }

  /** A path for a file that no other process can guess. */
  newPath(): string {
    return this.#pathOf(undefined);
  }

  /**
   * Makes a partial file of an upload that ended early. The smallest of too many is removed: to have
   * another client's removed, one has to send as much as that client did, several times.
   */
  keep(temp: TempFile, hash: string): void {
    temp.moveTo(`${this.path}/${KEPT}${hash}-${newId()}${TEMP}`);
    const kept = this.candidates(hash).filter(({ kept }) => kept);
    for (const { path } of kept.slice(MAX_PARTIALS)) tryTo(() => this.#disk.removeSync(path));
  }

  /** Finds the files of uploads with a hash, the largest first. */
  candidates(hash: string): Candidate[] {
    const found: Candidate[] = [];
    for (const name of this.names()) {
      const kept = name.startsWith(`${KEPT}${hash}-`) && PARTIAL.test(name);
      if (!kept && !(name.startsWith(`${hash}-`) && IN_FLIGHT.test(name))) continue;
      const path = `${this.path}/${name}`;
      tryTo(() => found.push({ path, kept, info: this.#disk.lstatSync(path) }));
    }
    // After a crash between link and removal, a published file has such a name too.
    return found.filter(({ info }) => info.isFile && (info.nlink ?? 1) === 1)
      .sort((one, other) => other.info.size - one.info.size);
  }

  /**
   * Takes a file over. Of several servers that try, one succeeds: a rename does so once.
   *
   * @returns `undefined` if it is gone, or if another server has it.
   */
  take({ path, kept, info }: Candidate, hash: string): TempFile | undefined {
    try {
      const mine = this.#pathOf(hash);
      if (kept) this.#disk.renameSync(path, mine);
      const temp = TempFile.reopen(this.#disk, kept ? mine : path);
      if (!temp || !isSameFile(temp.info, info)) return void temp?.close();
      if (!kept) temp.moveTo(mine);
      return temp;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Milliseconds since a file was written, by the clock of its disk. */
  quietMs(info: Deno.FileInfo): number {
    return timeOf(this.#probe("Cannot tell the time of the disk")) - timeOf(info);
  }

  /**
   * Removes uploads of dead servers, and partial files that have expired.
   *
   * @param keepMs Milliseconds that a partial file is kept.
   */
  sweep(keepMs: number): void {
    let now: number | undefined;
    for (const name of this.names()) {
      const isPartial = PARTIAL.test(name);
      if (!isPartial && !IN_FLIGHT.test(name)) continue;
      const path = `${this.path}/${name}`;
      const info = lstatIfThere(path);
      if (!info?.isFile) continue;
      now ??= timeOf(this.#probe("Cannot tell the time of the disk"));
      const limitMs = isPartial
        ? keepMs
        : Math.max(RESUMABLE.test(name) ? keepMs : 0, ABANDONED_MS);
      if (now - timeOf(info) > limitMs) this.#removeUnlessLive(path, info);
    }
  }

  /** Removes the folder if it is empty. */
  tidy(): void {
    tryTo(() => this.#disk.removeSync(this.path));
  }

  /** Remembers a folder that has a `.inlet` of its own. */
  addPlace(folder: string): void {
    if (this.places().includes(folder)) return;
    Deno.writeTextFileSync(`${this.path}/${PLACES}`, `${folder}\n`, { append: true });
  }

  /** The folders that have a `.inlet` of their own. */
  places(): string[] {
    try {
      return Deno.readTextFileSync(`${this.path}/${PLACES}`).split("\n").filter(Boolean);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** The names in the folder. */
  names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name);
  }

  #removeUnlessLive(path: string, seen: Identity): void {
    const file = Deno.openSync(path);
    try {
      if (isSameFile(file.statSync(), seen) && file.tryLockSync(true)) this.#disk.removeSync(path);
    } finally {
      file.close();
    }
  }

  /** The facts of a file just made here: its owner is this user, and its time is the disk's. */
  #probe(what: string): Deno.FileInfo {
    const temp = TempFile.create(this.#disk, this.newPath());
    try {
      temp.check(what);
      return temp.info;
    } finally {
      temp.discard();
    }
  }

  #pathOf(hash: string | undefined): string {
    return `${this.path}/${hash === undefined ? "" : `${hash}-`}${newId()}${TEMP}`;
  }
}

function newId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

function timeOf({ mtime }: Deno.FileInfo): number {
  return mtime?.getTime() ?? 0;
}
