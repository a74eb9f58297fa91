/**
 * Files and folders of one sender that arrive one after another in a bucket store. Many are written at
 * once: each file is copied, and has its name once the bucket has answered.
 *
 * @module
 */

import type { LinkFacts } from "../../protocol.ts";
import type { Facts } from "../body/file_facts.ts";
import { explain } from "../errors.ts";
import { Semaphore } from "../semaphore.ts";
import type { MadeFolder } from "../store/store.ts";
import type {
  BatchedFile,
  BatchedFolder,
  BatchedFolderFacts,
  StoreBatch,
} from "../store/store_batch.ts";
import { quoted } from "../text.ts";
import type { BucketContext } from "./context.ts";
import type { BucketFolders } from "./folders.ts";
import type { BucketLinks } from "./links.ts";
import type { SmallFiles } from "./small.ts";

/** Most folders and links of a batch that are made at once. */
const MOST_MADE_AT_ONCE = 16;

/** What a batch needs of its store. */
export interface BatchContext {
  readonly context: BucketContext;
  readonly folders: BucketFolders;
  readonly links: BucketLinks;
  readonly small: SmallFiles;
}

/** A batch in a bucket store. */
export class BucketBatch implements StoreBatch {
  readonly #store: BatchContext;
  readonly #making = new Semaphore(MOST_MADE_AT_ONCE);
  /** What has neither a name nor a failure yet. */
  readonly #inFlight = new Set<Promise<void>>();
  #settling: PromiseWithResolvers<void> | undefined;
  /** What the names of the announced files begin with. */
  #announced: string | undefined;
  #owed = 0;

  /** For the store only. */
  constructor(store: BatchContext) {
    this.#store = store;
  }

  get owed(): number {
    return this.#owed;
  }

  get settling(): Promise<void> | undefined {
    if (this.#inFlight.size === 0) return undefined;
    return (this.#settling ??= Promise.withResolvers()).promise;
  }

  async put(name: string, content: Uint8Array, facts: Facts = {}): Promise<BatchedFile> {
    const { context, small } = this.#store;
    if (name.slice(0, name.lastIndexOf("/") + 1) === this.#announced && this.#owed > 0) {
      this.#owed--;
    }
    const safe = context.safe(name);
    const place = await small.places.acquire(context.signal);
    const copy = new Uint8Array(content);
    const file: BatchedFile = {};
    this.#begin(file, `store ${quoted(name)}`, async () => {
      using _ = place;
      file.name = await small.put(safe, copy, facts);
    });
    return file;
  }

  async makeFolder(name: string, facts: BatchedFolderFacts = {}): Promise<BatchedFolder> {
    const { mode, id, files = 0 } = facts;
    this.#announced = `${name}/`;
    this.#owed = files;
    const safe = this.#store.context.safe(name);
    const what = `make the folder ${quoted(name)}`;
    // It gets its time behind these.
    const now = files > 0 ? { mode, id } : facts;
    return await this.#make(what, () => this.#store.folders.makeFolder(safe, now));
  }

  async makeLink(name: string, facts: LinkFacts): Promise<BatchedFolder> {
    const safe = this.#store.context.safe(name);
    const what = `make the link ${quoted(name)}`;
    return await this.#make(what, () => this.#store.links.make(safe, facts));
  }

  async commit(): Promise<void> {
    this.#announced = undefined;
    this.#owed = 0;
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  [Symbol.dispose](): void {
    // What is on its way to the bucket cannot be called back.
  }

  async #make(what: string, make: () => Promise<MadeFolder>): Promise<BatchedFolder> {
    const place = await this.#making.acquire(this.#store.context.signal);
    const folder: BatchedFolder = {};
    this.#begin(folder, what, async () => {
      using _ = place;
      Object.assign(folder, await make());
    });
    return folder;
  }

  /** Begins to store a file or folder. It has a failure if that fails. */
  #begin(file: BatchedFile, what: string, store: () => Promise<void>): void {
    const storing = store().catch((error) => {
      file.failure = explain(error, `Cannot ${what}`);
    }).then(() => {
      this.#inFlight.delete(storing);
      this.#settling?.resolve();
      this.#settling = undefined;
    });
    this.#inFlight.add(storing);
  }
}
