/**
 * Downloads a folder of the server into a local directory.
 *
 * 1. C: `tree photos`. S: `ok`, one line for each entry, `end 3`. C checks every name: it must be a
 *    safe name inside the requested folder.
 * 2. C creates the folders. It requests small files in batches, each batch before the previous one
 *    has arrived, and a large file alone, so that it can be stopped and resumed.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { explain, InletError } from "../lib/errors.ts";
import { excludeOf, isExcluded } from "./exclude.ts";
import { safeName } from "../lib/store/names.ts";
import type { Progress } from "../lib/cli/progress.ts";
import { formatBytes, formatCount, quoted } from "../lib/text.ts";
import { encodeLine, type ListEntry, type Stored } from "../protocol.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { type GetFileOptions, getInto } from "./get_file.ts";
import { LocalStore } from "./local_store.ts";

/** Largest file that is requested in a batch, in bytes. */
const MAX_SMALL_BYTES = 64 * 1024;

/** Size of the requests in one batch, in bytes. Two batches fit into any socket buffer. */
const BATCH_BYTES = 8 * 1024;

/** Most entries of a folder, and most characters of their names: they are collected in memory. */
const MOST_ENTRIES = 1_000_000;
const MOST_NAME_CHARACTERS = 128 * 1024 * 1024;

/** Options of {@linkcode getFolder}. */
export interface GetFolderOptions extends GetFileOptions {
  /** Directory to save the folder in, under its own name. */
  directory: string;
  /** Globs of entries to exclude. */
  exclude: readonly string[];
  /** Skips files that are here already, whole and the same. So does `resume`. */
  skipSame: boolean;
  progress: Progress;
  /** Names that an earlier attempt completed. This attempt adds its own. */
  done: Set<string>;
  /** Called with the names of the files without a result, if the attempt fails. */
  onLeft?(names: string[]): void;
  /** Called with the result of each file. */
  onResult(label: string, result: ItemResult): void;
}

/** A file or folder of the tree, and its name below the directory. */
interface Wanted {
  entry: ListEntry;
  local: string;
}

/**
 * Downloads a folder. A file that fails does not stop the others.
 *
 * @param name Name of the folder, with or without a trailing slash.
 * @throws {InletError} when the connection fails or the server refuses the whole folder
 */
export async function getFolder(
  client: FilesClient,
  name: string,
  options: GetFolderOptions,
): Promise<void> {
  const top = name.replace(/\/+$/, "");
  await using store = await LocalStore.open(options.directory, options);
  await new FolderGetter(client, store, options).getAll(await wantedOf(top, client, options));
}

/** The entries to download, with their local names. Excluded and unsafe entries are dropped. */
async function wantedOf(
  top: string,
  client: FilesClient,
  { exclude, done, onResult }: GetFolderOptions,
): Promise<Wanted[]> {
  const wanted: Wanted[] = [];
  const isLeftOut = excludeOf(exclude);
  const safeTop = safeName(top);
  let entries = 0;
  let characters = 0;
  const take = (entry: ListEntry): void => {
    try {
      const below = safeBelow(entry.name, safeTop);
      if (below !== "" && isExcluded(isLeftOut, below.slice(1), entry.size === null)) return;
      wanted.push({ entry, local: basename(safeTop) + below });
    } catch (error) {
      if (!done.has(entry.name)) onResult(entry.name, { error: explain(error) });
      done.add(entry.name);
    }
  };
  for await (const page of client.tree(top)) {
    entries += page.length;
    for (const { name } of page) characters += name.length;
    if (entries > MOST_ENTRIES || characters > MOST_NAME_CHARACTERS) throw tooMany(top);
    page.forEach(take);
  }
  return wanted;
}

function tooMany(folder: string): InletError {
  const limits = `${formatCount(MOST_ENTRIES)} entries and ${
    formatBytes(MOST_NAME_CHARACTERS)
  } of names`;
  const what = `Cannot get ${quoted(`${folder}/`)} in one piece`;
  return new InletError("too-large", `${what}: the limit is ${limits}; get its folders one by one`);
}

/** The part of a server's name after the folder: empty, or beginning with `/`. */
function safeBelow(name: string, folder: string): string {
  const safe = safeName(name);
  if (safe === folder || safe.startsWith(`${folder}/`)) return safe.slice(folder.length);
  const what = `Cannot take the name ${quoted(name)}`;
  throw new InletError("bad-name", `${what}: it is not inside ${quoted(folder)}`);
}

