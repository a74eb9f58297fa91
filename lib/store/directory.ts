/**
 * A store that keeps received files in a directory. Only the files of this folder access it.
 *
 * On disk:
 *
 * - `NAME.temp` is an upload. It is created with `createNew`, which follows no link and replaces
 *   nothing. It is locked (flock) while its writer lives, so that another server on the same
 *   directory can tell an upload from the remains of a crash.
 * - `NAME` is a published file: complete and verified. It is created as a hard link to the finished
 *   `.temp`, because a link never replaces an existing file; a rename would do so silently.
 * - If the name is taken, the new file is published as `report (2).pdf`. Folders are created one by
 *   one. No folder or file is reached through a symbolic link, even one made during a transfer.
 * - A file that is complete in memory is written and published without yielding to the event loop,
 *   so it needs no lock. Its `.temp` has a random name. If the sweep of another server removes it,
 *   it is written again.
 * - `NAME.temp.temp` is a partial file, kept when its connection breaks, so that a later upload can
 *   resume it. It is locked while an upload writes it, and removed when it expires.
 * - Uploads without a name are numbered `1.file`, `2.file`, on from the highest existing number,
 *   published or not. Only the holder of `7.file.temp` may publish `7.file`.
 *
 * The store does not limit the total size, and it never deletes a published file.
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
   * Whether a file and its folders are flushed to disk before the file is acknowledged.
   *
   * @default {false}
   */
  fsync?: boolean;
  /**
   * Milliseconds that a partial file is kept, if the client asked to resume it. 0 keeps none.
   *
   * @default {86_400_000}
   */
  keepPartialsMs?: number;
  /**
   * The functions that write to the disk.
   *
   * @default {Deno}
   */
  disk?: Disk;
  /**
   * Called with a line for the operator, once each: an entry that cannot be read, for example.
   *
   * @default {() => {}}
   */
  warn?: (message: string) => void;
}

/** Most attempts to write a file from memory, if another server's sweep removes it meanwhile. */
const MAX_ATTEMPTS = 3;

/** Most taken names whose next free number is remembered. */
const MAX_GIVEN = 1000;

/** A store in a directory, of published files, uploads and partial files. */
export class DirectoryStore implements Store {
  readonly #folders: Folders;
  readonly #fsync: boolean;
  readonly #keepPartialsMs: number;
  readonly #inFlight = new Set<FileUpload>();
  /** Temporary name of a file that is published from memory. */
  #ownTemp = ownTemp();
  /** The highest number used so far, by the ending that follows it. */
  readonly #highest = new Map<string, number>();
  /** The number to try next, by the taken name. The oldest entry is forgotten first. */
  readonly #given = new Map<string, number>();

  /** Makes no directory: `root` need not exist yet. */
  constructor(root: string, options: DirectoryOptions = {}) {
    this.#folders = new Folders(root, options.disk ?? Deno, options.warn ?? (() => {}));
    this.#fsync = options.fsync ?? false;
    this.#keepPartialsMs = options.keepPartialsMs ?? 24 * 3_600_000;
  }

  /**
   * Opens a directory, and makes it if it is missing.
   *
   * @throws {InletError} `usage` if the directory cannot be made
   */
  static async open(directory: string, options: DirectoryOptions = {}): Promise<DirectoryStore> {
    const store = new DirectoryStore(directory, options);
    await store.#use(() => Deno.mkdir(directory, { recursive: true }));
    return store;
  }

  async prepare(): Promise<void> {
    await this.#use(async () => {
      await this.sweep();
      // Reports a directory without write access at the start, not to the first client.
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
    // Waiting for the disk yields to the event loop, so the file must be locked.
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
        // Another server may have published this number since the directory was read.
        if (!lstatIfThere(this.#folders.path(nameOf(number)))) return upload;
        upload.discard();
      }
    } catch (error) {
      throw explain(error, "Cannot store the upload");
    }
  }

  open(name: string): DirectoryFile {
    return openFile(this.#folders, name);
  }

  async find(name: string, same: Fingerprint, signal?: AbortSignal): Promise<string | undefined> {
    return await findFile(this.#folders, name, same, signal);
  }

  list(signal?: AbortSignal): AsyncIterable<readonly ListEntry[]> {
    return listPages(this.#folders, signal);
  }

  tree(name: string, signal?: AbortSignal): AsyncIterable<readonly ListEntry[]> {
    return treePages(this.#folders, name, signal);
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
          // Another server's sweep removed it, or an earlier `.temp` could not be removed.
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

  /** Claims a file for an upload; returns `undefined` if another upload has the name. */
  #claim(number: number, names: Names): FileUpload | undefined {
    const temp = this.#folders.path(names.nameOf(number) + TEMP);
    const file = claim(this.#folders.disk, temp);
    return file && this.#begin(file, temp, names, false);
  }

  /** Opens the partial file of an earlier attempt, or a new one if none is free. */
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

  /** A name and its numbered variants. Remembers where to continue, so that trying stays fast. */
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
      // Without its own message, which would name the probe file.
      const cause = error instanceof InletError ? error.cause : error;
      const { message } = explain(cause, `Cannot store into ${quoted(this.#folders.root)}`);
      throw new InletError("usage", message, { cause });
    }
  }
}

/** Makes a temporary name that no other process can guess. */
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
