/**
 * The directory on this machine that downloads are saved into.
 *
 * @module
 */

import { toLocal } from "../lib/local_errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Facts, Fingerprint, Found, Maybe, StoredFile, Upload } from "../lib/store/store.ts";
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
}

/** A directory of downloads. Its failures are told as those of this machine's disk. */
export class LocalStore implements AsyncDisposable {
  readonly #store: DirectoryStore;

  private constructor(store: DirectoryStore) {
    this.#store = store;
    unfinished.add(store);
  }

  /**
   * Opens a directory, and makes it if it is missing.
   *
   * @throws {InletError} `local-disk` if it cannot be made
   */
  static async open(
    directory: string,
    { keepPartialsMs, warn }: LocalStoreOptions = {},
  ): Promise<LocalStore> {
    const options = {
      downloads: true,
      ...keepPartialsMs !== undefined && { keepPartialsMs },
      ...warn && { warn },
    };
    return new LocalStore(await locally(() => DirectoryStore.open(directory, options)));
  }

  /**
   * Starts a download. Dispose of it to discard it if it was not published.
   *
   * @param resume Whether it continues an earlier partial file, and leaves one.
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async receive(name: string, resume: boolean): Promise<Upload> {
    const upload = await locally<Upload>(() =>
      resume ? this.#resume(name) : this.#store.receive(name)
    );
    return new LocalUpload(upload);
  }

  /**
   * Saves a file that is complete in memory.
   *
   * @returns The name that it got.
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async put(name: string, content: Uint8Array, facts: Facts): Promise<string> {
    return await locally(() => this.#store.put(name, content, facts));
  }

  /**
   * Makes a folder and its parents, as far as they are missing.
   *
   * @throws {InletError} `bad-name` or `local-disk`
   */
  async makeFolder(name: string): Promise<void> {
    await locally(() => this.#store.makeFolder(name));
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

  /** Tidies up: also what an earlier download left that was killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    unfinished.delete(this.#store);
    // What cannot be swept now is left to the next download.
    await this.#store.sweep().catch(() => {});
    this.#store.close();
  }

  /** Goes on with a partial file, if there is one. The server checks that it is of the same file. */
  async #resume(name: string): Promise<Upload> {
    const how = { fingerprint: `get ${name}` };
    for await (const partial of this.#store.findPartials(name, how)) {
      const upload = await partial.take(how);
      if (upload) return upload;
    }
    return await this.#store.receiveResumable(name, null, how);
  }
}

/** A download on its way into the directory. */
class LocalUpload implements Upload {
  readonly #upload: Upload;

  constructor(upload: Upload) {
    this.#upload = upload;
  }

  get kept(): Upload["kept"] {
    return this.#upload.kept;
  }

  async startOver(): Promise<void> {
    await locally(() => this.#upload.startOver());
  }

  async write(chunk: Uint8Array): Promise<void> {
    await locally(() => this.#upload.write(chunk));
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
