/**
 * The client half of the native conversation. serve.ts describes the conversation, and has the
 * server half.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  encodeRequest,
  factsOf,
  featuresOf,
  type ListEntry,
  type Reply,
  type Request,
  STOP,
  STOPPED,
  type Stored,
} from "../../protocol.ts";
import { FileSource, type Item, type OpenBody, type Source } from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import { InletError } from "../../lib/errors.ts";
import { localError } from "../../lib/local_errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { quoted } from "../../lib/text.ts";
import {
  checkTrailer,
  decodeBeginning,
  decodeOk,
  decodeStored,
  type Received,
  type Saving,
} from "./answers.ts";
import { Batch, type OnResult, type SendItemsOptions } from "./batch.ts";
import { Announced } from "./announced.ts";
import { receiveBody, sendBody } from "./framing.ts";
import { checkMinRate, helloOf } from "./own_limit.ts";
import { type ReceivedWhole, takeWhole } from "./small_gets.ts";
import { Requester, unexpected } from "./requester.ts";
import { Stop } from "./stop.ts";

/** Size of the smallest file whose upload is resumed, in bytes. */
const MIN_RESUMED_BYTES = 1024 * 1024;

/** What a server does that is none of ours: one with a key has proved itself before it asks. */
const ASKS_IN_THE_CLEAR =
  "Cannot trust the server: it asks for a key and does not encrypt, as no " +
  "inlet server does; it was told none";

/**
 * Client half. After {@linkcode FilesClient.greet}, each method is one request. After
 * {@linkcode FilesClient.approach}, `send()` and `exit()` need not wait for the welcome. Methods throw
 * {@linkcode InletError}: a refusal of the server, or a failure of the connection.
 */
export class FilesClient {
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #requester: Requester;
  readonly #batch: Batch;
  #welcome: Extract<Reply, { type: "welcome" }> | undefined;

  private constructor(connection: Connection, context: ClientContext) {
    this.#connection = connection;
    this.#context = context;
    this.#requester = new Requester(connection, context);
    const put = (source: Source, signal?: AbortSignal): Promise<Stored> => this.put(source, signal);
    this.#batch = new Batch(context, this.#requester, put);
  }

  /** Sends the greeting, proves the key if the server requires one, and waits for the welcome. */
  static async greet(...given: Parameters<typeof FilesClient.approach>): Promise<FilesClient> {
    const client = await FilesClient.approach(...given);
    await client.#requester.welcomed;
    return client;
  }

  /** Like `greet`, but waits for the welcome only if no request may run ahead of it. */
  static async approach(
    connection: Connection,
    name: string,
    context: ClientContext,
  ): Promise<FilesClient> {
    const client = new FilesClient(connection, context);
    const { promise: sent, resolve: onSent } = Promise.withResolvers<void>();
    const { welcomed } = client.#requester;
    client.#requester.expectWelcome(client.#greet(helloOf(name, context), onSent));
    // Whether the client's own limit will do, the welcome tells.
    await (context.rate ? welcomed : Promise.race([sent, welcomed]));
    return client;
  }

  async #greet(hello: Request, onSent: () => void): Promise<void> {
    const reply = await this.#admission(hello, onSent);
    if (reply.type !== "welcome") throw unexpected(reply);
    checkMinRate(reply, this.#context);
    this.#welcome = reply;
  }

