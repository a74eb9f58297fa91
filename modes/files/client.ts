/**
 * The client half of the native conversation. serve.ts tells the conversation, and has the other half.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  decodeNumber,
  encodeRequest,
  featuresOf,
  type ListEntry,
  parseListEntry,
  type Reply,
  type Request,
  STOP,
  STOPPED,
  type Stored,
  VERSION,
} from "../../protocol.ts";
import { answerChallenge } from "../../lib/auth/key.ts";
import type { FileSource, Item, OpenBody, Source } from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { exitCode, explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { Upload } from "../../lib/store/store.ts";
import { decodeOk, decodeStored, type Received } from "./answers.ts";
import { Batch, type Compared, type OnResult } from "./batch.ts";
import { checkTrailer, receiveBody, sendBody, Stop } from "./framing.ts";
import { Requester, unexpected } from "./requester.ts";

/** Where a file that is got goes: an upload of a store, or anything that takes bytes. */
export type Saving = Pick<Upload, "write"> & Partial<Pick<Upload, "kept" | "startOver">>;

/**
 * Client half. After {@linkcode FilesClient.greet} each method is one request. Errors are
 * {@linkcode InletError}: what the server said, or what happened to the connection.
 */
export class FilesClient {
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #batch: Batch;
  #features: ReadonlySet<string> = new Set();
  #number = 0;
  #limit = 0;

  private constructor(connection: Connection, context: ClientContext) {
    this.#connection = connection;
    this.#context = context;
    this.#requester = new Requester(connection, context.onNote);
    const put = (source: Source, signal?: AbortSignal): Promise<Stored> => this.put(source, signal);
    this.#batch = new Batch(connection, context, this.#requester, put);
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
    client.#features = featuresOf(reply);
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

  /** The features beyond version 1 that the server understands. */
  get features(): ReadonlySet<string> {
    return this.#features;
  }

  /** What was sent whole and never answered: the server may have it or not. */
  get unanswered(): ReadonlySet<Item> {
    return this.#batch.unanswered;
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
    return await this.#batch.send(items, onResult, signal);
  }

  /**
   * Asks of files whether the server has the same.
   *
   * @param onAnswer Called with the name of the same file, which is empty where there is none.
   */
  async compare<T extends Compared>(
    files: readonly T[],
    onAnswer: (file: T, name: string | InletError) => void,
  ): Promise<void> {
    await this.#batch.compare(files, onAnswer);
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
  async get(name: string, target: Saving, signal?: AbortSignal): Promise<Received> {
    await this.ask([name], target.kept);
    return await this.receive(name, target, { signal, stoppable: true });
  }

  /**
   * Asks for files, without waiting for them: each has to be received, in order.
   *
   * @param kept What is there of the only one.
   */
  async ask(names: readonly string[], kept?: Upload["kept"]): Promise<void> {
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
  ): Promise<Received> {
    const { progress } = this.#context;
    const { size, tally } = await this.#begin(
      name,
      target,
      decodeOk(await this.#requester.reply()),
    );
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

  /** The files that the server would give, in pages as they come. Read them to the end. */
  list(): AsyncGenerator<ListEntry[], void> {
    return this.#entries({ type: "list" });
  }

  /** A folder of the server and what is in it, in the same way: names from the root of its store on. */
  tree(name: string): AsyncGenerator<ListEntry[], void> {
    return this.#entries({ type: "tree", name });
  }

  /** One line for each client of the server, now and before, in pages as they come. */
  status(): AsyncGenerator<string[], void> {
    return this.#requester.lines({ type: "status" });
  }

  /** Takes leave. All that was asked is answered: a server that is gone by then has failed nobody. */
  async exit(): Promise<void> {
    if (this.#requester.end) return;
    await this.#requester.request({ type: "exit" }).catch((error) => {
      if (exitCode(error) !== 4) throw error;
    });
  }

  async *#entries(request: Request): AsyncGenerator<ListEntry[], void> {
    for await (const lines of this.#requester.lines(request)) {
      let entries: ListEntry[];
      try {
        entries = lines.map(parseListEntry);
      } catch (error) {
        throw this.#requester.giveUp(error);
      }
      yield entries;
    }
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
  async #begin(
    name: string,
    target: Saving,
    detail: string,
  ): Promise<{ size: number; tally: Tally }> {
    const tally = new Tally();
    const { kept } = target;
    if (!kept || kept.bytes === 0) return { size: decodeNumber(detail, "size"), tally };
    const [size, offset] = detail.split(" ").map((number) => decodeNumber(number, "size"));
    if (size === undefined || (offset !== 0 && offset !== kept.bytes)) {
      const reason = `The server goes on where nobody asked it to: ${detail}`;
      throw this.#requester.giveUp(new InletError("bad-request", reason));
    }
    this.#context.onResume?.(name, offset, size);
    this.#context.progress.skip(offset);
    if (offset === 0) await target.startOver?.();
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
    const reply = await this.#batch.unanswered.note(source, answer);
    if (result.failure) throw result.failure;
    return decodeStored(source.label, reply, result.sent);
  }
}
