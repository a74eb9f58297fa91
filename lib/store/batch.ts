/**
 * Files and folders of one sender that arrive one after another in a directory store.
 *
 * - A folder that is new, and is announced with files, is held until these are there, and published
 *   by one rename (new_folder.ts).
 * - Any other file is published at once, by a link. The folders above it are looked at once for all
 *   files of a folder that come within a few milliseconds.
 * - Files that are to be flushed to disk are written first, then flushed together.
 *
 * @module
 */

import type { LinkFacts } from "../../protocol.ts";
import type { Facts } from "../body/file_facts.ts";
import { explain } from "../errors.ts";
import { quoted } from "../text.ts";
import { isOddName } from "./disk_names.ts";
import { lstatIfThere, type Place } from "./folders.ts";
import { then } from "./maybe.ts";
import { NewFolder, type NewFolderContext } from "./new_folder.ts";
import { publishSmall } from "./small_file.ts";
import type { MadeFolder, Maybe } from "./store.ts";
import type { BatchedFile, BatchedFolder, BatchedFolderFacts, StoreBatch } from "./store_batch.ts";
import type { FileUpload } from "./upload.ts";
import type { Workspace } from "./workspace.ts";
import type { Workspaces } from "./workspaces.ts";

/** Most files that are flushed to disk together. */
const MAX_UNSYNCED = 128;

/** A name of at most so many characters breaks no limit on bytes, as long as its parts do not. */
const SHORT = 256;

/** What a batch needs of its store. */
export interface BatchContext extends NewFolderContext {
  readonly workspaces: Workspaces;
  /** The folders in flight. */
  readonly newFolders: Set<NewFolder>;
  /** Runs an action that stores something, and explains what it throws. */
  storing<T>(what: string, action: () => T): T;
  receive(name: string): FileUpload;
  makeFolder(name: string, facts: BatchedFolderFacts): Maybe<MadeFolder>;
  makeLink(name: string, facts: LinkFacts): Maybe<MadeFolder>;
}

/** A folder, as it was found to be. */
interface Target {
  /** What the names of its files begin with. */
  readonly prefix: string;
  readonly place: Place;
  readonly workspace: Workspace;
  /** The {@linkcode Folders.moment} of that. */
  readonly moment: number;
}

/** A file that is written, and not flushed to disk. */
interface Unsynced {
  readonly file: BatchedFile;
  readonly upload: FileUpload;
  readonly facts: Facts;
  name?: string;
}

/** A batch in a directory store. */
export class DirectoryBatch implements StoreBatch {
  readonly #context: BatchContext;
  #target: Target | undefined;
  #folder: NewFolder | undefined;
  /** What the names of the announced files begin with. */
  #announced: string | undefined;
  #owed = 0;
  #unsynced: Unsynced[] = [];

  /** For the store only. */
  constructor(context: BatchContext) {
    this.#context = context;
  }

  get owed(): number {
    return this.#owed;
  }

