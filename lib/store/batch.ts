/**
 * Files and folders of one sender that arrive one after another in a directory store.
 *
 * @module
 */

import type { Facts } from "../body/file_facts.ts";
import type {
  BatchedFile,
  BatchedFolder,
  BatchedFolderFacts,
  Maybe,
  Store,
  StoreBatch,
} from "./store.ts";

/** A batch in a directory store. */
export class DirectoryBatch implements StoreBatch {
  readonly #store: Pick<Store, "put" | "makeFolder">;

  /** For the store only. */
  constructor(store: Pick<Store, "put" | "makeFolder">) {
    this.#store = store;
  }

  put(name: string, content: Uint8Array, facts: Facts = {}): Maybe<BatchedFile> {
    const stored = this.#store.put(name, content, facts);
    return typeof stored === "string" ? { name: stored } : stored.then((name) => ({ name }));
  }

  makeFolder(name: string, facts: BatchedFolderFacts = {}): Maybe<BatchedFolder> {
    return this.#store.makeFolder(name, facts);
  }

  commit(): void {}

  [Symbol.dispose](): void {}
}
