/**
 * A directory into which one offer is received, and nothing else: what goes beyond what was offered is
 * refused, and nothing is read out of it. It counts what has come.
 *
 * @module
 */

import type { FolderFacts, LinkFacts } from "../../protocol.ts";
import type { Facts } from "../../lib/body/file_facts.ts";
import { InletError } from "../../lib/errors.ts";
import type { DirectoryStore } from "../../lib/store/directory.ts";
import type { ServerStore } from "../../lib/store/ongoing.ts";
import type {
  MadeFolder,
  Maybe,
  PartialFile,
  Resumable,
  Store,
  Upload,
} from "../../lib/store/store.ts";
import type { BatchedFile, BatchedFolder, StoreBatch } from "../../lib/store/store_batch.ts";
import { formatBytes, formatCount, quoted } from "../../lib/text.ts";
import { TakenUpload } from "./taken_upload.ts";
import type { KeptItem } from "./told.ts";
import type { Terms } from "./terms.ts";

/** Called with what arrives. */
export interface TakenOptions {
  /** A file begins to arrive. */
  onBegin(name: string): void;
  /** Bytes of a file have arrived, or were there already. */
  onBytes(bytes: number, isKept?: boolean): void;
  /** All that was offered is there, right before it is acknowledged. */
  onWhole(): Promise<void>;
  /** A file or link was there before. */
  onKept(kept: KeptItem): void;
}

/** Receives one offer into a directory. */
export class TakenStore implements ServerStore {
  readonly #store: DirectoryStore;
  readonly #options: TakenOptions;
  #terms: Terms | undefined;
  /** The requested names of files and links that are there. */
  readonly #there = new Set<string>();
  readonly #folders = new Set<string>();
  /** The names of which the other side wanted to know whether they are there. */
  readonly #asked = new Set<string>();
  #published = 0;
  /** Bytes of what was published, and of what is on its way. */
  #bytes = 0;
  #bytesThere = 0;

