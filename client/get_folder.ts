/**
 * Downloads a folder of the server into a local directory.
 *
 * 1. C: `tree photos`. S: `ok`, one line for each entry, `end 3`. C checks every name: it must be a
 *    safe name inside the requested folder.
 * 2. Folder by folder, C requests the small files, many at once, before those asked for before have
 *    arrived, and then each large file alone, so that it can be stopped and resumed. The small files
 *    of a folder are published together, and then count as got.
 * 3. C makes the symbolic links, so that no file can go through one, and gives the folders that it
 *    made their permission bits and times.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import { explain, InletError } from "../lib/errors.ts";
import type { Exclude } from "./exclude.ts";
import type { ListedNames } from "./listed.ts";
import { isLeftOut, linksLeftOut } from "../lib/store/link_rules.ts";
import { EVERYTHING, safeName } from "../lib/store/names.ts";
import type { Progress } from "../lib/cli/progress.ts";
import { formatBytes, formatCount, quoted } from "../lib/text.ts";
import { encodeLine, isFolderEntry, type ListEntry, modeOf, type Stored } from "../protocol.ts";
import type { BatchedFolder, StoreBatch } from "../lib/store/store_batch.ts";
import type { ItemResult, Received } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import {
  byFolder,
  type Folder,
  MAX_SMALL_BYTES,
  sizeOf,
  type Step,
  stepsOf,
  type Wanted,
} from "./folder_steps.ts";
import { type GetFileOptions, getInto } from "./get_file.ts";
import { LocalStore } from "./local_store.ts";
import { pathIn } from "./save_path.ts";

/** By which the store knows the folders that it made for this download. */
const ID = "get";

/** Size of the requests in one write, in bytes. Two of them fit into any socket buffer. */
const ASKED_BYTES = 16 * 1024;

/** Most entries of a folder, and most characters of their names: they are collected in memory. */
const MOST_ENTRIES = 1_000_000;
const MOST_NAME_CHARACTERS = 128 * 1024 * 1024;

/** Options of {@linkcode getFolder}. */
export interface GetFolderOptions extends GetFileOptions {
  /** Directory to save the folder in, under its own name. */
  directory: string;
  /** Excludes entries. */
  exclude?: Exclude | undefined;
  /** The only names below the folder that are wanted. */
  listed?: ListedNames | undefined;
  /** Called with the number of excluded entries. A folder counts as one. */
  onLeftOut?(count: number): void;
  /** Skips files that are here already, whole and the same. So does `resume`. */
  skipSame: boolean;
  /** Compares content too, whatever the times say. */
  checksum?: boolean;
  progress: Progress;
  /** Names that an earlier attempt completed. This attempt adds its own. */
  done: Set<string>;
  /** Called with the local path of the folder, once the server has listed it. */
  onBegin?: (path: string) => void;
  /** Called with the names of the files without a result, if the attempt fails. */
  onLeft?(names: readonly string[]): void;
  /** Called with the result of each file, and with the name to save it under. */
  onResult(label: string, result: ItemResult, name: string, isLink?: true): void;
}

/** What choosing the entries to download needs. */
type WantedOptions =
  & Pick<
    GetFolderOptions,
    "exclude" | "listed" | "links" | "onLeftOut" | "done" | "onResult" | "warn"
  >
  & { onExcluded?(entry: ListEntry): void };

/**
 * Downloads a folder. A file that fails does not stop the others.
 *
 * @param name Name of the folder, or {@linkcode EVERYTHING}, which has no folder of its own.
 * @throws {InletError} when the connection fails or the server refuses the whole folder
 */
export async function getFolder(
  client: FilesClient,
  name: string,
  options: GetFolderOptions,
): Promise<void> {
  const { directory, onBegin } = options;
  await using store = await LocalStore.open(directory, options);
  const wanted = await wantedOf(name, client, options);
  onBegin?.(name === EVERYTHING ? directory : pathIn(join(directory), await folderIn(store, name)));
  await new FolderGetter(client, store, options).getAll(wanted);
}

