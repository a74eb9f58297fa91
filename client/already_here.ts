/**
 * Finds which files of the server are on this machine already, whole and the same: by their size and
 * time, or, where that does not suffice, by their CRC-32.
 *
 * A module of its own, because most downloads compare nothing.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { type Compared, Comparison } from "../modes/files/compare.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { OnBytes } from "../lib/body/streams.ts";
import { EVERYTHING, numberedName } from "../lib/store/names.ts";
import type { Store } from "../lib/store/store.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";
import { type DiffFlag, type ListEntry, MAX_DIFF_ENTRIES, modeOf } from "../protocol.ts";
import { LocalStore, type LocalStoreOptions } from "./local_store.ts";

/** Most numbered names here that are compared with one file. */
const MOST_NUMBERED = 100;

/** A file of the server, and the name to save it under. */
export interface Theirs {
  readonly entry: ListEntry;
  readonly local: string;
}

/** What of a store is needed. */
export type LocalFiles = Pick<Store, "diff" | "open">;

/** How files are compared. */
export interface HereOptions<T> {
  /** Whether the content of files is compared, whatever their times say. */
  byContent: boolean;
  /** Called with each file, and with its name here if it is the same. */
  onAnswer(file: T, answer: "same" | "new" | "changed", name: string): void;
}

/** A local file that may be the same as the server's. */
class LocalCopy<T extends Theirs> implements Compared {
  readonly needsCrc = true;
  readonly file: T;
  readonly label: string;
  readonly name: string;
  readonly size: number;
  readonly modified: Date;
  readonly #store: LocalFiles;
  readonly #others: readonly string[];

  /** @param names The names here that it may have. */
  constructor(store: LocalFiles, file: T, [label = file.local, ...others]: readonly string[]) {
    this.#store = store;
    this.#others = others;
    this.file = file;
    this.label = label;
    this.name = file.entry.name;
    this.size = file.entry.size ?? 0;
    this.modified = file.entry.modified;
  }

  /** The next one that may be the same. */
  get other(): LocalCopy<T> | undefined {
    return this.#others.length > 0
      ? new LocalCopy(this.#store, this.file, this.#others)
      : undefined;
  }

  async crc(onBytes?: OnBytes): Promise<number> {
    // The store opens it, because the store does not follow links.
    using stored = await this.#store.open(this.label);
    return (await stored.beginning(stored.size, { onBytes })).crc;
  }
}

/** Compares files with what is here. Only what may be the same is read. */
export async function findHere<T extends Theirs>(
  client: FilesClient,
  store: LocalFiles,
  files: readonly T[],
  { byContent, onAnswer }: HereOptions<T>,
): Promise<void> {
  let unsure: LocalCopy<T>[] = [];
  for (const [folder, all] of Map.groupBy(files, ({ local }) => dirname(local))) {
    for (let start = 0; start < all.length; start += MAX_DIFF_ENTRIES) {
      const some = all.slice(start, start + MAX_DIFF_ENTRIES);
      const flags = await flagsOf(store, folder, some, byContent);
      for (const [index, file] of some.entries()) {
        const flag = flags[index] as DiffFlag;
        if (flag !== "?") onAnswer(file, ANSWERS[flag], file.local);
        else unsure.push(new LocalCopy(store, file, await candidates(store, file, byContent)));
      }
      if (isTurnDue()) await takeTurns();
    }
  }
  // What is not this one can be one with a number.
  for (let others: LocalCopy<T>[] = []; unsure.length > 0; unsure = others, others = []) {
    await new Comparison(...client.parts).run(unsure, (copy, name) => {
      const { file, label, other } = copy;
      if (name === file.entry.name) onAnswer(file, "same", label);
      else if (other) others.push(other);
      else onAnswer(file, "changed", label);
    });
  }
}

const ANSWERS = { "=": "same", ".": "new", "!": "changed" } as const;

async function flagsOf(
  store: LocalFiles,
  folder: string,
  files: readonly Theirs[],
  byContent: boolean,
): Promise<string> {
  const entries = files.map(({ entry, local }) => {
    const { size, to, modified } = entry;
    return { size, to, modified, mode: modeOf(entry), name: basename(local) };
  });
  try {
    return await store.diff(folder === "." ? EVERYTHING : folder, entries, { byContent });
  } catch {
    // Where nothing can be compared, the download gets a free name, or says why not.
    return ".".repeat(files.length);
  }
}

/** The names here of what may be the same: its own, and those with a number. */
async function candidates(
  store: LocalFiles,
  file: Theirs,
  byContent: boolean,
): Promise<string[]> {
  const found: string[] = [];
  for (let number = 1; number <= MOST_NUMBERED; number++) {
    const local = numberedName(file.local, number);
    const flag = await flagsOf(store, dirname(local), [{ ...file, local }], byContent);
    if (flag === ".") break;
    if (flag === "?" || flag === "=") found.push(local);
  }
  return found.length > 0 ? found : [file.local];
}

/**
 * Finds one file of the server at a path.
 *
 * @returns Its size, and its name here; `undefined` if it is not here.
 */
export async function findOneHere(
  client: FilesClient,
  name: string,
  path: string,
  options: LocalStoreOptions & { checksum?: boolean },
): Promise<{ size: number; name: string } | undefined> {
  // Most names are free, and then the server need not be asked.
  if (!isFile(path)) return undefined;
  const entry = await entryOf(client, name);
  if (!entry) return undefined;
  await using store = await LocalStore.open(dirname(path), options);
  let here: string | undefined;
  await findHere(client, store, [{ entry, local: basename(path) }], {
    byContent: options.checksum ?? false,
    onAnswer: (_, answer, name) => {
      if (answer === "same") here = name;
    },
  });
  return here === undefined ? undefined : { size: entry.size ?? 0, name: here };
}

/** What the server has under the name of a file. */
export async function entryOf(
  client: FilesClient,
  name: string,
): Promise<ListEntry | undefined> {
  const entries: ListEntry[] = [];
  try {
    for await (const page of client.tree(name)) entries.push(...page.slice(0, 1));
  } catch (error) {
    // What is wrong with the name shows when the file is requested.
    if (client.ended) throw error;
  }
  const [entry] = entries;
  return entry && entry.size !== null ? entry : undefined;
}

function isFile(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}
