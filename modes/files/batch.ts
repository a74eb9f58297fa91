/**
 * The client's requests that do not wait for each other: small files and folders on their way, and
 * files that are compared.
 *
 * @module
 */

import { encodeRequest, MAX_LINE_BYTES, type Reply, type Stored } from "../../protocol.ts";
import {
  changed,
  EmptyFolder,
  type FileSource,
  type Item,
  type Source,
} from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { quoted } from "../../lib/text.ts";
import { decodeOk, decodeStored, type ItemResult } from "./answers.ts";
import { trailerOf } from "./framing.ts";
import { Pipeline } from "./pipeline.ts";
import { MAX_PUSHED_BYTES } from "./pushes.ts";
import type { Requester } from "./requester.ts";

/** Called once for each item, with what became of it. */
export type OnResult = (item: Item, result: ItemResult) => void;

/** A file of which the server is asked whether it has the same. */
export interface Compared {
  /** What a person calls it. */
  readonly label: string;
  /** What the server may have it as. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Time of its last change. */
  readonly modified: Date;
  /** CRC-32 of the whole. */
  crc(): Promise<number>;
}

/** What was sent whole and never answered: the server may have it or not. */
export class Unanswered extends Set<Item> {
  /** Waits for the answer to something, and notes that there was none. */
  async note(source: Source, answer: Promise<Reply>): Promise<Reply> {
    try {
      return await answer;
    } catch (error) {
      this.add(source);
      throw error;
    }
  }
}

/** Many requests on one conversation. */
export class Batch {
  readonly unanswered: Unanswered = new Unanswered();
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #pipeline: Pipeline;
  readonly #put: (source: Source, signal?: AbortSignal) => Promise<Stored>;

  /** @param put Sends a file that is too large to be one of many. */
  constructor(
    connection: Connection,
    context: ClientContext,
    requester: Requester,
    put: (source: Source, signal?: AbortSignal) => Promise<Stored>,
  ) {
    this.#connection = connection;
    this.#context = context;
    this.#requester = requester;
    this.#pipeline = new Pipeline(requester);
    this.#put = put;
  }

  /**
   * Sends files and folders, small ones without waiting for the answer to the one before.
   *
   * @param signal Stops it, in such a way that other requests can follow.
   * @returns What was not tried, because the connection ended before its turn.
   */
  async send(
    items: readonly Item[],
    onResult: OnResult,
    signal?: AbortSignal,
  ): Promise<readonly Item[]> {
    for (const [index, item] of items.entries()) {
      if (signal?.aborted) break;
      this.#context.progress.name(item.label);
      try {
        checkName(item);
        if (item instanceof EmptyFolder) {
          await this.#makeFolder(item, onResult);
        } else if (item.size !== null && item.size <= MAX_PUSHED_BYTES) {
          await this.#push(item, onResult);
        } else {
          await this.#pipeline.settle();
          onResult(item, { stored: await this.#put(item, signal) });
        }
      } catch (error) {
        await this.#pipeline.settle();
        onResult(item, { error: explain(error, `Cannot send ${quoted(item.label)}`) });
      }
      if (this.#requester.end) return items.slice(index + 1);
    }
    await this.#pipeline.settle();
    signal?.throwIfAborted();
    return [];
  }

  /**
   * Asks of files whether the server has the same: size, time, CRC-32, and the name or a numbered one
   * behind it.
   *
   * @param onAnswer Told the name of the same file, which is empty where there is none.
   */
  async compare<T extends Compared>(
    files: readonly T[],
    onAnswer: (file: T, name: string | InletError) => void,
  ): Promise<void> {
    for (const file of files) {
      this.#context.progress.name(file.label);
      let request: Uint8Array;
      try {
        checkName(file);
        const { name, size, modified } = file;
        const crc = await this.#connection.unwatched(file.crc());
        request = encodeRequest({ type: "compare", size, crc, modified, name });
      } catch (error) {
        onAnswer(file, explain(error, `Cannot send ${quoted(file.label)}`));
        continue;
      }
      (await this.#pipeline.room(request.length)).set(request);
      this.#pipeline.add(request.length, async (answer) => {
        onAnswer(file, await answer.then(decodeOk).catch(explain));
      });
      // The server reads a large file while this side reads the next one.
      if (file.size > MAX_PUSHED_BYTES) await this.#pipeline.send();
    }
    await this.#pipeline.settle();
    if (this.#requester.end) throw this.#requester.end;
  }

  /** Small enough to go out whole, header and checksum and all. */
  async #push(source: FileSource, onResult: OnResult): Promise<void> {
    const { name, size } = source;
    const request = encodeRequest({ type: "push", size, name });
    const room = await this.#pipeline.room(request.length + size + MAX_LINE_BYTES);
    const end = request.length + size;
    const failure = source.read(room.subarray(request.length)) ? undefined : changed(source);
    this.#context.progress.add(size);
    const tally = new Tally();
    tally.add(room.subarray(request.length, end));
    const trailer = trailerOf(tally, failure?.message, source.modified);
    room.set(request);
    room.set(trailer, end);
    this.#pipeline.add(end + trailer.length, async (reply) => {
      const result = await this.unanswered.note(source, reply)
        .then((answer): ItemResult => ({ stored: decodeStored(source.label, answer, tally) }))
        .catch((error): ItemResult => ({ error: explain(error) }));
      onResult(source, failure ? { error: failure } : result);
    });
  }

  async #makeFolder(item: EmptyFolder, onResult: OnResult): Promise<void> {
    const request = encodeRequest({ type: "mkdir", name: item.name });
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, async (reply) => {
      const result = await reply.then((answer): ItemResult => ({
        stored: { name: decodeOk(answer) },
      }))
        .catch((error): ItemResult => ({ error: explain(error) }));
      onResult(item, result);
    });
  }
}

/** A name that does not fit into a line can be asked of no server. */
function checkName({ label, name }: Pick<Item, "label" | "name">): void {
  if (/[\r\n]/.test(name) || name.length > MAX_LINE_BYTES / 4) {
    const what = `Cannot send ${quoted(label)}`;
    throw new InletError("bad-name", `${what}: its name holds a line break, or is too long`);
  }
}