/** The name of a folder on this machine: with a number, where a file has its own. */
async function folderIn(store: LocalStore, name: string): Promise<string> {
  return dirname(await store.located(`${basename(safeName(name))}/-`));
}

/** The entries to download, with their local names. Excluded and unsafe entries are dropped. */
export async function wantedOf(
  top: string,
  client: FilesClient,
  { exclude, listed, links = "tree", onLeftOut, onExcluded, done, onResult, warn }: WantedOptions,
): Promise<Wanted[]> {
  const wanted: Wanted[] = [];
  let leftOut = 0;
  let linksLeft = 0;
  const safeTop = top === EVERYTHING ? "" : safeName(top);
  let entries = 0;
  let characters = 0;
  const take = (entry: ListEntry): void => {
    try {
      const below = safeBelow(entry.name, safeTop);
      if (listed && !listed.has(below, isFolderEntry(entry))) return;
      if (exclude && below !== "") {
        if (isInExcluded(exclude, below)) return;
        if (exclude(below, isFolderEntry(entry))) {
          onExcluded?.(entry);
          return void leftOut++;
        }
      }
      if (entry.to !== undefined && isLeftOut(links, below, entry.to)) return void linksLeft++;
      wanted.push({ entry, local: [basename(safeTop), below].filter((part) => part).join("/") });
    } catch (error) {
      if (!done.has(entry.name)) onResult(entry.name, { error: explain(error) }, entry.name);
      done.add(entry.name);
    }
  };
  for await (const page of client.tree(top)) {
    entries += page.length;
    for (const { name, to = "" } of page) characters += name.length + to.length;
    if (entries > MOST_ENTRIES || characters > MOST_NAME_CHARACTERS) throw tooMany(top);
    page.forEach(take);
  }
  onLeftOut?.(leftOut);
  if (linksLeft > 0) warn?.(linksLeftOut(linksLeft, links, "made"));
  if (!listed) return wanted;
  const inside = safeTop === "" ? 0 : basename(safeTop).length + 1;
  return wanted.filter(({ local }) => listed.isUsed(local.slice(inside)));
}

/** Whether a folder above an entry is excluded. */
function isInExcluded(exclude: Exclude, path: string): boolean {
  for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
    if (exclude(path.slice(0, end), true)) return true;
  }
  return false;
}

function tooMany(folder: string): InletError {
  const names = formatBytes(MOST_NAME_CHARACTERS);
  const limits = `${formatCount(MOST_ENTRIES)} entries and ${names} of names`;
  const what = `Cannot get ${quoted(folder === EVERYTHING ? folder : `${folder}/`)} in one piece`;
  return new InletError("too-large", `${what}: the limit is ${limits}; get its folders one by one`);
}

/** The part of a server's name below a folder: empty for the folder itself. */
function safeBelow(name: string, folder: string): string {
  const safe = safeName(name);
  if (folder === "") return safe;
  if (safe === folder || safe.startsWith(`${folder}/`)) return safe.slice(folder.length + 1);
  const what = `Cannot take the name ${quoted(name)}`;
  throw new InletError("bad-name", `${what}: it is not inside ${quoted(folder)}`);
}

class FolderGetter {
  readonly #client: FilesClient;
  readonly #store: LocalStore;
  readonly #options: GetFolderOptions;
  readonly #batch: StoreBatch;
  readonly #room = new Uint8Array(MAX_SMALL_BYTES);
  /** Folders, and files that have arrived, which are not known to be published. */
  #stored: { file: Wanted; folder: BatchedFolder; got?: Received }[] = [];
  /** Folders that have their permission bits and times. */
  readonly #finished = new Set<Wanted>();
  /** Files that were listed as small, and have grown since: each is requested again, alone. */
  readonly #outgrown = new Set<Wanted>();

