/**
 * The directory of received files. Only the files of this room touch it.
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

import type { ListEntry } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { findFile, listPages, openFile, treePages } from "./directory_reader.ts";
import type { Disk } from "./disk.ts";
import { Folders, lstatIfThere } from "./folders.ts";
import { keptName, numberedName, safeName, TEMP } from "./names.ts";
import type { Facts, Fingerprint, Maybe, Store } from "./store.ts";
import type { DirectoryFile } from "./stored_file.ts";
import { sweep } from "./sweep.ts";
import { claim, claimKept, FileUpload, linkUnder, type Names, tryTo } from "./upload.ts";

/** Options of a {@linkcode DirectoryStore}. */
export interface DirectoryOptions {
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

/** How often a file that is there whole is written again, when it goes before it is published. */
const MAX_ATTEMPTS = 3;

/** Names that were taken and are remembered, with the number that they gave way to. */
const MAX_GIVEN = 1000;

/** Files in a directory, each either whole or in flight. */
export class DirectoryStore implements Store {
  readonly #folders: Folders;
  readonly #fsync: boolean;
  readonly #keepPartialsMs: number;
  readonly #inFlight = new Set<FileUpload>();
  /** What a file that is there whole is called while it is in flight. */
  #ownTemp = ownTemp();
  /** The highest number given so far, by the ending that follows it. */
  readonly #highest = new Map<string, number>();
  /** The number to try next for a name that was taken, by that name. The oldest is forgotten first. */
  readonly #given = new Map<string, number>();

  /** A directory as it is, which may not be there yet. */
  constructor(root: string, options: DirectoryOptions = {}) {
    this.#folders = new Folders(root, options.disk ?? Deno);
    this.#fsync = options.fsync ?? false;
    this.#keepPartialsMs = options.keepPartialsMs ?? 24 * 3_600_000;
  }

  /**
   * Opens a directory, made if it is missing.
   *
   * @throws {InletError} `usage` if it cannot be made
   */
  static async open(directory: string, options: DirectoryOptions = {}): Promise<DirectoryStore> {
    const store = new DirectoryStore(directory, options);
    await store.#use(() => Deno.mkdir(directory, { recursive: true }));
    return store;
  }

  async prepare(): Promise<void> {
    await this.#use(async () => {
      await this.sweep();
      // The person who starts the server learns of a directory without write access, not its client.
      this.receive("probe").discard();
    });
  }

  async sweep(): Promise<void> {
    const { root, disk } = this.#folders;
    await sweep(root, disk, (modified) => this.#isExpired(modified));
  }

  receive(name: string): FileUpload {
    const safe = safeName(name);
    try {
      this.#folders.make(safe);
      const names = this.#namesOf(safe);
      for (let number = 1;; number++) {
        const upload = this.#claim(number, names);
        if (upload) return upload;
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  put(name: string, content: Uint8Array, facts: Facts = {}): Maybe<string> {
    // To wait for the disk others have to have their turn: that takes a file that is locked.
    return this.#fsync
      ? this.#putAndSync(name, content, facts)
      : this.#putAtOnce(name, content, facts);
  }

  async resume(name: string, size: number | null): Promise<FileUpload> {
    if (this.#keepPartialsMs === 0) return this.receive(name);
    const upload = this.#reopen(name);
    try {
      await upload.readKept(size ?? Infinity);
      return upload;
    } catch (error) {
      upload.close();
      throw error;
    }
  }

  makeFolder(name: string): string {
    const safe = safeName(name);
    try {
      this.#folders.make(`${safe}/`);
      return safe;
    } catch (error) {
      throw explain(error, `Cannot make the folder ${quoted(name)}`);
    }
  }

  receiveNumbered(ending: string): FileUpload {
    const { root } = this.#folders;
    const nameOf = (number: number): string => `${number}${ending}`;
    try {
      for (;;) {
        const number = (this.#highest.get(ending) ?? highestNumber(root, ending)) + 1;
        this.#highest.set(ending, number);
        const upload = this.#claim(number, { nameOf, first: number });
        if (!upload) continue;
        // Another server can have published it, and given up the `.temp`, since the directory was read.
        if (!lstatIfThere(this.#folders.path(nameOf(number)))) return upload;
        upload.discard();
      }
    } catch (error) {
      throw explain(error, "Cannot store what came");
    }
  }

  open(name: string): DirectoryFile {
    return openFile(this.#folders, name);
  }

  async find(name: string, same: Fingerprint): Promise<string | undefined> {
    return await findFile(this.#folders, name, same);
  }

  list(): AsyncIterable<readonly ListEntry[]> {
    return listPages(this.#folders);
  }

  tree(name: string): AsyncIterable<readonly ListEntry[]> {
    return treePages(this.#folders, name);
  }

  discardAll(): void {
    for (const upload of this.#inFlight) upload.close();
  }

  async #putAndSync(name: string, content: Uint8Array, facts: Facts): Promise<string> {
    await using upload = this.receive(name);
    upload.write(content);
    return await upload.publish(facts);
  }

  #putAtOnce(name: string, content: Uint8Array, { modified }: Facts): string {
    const safe = safeName(name);
    const { disk } = this.#folders;
    try {
      for (let attempt = 1;; attempt++) {
        this.#folders.make(safe);
        const folder = safe.slice(0, safe.lastIndexOf("/") + 1);
        const temp = this.#folders.path(folder + this.#ownTemp);
        try {
          disk.writeFileSync(temp, content, { createNew: true });
          if (modified) tryTo(() => disk.utimeSync(temp, new Date(), modified));
          return linkUnder(this.#namesOf(safe), this.#folders, temp);
        } catch (error) {
          // Another server's sweep, or one of its own that could not be removed.
          const taken = error instanceof Deno.errors.NotFound ||
            error instanceof Deno.errors.AlreadyExists;
          if (!taken || attempt === MAX_ATTEMPTS) throw error;
          this.#ownTemp = ownTemp();
        } finally {
          tryTo(() => disk.removeSync(temp));
        }
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  /** Makes a file in flight, or gives `undefined` where there is one already. */
  #claim(number: number, names: Names): FileUpload | undefined {
    const temp = this.#folders.path(names.nameOf(number) + TEMP);
    const file = claim(this.#folders.disk, temp);
    return file && this.#begin(file, temp, names, false);
  }

  /** Opens the partial file of an earlier attempt, or a new one where there is none that is free. */
  #reopen(name: string): FileUpload {
    const safe = safeName(name);
    const names = this.#namesOf(safe);
    const { disk } = this.#folders;
    try {
      this.#folders.make(safe);
      for (let number = 1;; number++) {
        const temp = this.#folders.path(keptName(safe, number));
        const file = claimKept(disk, temp, (modified) => this.#isExpired(modified));
        if (file) return this.#begin(file, temp, names, true);
      }
    } catch (error) {
      throw explain(error, `Cannot store ${quoted(name)}`);
    }
  }

  /** A name, and the numbered ones behind it. To try all of them each time would take ever longer. */
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

  #begin(file: Deno.FsFile, temp: string, names: Names, keeps: boolean): FileUpload {
    const upload = new FileUpload({
      folders: this.#folders,
      file,
      temp,
      names,
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

  async #use(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      // The probe's own error would name a file that nobody asked for.
      const cause = error instanceof InletError ? error.cause : error;
      const { message } = explain(cause, `Cannot store into ${quoted(this.#folders.root)}`);
      throw new InletError("usage", message, { cause });
    }
  }
}

/** A name that nobody else can know. */
function ownTemp(): string {
  return `inlet-${crypto.randomUUID()}${TEMP}`;
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
