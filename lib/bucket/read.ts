/**
 * The published files of a bucket store, open for reading: each read is of the version that was opened.
 *
 * The request that opens a file brings its first bytes: a small file takes no other.
 *
 * @module
 */

import { LARGE_BUFFER_BYTES } from "../body/buffer_pool.ts";
import type { Extent } from "../body/reading.ts";
import { bufferedStream, type Tally } from "../body/streams.ts";
import { explain, InletError } from "../errors.ts";
import { checksumOf, type OpenFile } from "../store/checksums.ts";
import type { Asker, StoredFile } from "../store/store.ts";
import { printable, quoted } from "../text.ts";
import type { BucketContext } from "./context.ts";
import { isFolder } from "./listing.ts";
import type { Looks, Seen } from "./looks.ts";
import { ObjectReader } from "./object_reader.ts";
import { meaningsOf } from "./odd_names.ts";
import { readWhole } from "./whole_object.ts";

/** Bytes that are read when a file is opened: most files are not larger. */
const FIRST_BYTES = 64 * 1024;

/**
 * Opens a published file.
 *
 * @throws {InletError} `bad-name` or `not-found`
 */
export async function openFile(
  context: BucketContext,
  looks: Looks,
  name: string,
  signal?: AbortSignal,
): Promise<BucketFile> {
  const what = `Cannot get ${quoted(name)}`;
  try {
    for (const meant of meaningsOf(context, name)) {
      const key = context.key(meant);
      const file = await openAt(context, looks, { name, key, what, signal });
      if (file) return file;
    }
    throw await whyNot(context, looks, name, what);
  } catch (error) {
    throw explain(error, what);
  }
}

async function openAt(
  context: BucketContext,
  looks: Looks,
  { name, key, what, signal }: {
    name: string;
    key: string;
    what: string;
    signal: AbortSignal | undefined;
  },
): Promise<BucketFile | undefined> {
  const object = await readWhole(context.bucket, key, FIRST_BYTES, signal);
  if (!object) return undefined;
  const first = object.content;
  const seen = await looks.ofHead(key, object, signal);
  if (seen === "hidden" || seen === undefined) return undefined;
  if (seen.to === undefined) return new BucketFile(context, looks, { name, key, seen, first });
  throw new InletError("not-found", `${what}: it is a symbolic link`);
}

/** Why a file cannot be opened: a folder may have its name. */
async function whyNot(
  context: BucketContext,
  looks: Looks,
  name: string,
  what: string,
): Promise<InletError> {
  for (const meant of meaningsOf(context, name)) {
    if (!await isFolder(context, looks, meant)) continue;
    const why = `it is a folder, get "${printable(name)}/"`;
    return new InletError("not-found", `${what}: ${why}`);
  }
  return new InletError("not-found", `${what}: it does not exist`);
}

/** One version of a file. Reads fail if another program has replaced it since it was opened. */
export class BucketFile implements StoredFile {
  readonly size: number;
  readonly modified: Date;
  readonly mode: number | undefined;
  /** An object does not grow. */
  readonly grew = false;
  readonly #context: BucketContext;
  readonly #looks: Looks;
  readonly #key: string;
  readonly #name: string;
  readonly #seen: Seen;
  readonly #first: Uint8Array;
  readonly #reader: ObjectReader;

  /** @param opened Its first bytes among others. */
  constructor(
    context: BucketContext,
    looks: Looks,
    opened: { name: string; key: string; seen: Seen; first: Uint8Array },
  ) {
    const { name, key, seen, first } = opened;
    this.#context = context;
    this.#looks = looks;
    this.#key = key;
    this.#name = name;
    this.#seen = seen;
    this.#first = first;
    this.#reader = new ObjectReader(context.bucket, key, seen, name);
    this.size = seen.size;
    this.modified = seen.modified;
    this.mode = seen.mode;
  }

  read(offset: number, into: Uint8Array): number | Promise<number> {
    const end = Math.min(offset + into.length, this.size);
    if (end <= offset) return 0;
    if (end > this.#first.length) return this.#reader.read(offset, into.subarray(0, end - offset));
    into.set(this.#first.subarray(offset, end));
    return end - offset;
  }

  stream(offset: number): ReadableStream<Uint8Array> {
    let at = offset;
    const bytes = Math.min(Math.max(this.size - offset, 1), LARGE_BUFFER_BYTES);
    return bufferedStream(bytes, async (buffer) => {
      const first = this.#first.subarray(at, Math.min(this.#first.length, at + buffer.length));
      const read = at < this.#first.length
        ? (buffer.set(first), first.length)
        : await this.#reader.read(at, buffer.subarray(0, this.size - at), this.size);
      at += read;
      return read === 0 ? null : buffer.subarray(0, read);
    });
  }

  knownCrc(): Promise<number | undefined> {
    return Promise.resolve(this.#seen.crc);
  }

  async beginning(bytes: number, asker?: Asker): Promise<Extent> {
    const { size } = this;
    const { crc, etag } = this.#seen;
    if (bytes >= size && crc !== undefined) return { bytes: size, crc };
    const version = `${this.#key} ${size} ${etag}`;
    return await checksumOf(version, bytes, () => this.#again(bytes), asker);
  }

  /** The same version, open once more: others may wait for what is read from it when this is closed. */
  #again(bytes: number): OpenFile {
    const end = Math.min(bytes, this.size);
    const reader = new ObjectReader(this.#context.bucket, this.#key, this.#seen, this.#name);
    let at = 0;
    return {
      readNext: async (into) => {
        const read = await reader.read(at, into.subarray(0, end - at), end);
        at += read;
        return read === 0 ? null : read;
      },
      summed: ({ bytes, crc }: Tally) => {
        if (bytes === this.size) this.#looks.summed(this.#key, this.#seen, crc);
      },
      [Symbol.dispose]: () => reader[Symbol.dispose](),
    };
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }
}