  constructor(store: DirectoryStore, options: TakenOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Whether all that was offered is there. */
  get isWhole(): boolean {
    return this.#terms !== undefined && this.#there.size >= this.#terms.files;
  }

  /** How many files and links are there. */
  get count(): number {
    return this.#there.size;
  }

  /** Bytes of the files that are there. */
  get bytes(): number {
    return this.#bytesThere;
  }

  /** How many files, links and folders were offered. */
  get most(): number {
    const { files = 0, folders = 0 } = this.#terms ?? {};
    return files + folders;
  }

  /** Begins to receive what a person has agreed to. */
  agree(terms: Terms): void {
    this.#terms = terms;
  }

  prepare(): Promise<void> {
    return this.#store.prepare();
  }

  sweep(): Promise<void> {
    return this.#store.sweep();
  }

  receive(name: string, size: number | null): Maybe<Upload> {
    this.#check(name, size ?? 0);
    return this.#taking(name, this.#store.receive(name, size));
  }

  async receiveResumable(name: string, size: number | null, how: Resumable): Promise<Upload> {
    this.#check(name, size ?? 0);
    return this.#taking(name, await this.#store.receiveResumable(name, size, how));
  }

  async *findPartials(
    ...[name, query]: Parameters<Store["findPartials"]>
  ): AsyncIterable<PartialFile> {
    this.#check(name, 0);
    for await (const partial of this.#store.findPartials(name, query)) {
      yield {
        bytes: partial.bytes,
        read: (offset, into) => partial.read(offset, into),
        take: async (how, asker) => {
          const upload = await partial.take(how, asker);
          return upload && this.#taking(name, upload);
        },
      };
    }
  }

  receiveNumbered(): never {
    throw refusal("a file without a name");
  }

  async put(name: string, content: Uint8Array, facts?: Facts): Promise<string> {
    this.#check(name, content.length);
    const stored = await this.#store.put(name, content, facts);
    this.#count(content.length);
    await this.#arrived([{ name, bytes: content.length }]);
    return stored;
  }

  makeFolder(name: string, facts?: FolderFacts): Maybe<MadeFolder> {
    this.#checkFolder(name);
    return this.#store.makeFolder(name, facts);
  }

  open(name: string): never {
    throw readingRefused(name);
  }

  readSmall(): number {
    return 0;
  }

  async find(...given: Parameters<Store["find"]>): ReturnType<Store["find"]> {
    const [name, same] = given;
    this.#checkAsked(name);
    const found = await this.#store.find(...given);
    if (found?.isSame) await this.#arrived([{ name, bytes: same.size, isKept: true }]);
    return found;
  }

  async diff(...given: Parameters<Store["diff"]>): Promise<string> {
    const [folder, entries] = given;
    const nameOf = (name: string): string => folder === "/" ? name : `${folder}/${name}`;
    entries.forEach(({ name }) => this.#checkAsked(nameOf(name)));
    const flags = await this.#store.diff(...given);
    const files = entries.filter(({ size, to }, at) =>
      flags[at] === "=" && (size !== null || to !== undefined)
    );
    await this.#arrived(
      files.map(({ name, size, to }) => {
        const bytes = size ?? 0;
        return { name: nameOf(name), bytes, isLink: to !== undefined, isKept: true };
      }),
    );
    return flags;
  }

  list(): never {
    throw readingRefused("/");
  }

  tree(name: string): never {
    throw readingRefused(name);
  }

  batch(): StoreBatch {
    const batch = this.#store.batch();
    let added: { name: string; bytes: number; file: BatchedFile }[] = [];
    const add = <T extends BatchedFile>(name: string, bytes: number, file: Maybe<T>): Maybe<T> => {
      if (file instanceof Promise) return file.then((file) => add(name, bytes, file));
      this.#count(bytes);
      added.push({ name, bytes, file });
      return file;
    };
    const settle = (): Maybe<void> => {
      const stored = added.filter(({ file }) => file.name !== undefined);
      const failed = added.filter(({ file }) => file.failure !== undefined);
      failed.forEach(({ bytes }) => this.#count(-bytes, -1));
      added = added.filter(({ file }) => file.name === undefined && file.failure === undefined);
      return this.#arrived(stored);
    };
    return {
      get owed(): number {
        return batch.owed;
      },
      put: (name, content, facts) => {
        this.#check(name, content.length);
        return add(name, content.length, batch.put(name, content, facts));
      },
      makeFolder: (name, facts): Maybe<BatchedFolder> => {
        this.#checkFolder(name);
        return batch.makeFolder(name, facts);
      },
      makeLink: (name: string, facts: LinkFacts): Maybe<BatchedFolder> => {
        this.#check(name, 0);
        return add(name, 0, batch.makeLink(name, facts));
      },
      commit: () => {
        const committed = batch.commit();
        return committed instanceof Promise ? committed.then(settle) : settle();
      },
      [Symbol.dispose]: () => batch[Symbol.dispose](),
    };
  }

  save(): void {
    this.#store.save();
  }

  discardAll(): void {
    this.#store.discardAll();
  }

  close(): void {
    this.#store.close();
  }

  /** Checks that a file or link was offered, and fits in what is left of the offer. */
  #check(name: string, bytes: number): void {
    this.#checkName(name, "file");
    const { files, bytes: most } = this.#terms!;
    if (this.#published >= files) throw refusal(`more than ${counted(files, "file")}`);
    if (most !== null && this.#bytes + bytes > most) throw tooLarge(most);
    this.#addFolders(name.split("/").slice(0, -1));
  }

  #checkFolder(name: string): void {
    this.#checkName(name, "folder");
    this.#addFolders(name.split("/"));
  }

  /** Counts a folder and those that it is in. */
  #addFolders(parts: readonly string[]): void {
    const { folders: most } = this.#terms!;
    const paths = parts.map((_, at) => parts.slice(0, at + 1).join("/"));
    const added = paths.filter((path) => !this.#folders.has(path));
    if (this.#folders.size + added.length > most) {
      throw refusal(`more than ${counted(most, "folder")}`);
    }
    added.forEach((path) => this.#folders.add(path));
  }

  /** Whoever agrees has seen the names. Of very many, hidden ones have to be among the seen. */
  #checkName(name: string, kind?: "file" | "folder"): void {
    const { names = [], hasMore = false } = this.#terms ?? {};
    const first = name.split("/", 1)[0]!;
    const isWithin = kind !== "file" || name !== first;
    if (isWithin && names.includes(`${first}/`)) return;
    if (kind !== "folder" && names.includes(name)) return;
    if (!hasMore || first.startsWith(".")) throw refusal(quoted(name));
  }

  /** What is in a folder cannot be found out by asking for name after name. */
  #checkAsked(name: string): void {
    this.#checkName(name);
    if (!this.#asked.has(name) && this.#asked.size >= this.most) {
      throw refusal(`more than ${counted(this.most, "name")}`);
    }
    this.#asked.add(name);
  }

  #count(bytes: number, files = 1): void {
    this.#bytes += bytes;
    this.#published += files;
  }

  /** Notes what is there now. */
  #arrived(files: readonly Arrived[]): Maybe<void> {
    const wasWhole = this.isWhole;
    for (const file of files) {
      const { name, bytes, isKept, isShown } = file;
      if (this.#there.has(name)) continue;
      this.#there.add(name);
      this.#bytesThere += bytes;
      if (!isShown) this.#options.onBytes(bytes, isKept);
      if (isKept) this.#options.onKept(file);
    }
    if (!wasWhole && this.isWhole) return this.#options.onWhole();
  }

  /** An upload that counts. */
  #taking(name: string, upload: Upload): Upload {
    this.#options.onBegin(name);
    return new TakenUpload(upload, {
      write: (bytes) => {
        const most = this.#terms!.bytes;
        this.#bytes += bytes;
        if (most !== null && this.#bytes > most) throw tooLarge(most);
      },
      show: (bytes, isKept) => this.#options.onBytes(bytes, isKept),
      publish: async (bytes) => {
        this.#published++;
        await this.#arrived([{ name, bytes, isShown: true }]);
      },
      discard: (bytes) => void (this.#bytes -= bytes),
    });
  }
}

/** A file that is there. */
interface Arrived extends KeptItem {
  /** Whether it was there before. */
  readonly isKept?: boolean;
  /** Whether its bytes were shown as they came. */
  readonly isShown?: boolean;
}

function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`;
}

function tooLarge(most: number): InletError {
  const why = `it is more than the ${formatBytes(most)} that were offered`;
  return new InletError("too-large", `Cannot take it: ${why}`);
}

function refusal(what: string): InletError {
  return new InletError("bad-name", `Cannot take ${what}: that was not offered`);
}

function readingRefused(name: string): InletError {
  return new InletError("bad-name", `Cannot show ${quoted(name)}: only the offer is received here`);
}
