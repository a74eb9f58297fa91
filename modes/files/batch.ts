/**
 * Sends many requests without waiting for each answer: small files and folders.
 *
 * @module
 */

import {
  encodeRequest,
  type Fields,
  MAX_LINE_BYTES,
  type Reply,
  type Stored,
} from "../../protocol.ts";
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
import { localError } from "../../lib/local_errors.ts";
import { quoted } from "../../lib/text.ts";
import { decodeOk, decodeStored, type ItemResult } from "./answers.ts";
import { MAX_PUSHED_BYTES, trailerOf } from "./framing.ts";
import { Pipeline } from "./pipeline.ts";
import type { Requester } from "./requester.ts";

/** Called once for each item, with its result. */
export type OnResult = (item: Item, result: ItemResult) => void;

/** Items that were sent whole but not answered. The server may have stored them. */
export class Unanswered extends Set<Item> {
  /** Waits for the answer to an item, and adds the item if none arrives. */
  async note(source: Source, answer: Promise<Reply>): Promise<Reply> {
    try {
      return await answer;
    } catch (error) {
      this.add(source);
      throw error;
    }
  }
}

/** Pipelines requests on one connection. */
export class Batch {
  readonly unanswered: Unanswered = new Unanswered();
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #pipeline: Pipeline;
  readonly #put: (source: Source, signal?: AbortSignal) => Promise<Stored>;

  /** @param put Sends a file that is too large to push. */
  constructor(
    context: ClientContext,
    requester: Requester,
    put: (source: Source, signal?: AbortSignal) => Promise<Stored>,
  ) {
    this.#context = context;
    this.#requester = requester;
    this.#pipeline = new Pipeline(requester);
    this.#put = put;
  }

  /**
   * Sends files and folders. Small files do not wait for the previous answer.
   *
   * @param signal Stops the transfer; the session stays usable.
   * @returns The items that were not tried, because the connection ended first.
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
        onResult(item, { error: localError(error, `Cannot send ${quoted(item.label)}`) });
      }
      if (this.#requester.end) return items.slice(index + 1);
    }
    await this.#pipeline.settle();
    signal?.throwIfAborted();
    return [];
  }

  /** Adds a small file to the batch as one piece: request, content and checksum. */
  async #push(source: FileSource, onResult: OnResult): Promise<void> {
    const { name, size } = source;
    const fields = idField(this.#context, source);
    const request = encodeRequest({ type: "push", size, name, ...fields });
    const room = await this.#pipeline.room(request.length + size + MAX_LINE_BYTES);
    const end = request.length + size;
    const failure = source.read(room.subarray(request.length)) ? undefined : changed(source);
    this.#context.progress.add(size);
    const tally = new Tally();
    tally.add(room.subarray(request.length, end));
    const trailer = trailerOf(tally, failure?.message, source.modified);
    room.set(request);
    room.set(trailer, end);
    this.#pipeline.add(end + trailer.length, async (reply, isUnsent) => {
      const result = await this.unanswered.note(source, reply)
        .then((answer): ItemResult => ({ stored: decodeStored(source.label, answer, tally) }))
        .catch((error) => failed(error, isUnsent));
      onResult(source, failure ? { error: failure } : result);
    });
  }

  async #makeFolder(item: EmptyFolder, onResult: OnResult): Promise<void> {
    const request = encodeRequest({ type: "mkdir", name: item.name });
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, async (reply, isUnsent) => {
      const result = await reply.then((answer): ItemResult => ({
        stored: { name: decodeOk(answer) },
      }))
        .catch((error) => failed(error, isUnsent));
      onResult(item, result);
    });
  }
}

function failed(error: unknown, isUnsent: () => boolean): ItemResult {
  return { error: explain(error), ...(isUnsent() && { untried: true }) };
}

/** The field with the id of an item that may be sent again. */
export function idField({ uploadId }: ClientContext, item: Item): { fields?: Fields } {
  return uploadId ? { fields: { id: uploadId(item) } } : {};
}

/** Refuses a name that cannot be sent in a request line. */
export function checkName({ label, name }: Pick<Item, "label" | "name">): void {
  if (/[\r\n]/.test(name) || name.length > MAX_LINE_BYTES / 4) {
    const what = `Cannot send ${quoted(label)}`;
    throw new InletError("bad-name", `${what}: its name contains a line break or is too long`);
  }
}
