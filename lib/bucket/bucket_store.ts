/**
 * A store that keeps received files in a bucket of an object store, for any number of servers at once.
 * Only the files of this folder access it. layout.ts says what stands where.
 *
 * - No final name is ever deleted, and nothing of inlet's is replaced: a name is claimed by a conditional
 *   PUT (claim.ts), and one that is given up is marked as free for the next.
 * - A file that is complete in memory is one such PUT (small.ts). A larger one is an upload in parts, for
 *   which a placeholder holds the name.
 * - What a server remembers saves requests, and nothing depends on it.
 *
 * @module
 */

import type { DiffEntry, FolderFacts, LinkFacts, ListEntry } from "../../protocol.ts";
import type { Facts, SmallReader } from "../body/file_facts.ts";
import type { OngoingUploads, ServerStore } from "../store/ongoing.ts";
import type {
  Asker,
  DiffOptions,
  Fingerprint,
  Found,
  MadeFolder,
  PartialFile,
  PartialQuery,
  Resumable,
  StoredFile,
  Upload,
} from "../store/store.ts";
import { BucketBatch } from "./batch.ts";
import { BucketContext, type BucketStoreOptions } from "./context.ts";
import { diffFolder } from "./diff.ts";
import { findFile, type Searching } from "./find.ts";
import { BucketFolders } from "./folders.ts";
import { BucketLinks } from "./links.ts";
import { listPages, treePages } from "./listing.ts";
import { Looks } from "./looks.ts";
import { BucketOngoing } from "./ongoing.ts";
import { parts } from "./part_pool.ts";
import { PartUpload } from "./part_upload.ts";
import { Placing } from "./placing.ts";
import { openFile } from "./read.ts";
import { BucketPartials } from "./resume.ts";
import { SmallFiles } from "./small.ts";
import { readSmall } from "./small_reads.ts";
import { sweep } from "./sweep.ts";
import { takeTurn } from "./turns.ts";

export type { BucketStoreOptions } from "./context.ts";

/** A store in a bucket, of published files, uploads and partial files. */
export class BucketStore implements ServerStore {
  readonly #context: BucketContext;
  readonly #folders: BucketFolders;
  readonly #placing: Placing;
  readonly #links: BucketLinks;
  readonly #small: SmallFiles;
  readonly #partials: BucketPartials;
  readonly ongoing: OngoingUploads;
  readonly #looks: Looks;

  /** Sends no request. */
  constructor(options: BucketStoreOptions) {
    const context = new BucketContext(options);
    this.#context = context;
    this.#folders = new BucketFolders(context);
    this.#placing = new Placing(context, this.#folders);
    this.#links = new BucketLinks(context, this.#folders, this.#placing);
    this.#small = new SmallFiles(context, this.#folders, this.#placing);
    const shared = { context, placing: this.#placing, small: this.#small };
    this.#partials = new BucketPartials({
      context,
      names: async (safe) => this.#placing.variants(await this.#folders.located(safe)),
      begin: (beginning) =>
        new PartUpload({ ...shared, pool: options.pool ?? parts, ...beginning }),
    });
    this.ongoing = new BucketOngoing(context, this.#partials);
    this.#looks = new Looks(context);
  }

  /** What a crash has left can be much: it is swept in turn, while the server serves. */
  prepare(): Promise<void> {
    return Promise.resolve();
  }

  async sweep(): Promise<void> {
    if (!this.#context.readOnly) await sweep(this.#context);
  }

  async sweepInTurn(withinMs: number): Promise<void> {
    if (this.#context.readOnly || !await takeTurn(this.#context, withinMs)) return;
    await sweep(this.#context);
  }

  async receive(name: string, size: number | null = null): Promise<Upload> {
    return await this.#partials.receive(this.#context.safe(name), size);
  }

  async receiveResumable(name: string, size: number | null, how: Resumable): Promise<Upload> {
    return await this.#partials.receive(this.#context.safe(name), size, how);
  }

  findPartials(name: string, query: PartialQuery): AsyncIterable<PartialFile> {
    return this.#partials.find(this.#context.safe(name), query);
  }

  async receiveNumbered(ending: string): Promise<Upload> {
    return await this.#partials.receiveNumbered(await this.#placing.numbered(ending));
  }

  async put(name: string, content: Uint8Array, facts: Facts = {}): Promise<string> {
    const safe = this.#context.safe(name);
    using _ = await this.#small.places.acquire(this.#context.signal);
    return await this.#small.put(safe, new Uint8Array(content), facts);
  }

  async makeFolder(name: string, facts: FolderFacts = {}): Promise<MadeFolder> {
    return await this.#folders.makeFolder(this.#context.safe(name), facts);
  }

  /** Makes a symbolic link under the first free name, as a batch does. */
  async makeLink(name: string, facts: LinkFacts): Promise<MadeFolder> {
    return await this.#links.make(this.#context.safe(name), facts);
  }

  async open(name: string): Promise<StoredFile> {
    return await openFile(this.#context, this.#looks, name);
  }

  async readSmall(names: readonly string[], reader: SmallReader): Promise<number> {
    return await readSmall(this.#context, this.#looks, names, reader);
  }

  async find(name: string, same: Fingerprint, asker?: Asker): Promise<Found | undefined> {
    return await findFile(this.#searching(), name, same, asker);
  }

  async diff(
    folder: string,
    entries: readonly DiffEntry[],
    options?: DiffOptions,
  ): Promise<string> {
    return await diffFolder(this.#searching(), folder, entries, options);
  }

  list(signal?: AbortSignal, isBare?: boolean): AsyncIterable<readonly ListEntry[]> {
    return listPages(this.#context, this.#looks, { signal, isBare });
  }

  tree(
    name: string,
    signal?: AbortSignal,
    isFlat?: boolean,
  ): AsyncIterable<readonly ListEntry[]> {
    return treePages(this.#context, this.#looks, name, { signal, isFlat });
  }

  batch(): BucketBatch {
    return new BucketBatch({
      context: this.#context,
      folders: this.#folders,
      links: this.#links,
      small: this.#small,
    });
  }

  /** Nothing that it remembers outlives it. */
  save(): void {}

  discardAll(): void {
    this.#context.stop();
  }

  /** What another server needs for uploads stays in the bucket. */
  close(): void {}

  #searching(): Searching {
    return { context: this.#context, looks: this.#looks, folders: this.#folders };
  }
}
