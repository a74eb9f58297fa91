/**
 * What a store keeps of uploads that go on over several requests, beside their partial files: in the
 * `.inlet` of the root, a file `upload-HASH.note` each. HASH is that of the upload's id, so that
 * reading the folder gives nobody an upload. If it is known which file is sent, the empty
 * `file-HASH-HASH.note` finds the upload, by the hashes of the file's fingerprint and of the id.
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
import type { Workspace } from "./workspace.ts";
import type { Workspaces } from "./workspaces.ts";

const NAME = /^(?:upload|file-([0-9a-f]{64}))-([0-9a-f]{64})\.note$/;

/** Most bytes of a note: those of its details, each of which may be escaped, and of the rest. */
const MAX_BYTES = 192 * 1024;

/** What is kept of an upload. */
export interface Note extends Omit<NewUpload, "fingerprint"> {
  /** The hash of the file's fingerprint, if the upload is found by it. */
  readonly file?: string | undefined;
  readonly outcome?: Outcome | undefined;
  /** Bytes beyond which nothing counts yet. */
  readonly certain?: number | undefined;
}

/** A note as it was found. */
export interface FoundNote {
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

/** The name of a note, taken apart. */
interface SeenNote {
  readonly path: string;
  /** The hash of the upload's id. */
  readonly hash: string;
  /** The hash of the file's fingerprint, in what finds an upload by that. */
  readonly file: string | undefined;
}

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

  /** The hashes of all uploads. */
  async hashes(): Promise<string[]> {
    return (await this.#all()).filter(({ file }) => file === undefined).map(({ hash }) => hash);
  }

  /** The hashes of the uploads of a file. @param file The hash of its fingerprint. */
  async ofFile(file: string): Promise<string[]> {
    return (await this.#all()).filter((seen) => seen.file === file).map(({ hash }) => hash);
  }

  /** Writes the note of a new upload. */
  add(hash: string, note: Note): void {
    if (note.file !== undefined) this.#write(this.#pathOf(hash, note.file), "");
    this.#write(this.#pathOf(hash), JSON.stringify(note));
  }

  /** Reads the note of an upload; `undefined` if there is none. */
  find(hash: string): FoundNote | undefined {
    const path = this.#pathOf(hash);
    const found = this.#workspaces.ensuring(() => {
      const info = lstatIfThere(path);
      if (!info?.isFile || info.size > MAX_BYTES) return undefined;
      const opened = this.#workspaces.root.inside(() => RegularFile.open(here(path), info));
      if (opened) return { opened, info };
      throw new Deno.errors.NotFound("another process has just changed it");
    });
    if (!found) return undefined;
    const { opened, info } = found;
    using file = opened.file;
    const bytes = new Uint8Array(info.size);
    const read = file.readSync(bytes, 0);
    try {
      const note = JSON.parse(new TextDecoder().decode(bytes.subarray(0, read)));
      return { note, written: info.mtime ?? new Date(0) };
    } catch {
      // Not one of ours: those appear as a whole.
      return undefined;
    }
  }

  /** Changes a note, which also makes it young again. Returns the new one, unless it was removed. */
  change(hash: string, changed: Partial<Note>): Note | undefined {
    const found = this.find(hash);
    if (!found) return undefined;
    const note = { ...found.note, ...changed };
    this.#write(this.#pathOf(hash), JSON.stringify(note));
    return note;
  }

  /** The note of an upload, for the upload. */
  handleOf(hash: string): NoteHandle {
    return {
      renew: () => tryTo(() => this.change(hash, {})),
      conclude: (outcome) => tryTo(() => this.change(hash, { outcome })),
    };
  }

  /** Removes a note. */
  remove(hash: string): void {
    const file = this.find(hash)?.note.file;
    this.#remove(this.#pathOf(hash));
    if (file !== undefined) this.#remove(this.#pathOf(hash, file));
  }

  /** Whether a note has expired, by the clock of its disk. That is asked only if ours says so. */
  hasExpired({ written }: Pick<FoundNote, "written">, keepMs: number): boolean {
    const now = (): number => this.#workspaces.ensuring(() => this.#workspaces.root.now());
    return Date.now() - written.getTime() > keepMs && now() - written.getTime() > keepMs;
  }

  /** Removes expired notes. @param isSent Whether an upload is being sent. */
  async sweep(keepMs: number, isSent: (hash: string) => boolean): Promise<void> {
    for (const { path, hash, file } of await this.#all()) {
      if (isTurnDue()) await takeTurns();
      const info = lstatIfThere(path);
      if (!info?.isFile || isSent(hash)) continue;
      // What finds an upload is kept as long as its note.
      if (file !== undefined && lstatIfThere(this.#pathOf(hash))) continue;
      if (this.hasExpired({ written: info.mtime ?? new Date(0) }, keepMs)) this.#remove(path);
    }
  }

  #pathOf(hash: string, file?: string): string {
    const kind = file === undefined ? "upload" : `file-${file}`;
    return `${this.#folder}/${this.#prefix}${kind}-${hash}.note`;
  }

  get #folder(): string {
    return this.#workspaces.ensuring(() => this.#workspaces.root.path);
  }

  /** Writes a file, which appears as a whole. */
  #write(path: string, text: string): void {
    const how = { createNew: true, mode: 0o600 };
    this.#inside((root) => {
      const temp = root.newPath();
      this.#disk.writeFileSync(here(temp), new TextEncoder().encode(text), how);
      this.#disk.renameSync(here(temp), here(path));
    });
  }

  #remove(path: string): void {
    tryTo(() => this.#inside(() => lstatIfThere(here(path)) && this.#disk.removeSync(here(path))));
  }

  /** Runs an action in the folder of the notes. */
  #inside<T>(action: (root: Workspace) => T): T {
    return this.#workspaces.ensuring(() => {
      const { root } = this.#workspaces;
      return root.inside(() => action(root));
    });
  }

  async #all(): Promise<SeenNote[]> {
    const path = this.#folder;
    const found: SeenNote[] = [];
    try {
      // Asynchronously: strangers can make the folder large.
      for await (const { name } of Deno.readDir(path)) {
        const own = name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : "";
        const [, file, hash] = NAME.exec(own) ?? [];
        if (hash !== undefined) found.push({ path: `${path}/${name}`, hash, file });
      }
    } catch (error) {
      // Another program removed the folder.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found;
  }
}