  put(name: string, content: Uint8Array, facts: Facts = {}): Maybe<BatchedFile> {
    const slash = name.lastIndexOf("/") + 1;
    if (slash === this.#announced?.length && name.startsWith(this.#announced)) {
      this.#owed = Math.max(this.#owed - 1, 0);
      if (this.#folder) return this.#putIntoFolder(this.#folder, name, content, facts);
    } else if (this.#folder) {
      return then(this.commit(), () => this.#put(name, content, facts));
    }
    return this.#put(name, content, facts);
  }

  makeFolder(name: string, facts: BatchedFolderFacts = {}): Maybe<BatchedFolder> {
    return then(this.#publishFolder(), () => this.#makeFolder(name, facts));
  }

  makeLink(name: string, facts: LinkFacts): Maybe<BatchedFolder> {
    return then(this.commit(), () => this.#context.makeLink(name, facts));
  }

  commit(): Maybe<void> {
    this.#target = undefined;
    this.#announced = undefined;
    this.#owed = 0;
    const published = this.#publishFolder();
    if (this.#unsynced.length === 0) return published;
    return then(published, () => this.#publishUnsynced());
  }

  [Symbol.dispose](): void {
    if (this.#folder) this.#end(this.#folder).discard();
    for (const { upload } of this.#unsynced) upload.discard();
    this.#unsynced = [];
  }

  #makeFolder(name: string, facts: BatchedFolderFacts): Maybe<BatchedFolder> {
    const { folders: { pace }, makeFolder } = this.#context;
    this.#announced = `${name}/`;
    this.#owed = facts.files ?? 0;
    if (this.#owed === 0) return makeFolder(name, facts);
    // It gets its time behind these, and permission bits that could keep them out.
    const { mode, id } = facts;
    const made = (): Maybe<BatchedFolder> => makeFolder(name, { mode, id });
    return pace.call(() => this.#begin(name, facts) ?? made(), async () => await made());
  }

  /** Begins a folder that is new; returns `undefined` if something has its name. */
  #begin(name: string, facts: BatchedFolderFacts): BatchedFolder | undefined {
    const { folders, newFolders, storing } = this.#context;
    const begin = (): NewFolder | undefined => {
      const safe = folders.safe(name);
      const { place, workspace } = this.#look(name, safe);
      // Nothing is expected in a folder of the same run, and whatever is there is found out at the end.
      const isOwn = folders.made.has(place.info, facts.id);
      if (!isOwn && lstatIfThere(folders.path(inside(place, lastOf(safe))))) return undefined;
      return NewFolder.begin(this.#context, { name: safe, facts, place, workspace });
    };
    const what = `make the folder ${quoted(name)}`;
    const folder = storing(what, () => this.#orLookAgain(begin));
    if (!folder) return undefined;
    newFolders.add(folder);
    this.#folder = folder;
    return folder.folder;
  }

  #putIntoFolder(
    folder: NewFolder,
    name: string,
    content: Uint8Array,
    facts: Facts,
  ): Maybe<BatchedFile> {
    const { folders } = this.#context;
    const putBehind = (): Maybe<BatchedFile> =>
      then(this.#publishFolder(), () => this.#put(name, content, facts));
    let put: Maybe<BatchedFile>;
    try {
      const base = this.#baseOf(name);
      put = folders.pace.call(
        () => folder.put(base, content, facts),
        async () => await putBehind(),
      );
    } catch (error) {
      // Another program removed the folder in flight, and what is in it.
      if (error instanceof Deno.errors.NotFound) return putBehind();
      const failure = explain(error, `Cannot store ${quoted(name)}`);
      if (this.#owed > 0) throw failure;
      return then(this.#publishFolder(), () => {
        throw failure;
      });
    }
    if (this.#owed > 0 && !folder.isFull) return put;
    return then(put, (file) => then(this.#publishFolder(), () => file));
  }

  /** Publishes a file in a folder that is there, as far as is known. */
  #put(name: string, content: Uint8Array, facts: Facts): Maybe<BatchedFile> {
    const { folders: { pace }, fsync } = this.#context;
    if (fsync) return this.#putUnsynced(name, content, facts);
    const carefully = async (): Promise<BatchedFile> => ({
      name: await this.#context.putCarefully(name, content, facts),
    });
    return pace.call(() => {
      const stored = this.#putAtOnce(name, content, facts);
      return stored === undefined ? carefully() : { name: stored };
    }, carefully);
  }

  #putAtOnce(name: string, content: Uint8Array, facts: Facts): string | undefined {
    const publish = (): string | undefined => {
      const { folders, numbering } = this.#context;
      const { place, workspace } = this.#look(name);
      const target = { folders, numbering, place, workspace };
      return publishSmall({ ...target, name: inside(place, this.#baseOf(name)) }, content, facts);
    };
    try {
      return this.#orLookAgain(publish);
    } catch (error) {
      // Most files need no text for a failure.
      const what = `store ${quoted(name)}`;
      if (!(error instanceof Deno.errors.NotFound)) throw explain(error, `Cannot ${what}`);
      return this.#context.storing(what, () => this.#orLookAgain(publish));
    }
  }

  /** Runs an action. If it fails, the next one looks at the folders again: one may have been removed. */
  #orLookAgain<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      this.#target = undefined;
      this.#context.folders.forget();
      throw error;
    }
  }

  /** Looks at the folders of a name, unless that was done just now. */
  #look(name: string, safe?: string): Target {
    const prefix = name.slice(0, name.lastIndexOf("/") + 1);
    const { folders, workspaces } = this.#context;
    const moment = folders.moment();
    const known = this.#target;
    if (known?.prefix === prefix && known.moment === moment) return known;
    const place = folders.make(safe ?? folders.safe(name));
    return this.#target = { prefix, place, workspace: workspaces.of(place), moment };
  }

  /** The last part of a name on disk. */
  #baseOf(name: string): string {
    const { folders } = this.#context;
    // The folders of the name were looked at when the first file came. Their disk decides on odd names.
    if (name.length <= SHORT && !isOddName(name)) return folders.safe(lastOf(name));
    return lastOf(folders.safe(name));
  }

  #putUnsynced(name: string, content: Uint8Array, facts: Facts): Maybe<BatchedFile> {
    const upload = this.#context.receive(name);
    const file: BatchedFile = {};
    const discarded = (error: unknown): never => {
      upload.discard();
      throw error;
    };
    const written = (): Maybe<BatchedFile> => {
      this.#unsynced.push({ file, upload, facts });
      if (this.#unsynced.length < MAX_UNSYNCED) return file;
      return this.#publishUnsynced().then(() => file);
    };
    let writing: Maybe<void>;
    try {
      writing = upload.write(content);
    } catch (error) {
      return discarded(error);
    }
    return writing ? writing.then(written, discarded) : written();
  }

  /** Flushes files to disk, publishes them, and flushes each of their folders once. */
  async #publishUnsynced(): Promise<void> {
    const files = this.#unsynced;
    this.#unsynced = [];
    const fail = ({ file, upload }: Unsynced, error: unknown, but?: string): void => {
      file.failure = explain(error, but === undefined ? upload.what : `${upload.what}: ${but}`);
      upload.discard();
    };
    await Promise.all(files.map((each) => each.upload.sync().catch((error) => fail(each, error))));
    const folders = new Map<string, Unsynced[]>();
    for (const each of files) {
      if (each.file.failure) continue;
      try {
        each.name = await each.upload.publishSynced(each.facts);
        const folder = each.name.slice(0, each.name.lastIndexOf("/") + 1);
        folders.set(folder, [...folders.get(folder) ?? [], each]);
      } catch (error) {
        fail(each, error);
      }
    }
    for (const [folder, published] of folders) {
      const failure = await this.#context.folders.sync(folder).then(() => {}, (error) => error);
      for (const each of published) {
        if (failure) fail(each, failure, each.upload.unsafeAs(each.name!));
        else each.file.name = each.name!;
      }
    }
  }

  #publishFolder(): Maybe<void> {
    if (this.#folder) return this.#end(this.#folder).publish();
  }

  #end(folder: NewFolder): NewFolder {
    this.#folder = undefined;
    this.#context.newFolders.delete(folder);
    return folder;
  }
}

/** The last part of a name. */
function lastOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The name of what is in a folder. */
function inside({ folder }: Place, base: string): string {
  return folder === "" ? base : `${folder}/${base}`;
}