  constructor(client: FilesClient, store: LocalStore, options: GetFolderOptions) {
    this.#client = client;
    this.#store = store;
    this.#batch = store.batch();
    this.#options = options;
  }

  async getAll(wanted: readonly Wanted[]): Promise<void> {
    const files = wanted.filter(({ entry }) => entry.size !== null);
    this.#showProgress(files);
    const { skipSame, resume, warn, onLeft } = this.#options;
    try {
      if (skipSame || resume) await this.#skipSame(this.#left(files));
      const why = this.#store.shortage(sizeOf(this.#left(files)));
      if (why !== undefined) warn?.(`Not all of the folder may fit: ${why}`);
      await this.#getFolders(byFolder(this.#left(wanted)));
      for (const link of this.#left(wanted)) {
        if (link.entry.to !== undefined) await this.#makeLink(link, link.entry.to);
      }
      await this.#finishFolders(wanted);
    } catch (error) {
      onLeft?.(this.#left(files).map(({ entry }) => entry.name));
      throw error;
    } finally {
      this.#batch[Symbol.dispose]();
    }
  }

  #left(wanted: readonly Wanted[]): Wanted[] {
    return wanted.filter(({ entry }) => !this.#options.done.has(entry.name));
  }

  async #makeLink(link: Wanted, to: string): Promise<void> {
    const { entry: { modified, name }, local } = link;
    this.#options.done.add(name);
    try {
      const made = await this.#batch.makeLink(local, { to, modified });
      this.#options.onResult(name, { stored: { name: made.name! } }, local, true);
    } catch (error) {
      this.#options.onResult(name, { error: explain(error) }, local, true);
    }
  }

  /** Gives the folders that were made their permission bits and times, innermost first. */
  async #finishFolders(wanted: readonly Wanted[]): Promise<void> {
    const folders = wanted.filter((one) => isFolderEntry(one.entry) && !this.#finished.has(one));
    // A folder is listed ahead of what is in it.
    for (const { entry, local } of folders.reverse()) {
      const facts = { id: ID, mode: modeOf(entry), modified: entry.modified };
      // Why a folder could not be made is told already.
      await this.#store.makeFolder(local, facts).catch(() => {});
    }
  }

