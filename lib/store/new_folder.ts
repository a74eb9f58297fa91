/**
 * A folder that is new, with the files that are directly in it. It is written as `.inlet/ID.tempdir`,
 * the files under their final names, and published by one rename. So a file costs neither a link nor a
 * removal, and a crash leaves no part of the folder under a final name.
 *
 * A rename replaces an empty folder, so it is made only where nothing is. If something is there by
 * then, the files are linked into that folder one by one.
 *
 * @module
 */

import type { Facts } from "../body/file_facts.ts";
import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { changesFolder, here, within } from "./current_folder.ts";
import { freeNumber } from "./free_number.ts";
import { type Folders, isGroupGiven, lstatIfThere, type Place, SETGID } from "./folders.ts";
import { finishFolder } from "./made_folders.ts";
import { numberedName } from "./names.ts";
import { linkUnder, type Numbering } from "./numbering.ts";
import type { Maybe } from "./store.ts";
import type { BatchedFile, BatchedFolder, BatchedFolderFacts } from "./store_batch.ts";
import { isInTheWay, isOtherFileSystem, isSameFile, tryTo } from "./temp_file.ts";
import type { Workspace } from "./workspace.ts";

/** Most files and bytes that are held: a crash costs no more. */
const MAX_FILES = 16_384;
const MAX_BYTES = 256 * 1024 * 1024;

/** Milliseconds for which files are held. */
const MAX_HELD_MS = 10_000;

/** Most files that are open at once, to be flushed to disk together. */
const MAX_OPEN = 128;

/** The permission bits of a folder's owner. */
const OWNER = 0o700;

/** How to begin a {@linkcode NewFolder}. */
export interface NewFolderOptions {
  /** Its name, as {@linkcode Folders.safe} made it. */
  name: string;
  /** What its sender told of it. Until the end, the permission bits of its owner are added. */
  facts: BatchedFolderFacts;
  /** The folder that it is to be in. */
  place: Place;
  workspace: Workspace;
}

/** What a new folder needs of its store. */
export interface NewFolderContext {
  readonly folders: Folders;
  readonly numbering: Numbering;
  readonly fsync: boolean;
  /** Stores a file although its folder is on another file system than it seems. */
  putCarefully(name: string, content: Uint8Array, facts: Facts): Promise<string>;
}

/** A file in a new folder. */
interface HeldFile {
  readonly file: BatchedFile;
  /** The last component of the wanted name. */
  readonly base: string;
  /** What it is stored as: it may have a number. */
  readonly stored: string;
  readonly size: number;
  readonly facts: Facts;
  /** The open file, until it is flushed to disk. */
  open?: Deno.FsFile | undefined;
}

/** A folder in flight. */
export class NewFolder {
  readonly folder: BatchedFolder = {};
  readonly #context: NewFolderContext;
  /** Its name, before it and the folders above it get numbers. */
  readonly #name: string;
  readonly #facts: BatchedFolderFacts;
  readonly #workspace: Workspace;
  readonly #path: string;
  readonly #info: Deno.FileInfo;
  readonly #held: HeldFile[] = [];
  readonly #began = performance.now();
  #open: HeldFile[] = [];
  #bytes = 0;
  /** Whether it holds what must not be published. */
  #isDamaged = false;
  /** Whether nobody else had a turn since it was made. */
  #isFresh = true;

