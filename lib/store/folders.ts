/**
 * The folders of a directory store: maps names to paths, and ensures that no link leads elsewhere.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import type { FolderFacts } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { changesFolder } from "./current_folder.ts";
import type { Disk } from "./disk.ts";
import { isOddName, nameForDisk, type RefusedNames } from "./disk_names.ts";
import { DiskPace } from "./disk_pace.ts";
import { folderOf, foldersOf, FolderWays, lstatIfThere, type Way } from "./folder_ways.ts";
import { firstFreeNumber } from "./free_number.ts";
import type { LinkRule } from "./link_rules.ts";
import { finishFolder, MadeFolders } from "./made_folders.ts";
import { numberedName, safeName } from "./names.ts";
import { isSameFile } from "./temp_file.ts";

export { folderOf, foldersOf, lstatIfThere, type Way } from "./folder_ways.ts";

/** Milliseconds for which folders are taken for what they were found to be. */
const KNOWN_MS = 5;

/** Most messages that are remembered as told. The oldest is forgotten first. */
const MAX_WARNINGS = 1000;

/** What clients may name, and what they may learn by it. */
export interface NamingOptions {
  /**
   * Whether a part of a name may begin with a dot.
   *
   * @default {true}
   */
  dotfiles?: boolean | undefined;
  /**
   * Whether no message may tell that a name is taken. A folder then gets a number where a link has
   * its name too; otherwise that is refused.
   *
   * @default {false}
   */
  hidesNames?: boolean | undefined;
  /**
   * Which symbolic links are made and listed.
   *
   * @default {"tree"}
   */
  links?: LinkRule | undefined;
}

/** A folder that was found or made. */
interface Found extends Way {
  /** Name of the outermost folder above it that is on the same file system, or its own. */
  readonly mount: string;
  readonly info: Deno.FileInfo;
  /** Whether it was made just now. */
  readonly isNew: boolean;
}

/** Where a name leads to: its innermost folder. */
export interface Place extends Found {
  /** The name, with the numbers that its folders got. */
  readonly name: string;
}

/** The root of a store and the folders below it. */
export class Folders extends FolderWays {
  readonly disk: Disk;
  /** How fast that disk answers. */
  readonly pace: DiskPace = new DiskPace();
  /** The folders that clients made in this run. */
  readonly made: MadeFolders;
  readonly #warn: (message: string) => void;
  readonly #naming: NamingOptions;
  readonly #warned = new Set<string>();
  /** What the disk of a folder refuses in names, as far as that can be known. */
  refusedIn: (folder: string) => RefusedNames | undefined = () => undefined;
  #root: Deno.FileInfo | undefined;
  /** The folders that were found just now. */
  readonly #known = new Map<string, Found>();
  #knownSince = -Infinity;
  /** Folders in which the root was made, and that are not flushed yet. */
  #unsynced: string[] = [];

  constructor(
    root: string,
    disk: Disk,
    warn: (message: string) => void,
    naming: NamingOptions = {},
    made: MadeFolders = new MadeFolders(),
  ) {
    super(root);
    this.made = made;
    this.disk = disk;
    this.#warn = warn;
    this.#naming = naming;
  }

  /** Which symbolic links are made and listed. */
  get links(): LinkRule {
    return this.#naming.links ?? "tree";
  }

  /** Whether no message may tell that a name is taken. */
  get hidesNames(): boolean {
    return this.#naming.hidesNames ?? false;
  }

  /**
   * Converts a name from the peer to a name on disk, as {@linkcode safeName} does, and to one that the
   * disk can hold.
   *
   * @throws {InletError} `bad-name`, also for a part that begins with a dot, where that is refused
   */
  safe(name: string): string {
    const safe = safeName(isOddName(name) ? nameForDisk(name, this.refusedIn) : name);
    if (this.#naming.dotfiles === false && /(^|\/)\./.test(safe)) {
      const what = `Cannot take the name ${quoted(name)}`;
      throw new InletError("bad-name", `${what}: a part of it begins with a dot`);
    }
    return safe;
  }

  /** Reports what the operator should know, each message once. */
  warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    if (this.#warned.size > MAX_WARNINGS) this.#warned.delete(this.#warned.keys().next().value!);
    this.#warn(message);
  }

  /**
   * Makes the root, and what is missing above it.
   *
   * @param fsync Whether the folders that it is made in are flushed to disk.
   */
  async makeRoot(fsync: boolean): Promise<void> {
    const made: string[] = [];
    // Only then, as looking above the root takes a permission of its own.
    for (let folder = this.root; fsync && !lstatIfThere(folder); folder = dirname(folder)) {
      made.push(folder);
    }
    this.disk.mkdirSync(this.root, { recursive: true });
    this.#unsynced = made.map(dirname);
    await this.#syncAbove();
  }

  /** Makes the root again, if another program has removed it, and says so. */
  remakeRoot(): void {
    this.#root = undefined;
    this.forget();
    if (lstatIfThere(this.root)) return;
    // Without its parents: a whole disk can be missing.
    this.disk.mkdirSync(this.root);
    this.#unsynced = [dirname(this.root)];
    this.#warn(`Made the directory ${quoted(this.shownRoot)} again: it had been removed`);
  }

  /** Flushes the folders of a name to disk, up to the root: any of them may be new. */
  async sync(name: string): Promise<void> {
    for (const folder of [...foldersOf(name).reverse(), ""]) {
      await this.syncOne(this.path(folder));
    }
    await this.#syncAbove();
  }

  /** Flushes the entries of one folder to disk. */
  async syncOne(path: string): Promise<void> {
    // Windows cannot open a folder as a file, and has no such call.
    if (Deno.build.os === "windows") return;
    using folder = await this.disk.open(path);
    await folder.sync();
  }