  /** Skips what is here already. */
  async #skipSame(files: readonly Wanted[]): Promise<void> {
    const { findHere } = await import("./already_here.ts");
    const { checksum = false, progress } = this.#options;
    await findHere(this.#client, this.#store, files, {
      byContent: checksum,
      onAnswer: (file, answer, name) => {
        if (answer !== "same") return;
        const size = file.entry.size ?? 0;
        progress.skip(size);
        this.#tell(file, { stored: { size, name }, same: true });
      },
    });
  }

  /**
   * Gets the small files of each folder, and then its large ones. Requests run ahead of what is
   * received, so that the server never waits.
   */
  async #getFolders(folders: readonly Folder[]): Promise<void> {
    const steps = stepsOf(folders);
    let asked: Step[] = [];
    let isLeft = true;
    try {
      while (isLeft && !this.#options.signal?.aborted) {
        const next: Step[] = [];
        for (let bytes = 0; isLeft && bytes < ASKED_BYTES;) {
          const { done, value } = steps.next();
          if (done) isLeft = false;
          else {
            next.push(value);
            if (value.type === "small") bytes += encodeLine(`get ${value.file.entry.name}`).length;
            // Nothing may be on its way behind it: it can be stopped.
            if (value.type === "large") break;
          }
        }
        const names = next.flatMap((step) => step.type === "small" ? [step.file.entry.name] : []);
        if (names.length > 0) await this.#client.ask(names);
        await this.#take(asked);
        asked = next;
        if (next.at(-1)?.type !== "large") continue;
        await this.#take(asked);
        asked = [];
      }
      await this.#take(asked);
    } finally {
      // What has arrived whole is stored, also if the connection is lost.
      await this.#commit();
    }
    for (const file of this.#outgrown) {
      this.#outgrown.delete(file);
      await this.#getAlone(file);
    }
    this.#options.signal?.throwIfAborted();
  }

  async #take(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (step.type === "folder") await this.#begin(step.folder);
      else if (step.type === "small") await this.#receive(step.file);
      else if (!this.#options.signal?.aborted) {
        await this.#commit();
        await this.#getAlone(step.file);
      }
    }
  }

  /** Makes a folder, once all of the one before it is stored. */
  async #begin({ entry: wanted, small, isLeaf }: Folder): Promise<void> {
    await this.#commit();
    if (!wanted) return;
    try {
      const { entry, local } = wanted;
      const facts = { id: ID, mode: modeOf(entry), ...isLeaf && { modified: entry.modified } };
      const folder = await this.#batch.makeFolder(local, { ...facts, files: small.length });
      this.#stored.push({ file: wanted, folder });
    } catch (error) {
      this.#tell(wanted, { error: explain(error) });
    }
  }

  /** Publishes what has arrived, and reports it. */
  async #commit(): Promise<void> {
    await this.#batch.commit();
    const stored = this.#stored;
    this.#stored = [];
    for (const { file, folder, got } of stored) {
      const { name, failure, isFinished } = folder;
      if (isFinished) this.#finished.add(file);
      if (failure) this.#tell(file, { error: failure });
      // Of a folder only a failure is told.
      else if (got) this.#tell(file, { stored: { ...got, name: name! } });
    }
  }

  async #getAlone(file: Wanted): Promise<void> {
    await this.#get(
      file,
      ({ entry, local }) => getInto(this.#client, entry.name, this.#store, local, this.#options),
    );
  }

  /** Downloads one file and reports its result, unless the session ended during it. */
  async #get(file: Wanted, action: (file: Wanted) => Promise<Stored>): Promise<void> {
    try {
      this.#tell(file, { stored: await action(file) });
    } catch (error) {
      if (this.#client.ended) throw error;
      if (this.#outgrown.has(file)) return;
      this.#tell(file, { error: explain(error) });
    }
  }

  /** Receives a small file into memory, and adds it to what is to be published. */
  async #receive(file: Wanted): Promise<void> {
    const { entry: { name }, local } = file;
    try {
      const { content, ...got } = await this.#client.receiveWhole(name) ??
        await this.#receiveSlowly(file);
      const added = this.#batch.put(local, content, got);
      const folder = added instanceof Promise ? await added : added;
      this.#stored.push({ file, folder, got });
    } catch (error) {
      if (this.#client.ended) throw error;
      if (!this.#outgrown.has(file)) this.#tell(file, { error: explain(error) });
    }
  }

  /** Receives a file whose answer arrives in pieces, or is no file. */
  async #receiveSlowly(file: Wanted): Promise<Received & { content: Uint8Array }> {
    const { entry: { name } } = file;
    const room = this.#room;
    let filled = 0;
    const write = (chunk: Uint8Array): void => {
      if (filled + chunk.length > room.length) {
        this.#outgrown.add(file);
        throw new InletError("changed", `Cannot get ${quoted(name)}: it grew during the transfer`);
      }
      room.set(chunk, filled);
      filled += chunk.length;
    };
    const got = await this.#client.receive(name, { write }, { stoppable: false });
    return { ...got, content: room.subarray(0, filled) };
  }

  #tell({ entry: { name }, local }: Wanted, result: ItemResult): void {
    this.#options.done.add(name);
    if (!("error" in result)) this.#options.progress.addFiles(1);
    this.#options.onResult(name, result, local);
  }

  #showProgress(files: readonly Wanted[]): void {
    const { progress, done } = this.#options;
    const ready = files.filter(({ entry }) => done.has(entry.name));
    progress.begin(sizeOf(files), files.length);
    progress.skip(sizeOf(ready));
    progress.addFiles(ready.length);
  }
}
