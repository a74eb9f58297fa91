/**
 * The server half of downloads of small files that are asked for one after another.
 *
 * Requests that have arrived already are answered together: files are read right behind the head of
 * their answer, and one piece of memory is sent while the next one is filled. Whatever is not a small
 * file that can be read at once is left to the code that serves every request.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { decodeRequest, encodeBodyLine, encodeReply } from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import { buffers, LARGE_BUFFER_BYTES } from "../../lib/body/buffer_pool.ts";
import type { SmallReader, WholeFile } from "../../lib/body/file_facts.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { lineAt } from "../../lib/net/whole_line.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { Store } from "../../lib/store/store.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { MAX_PUSHED_BYTES, trailerOf } from "./framing.ts";

const VERB = new TextEncoder().encode("get ");

/** Most files that are read at once. Meanwhile nobody else has a turn. */
const MAX_FILES = 128;

/** Most bytes around the content of one file. */
const AROUND_BYTES = 256;

/** Bytes of the answers that are collected where the pool lends no memory. */
const LEAST_BYTES = 64 * 1024 + AROUND_BYTES;

/** A complete request in a buffer. */
interface Asked {
  readonly name: string;
  /** Length of the line in bytes. */
  readonly bytes: number;
}

/**
 * Sends small files, for as long as requests for them have arrived.
 *
 * @returns Whether there was at least one.
 */
export async function serveGets(connection: Connection, context: ServerContext): Promise<boolean> {
  let served = false;
  const answers = new Answers(connection);
  try {
    while (!context.signal.aborted && connection.buffered.length > 0) {
      const asked = findAsked(connection.buffered);
      if (asked.length === 0 || !isPermitted(context)) break;
      const count = await answers.read(context.store, asked.map(({ name }) => name));
      if (count === 0 && answers.isEmpty) break;
      // There may be no room for the next one.
      if (count === 0) await answers.send();
      answers.sizes.forEach((size, index) => {
        const { name, bytes } = asked[index]!;
        connection.skip(bytes);
        context.log.got(name, size);
      });
      served ||= count > 0;
      if (isTurnDue()) await takeTurns();
    }
  } finally {
    await answers.end();
  }
  return served;
}

/** Answers on their way to a client: one buffer is filled while the other one is sent. */
class Answers implements SmallReader {
  /** Sizes of the files that were read last. */
  sizes: number[] = [];
  readonly #connection: Connection;
  readonly #lent: Uint8Array<ArrayBuffer>[] = [];
  #filling: Uint8Array | undefined;
  #other: Uint8Array | undefined;
  #filled = 0;
  /** How much was filled before the files that were read last. */
  #filledBefore = 0;
  #contentAt = 0;
  #sending: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get isEmpty(): boolean {
    return this.#filled === 0;
  }

  /** Reads files, as {@linkcode Store.readSmall} does. */
  async read(store: Store, names: readonly string[]): Promise<number> {
    this.sizes = [];
    this.#filledBefore = this.#filled;
    return await store.readSmall(names, this);
  }

  room(size: number): Uint8Array | undefined {
    this.#filling ??= this.#memory();
    const { length } = this.#filling;
    if (size > MAX_PUSHED_BYTES || this.#filled + size + AROUND_BYTES > length) return undefined;
    const head = headOf(size);
    this.#filling.set(head, this.#filled);
    this.#contentAt = this.#filled + head.length;
    return this.#filling.subarray(this.#contentAt, this.#contentAt + size + 1);
  }

  add({ content, ...facts }: WholeFile): void {
    const tally = new Tally();
    tally.add(content);
    const trailer = trailerOf(tally, undefined, facts);
    const end = this.#contentAt + content.length;
    this.#filling!.set(trailer, end);
    this.#filled = end + trailer.length;
    this.sizes.push(content.length);
  }

  drop(): void {
    this.sizes = [];
    this.#filled = this.#filledBefore;
  }

  async flush(): Promise<void> {
    if (!this.isEmpty) await this.send();
  }

  /** Sends what was added, once what was sent before has left. */
  async send(): Promise<void> {
    await this.#sending;
    if (this.#failure) throw this.#failure;
    const full = this.#filling!.subarray(0, this.#filled);
    [this.#filling, this.#other] = [this.#other, this.#filling];
    this.#filled = 0;
    this.#sending = this.#connection.write(full).catch((error) => this.#failure = error);
  }

  /** Sends all, and gives the memory back. */
  async end(): Promise<void> {
    try {
      if (!this.isEmpty) await this.send();
      await this.#sending;
      if (this.#failure) throw this.#failure;
    } finally {
      for (const buffer of this.#lent) {
        // A write that failed may still use it.
        if (this.#failure) buffers.forget(buffer);
        else buffers.giveBack(buffer);
      }
    }
  }

  #memory(): Uint8Array {
    const lent = buffers.borrow(LARGE_BUFFER_BYTES);
    if (!lent) return new Uint8Array(LEAST_BYTES);
    this.#lent.push(lent);
    return lent;
  }
}

/** What is sent ahead of the content of a file. */
function headOf(size: number): Uint8Array {
  const ok = encodeReply({ type: "ok", detail: String(size) });
  return size === 0 ? ok : concat([ok, encodeBodyLine({ type: "data", size })]);
}

/** The requests for files of one folder at the start of a buffer. */
function findAsked(buffer: Uint8Array): Asked[] {
  const asked: Asked[] = [];
  let folder: string | undefined;
  for (let start = 0; asked.length < MAX_FILES;) {
    if (VERB.some((byte, index) => buffer[start + index] !== byte)) break;
    const request = requestAt(buffer, start);
    if (!request) break;
    const { name, end } = request;
    const inside = name.slice(0, name.lastIndexOf("/") + 1);
    if (inside !== (folder ??= inside)) break;
    asked.push({ name, bytes: end - start });
    start = end;
  }
  return asked;
}

/**
 * What the line at an offset asks for, and where it ends; `undefined` if it is not whole, or malformed,
 * which the code that reads every request reports.
 */
function requestAt(buffer: Uint8Array, start: number): { name: string; end: number } | undefined {
  try {
    const line = lineAt(buffer, start);
    const request = line && decodeRequest(line.text);
    return request?.type === "get" ? { name: request.name, end: line!.end } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the client may get files. What it may not, the code that serves every request tells. */
function isPermitted(context: ServerContext): boolean {
  try {
    checkAccess(rightsOf(context), "get", "get");
    return true;
  } catch {
    return false;
  }
}
