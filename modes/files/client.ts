/**
 * The client half of the native conversation. files.ts tells the conversation, and has the other half.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  encodeRequest,
  formatCrc,
  type ListEntry,
  MAX_LINE_BYTES,
  parseListEntry,
  parseStored,
  type Reply,
  STOP,
  STOPPED,
  type Stored,
  VERSION,
} from "../../protocol.ts";
import { checkTrailer, receiveBody, sendBody, Stop, trailerOf } from "./framing.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { decodeCount, Requester, unexpected } from "./requester.ts";
import { exitCode, explain, InletError } from "../../lib/errors.ts";
import { answerChallenge } from "../../lib/auth/key.ts";
import { Pipeline } from "./pipeline.ts";
import { MAX_PUSHED_BYTES } from "./pushes.ts";
import {
  changed,
  EmptyFolder,
  type FileSource,
  type Item,
  type OpenBody,
  type Source,
} from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import { quoted } from "../../lib/text.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";

/** Told how each item fared: what was stored, or why it was not. */
export type OnResult = (item: Item, result: Partial<Stored> | InletError) => void;

/** Where a file that is got goes. */
export interface Saving {
  /** A chunk is valid until what this returns has settled. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** What is there already. */
  readonly kept?: Tally;
  /** Drops what is there: it was another file. */
  startOver?(): void;
}

/** A file that was got: its size in bytes, its CRC-32, and the time of its last change. */
export interface Got {
  size: number;
  crc: number;
  modified: Date | undefined;
}

/**
 * Client half. After {@linkcode FilesClient.greet} each method is one request. Errors are
 * {@linkcode InletError}: what the server said, or what happened to the connection.
 */
export class FilesClient {
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #pipeline: Pipeline;
  /** What was sent whole and never answered: the server may have it or not. */
  readonly unanswered: Set<Item> = new Set();
  #number = 0;
  #limit = 0;

  private constructor(connection: Connection, context: ClientContext) {
    this.#connection = connection;
    this.#context = context;
    this.#requester = new Requester(connection, context.onNote);
    this.#pipeline = new Pipeline(this.#requester);
  }

  /** Says hello, and waits to be let in. */
  static async greet(
    connection: Connection,
    name: string,
    context: ClientContext,
  ): Promise<FilesClient> {
    const client = new FilesClient(connection, context);
    await connection.write(encodeRequest({ type: "hello", version: VERSION, name }));
    const reply = await client.#admission();
    if (reply.type !== "welcome") throw unexpected(reply);
    client.#number = reply.client;
    client.#limit = reply.limit;
    return client;
  }

