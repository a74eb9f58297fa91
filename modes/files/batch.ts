/**
 * Sends many requests without waiting for each answer: small files and folders.
 *
 * @module
 */

import {
  encodeRequest,
  type Fields,
  MAX_LINE_BYTES,
  modeField,
  type Reply,
  type Stored,
} from "../../protocol.ts";
import {
  changed,
  EmptyFolder,
  type FileSource,
  type Item,
  type Parent,
  type Source,
} from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { localError } from "../../lib/local_errors.ts";
import { quoted } from "../../lib/text.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { decodeOk, decodeStored, type ItemResult } from "./answers.ts";
import { MAX_PUSHED_BYTES, trailerOf } from "./framing.ts";
import { Pipeline, type Taker } from "./pipeline.ts";
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
  readonly #made = new Set<Parent>();
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
   * Sends files and folders. Small files do not wait for the previous answer, and the first of them
   * not for the welcome.
   *
   * @param signal Stops the transfer; the session stays usable.
   * @returns The items that were not tried, because the connection ended first.
   * @throws {InletError} why there was no welcome; then no item has a result
   */
  async send(
    items: readonly Item[],
    onResult: OnResult,
    signal?: AbortSignal,
  ): Promise<readonly Item[]> {
    const requester = this.#requester;
    const onWelcomed: OnResult = (item, result) => requester.isWelcome && onResult(item, result);
    const untried = await this.#sendEach(items, onWelcomed, signal);
    await requester.welcomed.catch(({ code }) => {
      // A server that refuses has read nothing. One that is lost may have.
      if (code !== "lost" && code !== "timeout") this.unanswered.clear();
      throw requester.end;
    });
    return untried;
  }

  async #sendEach(
    items: readonly Item[],
    onResult: OnResult,
    signal?: AbortSignal,
  ): Promise<readonly Item[]> {
    await announceTotal(items);
    for (const [index, item] of items.entries()) {
      if (signal?.aborted) break;
      this.#context.progress.name(item.label);
      try {
        checkName(item);
        if ("parent" in item) await this.#makeParents(item.parent);
        if (item instanceof EmptyFolder) {
          await this.#makeFolder(item, onResult);
        } else if (item.size === null || !await this.#push(item, onResult)) {
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

  /**
   * Adds a small file to the batch as one piece: request, content and checksum.
   *
   * @returns Whether it is small.
   */
  async #push(source: FileSource, onResult: OnResult): Promise<boolean> {
    const { name, size } = source;
    if (size > MAX_PUSHED_BYTES) return false;
    const fields = itemFields(this.#context, source);
    const request = encodeRequest({ type: "push", size, name, ...fields });
    const room = await this.#pipeline.room(request.length + size + MAX_LINE_BYTES);
    const end = request.length + size;
    const change = source.read(room.subarray(request.length));
    // It was measured when its turn had not come: nothing of it is sent yet.
    if (change && !this.#context.strict && source.measureAgain()) {
      return await this.#push(source, onResult);
    }
    const failure = change && changed(source);
    this.#count(size);
    const tally = new Tally();
    tally.add(room.subarray(request.length, end));
    const trailer = trailerOf(tally, failure?.message, source);
    room.set(request);
    room.set(trailer, end);
    this.#pipeline.add(end + trailer.length, async (reply, isUnsent) => {
      const result = await this.unanswered.note(source, reply)
        .then((answer): ItemResult => ({ stored: decodeStored(source.label, answer, tally) }))
        .catch((error) => failed(error, isUnsent));
      onResult(source, failure ? { error: failure } : result);
    });
    return true;
  }

  /** Counts bytes that move. Nothing does to a server that does not welcome this client. */
  #count(size: number): void {
    const add = (): void => this.#context.progress.add(size);
    if (this.#requester.isWelcome) add();
    else this.#requester.welcomed.then(add, () => {});
  }

  /** Makes the folders that an item is in, so that they have the permission bits of the sender's. */
  async #makeParents(folder: Parent | undefined): Promise<void> {
    if (!folder || this.#made.has(folder)) return;
    await this.#makeParents(folder.parent);
    this.#made.add(folder);
    // The items are refused for the same reason, and tell it.
    if (folder.mode !== undefined) {
      await this.#mkdir(folder, async (reply) => void await reply.catch(() => {}));
    }
  }

  async #makeFolder(item: EmptyFolder, onResult: OnResult): Promise<void> {
    await this.#mkdir(item, async (reply, isUnsent) => {
      const result = await reply.then((answer): ItemResult => ({
        stored: { name: decodeOk(answer) },
      }))
        .catch((error) => failed(error, isUnsent));
      onResult(item, result);
    });
  }

  async #mkdir(
    folder: Parent | EmptyFolder,
    take: Taker,
  ): Promise<void> {
    const { name, mode } = folder;
    const { fields } = folder instanceof EmptyFolder ? totalField(folder) : {};
    const all = { ...fields, ...modeField(mode).fields };
    const request = encodeRequest({ type: "mkdir", name, fields: all });
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, take);
  }
}

function failed(error: unknown, isUnsent: () => boolean): ItemResult {
  return { error: explain(error), ...(isUnsent() && { untried: true }) };
}

/** The first items of several, with the sum of their sizes. */
const totals = new WeakMap<Item, number>();

/**
 * Sees to it that the first of several items tells the size of all, so that the server can warn if
 * they do not fit.
 */
async function announceTotal(items: readonly Item[]): Promise<void> {
  const [first, ...others] = items;
  if (!first || others.length === 0) return;
  let total = 0;
  for (const item of items) {
    total += item.size ?? 0;
    if (isTurnDue()) await takeTurns();
  }
  totals.set(first, total);
}

function totalField(item: Item): { fields?: Fields } {
  const total = totals.get(item);
  return total === undefined ? {} : { fields: { total: String(total) } };
}

/** The id of an item that may be sent again, and the size of all items. */
export function itemFields({ uploadId }: ClientContext, item: Item): { fields?: Fields } {
  const { fields } = totalField(item);
  return uploadId ? { fields: { ...fields, id: uploadId(item) } } : fields ? { fields } : {};
}

/** Refuses a name that cannot be sent in a request line. */
export function checkName({ label, name }: Pick<Item, "label" | "name">): void {
  const isBroken = /[\r\n]/.test(name);
  if (!isBroken && name.length <= MAX_LINE_BYTES / 4) return;
  const why = isBroken ? "its name contains a line break" : "its name is too long";
  throw new InletError("bad-name", `Cannot send ${quoted(label)}: ${why}`);
}
