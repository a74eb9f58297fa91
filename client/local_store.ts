/**
 * The directory on this machine that downloads are saved into.
 *
 * @module
 */

import type { FolderFacts, LinkFacts } from "../protocol.ts";
import type { Saving } from "../modes/files/answers.ts";
import type { Facts } from "../lib/body/file_facts.ts";
import { toLocal } from "../lib/local_errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { DiskSpace } from "../lib/store/disk_space.ts";
import type { Extent } from "../lib/body/reading.ts";
import type { LinkRule } from "../lib/store/link_rules.ts";
import type { MadeFolders } from "../lib/store/made_folders.ts";
import type { Fingerprint, Found, Kept, Maybe, StoredFile, Upload } from "../lib/store/store.ts";
import type {
  BatchedFile,
  BatchedFolder,
  BatchedFolderFacts,
  StoreBatch,
} from "../lib/store/store_batch.ts";
import type { FileUpload } from "../lib/store/upload.ts";
import { unfinished } from "./unfinished.ts";

/** Options of {@linkcode LocalStore.open}. */
export interface LocalStoreOptions {
  /**
   * Milliseconds that a partial file is kept; 0 keeps none.
   *
   * @default {86_400_000}
   */
  keepPartialsMs?: number | undefined;
  /** Called with what the user should know, such as the loss of a partial file. */
  warn?: ((message: string) => void) | undefined;
  /**
   * Which symbolic links are made.
   *
   * @default {"tree"}
   */
  links?: LinkRule | undefined;
  /** Remembers the folders that were made, over several connections. */
  made?: MadeFolders | undefined;
}

/** A directory of downloads. Its failures are told as those of this machine's disk. */
export class LocalStore implements AsyncDisposable {
  readonly #store: DirectoryStore;
  /** Why the directory's disk has no room for so many bytes, if it has none. */
  readonly shortage: (bytes: number) => string | undefined;

  private constructor(store: DirectoryStore, shortage: (bytes: number) => string | undefined) {
    this.#store = store;
    this.shortage = shortage;
    unfinished.add(store);
  }

  /**
   * Opens a directory, and makes it if it is missing.
   *
   * @throws {InletError} `local-disk` if it cannot be made
   */
  static async open(
    directory: string,
    { keepPartialsMs, warn, links, made }: LocalStoreOptions = {},
  ): Promise<LocalStore> {
    const space = await DiskSpace.ifPermitted();
    const options = {
      downloads: true,
      ...{ space, links, made },
      ...keepPartialsMs !== undefined && { keepPartialsMs },
      ...warn && { warn },
    };
    const store = await locally(() => DirectoryStore.open(directory, options));
    return new LocalStore(store, (bytes) => space?.shortage(directory, bytes));
  }

  /**
   * Starts a download. Dispose of it to discard it if it was not published.
   *
   * @param resume Whether it continues an earlier partial file, and leaves one.
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async receive(name: string, resume: boolean): Promise<Saving & Upload> {
    const upload = await locally<FileUpload>(() =>
      resume ? this.#resume(name) : this.#store.receive(name)
    );
    return new LocalUpload(this.#store, upload, () => this.#begin(name));
  }

  /**
   * Makes a folder and its parents, as far as they are missing.
   *
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async makeFolder(name: string, facts: FolderFacts): Promise<void> {
    await locally(() => this.#store.makeFolder(name, facts));
  }

  /** Begins a batch of files, folders and links. Dispose of it to discard what is not committed. */
  batch(): LocalBatch {
    return new LocalBatch(this.#store.batch());
  }

  /**
   * Returns a name with the numbers of its folders, where files of this machine have their names.
   *
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async located(name: string): Promise<string> {
    return await locally(() => this.#store.located(name));
  }

  /**
   * Opens a file that is there already.
   *
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async open(name: string): Promise<StoredFile> {
    return await locally(() => this.#store.open(name));
  }

  /**
   * Finds the same file under a name or its numbered variants.
   *
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async find(name: string, same: Fingerprint): Promise<Found | undefined> {
    return await locally(() => this.#store.find(name, same));
  }

  /**
   * Compares entries of the server with what is in one folder.
   *
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async diff(...given: Parameters<DirectoryStore["diff"]>): Promise<string> {
    return await locally(() => this.#store.diff(...given));
  }

  /** Tidies up: also what an earlier download left that was killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    unfinished.delete(this.#store);
    // What cannot be swept now is left to the next download.
    await this.#store.sweep().catch(() => {});
    this.#store.close();
  }

  /** Goes on with a partial file, if there is one. The server checks that it is of the same file. */
  async #resume(name: string): Promise<FileUpload> {
    const how = howToFind(name);
    for await (const partial of this.#store.findPartials(name, how)) {
      const upload = await partial.take(how);
      if (upload) return upload;
    }
    return await this.#begin(name);
  }

