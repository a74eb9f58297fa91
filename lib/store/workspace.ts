/**
 * The folder `.inlet`, in which a store keeps its own files. No other file is ever removed.
 * Its names, where ID is random and HASH identifies the file that is sent:
 *
 * - `ID.temp` is an upload. It is locked (flock) while its writer lives.
 * - `HASH-ID.temp` is an upload that can be resumed.
 * - `kept-HASH-ID.temp` is a partial file: what has arrived of such an upload. No one writes it.
 * - `7.file.temp` is an upload that is to be published as `7.file`.
 * - `lock/` and `ID.d/` hold files that are just being published, on a disk without hard links
 *   (rename_lock.ts).
 * - `ID.tempdir` is a new folder with its files, before it is published as a whole.
 * - `gone-ID` is such a folder that is being removed.
 * - `get-` before any of these names says that it is a download of a client.
 * - `sums-ID.log` has the checksums that one run of a server remembers (sums_log.ts).
 * - `upload-HASH.note`, `file-HASH-HASH.note`: uploads that go on over requests (upload_notes.ts).
 * - `places` lists the folders below the store that have a `.inlet` of their own.
 *
 * A lock may not reach other machines (NFS, SMB), so no file is taken for abandoned on the word of
 * its lock alone: it must not have been written for a time either.
 *
 * @module
 */

import type { Facts } from "../body/file_facts.ts";
import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { isTurnDue, takeTurns } from "../turns.ts";
import { changesFolder, here, within } from "./current_folder.ts";
import type { Disk } from "./disk.ts";
import { DiskAbilities } from "./disk_abilities.ts";
import { type DiskTraits, probeTraits, UNTRIED } from "./disk_traits.ts";
import { lstatIfThere } from "./folders.ts";
import { FoldersInFlight, newId } from "./folders_in_flight.ts";
import { BLOCK_BYTES, createWithHoles } from "./holes.ts";
import { OWN_FOLDER, TEMP } from "./names.ts";
import { addPlace } from "./places.ts";
import { type Opened, RegularFile } from "./regular_file.ts";
import {
  giveToOwner,
  isOtherFileSystem,
  isSameFile,
  madePrivate,
  OWNERS,
  TempFile,
  tryTo,
} from "./temp_file.ts";

/** Milliseconds without a write after which a sweep removes the upload of a dead server. */
const ABANDONED_MS = 3_600_000;

const KEPT = "kept-";
const HASH = /[0-9a-f]{64}/.source;
const ID = /[0-9a-f]{32}/.source;
const UPLOAD = new RegExp(`^(?:${ID}|\\d{1,15}\\.[a-z]{1,16})\\.temp$`);
const RESUMABLE = new RegExp(`^${HASH}-${ID}\\.temp$`);
const LOCK = "lock";
const BOX = new RegExp(`^${ID}\\.d$`);
const PARTIAL = new RegExp(`^${KEPT}${HASH}-${ID}\\.temp$`);

/** A file that may be resumed. */
export interface Candidate {
  readonly path: string;
  /** Whether its upload ended in order, so that no one can be writing it. */
  readonly kept: boolean;
  readonly info: Deno.FileInfo;
}

/** Options of {@linkcode Workspace.open}. */
export interface WorkspaceOptions {
  disk: Disk;
  /** What the names of the store's own files begin with. */
  prefix: string;
  /** Called if other users can read the folder. */
  warn(message: string): void;
}

/** The folder `.inlet` in one folder. */
export class Workspace {
  readonly path: string;
  readonly info: Deno.FileInfo;
  readonly #disk: Disk;
  readonly #prefix: string;
  /** What its disk can do. */
  readonly abilities: DiskAbilities;
  readonly newFolders: FoldersInFlight;
  #reused: string | undefined;
  /** The permission bits that a new file here may have, by the umask; `null` where none are kept. */
  #permitted: number | null = null;
  #traits: DiskTraits = UNTRIED;

