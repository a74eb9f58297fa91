/**
 * Sends many requests without waiting for each answer: small files and folders.
 *
 * @module
 */

import {
  encodeRequest,
  type Fields,
  type FolderFacts,
  folderFields,
  linkFields,
  MAX_LINE_BYTES,
  ProtocolError,
  type Reply,
  type Stored,
} from "../../protocol.ts";
import type { ContentSource } from "../../lib/body/given_body.ts";
import {
  changed,
  EmptyFolder,
  FileSource,
  type Item,
  type Parent,
  type SentFolders,
  type Source,
  SymbolicLink,
} from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { localError } from "../../lib/local_errors.ts";
import { quoted } from "../../lib/text.ts";
import { decodeOk, decodeStored, type ItemResult } from "./answers.ts";
import { MAX_PUSHED_BYTES, trailerOf } from "./framing.ts";
import { calling, Pipeline, type Taker } from "./pipeline.ts";
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

/** Options of {@linkcode Batch.send}. */
export interface SendItemsOptions {
  /** Stops the transfer; the session stays usable. */
  signal?: AbortSignal | undefined;
  /**
   * The bytes of all items that have no result yet, once they are known. The next request tells them,
   * so that the server can warn if they do not fit.
   */
  total?: (() => number | undefined) | undefined;
  /** Called where it costs little time: while the server is slower than the client. */
  idle?: (() => void) | undefined;
}

/** Size of a file, in bytes, that takes so long that what else there is may be looked for before. */
const MIN_LONG_BYTES = 16 * 1024 * 1024;

/** Pipelines requests on one connection. */
export class Batch {
  readonly unanswered: Unanswered = new Unanswered();
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #pipeline: Pipeline;
  readonly #made = new Set<Parent>();
  readonly #folders: SentFolders;
  #total: (() => number | undefined) | undefined;
  #idle: (() => void) | undefined;
  readonly #put: (source: Source, signal?: AbortSignal) => Promise<Stored>;

  /** @param put Sends a file that is too large to push. */
  constructor(
    context: ClientContext,
    requester: Requester,
    put: (source: Source, signal?: AbortSignal) => Promise<Stored>,
  ) {
    this.#context = context;
    this.#requester = requester;
    this.#folders = context.sentFolders ?? { id: crypto.randomUUID(), open: new Set() };
    this.#pipeline = new Pipeline(requester, () => this.#idle?.());
    this.#put = put;
  }

  /**
   * Sends files and folders. Small files do not wait for the previous answer, and the first of them
   * not for the welcome. Of the files of a folder the small ones come first. If the connection ends,
   * no further item is taken, and those without a result were not tried.
   *
   * @throws {InletError} why there was no welcome; then no item has a result
   */
  async send(
    items: Iterable<Item>,
    onResult: OnResult,
    { signal, total, idle }: SendItemsOptions = {},
  ): Promise<void> {
    const requester = this.#requester;
    const onWelcomed: OnResult = (item, result) => requester.isWelcome && onResult(item, result);
    this.#total = total;
    this.#idle = idle;
    await this.#sendEach(items, onWelcomed, signal);
    await requester.welcomed.catch(({ code }) => {
      // A server that refuses has read nothing. One that is lost may have.
      if (code !== "lost" && code !== "timeout") this.unanswered.clear();
      throw requester.end;
    });
  }

