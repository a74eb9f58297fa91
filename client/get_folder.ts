/**
 * A folder of the server, saved on this side.
 *
 * 1. C: `tree photos`. S: `ok 3` and so many lines. None is believed: each name has to be one that this
 *    side takes, and to lie below what was asked for.
 * 2. C makes the folders. It asks for small files before it has those before, as many as the buffers on
 *    the way hold; for a large one alone, so that it can be stopped and resumed.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { explain, InletError } from "../lib/errors.ts";
import { excludeOf, isExcluded } from "./exclude.ts";
import { safeName } from "../lib/store/names.ts";
import type { Progress } from "../lib/cli/progress.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Store } from "../lib/store/store.ts";
import { quoted } from "../lib/text.ts";
import { encodeLine, formatTime, type ListEntry, type Stored } from "../protocol.ts";
import type { ItemResult } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { type GetFileOptions, getInto } from "./get_file.ts";

/** Files up to this size are asked for together. */
const MAX_SMALL_BYTES = 64 * 1024;

/** Files whose names take so many bytes are asked for together; twice that fits into any buffer. */
const BATCH_BYTES = 8 * 1024;

/** Options of {@linkcode getFolder}. */
export interface GetFolderOptions extends GetFileOptions {
  /** The directory that the folder is saved in, under its own name. */
  directory: string;
  /** Globs of what is left out. */
  exclude: readonly string[];
  /** Leaves out files that are there already, the same by size, time and CRC-32. */
  skipSame: boolean;
  progress: Progress;
  /** Names of an earlier attempt that are done with. Those of this one are added. */
  done: Set<string>;
  /** Told how each file fared. */
  onResult(label: string, result: ItemResult): void;
}

/** A file or folder of the tree, and its name below the directory. */
interface Wanted {
  entry: ListEntry;
  local: string;
}

/**
 * Gets a folder. What fails does not keep the rest from coming.
 *
 * @param name Of the folder, with or without a slash at its end.
 * @throws {InletError} what ended the conversation, or refused the folder as a whole
 */
export async function getFolder(
  client: FilesClient,
  name: string,
  options: GetFolderOptions,
): Promise<void> {
  const top = name.replace(/\/+$/, "");
  const store = await DirectoryStore.open(options.directory);
  await new FolderGetter(client, store, options).getAll(await wantedOf(top, client, options));
}

/** What becomes of each entry here, unless it is left out or its name is not to be trusted. */
async function wantedOf(
  top: string,
  client: FilesClient,
  { exclude, done, onResult }: GetFolderOptions,
): Promise<Wanted[]> {
  const wanted: Wanted[] = [];
  const isLeftOut = excludeOf(exclude);
  const safeTop = safeName(top);
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
  for await (const page of client.tree(top)) page.forEach(take);
  return wanted;
}

/** What follows the folder in a name that the server gave: empty, or with a `/` in front. */
function safeBelow(name: string, folder: string): string {
  const safe = safeName(name);
  if (safe === folder || safe.startsWith(`${folder}/`)) return safe.slice(folder.length);
  const what = `Cannot take the name ${quoted(name)}`;
  throw new InletError("bad-name", `${what}: it is not below ${quoted(folder)}`);
}

/** A file that is here already, and may be the one that the server has. */
class LocalCopy {
  readonly file: Wanted;
  readonly label: string;
  readonly name: string;
  readonly size: number;
  readonly modified: Date;
  readonly #store: Store;

  constructor(store: Store, file: Wanted) {
    this.#store = store;
    this.file = file;
    this.label = file.local;
    this.name = file.entry.name;
    this.size = file.entry.size ?? 0;
    this.modified = file.entry.modified;
  }

  async crc(): Promise<number> {
    using stored = await this.#store.open(this.file.local);
    return await stored.crc();
  }
}

class FolderGetter {
  readonly #client: FilesClient;
  readonly #store: Store;
  readonly #options: GetFolderOptions;
  readonly #room = new Uint8Array(MAX_SMALL_BYTES);

  constructor(client: FilesClient, store: Store, options: GetFolderOptions) {
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
    if (this.#options.skipSame) await this.#skipSame(this.#left(files));
    await this.#getAll(this.#left(files));
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

  /** Leaves out what is here already. Only what has the same size and time is read. */
  async #skipSame(files: readonly Wanted[]): Promise<void> {
    const here: LocalCopy[] = [];
    for (const file of files) {
      if (await this.#isSameByFacts(file)) here.push(new LocalCopy(this.#store, file));
    }
    await this.#client.compare(here, ({ file: { entry, local }, size }, name) => {
      if (name !== entry.name) return;
      this.#options.progress.skip(size);
      this.#tell(entry, { stored: { size, name: local }, same: true });
    });
  }

  async #isSameByFacts({ entry, local }: Wanted): Promise<boolean> {
    try {
      // Opened by the store, because that follows no link.
      using stored = await this.#store.open(local);
      return stored.size === entry.size &&
        formatTime(stored.modified) === formatTime(entry.modified);
    } catch {
      // It is not there, or nothing that could be compared: the file comes, under a name of its own.
      return false;
    }
  }

  /** The next batch is asked for before the one before is received: the server never waits. */
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

  /** Gets one file, and tells how it fared, unless the conversation ended over it. */
  async #get(file: Wanted, action: (file: Wanted) => Promise<Stored>): Promise<void> {
    try {
      this.#tell(file.entry, { stored: await action(file) });
    } catch (error) {
      if (this.#client.ended) throw error;
      this.#tell(file.entry, { error: explain(error) });
    }
  }

  /** A small file is stored when it is there whole. */
  async #receive({ entry, local }: Wanted): Promise<Stored> {
    const room = this.#room;
    let filled = 0;
    const write = (chunk: Uint8Array): void => {
      if (filled + chunk.length > room.length) {
        throw new InletError("changed", `Cannot get ${quoted(entry.name)}: it grew meanwhile`);
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