  /** Flushes the folders in which the root was made. */
  async #syncAbove(): Promise<void> {
    for (let folder; (folder = this.#unsynced.at(0)); this.#unsynced.shift()) {
      try {
        await this.syncOne(folder);
      } catch (error) {
        // The permission may be for the root alone.
        if (!(error instanceof Deno.errors.NotCapable)) throw error;
        this.warnOnce(
          `cannot flush ${quoted(folder)} to disk without permission to read it: a power failure ` +
            `now could lose ${quoted(this.shownRoot)}`,
        );
      }
    }
  }

  /**
   * Makes the folders of a name. Each is checked before the next is made, as it may be a link. Where
   * a file has the name of a folder, the folder gets a number, as a file does. The innermost is looked at
   * each time, and those above it once in a few milliseconds.
   *
   * @param mode Permission bits of the innermost, if it is missing. Its owner keeps all of its own:
   * files are stored into it.
   * @throws {InletError} `denied` if a link has the name of a folder, unless that is hidden
   */
  make(name: string, mode?: number): Place {
    this.moment();
    // There an old look would help a program that swaps folders for links.
    if (!changesFolder()) this.#known.clear();
    const found = this.#orFindAgain(() => {
      this.#known.delete(folderOf(name));
      return this.#find(folderOf(name), mode);
    });
    return found ? { ...found, name } : this.make(this.located(name), mode);
  }

  /** The moment from which folders are known, by `performance.now()`: for a few milliseconds. */
  moment(): number {
    const now = performance.now();
    if (now - this.#knownSince >= KNOWN_MS) this.forget(now);
    return this.#knownSince;
  }

  /** Forgets what folders were found to be: one is not there any more. */
  forget(now: number = performance.now()): void {
    this.#known.clear();
    this.#knownSince = now;
  }

  /** Runs an action once more if it fails where another program may have replaced a known folder. */
  #orFindAgain<T>(action: () => T): T {
    const isKnown = this.#known.size > 0;
    try {
      return action();
    } catch (error) {
      if (!isKnown) throw error;
      this.forget();
      return action();
    }
  }

  /** Finds or makes a folder and those above it; returns `undefined` if a file has the name of one. */
  #find(folder: string, mode?: number): Found | undefined {
    if (folder === "") return this.#foundRoot();
    const known = this.#known.get(folder);
    if (known) return known;
    const outer = this.#find(folderOf(folder));
    const there = outer && lstatIfThere(this.path(folder));
    if (!outer || (there && this.#isTaken(there, 1))) return undefined;
    let isNew = !there;
    const info = there ?? this.inFolder(outer, () => {
      isNew = this.#makeOne(this.path(folder), mode);
      return Deno.lstatSync(this.path(folder));
    });
    this.checkOne(folder, info);
    const mount = info.dev === outer.info.dev ? outer.mount : folder;
    const found = { folder, mount, info, isNew: false, seen: [...outer.seen, info] };
    this.#known.set(folder, found);
    return { ...found, isNew };
  }

  #foundRoot(): Found {
    const info = this.#root ??= Deno.statSync(this.root);
    return { folder: "", mount: "", info, isNew: false, seen: [] };
  }

  /**
   * Makes the folders of a name for a client, which tells of the innermost. One that was made for it
   * gets what it tells.
   */
  makeFor(name: string, facts: FolderFacts): Place {
    const place = this.make(name, facts.mode);
    const { info, folder, isNew } = place;
    if (isNew && facts.id !== undefined) this.made.add(info, facts.id);
    if (facts.modified && (isNew || this.made.has(info, facts.id))) {
      this.inFolder(place, () => {
        const path = this.path(`${folder}/`);
        if (isSameFile(Deno.lstatSync(path), info)) finishFolder(this.disk, path, info, facts);
      });
    }
    return place;
  }

  /**
   * Returns a name with the numbers of its folders. Each number is the first under which a folder
   * can be made or is already: so all files of a folder come together, now and the next time.
   *
   * @throws {InletError} `bad-name` if the numbers make the name too long, unless that is hidden
   */
  located(name: string): string {
    const parts = name.split("/");
    const last = parts.pop()!;
    let inside = "";
    for (const part of parts) {
      const isTaken = (number: number): boolean => {
        const there = lstatIfThere(this.path(inside + numberedName(part, number)));
        return there !== undefined && this.#isTaken(there, number);
      };
      inside += `${isTaken(1) ? numberedName(part, firstFreeNumber(isTaken)) : part}/`;
    }
    if (!this.hidesNames) safeName((inside + last).replace(/\/$/, ""));
    return inside + last;
  }

  /** Whether what is there keeps a folder from having a name with that number. */
  #isTaken({ isDirectory, isSymlink }: Deno.FileInfo, number: number): boolean {
    // Whoever made a link under the folder's own name means it: another folder would be a surprise.
    return !isDirectory && (!isSymlink || number > 1 || this.hidesNames);
  }

  /** Makes a folder. Returns whether it was missing: another program can make it in the meantime. */
  #makeOne(path: string, mode: number | undefined): boolean {
    try {
      this.disk.mkdirSync(path, mode === undefined ? {} : { mode: mode | 0o700 });
      return true;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      return false;
    }
  }
}

/** @throws if a folder cannot be read */
export function readable(folder: string): void {
  for (const _ of Deno.readDirSync(folder)) return;
}

/** Whether files that are made in a folder get its group: they are made elsewhere, and moved. */
export function isGroupGiven({ info: { mode } }: Place): boolean {
  return ((mode ?? 0) & SETGID) !== 0;
}

/** The bit of a folder that gives its group to what is made in it. */
export const SETGID = 0o2000;