  private constructor(
    context: NewFolderContext,
    { name, facts, workspace }: NewFolderOptions,
    path: string,
    info: Deno.FileInfo,
  ) {
    this.#context = context;
    this.#name = name;
    this.#facts = facts;
    this.#workspace = workspace;
    this.#path = path;
    this.#info = info;
    queueMicrotask(() => this.#isFresh = false);
  }

  /** Begins a folder. */
  static begin(context: NewFolderContext, options: NewFolderOptions): NewFolder {
    const { facts: { mode }, place, workspace } = options;
    const { disk } = context.folders;
    const path = workspace.newFolders.newPath();
    const info = workspace.inside(() => {
      disk.mkdirSync(here(path), mode === undefined ? {} : { mode: mode | 0o700 });
      return disk.lstatSync(here(path));
    });
    const folder = new NewFolder(context, options, path, info);
    if (!isGroupGiven(place)) return folder;
    try {
      workspace.inside(() => {
        if (info.gid !== place.info.gid) disk.chownSync(here(path), null, place.info.gid);
        // So that its files get that group too.
        disk.chmodSync(here(path), (info.mode ?? 0o700) & 0o777 | SETGID);
      });
      return folder;
    } catch (error) {
      folder.discard();
      throw error;
    }
  }

  /** Whether it is time to publish what there is. */
  get isFull(): boolean {
    return this.#held.length >= MAX_FILES || this.#bytes >= MAX_BYTES ||
      performance.now() - this.#began >= MAX_HELD_MS;
  }

  /**
   * Writes a file.
   *
   * @param base The last component of its name, as {@linkcode Folders.safe} made it.
   */
  put(base: string, content: Uint8Array, facts: Facts): Maybe<BatchedFile> {
    const held = this.#create(base, content, facts);
    this.#held.push(held);
    this.#bytes += content.length;
    if (held.open) this.#open.push(held);
    return this.#open.length < MAX_OPEN ? held.file : this.#flush().then(() => held.file);
  }

  /** Publishes the folder. After that it and each file has a name or a failure. It never fails. */
  publish(): Maybe<void> {
    return this.#context.fsync ? this.#publishFlushed() : this.#publish();
  }

  /** Removes the folder and what is in it, as far as possible: a sweep does the rest. */
  discard(): void {
    for (const { open } of this.#open.splice(0)) open?.close();
    tryTo(() => this.#workspace.newFolders.discard(this.#path));
  }

  #create(base: string, content: Uint8Array, facts: Facts): HeldFile {
    const stored = (number: number): string => {
      const name = numberedName(`${this.#name}/${base}`, number);
      return name.slice(name.lastIndexOf("/") + 1);
    };
    for (let number = 1;;) {
      const name = number === 1 ? base : stored(number);
      try {
        const open = this.#write(`${this.#path}/${name}`, content, facts);
        return { file: {}, base, stored: name, size: content.length, facts, open };
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
      const isTaken = (other: number): boolean =>
        lstatIfThere(`${this.#path}/${stored(other)}`) !== undefined;
      number = freeNumber(number, isTaken);
    }
  }

  /**
   * Writes a file, and leaves it open if it is to be flushed to disk. No one who could put a link on
   * the way knows the name of the folder: another `.inlet` has none of that name.
   */
  #write(path: string, content: Uint8Array, { modified, mode }: Facts): Deno.FsFile | undefined {
    const { folders: { disk }, fsync } = this.#context;
    let open: Deno.FsFile | undefined;
    try {
      if (fsync) open = this.#workspace.createHere(path, content, mode);
      else this.#workspace.writeHere(path, content, mode);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) this.#remove(path);
      throw error;
    }
    if (modified) tryTo(() => disk.utimeSync(path, new Date(), modified));
    return open;
  }

  /** Removes a file that must not be published. */
  #remove(path: string): void {
    try {
      this.#context.folders.disk.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) this.#isDamaged = true;
    }
  }

  /** Flushes the open files to disk. */
  async #flush(): Promise<void> {
    const files = this.#open;
    this.#open = [];
    await Promise.all(files.map(async (held) => {
      try {
        await held.open!.sync();
      } catch (error) {
        this.#fail(held, error);
        this.#remove(`${this.#path}/${held.stored}`);
      } finally {
        // Unless it was discarded meanwhile.
        tryTo(() => held.open!.close());
        held.open = undefined;
      }
    }));
  }

  async #publishFlushed(): Promise<void> {
    const { folders } = this.#context;
    await this.#flush();
    try {
      await folders.syncOne(this.#path);
    } catch (error) {
      return this.#failAll(error);
    }
    await this.#publish();
    if (this.folder.name === undefined) return;
    try {
      await folders.sync(`${this.folder.name}/`);
    } catch (error) {
      const but = "it is there, but may be lost in a power failure";
      for (const held of this.#held) {
        delete held.file.name;
        this.#fail(held, error, but);
      }
      delete this.folder.name;
      this.folder.failure = explain(error, `${this.#whatFolder}: ${but}`);
    }
  }

