/**
 * What a store keeps of uploads that go on over several requests, beside their partial files: a file
 * `upload-HASH.note` each in the `.inlet` of the root, or `upload-HASH-FILE.note` if it is known which
 * file is sent. HASH is that of the upload's id, so that reading the folder gives nobody an upload.
 *
 * @module
 */

import { isTurnDue, takeTurns } from "../turns.ts";
import { here } from "./current_folder.ts";
import type { Disk } from "./disk.ts";
import { lstatIfThere } from "./folders.ts";
import type { NewUpload, Outcome } from "./ongoing.ts";
import { RegularFile } from "./regular_file.ts";
import type { Resumable } from "./store.ts";
import { tryTo } from "./temp_file.ts";
import type { Workspaces } from "./workspaces.ts";

const NAME = /^upload-([0-9a-f]{64})(?:-([0-9a-f]{64}))?\.note$/;

/** Most bytes of a note. */
const MAX_BYTES = 64 * 1024;

/** What is kept of an upload. */
export interface Note extends Omit<NewUpload, "fingerprint"> {
  readonly outcome?: Outcome | undefined;
}

/** The name of a note, taken apart. */
export interface SeenNote {
  readonly path: string;
  readonly hash: string;
  readonly file: string | undefined;
}

/** A note as it was found. */
export interface FoundNote {
  readonly path: string;
  readonly note: Note;
  /** When it was written, by the clock of its disk. */
  readonly written: Date;
}

/** A note, for the upload that it is of. */
export interface NoteHandle {
  /** Makes it young again: something of its upload has arrived. */
  renew(): void;
  /** Keeps what became of the upload. */
  conclude(outcome: Outcome): void;
}

/** How an upload is found again. With a note, it goes on over several requests. */
export type Resuming = Partial<Resumable> & { hash: string; note?: NoteHandle };

/** The notes of a store. */
export class UploadNotes {
  readonly #workspaces: Workspaces;
  readonly #disk: Disk;
  readonly #prefix: string;

  /** @param prefix What the names of the store's own files begin with. */
  constructor(workspaces: Workspaces, disk: Disk, prefix: string) {
    this.#workspaces = workspaces;
    this.#disk = disk;
    this.#prefix = prefix;
  }

  /** How many there are. */
  async count(): Promise<number> {
    return (await this.#all()).length;
  }

  /** The uploads of a file. @param file The hash of its fingerprint. */
  async ofFile(file: string): Promise<SeenNote[]> {
    return (await this.#all()).filter((seen) => seen.file === file);
  }

  /** Finds the note of an upload; `undefined` if there is none that can be read. */
  async find(hash: string): Promise<FoundNote | undefined> {
    const seen = (await this.#all()).find((seen) => seen.hash === hash);
    return seen && this.read(seen.path);
  }

  /** The note at a path, for the upload that it is of. One that is gone by then stays so. */
  handleOf(path: string): NoteHandle {
    const rewrite = (outcome?: Outcome): void =>
      tryTo(() => {
        const found = this.read(path);
        if (found) this.write(path, { ...found.note, ...outcome && { outcome } });
      });
    return { renew: () => rewrite(), conclude: (outcome) => rewrite(outcome) };
  }

  /** Writes the note of a new upload. @param file The hash of the file's fingerprint, if that counts. */
  add(hash: string, file: string | undefined, note: Note): void {
    const ofFile = file === undefined ? "" : `-${file}`;
    const name = `${this.#prefix}upload-${hash}${ofFile}.note`;
    this.write(`${this.#workspaces.root.path}/${name}`, note);
  }

  /** Writes a note anew, which also makes it young again. */
  write(path: string, note: Note): void {
    const { root } = this.#workspaces;
    const temp = root.newPath();
    const text = JSON.stringify(note);
    root.inside(() => {
      this.#disk.writeFileSync(here(temp), new TextEncoder().encode(text), {
        createNew: true,
        mode: 0o600,
      });
      this.#disk.renameSync(here(temp), here(path));
    });
  }

  /** Removes a note. */
  remove(path: string): void {
    tryTo(() => this.#workspaces.root.inside(() => this.#disk.removeSync(here(path))));
  }

  /** Whether a note has expired, by the clock of its disk. That is asked only if ours says so. */
  hasExpired({ written }: Pick<FoundNote, "written">, keepMs: number): boolean {
    const { root } = this.#workspaces;
    return Date.now() - written.getTime() > keepMs && root.now() - written.getTime() > keepMs;
  }

  /** Removes expired notes. @param isSent Whether an upload is being sent. */
  async sweep(keepMs: number, isSent: (hash: string) => boolean): Promise<void> {
    for (const { path, hash } of await this.#all()) {
      if (isTurnDue()) await takeTurns();
      const info = lstatIfThere(path);
      if (!info?.isFile || isSent(hash)) continue;
      if (this.hasExpired({ written: info.mtime ?? new Date(0) }, keepMs)) this.remove(path);
    }
  }

  /** Reads the note at a path; `undefined` if there is none. */
  read(path: string): FoundNote | undefined {
    const info = lstatIfThere(path);
    if (!info?.isFile || info.size > MAX_BYTES) return undefined;
    const opened = this.#workspaces.root.inside(() => RegularFile.open(here(path), info));
    if (!opened) return undefined;
    using file = opened.file;
    const bytes = new Uint8Array(info.size);
    const read = file.readSync(bytes, 0);
    try {
      const note = JSON.parse(new TextDecoder().decode(bytes.subarray(0, read)));
      return { path, note, written: info.mtime ?? new Date(0) };
    } catch {
      // Not one of ours: those appear as a whole.
      return undefined;
    }
  }

  async #all(): Promise<SeenNote[]> {
    const { path } = this.#workspaces.root;
    const found: SeenNote[] = [];
    try {
      // Asynchronously: strangers can make the folder large.
      for await (const { name } of Deno.readDir(path)) {
        const own = name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : "";
        const [, hash, file] = NAME.exec(own) ?? [];
        if (hash !== undefined) found.push({ path: `${path}/${name}`, hash, file });
      }
    } catch (error) {
      // Another program removed the folder.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found;
  }
}