class FolderGetter {
  readonly #client: FilesClient;
  readonly #store: LocalStore;
  readonly #options: GetFolderOptions;
  readonly #room = new Uint8Array(MAX_SMALL_BYTES);

  constructor(client: FilesClient, store: LocalStore, options: GetFolderOptions) {
    this.#client = client;
    this.#store = store;
    this.#options = options;
  }

  async getAll(wanted: readonly Wanted[]): Promise<void> {
    const files = wanted.filter(({ entry }) => entry.size !== null);
    this.#showProgress(files);
    for (const folder of this.#left(wanted)) {
      if (folder.entry.size === null) await this.#makeFolder(folder);
    }
    const { skipSame, resume } = this.#options;
    try {
      if (skipSame || resume) await this.#skipSame(this.#left(files));
      await this.#getAll(this.#left(files));
    } catch (error) {
      this.#options.onLeft?.(this.#left(files).map(({ entry }) => entry.name));
      throw error;
    }
  }

  #left(wanted: readonly Wanted[]): Wanted[] {
    return wanted.filter(({ entry }) => !this.#options.done.has(entry.name));
  }

  async #makeFolder({ entry, local }: Wanted): Promise<void> {
    try {
      await this.#store.makeFolder(local);
    } catch (error) {
      this.#tell(entry, { error: explain(error) });
    }
  }

  /** Skips what is here already. */
  async #skipSame(files: readonly Wanted[]): Promise<void> {
    const { findHere } = await import("./already_here.ts");
    await findHere(this.#client, this.#store, files, ({ entry }, name) => {
      const size = entry.size ?? 0;
      this.#options.progress.skip(size);
      this.#tell(entry, { stored: { size, name }, same: true });
    });
  }

  /** Requests each batch before the previous one is received, so that the server never waits. */
  async #getAll(files: readonly Wanted[]): Promise<void> {
    let asked: Wanted[] = [];
    let batch: Wanted[] = [];
    let batchBytes = 0;
    const advance = async (): Promise<void> => {
      await this.#client.ask(batch.map(({ entry }) => entry.name));
      const before = asked;
      [asked, batch, batchBytes] = [batch, [], 0];
      for (const file of before) await this.#get(file, (wanted) => this.#receive(wanted));
    };
    for (const file of files) {
      if (this.#options.signal?.aborted) break;
      const isLarge = (file.entry.size ?? 0) > MAX_SMALL_BYTES;
      if (!isLarge) {
        batch.push(file);
        batchBytes += encodeLine(`get ${file.entry.name}`).length;
      }
      if (batchBytes >= BATCH_BYTES) await advance();
      if (!isLarge) continue;
      await advance();
      await advance();
      await this.#get(
        file,
        ({ entry, local }) => getInto(this.#client, entry.name, this.#store, local, this.#options),
      );
    }
    await advance();
    await advance();
    this.#options.signal?.throwIfAborted();
  }

  /** Downloads one file and reports its result, unless the session ended during it. */
  async #get(file: Wanted, action: (file: Wanted) => Promise<Stored>): Promise<void> {
    try {
      this.#tell(file.entry, { stored: await action(file) });
    } catch (error) {
      if (this.#client.ended) throw error;
      this.#tell(file.entry, { error: explain(error) });
    }
  }

  /** Receives a small file into memory, and stores it once it is complete. */
  async #receive({ entry, local }: Wanted): Promise<Stored> {
    const room = this.#room;
    let filled = 0;
    const write = (chunk: Uint8Array): void => {
      if (filled + chunk.length > room.length) {
        throw new InletError(
          "changed",
          `Cannot get ${quoted(entry.name)}: it grew during the transfer`,
        );
      }
      room.set(chunk, filled);
      filled += chunk.length;
    };
    const got = await this.#client.receive(entry.name, { write }, { stoppable: false });
    const content = room.subarray(0, filled);
    return { ...got, name: await this.#store.put(local, content, got) };
  }

  #tell({ name }: ListEntry, result: ItemResult): void {
    this.#options.done.add(name);
    this.#options.progress.addFiles(1);
    this.#options.onResult(name, result);
  }

  #showProgress(files: readonly Wanted[]): void {
    const { progress, done } = this.#options;
    const sizeOf = (some: readonly Wanted[]): number =>
      some.reduce((sum, { entry }) => sum + (entry.size ?? 0), 0);
    const ready = files.filter(({ entry }) => done.has(entry.name));
    progress.begin(sizeOf(files), files.length);
    progress.skip(sizeOf(ready));
    progress.addFiles(ready.length);
  }
}