  #publish(): Maybe<void> {
    try {
      if (!this.#isFresh) this.#check();
      try {
        if (this.#rename()) return;
      } catch (error) {
        // Another program removed a folder above it, which is made again.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        this.#context.folders.forget();
        this.#check();
      }
      return this.#merge();
    } catch (error) {
      this.#failAll(error);
    }
  }

  /** Looks for what another program did to the folder meanwhile. */
  #check(): void {
    if (!changesFolder()) {
      this.#checkFolder(this.#path);
      return this.#checkFiles();
    }
    // A name takes less time to look up there than a path.
    const check = (): void => this.#checkFolder(".");
    within(this.#path, check, () => this.#checkFiles(), () => this.#checkFolder(this.#path));
  }

  #checkFolder(path: string): void {
    const there = lstatIfThere(path);
    if (!there || !isSameFile(there, this.#info)) throw new Meddling();
  }

  #checkFiles(): void {
    for (const held of this.#held) {
      if (held.file.failure) continue;
      const path = here(`${this.#path}/${held.stored}`);
      const info = lstatIfThere(path);
      if (info?.isFile && info.size === held.size) continue;
      this.#fail(held, new Meddling());
      this.#remove(path);
    }
  }

  /** Publishes all at once, where nothing is. */
  #rename(): boolean {
    const { folders } = this.#context;
    const place = folders.make(this.#name);
    const { name } = place;
    const isRenamed = !this.#isDamaged && folders.inFolder(place, () => {
      const path = folders.path(name);
      if (lstatIfThere(path)) return false;
      try {
        const isFinished = this.#finish();
        folders.disk.renameSync(this.#path, path);
        if (isFinished) this.folder.isFinished = true;
        return true;
      } catch (error) {
        if (isInTheWay(error)) return false;
        throw error;
      }
    });
    if (!isRenamed) return false;
    for (const { file, stored } of this.#held) if (!file.failure) file.name = `${name}/${stored}`;
    if (this.#facts.id !== undefined) folders.made.add(this.#info, this.#facts.id);
    Object.assign(this.folder, { name, isNew: true });
    return true;
  }

  /** Gives it its time, where it has its permission bits and all files that were announced. */
  #finish(): boolean {
    const { mode = OWNER, modified, files } = this.#facts;
    // One that its owner may not write to could not be moved.
    if (!modified || (mode & OWNER) !== OWNER) return false;
    if (this.#held.filter(({ file }) => !file.failure).length !== files) return false;
    finishFolder(this.#context.folders.disk, this.#path, this.#info, { modified });
    return true;
  }

  /** Publishes the files one by one, in a folder that is there or is made for them. */
  #merge(): Maybe<void> {
    const { folders, numbering } = this.#context;
    const { mode, id } = this.#facts;
    const place = folders.makeFor(`${this.#name}/`, { mode, id });
    Object.assign(this.folder, { name: place.folder, isNew: place.isNew });
    const beyond: HeldFile[] = [];
    folders.inFolder(place, () => {
      for (const held of this.#held) {
        if (held.file.failure) continue;
        const path = `${this.#path}/${held.stored}`;
        try {
          if (isGroupGiven(place)) folders.disk.chownSync(path, null, place.info.gid);
          const names = numbering.variants(`${place.folder}/${held.base}`);
          held.file.name = linkUnder(names, folders, path);
        } catch (error) {
          const isBeyond = isOtherFileSystem(error) || this.#workspace.abilities.lacksLinks(error);
          if (isBeyond) beyond.push(held);
          else this.#fail(held, error);
        }
      }
    });
    if (beyond.length > 0) return this.#copy(beyond);
    this.discard();
  }

  /** Copies files into a folder that no link leads into, or on a disk without links. */
  async #copy(files: readonly HeldFile[]): Promise<void> {
    for (const held of files) {
      try {
        const content = await Deno.readFile(`${this.#path}/${held.stored}`);
        const name = `${this.#name}/${held.base}`;
        held.file.name = await this.#context.putCarefully(name, content, held.facts);
      } catch (error) {
        this.#fail(held, error);
      }
    }
    this.discard();
  }

  #failAll(error: unknown): void {
    for (const held of this.#held) {
      delete held.file.name;
      this.#fail(held, error);
    }
    delete this.folder.name;
    this.folder.failure = reasonOf(error, this.#whatFolder);
    this.discard();
  }

  #fail({ file, base }: HeldFile, error: unknown, but?: string): void {
    const what = this.#what(base);
    file.failure ??= reasonOf(error, but === undefined ? what : `${what}: ${but}`);
  }

  #what(base: string): string {
    return `Cannot store ${quoted(`${this.#name}/${base}`)}`;
  }

  get #whatFolder(): string {
    return `Cannot make the folder ${quoted(this.#name)}`;
  }
}

/** Another program changed what is in flight. */
class Meddling extends Error {}

function reasonOf(error: unknown, what: string): InletError {
  if (!(error instanceof Meddling)) return explain(error, what);
  return new InletError("aborted", `${what}: another program changed its temporary file`);
}