  async #sendEach(
    items: Iterable<Item>,
    onResult: OnResult,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let large: FileSource[] = [];
    let current: Parent | undefined;
    let seen = 0;
    const sendLarge = async (): Promise<void> => {
      const files = large;
      large = [];
      seen = 0;
      for (const file of files) {
        if (signal?.aborted || this.#requester.end) return;
        await this.#try(file, onResult, () => this.#putAlone(file, onResult, signal));
      }
    };
    for (const item of items) {
      const parent = "parent" in item ? item.parent : undefined;
      if (parent !== current) await sendLarge();
      current = parent;
      if (signal?.aborted || this.#requester.end) break;
      await this.#try(item, onResult, async () => {
        checkName(item);
        await this.#makeParents(parent);
        if (item instanceof EmptyFolder) return await this.#makeFolder(item, onResult);
        if (item instanceof SymbolicLink) return await this.#makeLink(item, onResult);
        if ("measure" in item && await this.#push(item, onResult)) return;
        if (item instanceof FileSource && parent) large.push(item);
        else await this.#putAlone(item, onResult, signal);
      });
      // Before the next folder is looked at, which may change until then.
      if (++seen === parent?.files) await sendLarge();
    }
    await sendLarge();
    if (!signal?.aborted) await this.#finishFolders();
    await this.#pipeline.settle();
    signal?.throwIfAborted();
  }

  /** Sends an item. What keeps it from being sent is its result. */
  async #try(item: Item, onResult: OnResult, send: () => Promise<void>): Promise<void> {
    this.#context.progress.name(item.label);
    try {
      await send();
    } catch (error) {
      await this.#pipeline.settle();
      onResult(item, { error: localError(error, `Cannot send ${quoted(item.label)}`) });
    }
  }

  /** Sends a file or stream that is not small. Its body moves with nothing else in flight. */
  async #putAlone(
    source: Source,
    onResult: OnResult,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if ((source.size ?? 0) >= MIN_LONG_BYTES) this.#idle?.();
    using _ = calling(this.#idle);
    try {
      onResult(source, { stored: await this.#put(source, signal) });
    } finally {
      // It was not among the files that the server waited for.
      if ("parent" in source && source.parent) this.#folders.open.add(source.parent);
    }
  }

  /**
   * Adds a small file to the batch as one piece: request, content and checksum.
   *
   * @returns Whether it is small.
   */
  async #push(source: FileSource | ContentSource, onResult: OnResult): Promise<boolean> {
    for (;;) {
      // Right before it is opened: a time or permission bits of an earlier moment would go with the
      // bytes of this one.
      const size = source.measure();
      if (size > MAX_PUSHED_BYTES) return false;
      if (!this.#pipeline.hasRoom(size + 2 * MAX_LINE_BYTES)) {
        await this.#pipeline.send();
        continue;
      }
      if (this.#pushNow(source, size, onResult)) return true;
    }
  }

  /** @returns Whether it was added. If not, it has changed since it was measured. */
  #pushNow(source: FileSource | ContentSource, size: number, onResult: OnResult): boolean {
    const room = this.#pipeline.roomNow(size + 2 * MAX_LINE_BYTES);
    const fields = this.fieldsOf(source);
    const request = encodeRequest({ type: "push", size, name: source.name, ...fields });
    const end = request.length + size;
    const change = source.read(room.subarray(request.length));
    // Nothing of it is sent yet.
    if (change && !this.#context.strict && source.measure() !== size) return false;
    const failure = change && changed(source);
    this.#count(size);
    const tally = new Tally();
    tally.add(room.subarray(request.length, end));
    const trailer = trailerOf(tally, failure?.message, source);
    room.set(request);
    room.set(trailer, end);
    this.#pipeline.add(end + trailer.length, (answer, isUnsent) => {
      const isLost = answer instanceof InletError && !isUnsent();
      if (isLost) this.unanswered.add(source);
      const result = resultOf(
        answer,
        isUnsent,
        (reply) => decodeStored(source.label, reply, tally),
      );
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
    this.#folders.open.add(folder);
    const { mode, modified, files, isLeaf } = folder;
    const facts = files === 0 ? { mode } : { mode, files, ...isLeaf && { modified } };
    // If it is refused, the items are for the same reason, and tell it.
    await this.#mkdir(folder, facts, (answer) => {
      if (isFinished(answer)) this.#folders.open.delete(folder);
    });
  }

  /**
   * Gives the folders of this run their permission bits and times, innermost first.
   *
   * @throws {InletError} if the connection is lost before
   */
  async #finishFolders(): Promise<void> {
    const { open } = this.#folders;
    if (open.size === 0 || this.#requester.end) return;
    // Nothing is left whose size could be told.
    this.#total = undefined;
    const folders = [...open].map((folder) => ({ folder, depth: folder.name.split("/").length }));
    for (const { folder } of folders.sort((one, other) => other.depth - one.depth)) {
      const { mode, modified } = folder;
      await this.#mkdir(folder, { mode, modified }, (answer) => {
        if (!(answer instanceof InletError)) open.delete(folder);
      });
    }
    await this.#pipeline.settle();
    if (this.#requester.end && open.size > 0) throw this.#requester.end;
  }

  async #makeFolder(item: EmptyFolder, onResult: OnResult): Promise<void> {
    const { mode, modified } = item;
    await this.#mkdir(item, { mode, modified }, resultWithName(item, onResult));
  }

  async #makeLink(item: SymbolicLink, onResult: OnResult): Promise<void> {
    const request = encodedLink(item);
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, resultWithName(item, onResult));
  }

  async #mkdir({ name }: Parent | EmptyFolder, facts: FolderFacts, take: Taker): Promise<void> {
    const { id } = this.#folders;
    const fields = { ...this.#totalField(), ...folderFields({ id, ...facts }) };
    const request = encodeRequest({ type: "mkdir", name, fields });
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, take);
  }

  /** Sends one request behind those before it, as {@linkcode Pipeline.ask} does. */
  async ask(request: Uint8Array, readBytes?: number): Promise<Reply> {
    return await this.#pipeline.ask(request, readBytes);
  }

  /** The id of an item that may be sent again, and once the size of all items. */
  fieldsOf(item: Item): { fields?: Fields } {
    const { uploadId } = this.#context;
    if (!uploadId && !this.#total) return {};
    const fields = { ...this.#totalField(), ...uploadId && { id: uploadId(item) } };
    return { fields };
  }

  #totalField(): Fields {
    const total = this.#total?.();
    if (total === undefined) return {};
    this.#total = undefined;
    return { total: String(total) };
  }
}

