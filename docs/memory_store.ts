/**
 * An example of a store of one's own: it keeps files in memory, and forgets them at its end. It has no
 * partial files and no symbolic links, which a store need not have.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  type DiffEntry,
  type Facts,
  type Fingerprint,
  type FolderFacts,
  type Found,
  InletError,
  type ListEntry,
  type MadeFolder,
  type PartialFile,
  type Store,
  type StoreBatch,
  type StoredFile,
  type Upload,
} from "../server.ts";

/** A file; a folder has no content. */
interface Kept {
  readonly content?: Uint8Array;
  readonly modified: Date;
  readonly mode: number | undefined;
}

/** Keeps files in memory. */
export class MemoryStore implements Store {
  readonly #kept = new Map<string, Kept>();

  async prepare(): Promise<void> {}
  async sweep(): Promise<void> {}
  save(): void {}
  discardAll(): void {}
  close(): void {}

  receive(name: string): Upload {
    checkName(name);
    const chunks: Uint8Array[] = [];
    return {
      kept: { bytes: 0, crc: () => 0 },
      startOver: () => {},
      // The caller uses the chunk again.
      write: (chunk) => void chunks.push(chunk.slice()),
      publish: async (facts) => this.put(name, await new Blob(chunks as BlobPart[]).bytes(), facts),
      discard: () => void chunks.splice(0),
      async [Symbol.asyncDispose]() {},
    };
  }

  // Nothing is kept of what breaks off: the client begins again.
  receiveResumable(name: string): Promise<Upload> {
    return Promise.resolve(this.receive(name));
  }

  async *findPartials(): AsyncGenerator<PartialFile> {}

  receiveNumbered(ending: string): Upload {
    let number = 1;
    while (this.#kept.has(`${number}${ending}`)) number++;
    return this.receive(`${number}${ending}`);
  }

  put(name: string, content: Uint8Array, { modified = new Date(), mode }: Facts = {}): string {
    checkName(name);
    this.#makeFolders(name.split("/").slice(0, -1));
    const free = this.#free(name);
    this.#kept.set(free, { content: content.slice(), modified, mode });
    return free;
  }

  makeFolder(name: string, { modified = new Date(), mode }: FolderFacts = {}): MadeFolder {
    checkName(name);
    const isNew = !this.#kept.has(name);
    this.#makeFolders(name.split("/").slice(0, -1));
    if (isNew) this.#kept.set(name, { modified, mode });
    return { name, isNew };
  }

  open(name: string): StoredFile {
    const file = this.#kept.get(name);
    if (!file?.content) throw notFound(name);
    const { content, modified, mode } = file;
    const tally = (bytes: number) => {
      const part = content.subarray(0, bytes);
      return { bytes: part.length, crc: crc32(part) };
    };
    return {
      ...{ size: content.length, modified, mode, grew: false },
      read(offset, into) {
        const part = content.subarray(offset, offset + into.length);
        into.set(part);
        return part.length;
      },
      stream: (offset) => new Blob([content.subarray(offset) as BlobPart]).stream(),
      knownCrc: () => Promise.resolve(crc32(content)),
      beginning: (bytes) => Promise.resolve(tally(bytes)),
      [Symbol.dispose]() {},
    };
  }

  // The server then opens each by itself.
  readSmall(): number {
    return 0;
  }

  find(name: string, { size, crc, modified }: Fingerprint): Promise<Found | undefined> {
    const file = this.#kept.get(name);
    const isAlike = file?.content?.length === size &&
      (crc === null || crc32(file.content) === crc);
    const isSame = isAlike && (crc !== null || isAt(file, modified));
    return Promise.resolve(isAlike ? { name, isSame } : undefined);
  }

  diff(folder: string, entries: readonly DiffEntry[]): string {
    const inside = folder === "/" ? "" : `${folder}/`;
    return entries.map(({ name, size, crc, modified }) => {
      const here = this.#kept.get(inside + name);
      if (!here) return ".";
      if (size === null || !here.content) return size === null && !here.content ? "=" : "!";
      if (here.content.length !== size) return "!";
      if (crc !== undefined) return crc32(here.content) === crc ? "=" : "!";
      return isAt(here, modified) ? "=" : "?";
    }).join("");
  }

  async *list(): AsyncGenerator<ListEntry[]> {
    yield this.#entries("").filter(({ size }) => size !== null);
  }

  async *tree(
    name: string,
    _signal?: AbortSignal,
    isFlat = false,
  ): AsyncGenerator<ListEntry[]> {
    const entries = this.#entries(name === "/" ? "" : name);
    if (entries.length === 0 && name !== "/") throw notFound(name);
    const depth = name === "/" ? 1 : name.split("/").length + 1;
    yield entries.filter((entry) => !isFlat || entry.name.split("/").length <= depth);
  }

  // All that is added is there at once, so that nothing is left to commit.
  batch(): StoreBatch {
    return {
      owed: 0,
      put: (name, content, facts) => ({ name: this.put(name, content, facts) }),
      makeFolder: (name, facts) => this.makeFolder(name, facts),
      makeLink: (name) => {
        throw new InletError("denied", `Cannot make "${name}": this store has no links`);
      },
      commit() {},
      [Symbol.dispose]() {},
    };
  }

  /** What is at a name and below it, in the order of the UTF-8 bytes; a folder sorts as if it ended with `/`. */
  #entries(root: string): ListEntry[] {
    const isBelow = (name: string): boolean =>
      root === "" || name === root || name.startsWith(`${root}/`);
    return [...this.#kept].filter(([name]) => isBelow(name))
      .map(([name, { content, modified }]) => ({ name, size: content?.length ?? null, modified }))
      .map((entry) => ({ entry, key: encode(entry.size === null ? `${entry.name}/` : entry.name) }))
      .sort((one, other) => compare(one.key, other.key))
      .map(({ entry }) => entry);
  }

  #makeFolders(parts: readonly string[]): void {
    for (let depth = 1; depth <= parts.length; depth++) {
      const name = parts.slice(0, depth).join("/");
      if (this.#kept.get(name)?.content) {
        throw new InletError("bad-name", `Cannot make "${name}": it is a file`);
      }
      if (!this.#kept.has(name)) this.#kept.set(name, { modified: new Date(), mode: undefined });
    }
  }

  /** `a.txt`, `a (2).txt`, `a (3).txt`: no file is ever replaced. */
  #free(name: string): string {
    const [, stem, ending] = /^(.*?)((?:\.[^./]+)?)$/s.exec(name)!;
    let free = name;
    for (let number = 2; this.#kept.has(free); number++) free = `${stem} (${number})${ending}`;
    return free;
  }
}

function checkName(name: string): void {
  const isOdd = name.split("/").some((part) => ["", ".", ".."].includes(part));
  if (isOdd || name.includes("\0")) {
    throw new InletError("bad-name", `Cannot use "${name}" as a name`);
  }
}

function notFound(name: string): InletError {
  return new InletError("not-found", `Cannot get "${name}": it does not exist`);
}

function isAt({ modified }: Kept, time: Date): boolean {
  return modified.getTime() === time.getTime();
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function compare(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at < 0 ? one.length - other.length : one[at]! - (other[at] ?? -1);
}