  private constructor(path: string, options: WorkspaceOptions, info: Deno.FileInfo) {
    this.path = path;
    this.#disk = options.disk;
    this.#prefix = options.prefix;
    this.info = info;
    this.abilities = new DiskAbilities(this, options);
    this.newFolders = new FoldersInFlight({ ...options, path, within: (act) => this.#within(act) });
  }

  /**
   * Opens the folder, and makes it if it is missing.
   *
   * @param parent Path of the folder that it is in.
   * @throws {InletError} `usage` if it is not a folder of this user's own
   */
  static open(parent: string, options: WorkspaceOptions): Workspace {
    const { disk } = options;
    const path = `${parent}/${OWN_FOLDER}`;
    try {
      disk.mkdirSync(here(path), { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const info = madePrivate(disk, here(path), disk.lstatSync(here(path)));
    const what = `Cannot use ${quoted(path)} for uploads`;
    if (!info.isDirectory) throw new InletError("usage", `${what}: it is not a folder; remove it`);
    const workspace = new Workspace(path, options, info);
    // A client may be told this one, and not where the directory is.
    const ours = workspace.#probe(`Cannot use ${quoted(OWN_FOLDER)} for uploads`, (path) => {
      const { stepMs, keepsModes } = probeTraits(disk, path);
      const modeFor = (mode: number): number | undefined =>
        keepsModes ? workspace.modeFor(mode) : undefined;
      workspace.#traits = { stepMs, modeFor };
    });
    workspace.#permitted = ours.mode;
    if (ours.uid !== info.uid) {
      throw new InletError("usage", `${what}: it belongs to another user; use another directory`);
    }
    if ((info.mode ?? 0) & 0o077) workspace.#warnOfReaders(options);
    return workspace;
  }

  /** What its disk keeps of times and permission bits. */
  get traits(): DiskTraits {
    return this.#traits;
  }

  /**
   * The permission bits to publish a file with, where the disk keeps them.
   *
   * @param mode Those of the sender's file; without them, those of any new file.
   */
  modeFor(mode = 0o666): number | undefined {
    return this.#permitted === null ? undefined : mode & this.#permitted & 0o777;
  }

  /** Makes a file for an upload. @param hash That of an upload that can be resumed. */
  create(hash?: string): TempFile {
    return this.#within(() => TempFile.create(this.#disk, this.newPath(hash)));
  }

  /** Makes the file for an upload with a number; returns `undefined` if the number is taken. */
  createNumbered(name: string): TempFile | undefined {
    try {
      const path = `${this.path}/${this.#prefix}${name}${TEMP}`;
      return this.#within(() => TempFile.create(this.#disk, path));
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return undefined;
      throw error;
    }
  }

  /**
   * A path for a file that is made, linked and removed without yielding to the event loop: the same
   * one each time, as making one takes time.
   */
  reusedPath(): string {
    return this.#reused ??= this.newPath();
  }

  /**
   * Writes a new file, which no moment has more permission bits than it is to be published with.
   *
   * @param gid Its group; `null` for the one that any new file here gets.
   */
  write(path: string, content: Uint8Array, { mode, modified }: Facts, gid: number | null): void {
    this.#within(() => {
      this.writeHere(here(path), content, mode);
      if (gid !== null) this.#disk.chownSync(here(path), null, gid);
      if (modified) tryTo(() => this.#disk.utimeSync(here(path), new Date(), modified));
    });
  }

  /** The same in the folder of that path, without its time. */
  writeHere(path: string, content: Uint8Array, mode: number | undefined): void {
    const isPlain = content.length <= BLOCK_BYTES && this.modeFor(mode) === this.modeFor();
    // A mode costs a call more, and most files have that of any new file.
    if (isPlain) return this.#disk.writeFileSync(path, content, { createNew: true });
    this.createHere(path, content, mode).close();
  }

  /** The same, and leaves the file open. Runs of zeros become holes. */
  createHere(path: string, content: Uint8Array, mode: number | undefined): Deno.FsFile {
    return createWithHoles(this.#disk, path, content, { mode, abilities: this.abilities });
  }

  /** Removes the file at that path. If that fails, the next one gets another path. */
  freeReused(): void {
    try {
      this.#disk.removeSync(this.#reused!);
    } catch {
      this.#reused = undefined;
    }
  }

  /** A path for a file that no other process can guess. @param hash As for {@linkcode create}. */
  newPath(hash?: string): string {
    return `${this.path}/${this.#prefix}${hash === undefined ? "" : `${hash}-`}${newId()}${TEMP}`;
  }

  /** Makes a partial file of an upload that ended early. */
  keep(temp: TempFile, hash: string): void {
    // It may have failed when it was to be published, with the mode for that.
    temp.setMode(OWNERS);
    const kept = `${this.path}/${this.#prefix}${KEPT}${hash}-${newId()}${TEMP}`;
    this.#within(() => temp.moveTo(kept));
  }

  /** Finds the files of uploads with a hash, the largest first. */
  async candidates(hash: string): Promise<Candidate[]> {
    const found: Candidate[] = [];
    // Asynchronously: strangers can make the folder large.
    for await (const { name } of Deno.readDir(this.path)) {
      const own = this.#ownPart(name);
      const kept = own.startsWith(`${KEPT}${hash}-`) && PARTIAL.test(own);
      if (!kept && !(own.startsWith(`${hash}-`) && RESUMABLE.test(own))) continue;
      const path = `${this.path}/${name}`;
      tryTo(() => found.push({ path, kept, info: this.#disk.lstatSync(path) }));
    }
    // After a crash between link and removal, a published file has such a name too.
    return found.filter(({ info }) => info.isFile && (info.nlink ?? 1) === 1)
      .sort((one, other) => other.info.size - one.info.size);
  }

  /** Opens a file that was found, for reading; `undefined` if it is another one by now. */
  open({ path, info }: Candidate): Opened | undefined {
    return this.#within(() => RegularFile.open(here(path), info));
  }

  /**
   * Takes a file over. Of several servers that try, one succeeds: a rename does so once.
   *
   * @returns `undefined` if it is gone, or if another server has it.
   */
  take(candidate: Candidate, hash: string): TempFile | undefined {
    try {
      return this.#within(() => this.#take(candidate, this.newPath(hash)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  #take({ path, kept, info }: Candidate, mine: string): TempFile | undefined {
    if (kept) this.#disk.renameSync(here(path), here(mine));
    const temp = TempFile.reopen(this.#disk, kept ? mine : path);
    if (!temp || !isSameFile(temp.info, info)) return void temp?.close();
    if (!kept) temp.moveTo(mine);
    return temp;
  }

  /** The time by the clock of the disk, in milliseconds. Each call makes and removes a file. */
  now(): number {
    return timeOf(this.#probe("Cannot tell the time of the disk"));
  }

  /** Milliseconds since a file was written, by the clock of its disk. */
  quietMs(info: Deno.FileInfo, now: number = this.now()): number {
    return now - timeOf(info);
  }

  /**
   * Removes uploads of dead servers, and partial files that have expired.
   *
   * @param keepMs Milliseconds that a partial file is kept.
   * @param warn Called if one cannot be removed.
   */
  async sweep(keepMs: number, warn: (message: string) => void): Promise<void> {
    let now: number | undefined;
    const quietMs = (info: Deno.FileInfo): number => this.quietMs(info, now ??= this.now());
    const look = async (name: string): Promise<void> => {
      if (isTurnDue()) await takeTurns();
      const path = `${this.path}/${name}`;
      const own = this.#ownPart(name);
      const isOld = (info: Deno.FileInfo): boolean => quietMs(info) > ABANDONED_MS;
      if (await this.newFolders.sweep(name, isOld, warn)) return;
      const [isPartial, isResumable] = [PARTIAL.test(own), RESUMABLE.test(own)];
      const isBox = name === LOCK || BOX.test(own);
      if (!isPartial && !isResumable && !isBox && !UPLOAD.test(own)) return;
      const info = lstatIfThere(path);
      if (!info || !(isBox ? info.isDirectory : info.isFile)) return;
      const limitMs = isPartial ? keepMs : Math.max(isResumable ? keepMs : 0, ABANDONED_MS);
      if (quietMs(info) <= limitMs) return;
      try {
        if (!isBox) return this.#within(() => this.#removeUnlessLive(path, info));
        for (const moved of await this.abilities.emptyBox(path)) await look(moved);
      } catch (error) {
        warn(explain(error, `Cannot remove ${quoted(path)}, which is abandoned`).message);
      }
    };
    for await (const { name } of Deno.readDir(this.path)) await look(name);
  }

  /** Whether its files can be moved into another workspace, and so into the folders around that. */
  reaches(other: Workspace): boolean {
    const temp = this.create();
    try {
      other.#within(() => temp.moveTo(other.newPath()));
      return true;
    } catch (error) {
      if (isOtherFileSystem(error)) return false;
      throw error;
    } finally {
      temp.discard();
    }
  }

  /** Removes the folder if it is empty. */
  tidy(): void {
    if (!this.abilities.hasLinks) tryTo(() => this.#disk.removeSync(`${this.path}/${LOCK}`));
    tryTo(() => this.#disk.removeSync(this.path));
  }

  /** Remembers a folder that has a `.inlet` of its own. */
  addPlace(folder: string): void {
    this.#within(() => addPlace(this.path, folder));
  }

  /** The names in the folder. */
  names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name);
  }

  #warnOfReaders({ prefix, warn }: WorkspaceOptions): void {
    const keepsModes = this.#traits.modeFor(OWNERS) !== undefined;
    const why = keepsModes ? "is not private" : "is on a disk that keeps no permissions";
    // On such a disk nothing can be done about it, and whoever downloads to it knows.
    if (keepsModes || prefix === "") {
      warn(`other users may read unfinished uploads: ${quoted(this.path)} ${why}`);
    }
  }

  #removeUnlessLive(path: string, seen: Deno.FileInfo): void {
    giveToOwner(this.#disk, path, seen);
    // Also for writing, as that does not wait for the writer of a pipe.
    const file = Deno.openSync(here(path), { read: true, write: true });
    try {
      const isAbandoned = isSameFile(file.statSync(), seen) && file.tryLockSync(true);
      if (isAbandoned) this.#disk.removeSync(here(path));
    } finally {
      file.close();
    }
  }

  /**
   * Runs an action on files of the folder, whatever its path leads to by then.
   *
   * @param action It does not wait for anything, and uses each path as `here()` gives it.
   * @throws {Deno.errors.NotFound} if another program has replaced the folder
   */
  inside<T>(action: () => T): T {
    if (!changesFolder()) this.#checkAt(this.path);
    return this.#within(action);
  }

  /** Runs an action in the folder itself, whatever its path leads to by then. */
  #within<T>(action: () => T): T {
    return changesFolder() ? within(this.path, () => this.#checkAt("."), action) : action();
  }

  #checkAt(path: string): void {
    if (isSameFile(this.#disk.lstatSync(path), this.info)) return;
    throw new Deno.errors.NotFound(`another program replaced ${quoted(this.path)}`);
  }

  /**
   * The facts of a file just made here: its owner is this user, and its time is the disk's.
   *
   * @param look Called with its path before it is removed.
   */
  #probe(what: string, look?: (path: string) => void): Deno.FileInfo {
    const temp = this.#within(() => TempFile.create(this.#disk, this.newPath(), 0o777));
    try {
      temp.check(what);
      look?.(temp.path);
      return temp.info;
    } finally {
      temp.discard();
    }
  }

  /** What follows the prefix of a name; empty if it is not one of this store. */
  #ownPart(name: string): string {
    return name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : "";
  }
}

function timeOf({ mtime }: Deno.FileInfo): number {
  return mtime?.getTime() ?? 0;
}