/** Whether a folder has the permission bits and the time that were told with it. */
function isFinished(answer: Reply | InletError): boolean {
  return !(answer instanceof InletError) && answer.fields?.time === "set";
}

/** Takes the answer to an item without a body. */
function resultWithName(item: Item, onResult: OnResult): Taker {
  return (answer, isUnsent) =>
    onResult(item, resultOf(answer, isUnsent, (reply) => ({ name: decodeOk(reply) })));
}

/** The request for a link. Its target may be too long for a line. */
function encodedLink({ label, name, target: to, modified }: SymbolicLink): Uint8Array {
  try {
    return encodeRequest({ type: "symlink", name, fields: linkFields({ to, modified }) });
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new InletError("bad-name", `Cannot send ${quoted(label)}: its target is too long`);
  }
}

/** The result of an item: what a reply means, or why it means nothing. */
function resultOf(
  answer: Reply | InletError,
  isUnsent: () => boolean,
  decode: (reply: Reply) => Partial<Stored>,
): ItemResult {
  let error = answer;
  if (!(error instanceof InletError)) {
    try {
      return { stored: decode(error) };
    } catch (thrown) {
      error = explain(thrown);
    }
  }
  return { error, ...isUnsent() && { untried: true } };
}

/** Most bytes of a line that are not those of a name. */
const BESIDE_NAME_BYTES = 512;

/** Refuses a name that cannot be sent in a request line. */
export function checkName({ label, name }: Pick<Item, "label" | "name">): void {
  const isBroken = /[\r\n]/.test(name);
  const most = MAX_LINE_BYTES - BESIDE_NAME_BYTES;
  // A character of UTF-16 has at most three bytes of UTF-8.
  const fits = 3 * name.length <= most || new TextEncoder().encode(name).length <= most;
  if (!isBroken && fits) return;
  const why = isBroken ? "its name contains a line break" : "its name is too long";
  throw new InletError("bad-name", `Cannot send ${quoted(label)}: ${why}`);
}
