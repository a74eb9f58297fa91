/**
 * GET with `?archive=`: a folder with all that is below it, as one archive.
 *
 * It holds what the list of the folder shows, in its order, each file in the version that it has when
 * its turn comes. Nothing is kept on disk, and little in memory. What cannot be read to its end cuts
 * the response: an archive that ends is whole.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { checkAccess } from "../lib/auth/access.ts";
import { InletError } from "../lib/errors.ts";
import { rightsOf } from "../lib/server/context.ts";
import { EVERYTHING } from "../lib/store/names.ts";
import type { Store, StoredFile } from "../lib/store/store.ts";
import { quoted } from "../lib/text.ts";
import { type ListEntry, modeOf } from "../protocol.ts";
import { type ArchiveEntry, type ArchiveFormat, ARCHIVES } from "./archive_formats.ts";
import { attachment } from "./disposition.ts";
import type { Exchange } from "./exchange.ts";
import { checkFolder } from "./list_formats.ts";
import { Refusal } from "./problem.ts";

/** Bytes up to which pieces of an archive are joined to be sent at once. */
const JOINED_BYTES = 64 * 1024;

/** Most bytes of a file that is read at once. */
const SMALL_BYTES = 64 * 1024;

/** The file name of an archive of everything, without its ending. */
const NAME_OF_ALL = "files";

/**
 * Sends a folder as an archive.
 *
 * @param folder Empty for everything.
 */
export async function sendArchive(exchange: Exchange, folder: string): Promise<void> {
  const { context, connection, query } = exchange;
  const format = query.get("archive");
  if (!isFormat(format)) {
    const known = Object.keys(ARCHIVES).join(" or ");
    throw new Refusal(400, `Cannot make this archive: use ${known}`);
  }
  const what = `get ${folder === "" ? "all files" : quoted(folder)} as ${format}`;
  context.log.begin(folder === "" ? undefined : folder);
  for (const right of ["tree", "get"] as const) checkAccess(rightsOf(context), right, what);
  const over = new AbortController();
  const pages = context.store.tree(folder || EVERYTHING, over.signal)[Symbol.asyncIterator]();
  try {
    // The first page shows whether there is a folder, before the status is sent.
    const first = await connection.unwatched(pages.next());
    checkFolder(first.value, folder);
    context.log.info("tree", `asked to ${what}`, folder === "" ? {} : { file: folder });
    const { type, pack } = ARCHIVES[format];
    const write = exchange.begin(200, {
      "Content-Type": type,
      "Content-Disposition": attachment(`${folder || NAME_OF_ALL}.${format}`),
    });
    if (exchange.isHead) return exchange.end();
    const packed = await pack(entriesOf(exchange, folder, { first, pages }));
    using _ = connection.enforceMinRateOut();
    let bytes = 0;
    // Where this is left early, the packed entries are closed with the stream.
    for await (const piece of joined(packed)) {
      bytes += piece.length;
      await write(piece);
    }
    exchange.end();
    context.log.got(`${folder}/`, bytes);
  } finally {
    over.abort();
    // Not waited for, as a disk can hang.
    pages.return?.(undefined)?.catch(() => {});
  }
}

function isFormat(format: string | null): format is ArchiveFormat {
  return format !== null && Object.hasOwn(ARCHIVES, format);
}

/** Joins small pieces: an archive of small files has three or more of them for each. */
async function* joined(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let small: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    small.push(piece);
    bytes += piece.length;
    if (bytes < JOINED_BYTES) continue;
    yield small.length === 1 ? piece : concat(small);
    small = [];
    bytes = 0;
  }
  if (bytes > 0) yield concat(small);
}

/** The entries of an archive. A file is open until the next entry is asked for. */
async function* entriesOf(
  exchange: Exchange,
  folder: string,
  { first, pages }: {
    first: IteratorResult<readonly ListEntry[]>;
    pages: AsyncIterator<readonly ListEntry[]>;
  },
): AsyncGenerator<ArchiveEntry> {
  const { connection, context: { store } } = exchange;
  // The last part of the folder's name is the top of the archive.
  const above = folder.lastIndexOf("/") + 1;
  for (let page = first; !page.done; page = await connection.unwatched(pages.next())) {
    using ahead = new OpenedAhead(store, page.value);
    for (const [index, listed] of page.value.entries()) {
      const { name, size, modified, to } = listed;
      const entry = { name: name.slice(above), modified, mode: modeOf(listed) };
      if (to !== undefined) yield { ...entry, what: { type: "link", to } };
      else if (size === null) yield { ...entry, what: { type: "folder" } };
      else {
        using file = await connection.unwatched(ahead.take(index));
        const { size, modified, mode } = file;
        await using content = contentOf(exchange, name, file);
        yield { name: entry.name, modified, mode, what: { type: "file", size, content } };
      }
    }
  }
}

/** Files that are opened at once, where opening one takes a wait. */
const MOST_AHEAD = 16;

/** Opens the files of a page in their order, and those behind a file while it is read. */
class OpenedAhead implements Disposable {
  readonly #store: Store;
  readonly #page: readonly ListEntry[];
  readonly #opened = new Map<number, Promise<StoredFile>>();
  #most = 1;
  #next = 0;

  constructor(store: Store, page: readonly ListEntry[]) {
    this.#store = store;
    this.#page = page;
  }

  /** The file at an index, which its caller disposes of. */
  async take(index: number): Promise<StoredFile> {
    for (; this.#next < this.#page.length && this.#opened.size < this.#most; this.#next++) {
      const { name, size } = this.#page[this.#next]!;
      if (size === null) continue;
      const opening = this.#store.open(name);
      // What is opened at once, as on a disk, needs no other beside it.
      if (opening instanceof Promise) this.#most = MOST_AHEAD;
      const opened = Promise.resolve(opening);
      // It fails in its turn.
      opened.catch(() => {});
      this.#opened.set(this.#next, opened);
    }
    const opened = this.#opened.get(index)!;
    this.#opened.delete(index);
    return await opened;
  }

  [Symbol.dispose](): void {
    for (const opened of this.#opened.values()) {
      opened.then((file) => file[Symbol.dispose](), () => {});
    }
  }
}

/**
 * The content of a file, to its end as it was when it was opened.
 *
 * @throws {InletError} `changed` if the file was written or cut meanwhile; it may have grown
 */
async function* contentOf(
  { connection }: Exchange,
  name: string,
  file: StoredFile,
): AsyncGenerator<Uint8Array, void, void> {
  const { size } = file;
  if (size <= SMALL_BYTES) {
    // One read, beside which a stream takes long.
    const content = new Uint8Array(size);
    const read = size === 0 ? 0 : await file.read(0, content);
    if (read < size) throw new InletError("changed", `${quoted(name)} changed while it was sent`);
    return yield content;
  }
  const reader = file.stream(0).getReader();
  try {
    for (;;) {
      const { value } = await connection.unwatched(reader.read());
      if (!value) return;
      // An archive queues pieces, and the memory of this one is used again.
      yield value.slice();
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