  /** Starts at the beginning, and leaves a partial file. */
  async #begin(name: string): Promise<FileUpload> {
    return await this.#store.receiveResumable(name, null, howToFind(name));
  }
}

/** Files, folders and links on their way into the directory. Their failures are told as of this machine's disk. */
class LocalBatch implements StoreBatch {
  readonly #batch: StoreBatch;
  #added: BatchedFile[] = [];

  constructor(batch: StoreBatch) {
    this.#batch = batch;
  }

  get owed(): number {
    return this.#batch.owed;
  }

  put(name: string, content: Uint8Array, facts: Facts): Maybe<BatchedFile> {
    return this.#add(() => this.#batch.put(name, content, facts));
  }

  makeFolder(name: string, facts: BatchedFolderFacts): Maybe<BatchedFolder> {
    return this.#add(() => this.#batch.makeFolder(name, facts));
  }

  makeLink(name: string, facts: LinkFacts): Maybe<BatchedFolder> {
    return this.#add(() => this.#batch.makeLink(name, facts));
  }

  commit(): Maybe<void> {
    const committed = this.#batch.commit();
    if (committed) return committed.then(() => this.#tell());
    this.#tell();
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }

  #add<T extends BatchedFile>(action: () => Maybe<T>): Maybe<T> {
    const note = (file: T): T => {
      this.#added.push(file);
      return file;
    };
    try {
      const file = action();
      if (!(file instanceof Promise)) return note(file);
      return file.then(note, (error) => {
        throw toLocal(error);
      });
    } catch (error) {
      throw toLocal(error);
    }
  }

  #tell(): void {
    for (const file of this.#added) if (file.failure) file.failure = toLocal(file.failure);
    this.#added = [];
  }
}

function howToFind(name: string): { fingerprint: string } {
  return { fingerprint: `get ${name}` };
}

/** A download on its way into the directory. */
class LocalUpload implements Upload {
  readonly #store: DirectoryStore;
  readonly #begin: () => Promise<FileUpload>;
  #upload: FileUpload;
  /** The announced size, until it was held against the disk. */
  #size: number | null = null;

  /** @param begin Begins another one. */
  constructor(store: DirectoryStore, upload: FileUpload, begin: () => Promise<FileUpload>) {
    this.#store = store;
    this.#upload = upload;
    this.#begin = begin;
  }

  /** Checked at the first write, whose failures stop the transfer in order. */
  expect(size: number): void {
    this.#size = size;
  }

  get kept(): Kept {
    const { kept } = this.#upload;
    return {
      bytes: kept.bytes,
      ...kept.read && { read: (offset, into) => locally(() => kept.read!(offset, into)) },
      crc: (options) => locally(() => kept.crc(options)),
    };
  }

  set counted(counted: Extent) {
    this.#upload.counted = counted;
  }

  async startOver(): Promise<void> {
    await locally(() => this.#upload.startOver());
  }

  async startBeside(): Promise<void> {
    await locally(async () => {
      this.#upload.discard();
      this.#upload = await this.#begin();
    });
  }

  async write(chunk: Uint8Array): Promise<void> {
    await locally(() => {
      this.#store.expect(this.#upload, this.#size);
      this.#size = null;
      return this.#upload.write(chunk);
    });
  }

  async publish(facts?: Facts): Promise<string> {
    return await locally(() => this.#upload.publish(facts));
  }

  async discard(): Promise<void> {
    await locally(() => this.#upload.discard());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#upload[Symbol.asyncDispose]();
  }
}

async function locally<T>(action: () => Maybe<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toLocal(error);
  }
}
