/**
 * Finds which files of the server are on this machine already, whole and the same: by their size and
 * time, or else by their CRC-32.
 *
 * A module of its own, because most downloads compare nothing.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import type { FilesClient } from "../modes/files/client.ts";
import type { Compared } from "../modes/files/compare.ts";
import { isTurnDue, takeTurns } from "../lib/turns.ts";
import type { ListEntry } from "../protocol.ts";
import { LocalStore, type LocalStoreOptions } from "./local_store.ts";

/** A file of the server, and the name to save it under. */
export interface Theirs {
  readonly entry: ListEntry;
  readonly local: string;
}

/** A local file that may be the same as the server's. */
class LocalCopy<T extends Theirs> implements Compared {
  readonly needsCrc = true;
  readonly file: T;
  readonly label: string;
  readonly name: string;
  readonly size: number;
  readonly modified: Date;
  readonly #store: LocalStore;

  /** @param label Its name here. */
  constructor(store: LocalStore, file: T, label: string) {
    this.#store = store;
    this.file = file;
    this.label = label;
    this.name = file.entry.name;
    this.size = file.entry.size ?? 0;
    this.modified = file.entry.modified;
  }

  async crc(): Promise<number> {
    // The store opens it, because the store does not follow links.
    using stored = await this.#store.open(this.label);
    return (await stored.beginning(stored.size)).crc;
  }
}

/** Calls back with each file that is here, and its name here. Only what may be the same is read. */
export async function findHere<T extends Theirs>(
  client: FilesClient,
  store: LocalStore,
  files: readonly T[],
  onSame: (file: T, name: string) => void,
): Promise<void> {
  const unsure: LocalCopy<T>[] = [];
  for (const file of files) {
    const { size, modified } = file.entry;
    // Where nothing can be compared, the download is published under a free name, or says why not.
    const found = await store.find(file.local, { size: size ?? 0, modified, crc: null })
      .catch(() => undefined);
    if (found?.isSame) onSame(file, found.name);
    else if (found) unsure.push(new LocalCopy(store, file, found.name));
    if (isTurnDue()) await takeTurns();
  }
  if (unsure.length === 0) return;
  await client.compare(unsure, ({ file, label }, name) => {
    if (name === file.entry.name) onSame(file, label);
  });
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
  options: LocalStoreOptions,
): Promise<{ size: number; name: string } | undefined> {
  // Most names are free, and then the server need not be asked.
  if (!isFile(path)) return undefined;
  const entries: ListEntry[] = [];
  try {
    for await (const page of client.tree(name)) entries.push(...page.slice(0, 1));
  } catch (error) {
    // What is wrong with the name shows when the file is requested.
    if (client.ended) throw error;
  }
  const [entry] = entries;
  if (!entry || entry.size === null) return undefined;
  await using store = await LocalStore.open(dirname(path), options);
  let here: string | undefined;
  await findHere(client, store, [{ entry, local: basename(path) }], (_, name) => here = name);
  return here === undefined ? undefined : { size: entry.size, name: here };
}

function isFile(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}