  async #admission(): Promise<Reply> {
    const reply = await this.#requester.reply();
    if (reply.type !== "challenge") return reply;
    const { key } = this.#context;
    if (key === undefined) {
      throw new InletError("denied", "The server asks for a key: give it with --token-file FILE");
    }
    const digest = await answerChallenge(key, reply.nonce);
    await this.#requester.write(encodeRequest({ type: "answer", digest }));
    return await this.#requester.reply();
  }

  /** The number that the server gave this client: 1 for its first. */
  get number(): number {
    return this.#number;
  }

  /** How many clients the server takes at once. */
  get limit(): number {
    return this.#limit;
  }

  /** Whether no other request can follow. */
  get ended(): boolean {
    return this.#requester.end !== undefined;
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
          onResult(item, await this.put(item, signal));
        }
      } catch (error) {
        await this.#pipeline.settle();
        onResult(item, explain(error, `Cannot send ${quoted(item.label)}`));
      }
      if (this.#requester.end) return items.slice(index + 1);
    }
    await this.#pipeline.settle();
    signal?.throwIfAborted();
    return [];
  }

  /**
   * Asks of files whether the server has the same: size, time, CRC-32, and the name or one that it
   * gave way to.
   *
   * @param onAnswer Told the name of the same file, which is empty where there is none.
   */
  async compare(
    files: readonly FileSource[],
    onAnswer: (file: FileSource, name: string | InletError) => void,
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

  /** Sends a message to the server's stdout. It is there when this returns. */
  async say(source: Source): Promise<Stored> {
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    await this.#requester.write(encodeRequest({ type: "say", size: source.size }));
    return await this.#sendBody(source, body, source.size);
  }

  /**
   * Sends one file. With `resume` it goes on where an earlier attempt broke off.
   *
   * @param signal Stops it, in such a way that other requests can follow.
   */
  async put(source: Source, signal?: AbortSignal): Promise<Stored> {
    if (this.#context.resume && source.size !== null && !signal) return await this.#reput(source);
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    // Only a body in chunks can be broken off with the conversation still in step.
    const size = signal ? null : source.size;
    await this.#requester.write(encodeRequest({ type: "put", size, name: source.name }));
    return await this.#sendBody(source, body, size, signal);
  }

  /**
   * Gets a file, handing over its bytes as they come. They are verified when this returns, and not
   * before. It goes on behind what the target has kept.
   *
   * @param signal Stops it, in such a way that other requests can follow.
   */
  async get(name: string, target: Saving, signal?: AbortSignal): Promise<Got> {
    await this.ask([name], target.kept);
    return await this.receive(name, target, { signal, stoppable: true });
  }

  /**
   * Asks for files, without waiting for them: each has to be received, in order.
   *
   * @param kept What is there of the only one.
   */
  async ask(names: readonly string[], kept?: Tally): Promise<void> {
    await this.#requester.write(
      concat(names.map((name) =>
        encodeRequest(
          kept && kept.bytes > 0
            ? { type: "reget", offset: kept.bytes, crc: kept.crc, name }
            : { type: "get", name },
        )
      )),
    );
  }

  /**
   * Receives a file that was asked for.
   *
   * @param options.stoppable Whether no other was asked for since: then the server is told to stop
   * where what comes cannot be used.
   */
  async receive(
    name: string,
    target: Saving,
    { signal, stoppable }: { signal?: AbortSignal | undefined; stoppable: boolean },
  ): Promise<Got> {
    const { progress } = this.#context;
    const { size, tally } = this.#begin(name, target, decodeOk(await this.#requester.reply()));
    progress.expect(size);
    progress.name(name);
    const stop = new Stop(stoppable ? this.#connection : undefined, signal);
    const trailer = await receiveBody(this.#connection, null, async (chunk) => {
      if (stop.reason) return;
      tally.add(chunk);
      progress.add(chunk.length);
      await stop.guard(() => target.write(chunk));
    }).catch((error) => {
      throw this.#requester.giveUp(error);
    }).finally(() => stop.release());
    const inBody = trailer.type === "abort" && trailer.text === STOPPED;
    if (stop.reason && stoppable && !inBody) await this.#requester.acknowledgement(STOP);
    if (stop.reason) throw stop.reason;
    checkTrailer(name, size, tally, trailer);
    return {
      size,
      crc: tally.crc,
      modified: trailer.type === "end" ? trailer.modified : undefined,
    };
  }

  /** Says something, and gives the server's answer to it. */
  async chat(text: string): Promise<string> {
    await this.#requester.write(encodeRequest({ type: "chat", text }));
    return await this.#requester.acknowledgement(text);
  }

  /** What the server calls this client: its own name, or that name with a number. */
  async whoami(): Promise<string> {
    return await this.#requester.request({ type: "whoami" });
  }

  /**
   * Waits for something else, a person or a script, and listens meanwhile.
   *
   * @throws {InletError} what the server said or what happened, when the conversation ends
   */
  async rest<T>(until: Promise<T>): Promise<T> {
    const over = until.then(() => true);
    for (;;) {
      const arrival = this.#connection.arrival().then(() => false);
      if (await this.#connection.unwatched(Promise.race([over, arrival]))) return await until;
      await this.#requester.note();
    }
  }

  /** The files that the server would give. */
  async list(): Promise<ListEntry[]> {
    return (await this.#requester.lines({ type: "list" })).map(parseListEntry);
  }

  /** A folder of the server, and what is in it: names from the root of its store on. */
  async tree(name: string): Promise<ListEntry[]> {
    return (await this.#requester.lines({ type: "tree", name })).map(parseListEntry);
  }

  /** One line for each client of the server, now and before. */
  async status(): Promise<string[]> {
    return await this.#requester.lines({ type: "status" });
  }

  /** Takes leave. All that was asked is answered: a server that is gone by then has failed nobody. */
  async exit(): Promise<void> {
    if (this.#requester.end) return;
    await this.#requester.request({ type: "exit" }).catch((error) => {
      if (exitCode(error) !== 4) throw error;
    });
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
      const result = await this.#noted(source, reply)
        .then((answer) => decodeStored(source, answer, tally))
        .catch(explain);
      onResult(source, failure ?? result);
    });
  }

  async #makeFolder(item: EmptyFolder, onResult: OnResult): Promise<void> {
    const request = encodeRequest({ type: "mkdir", name: item.name });
    (await this.#pipeline.room(request.length)).set(request);
    this.#pipeline.add(request.length, async (reply) => {
      onResult(item, await reply.then(decodeFolder).catch(explain));
    });
  }

  /** A put that goes on behind what the server has kept, if its own file begins with the same. */
  async #reput(source: FileSource): Promise<Stored> {
    const { label, name, size } = source;
    const { progress, onResume } = this.#context;
    using file = source.openBeginning();
    await this.#requester.write(encodeRequest({ type: "reput", size, name }));
    file.readAhead();
    const go = await this.#go();
    if (go.offset > size) throw this.#requester.giveUp(unexpected(go));
    const { offset, crc = 0 } = go;
    const isSame = await this.#connection.unwatched(file.matches(offset, crc));
    const start = isSame ? { bytes: offset, crc } : { bytes: 0, crc: 0 };
    await this.#requester.write(encodeRequest({ type: "from", offset: start.bytes }));
    if (offset > 0) onResume?.(label, start.bytes, size);
    progress.skip(start.bytes);
    const body = file.rest(start, (bytes) => progress.add(bytes));
    return await this.#sendRest(source, body, size);
  }

  /** The size of a file that comes, and what is there of it already. */
  #begin(name: string, target: Saving, detail: string): { size: number; tally: Tally } {
    const tally = new Tally();
    const { kept } = target;
    if (!kept || kept.bytes === 0) return { size: decodeCount(detail), tally };
    const [size, offset] = detail.split(" ").map(decodeCount);
    if (size === undefined || (offset !== 0 && offset !== kept.bytes)) {
      const reason = `The server goes on where nobody asked it to: ${detail}`;
      throw this.#requester.giveUp(new InletError("bad-request", reason));
    }
    this.#context.onResume?.(name, offset, size);
    this.#context.progress.skip(offset);
    if (offset === 0) target.startOver?.();
    else Object.assign(tally, kept);
    return { size, tally };
  }

  async #go(): Promise<Extract<Reply, { type: "go" }>> {
    const go = await this.#requester.reply();
    if (go.type === "error") throw unexpected(go);
    if (go.type !== "go") throw this.#requester.giveUp(unexpected(go));
    return go;
  }

  async #sendBody(
    source: Source,
    body: OpenBody,
    size: number | null,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const go = await this.#go();
    if (go.offset !== 0) throw this.#requester.giveUp(unexpected(go));
    return await this.#sendRest(source, body, size, signal);
  }

  /** The body and its checksum, while listening for a no that comes before the end. */
  async #sendRest(
    source: Source,
    body: OpenBody,
    size: number | null,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const answer = this.#requester.reply();
    const stop = new AbortController();
    answer.catch(() => {}).finally(() => stop.abort());
    let result: Awaited<ReturnType<typeof sendBody>> | undefined;
    try {
      result = await sendBody(this.#connection, source, body, size, stop.signal, signal);
    } catch (error) {
      // The server's no says why. Only a failure of our own has nobody else to tell it.
      if (!stop.signal.aborted) {
        this.#connection.abort(explain(error, `Cannot send ${source.label}`));
      }
      this.#requester.end ??= new InletError("lost", "The connection ended within a body");
    }
    if (!result) throw unexpected(await answer);
    const reply = await this.#noted(source, answer);
    if (result.failure) throw result.failure;
    return decodeStored(source, reply, result.sent);
  }

  /** The answer to what was sent whole. That there was none is noted. */
  async #noted(source: Source, answer: Promise<Reply>): Promise<Reply> {
    try {
      return await answer;
    } catch (error) {
      this.unanswered.add(source);
      throw error;
    }
  }
}

/** A name that does not fit into a line can be asked of no server. */
function checkName({ label, name }: Item): void {
  if (/[\r\n]/.test(name) || name.length > MAX_LINE_BYTES / 4) {
    const what = `Cannot send ${quoted(label)}`;
    throw new InletError("bad-name", `${what}: its name holds a line break, or is too long`);
  }
}

function decodeOk(reply: Reply): string {
  if (reply.type !== "ok") throw unexpected(reply);
  return reply.detail;
}

function decodeFolder(reply: Reply): Partial<Stored> {
  return { name: decodeOk(reply) };
}

/** What was acknowledged. It has to be what was sent: that line crossed the wire, too. */
function decodeStored({ label }: Source, reply: Reply, sent: Tally): Stored {
  const stored = parseStored(decodeOk(reply));
  if (stored.size === sent.bytes && stored.crc === sent.crc) return stored;
  throw new InletError(
    "checksum",
    `Cannot rely on ${quoted(label)}: the server has ${stored.size} bytes with CRC-32 ` +
      `${formatCrc(stored.crc)}, sent were ${sent.bytes} with ${formatCrc(sent.crc)}`,
  );
}