  /** @param onSent Called when all is sent that the server needs for a welcome. */
  async #admission(hello: Request, onSent: () => void): Promise<Reply> {
    const { prove } = this.#context;
    const reply = await this.#requester.first(hello, prove ? undefined : onSent);
    if (reply.type !== "challenge") return reply;
    if (!prove) throw new InletError("untrusted", ASKS_IN_THE_CLEAR);
    const proof = await prove(reply.nonce);
    await this.#requester.write(encodeRequest({ type: "answer", proof }));
    onSent();
    return await this.#requester.reply();
  }

  /** Settles once the server has welcomed this client, or has not. */
  get welcomed(): Promise<void> {
    return this.#requester.welcomed;
  }

  /** The number that the server assigned to this client. The server's first client has number 1. */
  get number(): number {
    return this.#welcome?.client ?? 0;
  }

  /** The maximum number of clients connected to the server at once. */
  get limit(): number {
    return this.#welcome?.limit ?? 0;
  }

  /** The features beyond version 1 that the server understands. */
  get features(): ReadonlySet<string> {
    return featuresOf(this.#welcome ?? {});
  }

  /** Items that were sent whole but not answered. The server may have stored them. */
  get unanswered(): ReadonlySet<Item> {
    return this.#batch.unanswered;
  }

  /** Whether the session has ended, so that no request can follow. */
  get ended(): boolean {
    return this.#requester.end !== undefined;
  }

  /** Whether the server has ended it, and has read nothing behind its last answer. */
  get unread(): boolean {
    return this.#requester.isUnread;
  }

  /** Sends files and folders, as {@linkcode Batch.send} does. */
  async send(
    items: Iterable<Item>,
    onResult: OnResult,
    options?: SendItemsOptions,
  ): Promise<void> {
    await this.#batch.send(items, onResult, options);
  }

  /** What requests consist of that have a module of their own: compare.ts, diff.ts. */
  get parts(): [Connection, ClientContext, Requester] {
    return [this.#connection, this.#context, this.#requester];
  }

  /** Sends a message, and returns once the server has written it to its stdout. */
  async say(source: Source): Promise<Stored> {
    using body = await source.open((bytes) => this.#context.progress.add(bytes));
    await this.#requester.write(encodeRequest({ type: "say", size: source.size }));
    return await this.#sendBody(source, body, source.size, await this.#requester.reply());
  }

  /**
   * Sends one file. With `resume`, it continues the server's partial file.
   *
   * @param signal Stops the transfer; the session stays usable. Rules out `resume`.
   */
  async put(source: Source, signal?: AbortSignal): Promise<Stored> {
    const isLarge = source instanceof FileSource && source.size >= MIN_RESUMED_BYTES;
    if (!this.#context.resume || !isLarge || signal) return await this.#put(source, signal);
    const { reput } = await import("./resume.ts");
    return await reput({
      connection: this.#connection,
      context: this.#context,
      requester: this.#requester,
      ask: (request, readBytes) => this.#batch.ask(request, readBytes),
      fields: this.#batch.fieldsOf(source).fields,
      sendRest: (file, body, keptBytes) => this.#sendRest(file, body, file.size, { keptBytes }),
      put: (file) => this.#put(file),
    }, source);
  }

  async #put(source: Source, signal?: AbortSignal): Promise<Stored> {
    using body = await source.open((bytes) => this.#context.progress.add(bytes));
    // Only a chunked body can be aborted without closing the connection.
    const size = signal ? null : source.size;
    const { name } = source;
    const fields = this.#batch.fieldsOf(source);
    const go = await this.#batch.ask(encodeRequest({ type: "put", size, name, ...fields }));
    return await this.#sendBody(source, body, size, go, signal);
  }

  /**
   * Downloads a file, and writes its bytes to the target as they arrive. The bytes are verified
   * only when this returns. A partial file in the target is continued.
   *
   * @param signal Stops the transfer; the session stays usable.
   */
  async get(name: string, target: Saving, signal?: AbortSignal): Promise<Received> {
    const receive = (): Promise<Received> =>
      this.receive(name, target, { signal, stoppable: true });
    const get = (): Promise<Received> => this.ask([name]).then(receive);
    if (!target.kept?.bytes) return await get();
    const { reget } = await import("./resume.ts");
    const session = { requester: this.#requester, context: this.#context, receive, get };
    return await reget(session, name, target);
  }

  /** Requests files, without waiting for them. Call `receive()` for each, in the same order. */
  async ask(names: readonly string[]): Promise<void> {
    const requests = names.map((name) => encodeRequest({ type: "get", name }));
    await this.#requester.write(concat(requests));
  }

  /**
   * Receives a requested file.
   *
   * @param options.stoppable Whether this is the last requested file. Only then is the server asked
   * to stop the transfer when the target fails.
   */
  async receive(
    name: string,
    target: Saving,
    { signal, stoppable }: { signal?: AbortSignal | undefined; stoppable: boolean },
  ): Promise<Received> {
    const { progress } = this.#context;
    const keptBytes = target.kept?.bytes ?? 0;
    const reply = await this.#requester.reply(keptBytes);
    const { size, offset } = await this.#begin(name, target, decodeOk(reply));
    // Read while the rest arrives.
    using beginning = offset > 0
      ? new (await import("./resume.ts")).KeptHere(target.kept!)
      : undefined;
    const tally = new Tally();
    if (target.kept) target.counted = tally;
    progress.expect(size);
    target.expect?.(size);
    progress.name(name);
    const stop = new Stop(stoppable ? this.#connection : undefined, signal);
    const announced = new Announced(name, size - offset);
    const trailer = await receiveBody(this.#connection, null, async (chunk) => {
      announced.check(chunk, stop.reason);
      if (stop.reason) return;
      tally.add(chunk);
      progress.add(chunk.length);
      await stop.guard(() => this.#writeTo(target, chunk));
    }, beginning && { onNote: this.#requester.noting(offset) }).catch((error) => {
      throw this.#requester.giveUp(error);
    }).finally(() => stop.release());
    const inBody = trailer.type === "abort" && trailer.text === STOPPED;
    if (stop.reason && stoppable && !inBody) await this.#requester.acknowledgement(STOP);
    if (stop.reason) throw stop.reason;
    const whole = beginning && trailer.type === "end"
      ? await this.#connection.unwatched(beginning.told(progress, tally))
      : tally;
    checkTrailer(name, size, whole, trailer, this.#context);
    return { size, crc: whole.crc, ...factsOf(trailer) };
  }

  /** Receives a requested file like `receive()`, if its answer begins to arrive whole. */
  async receiveWhole(name: string): Promise<ReceivedWhole | undefined> {
    return await takeWhole(this.#connection, this.#context, name);
  }

  /** Sends a line of chat, and returns the server's answer. */
  async chat(text: string): Promise<string> {
    await this.#requester.write(encodeRequest({ type: "chat", text }));
    return await this.#requester.acknowledgement(text);
  }

  /** The name of this client on the server: the one it gave, or that name with a number. */
  async whoami(): Promise<string> {
    return await this.#requester.request({ type: "whoami" });
  }

  /**
   * Waits for a promise, such as the next typed line, and receives notes meanwhile.
   *
   * @throws {InletError} when the server or the connection ends the session
   */
  async rest<T>(until: Promise<T>): Promise<T> {
    const over = until.then(() => true);
    for (;;) {
      const arrival = this.#connection.arrival().then(() => false);
      if (await this.#connection.unwatched(Promise.race([over, arrival]))) return await until;
      await this.#requester.note();
    }
  }

  /** Waits for this side in the middle of an answer. That is no silence of the server. */
  async pause<T>(until: Promise<T>): Promise<T> {
    return await this.#connection.unwatched(until);
  }

  /** Lists the files on the server, in pages as they arrive. Read all pages. */
  list(): AsyncGenerator<ListEntry[], void> {
    return this.#requester.entries({ type: "list" });
  }

  /** Lists a folder and its contents in the same way. Names are relative to the server's root. */
  tree(name: string): AsyncGenerator<ListEntry[], void> {
    return this.#requester.entries({ type: "tree", name });
  }

  /** Lists current and former clients, one line each, in pages as they arrive. */
  status(fields?: Request["fields"]): AsyncGenerator<string[], void> {
    return this.#requester.lines({ type: "status", ...fields && { fields } });
  }

  /** Ends the session. All requests are answered, so neither the answer nor a loss matters. */
  async exit(): Promise<void> {
    await this.#requester.write(encodeRequest({ type: "exit" })).then(() =>
      this.#connection.closeWrite()
    ).catch(() => {});
  }

  /** Decodes the size of a file, and how much of the partial file it continues. */
  async #begin(
    name: string,
    target: Saving,
    detail: string,
  ): Promise<{ size: number; offset: number }> {
    const keptBytes = target.kept?.bytes ?? 0;
    let beginning: ReturnType<typeof decodeBeginning>;
    try {
      beginning = decodeBeginning(detail, keptBytes);
    } catch (error) {
      throw this.#requester.giveUp(error);
    }
    const { size, offset } = beginning;
    if (keptBytes === 0) return beginning;
    if (offset === 0) await target.startOver?.();
    this.#context.onResume?.(name, offset, size);
    this.#context.progress.skip(offset);
    return beginning;
  }

  /** Writes a chunk. A target that takes long, such as a pipe, is no silence of the server. */
  async #writeTo(target: Saving, chunk: Uint8Array): Promise<void> {
    const writing = target.write(chunk);
    if (writing) await this.#connection.unwatched(writing);
  }

  async #sendBody(
    source: Source,
    body: OpenBody,
    size: number | null,
    go: Reply,
    signal?: AbortSignal,
  ): Promise<Stored> {
    if (go.type === "error") throw unexpected(go);
    if (go.type !== "go" || go.offset !== 0) throw this.#requester.giveUp(unexpected(go));
    return await this.#sendRest(source, body, size, { signal });
  }

  /** Sends the body and its checksum, while listening for an early refusal. */
  async #sendRest(
    source: Source,
    body: OpenBody,
    size: number | null,
    { signal, keptBytes = 0 }: { signal?: AbortSignal | undefined; keptBytes?: number } = {},
  ): Promise<Stored> {
    const context = this.#context;
    const answer = this.#requester.reply(keptBytes);
    const stop = new AbortController();
    answer.catch(() => {}).finally(() => stop.abort());
    let result: Awaited<ReturnType<typeof sendBody>> | undefined;
    try {
      result = await sendBody(this.#connection, source, body, context, size, stop.signal, signal);
    } catch (error) {
      const failure = localError(error, `Cannot send ${quoted(source.label)}`);
      // A refusal of the server explains the failure better than the failed write.
      if (!stop.signal.aborted) this.#connection.abort(failure);
      this.#requester.end ??= ["local-disk", "interrupted"].includes(failure.code)
        ? failure
        : new InletError("lost", "The connection ended inside a body");
    }
    if (!result) throw unexpected(await answer);
    const reply = await this.#batch.unanswered.note(source, answer);
    if (result.failure) throw result.failure;
    return decodeStored(source.label, reply, result.sent);
  }
}
