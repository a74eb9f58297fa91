/**
 * The native conversation: verified files, several to a connection. PROTOCOL.md has the grammar.
 *
 * 1. C: `hello 1 ben`. S: `welcome client 1 of 100`, or `busy 100 of 100` and the end.
 * 2. C: `put 6 a.txt`. S: `go 0`. C: 6 bytes, then `end 363a3020`, their CRC-32.
 *    S: `ok 6 363a3020 a.txt`, once they are verified and the file has that name.
 * 3. C: `push 6 a.txt`, the bytes and the `end` at once, and the next push right behind: the server
 *    answers each in order, `ok …` or `error …`.
 * 4. C: `get a.txt`. S: `ok 6`, 6 bytes, `end 363a3020`.
 * 5. C: `list` or `status`. S: `ok 1` and so many lines.
 * 6. C: `say 6`. S: `go 0`. C: a body. S: `ok 6 363a3020`, once it is on the server's stdout.
 * 7. C: any other line, `Hello`. S: `Hello ACK`.
 * 8. C: `exit`. S: `ok bye` and the end.
 *
 * A size of `-` is not known yet: the body comes as `data 65536` and so many bytes, again and again,
 * then `end`. In place of `end` a sender may say `abort REASON`. A server that fails within a body
 * says `error …` at once and skips the rest, so both stay in step.
 *
 * Both halves stand here although that makes a long file: one is not understood without the other.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  type BodyLine,
  decodeBodyLine,
  decodeReply,
  decodeRequest,
  encodeBodyLine,
  encodeLine,
  encodeReply,
  encodeRequest,
  formatCrc,
  formatListEntry,
  formatStored,
  type ListEntry,
  MAX_CLIENT_NAME_BYTES,
  parseListEntry,
  parseStored,
  ProtocolError,
  type Reply,
  type Request,
  type Stored,
  VERSION,
} from "../protocol.ts";
import type { Connection } from "../lib/connection.ts";
import { encodeError, explain, InletError } from "../lib/errors.ts";
import { changed, type FileSource, type OpenBody, type Source } from "../lib/sources.ts";
import { fileBody, Tally } from "../lib/streams.ts";
import type { StoredFile } from "../lib/store.ts";
import { formatBytes, quoted } from "../lib/text.ts";
import type { ClientContext, ServerContext } from "./mode.ts";
import { checkSize, serveUpload } from "./upload.ts";

/** Most bytes of a refused body that are read past before the connection is closed instead. */
const MAX_SKIPPED_BYTES = 64 * 1024 * 1024;

/** Files up to this size are pushed: cheaper to send in vain than to ask about first. */
const MAX_PUSHED_BYTES = 64 * 1024;

/**
 * Answers that may be outstanding, in bytes. They fit into any socket's buffers, so the server never
 * waits for us to read while we wait for it to read.
 */
const MAX_OUTSTANDING_BYTES = 16 * 1024;

/** The first byte of a TLS greeting. */
const TLS_HANDSHAKE = 0x16;

/** Server half. A first byte of 0 is no line: it opens the size of an upload client. */
export async function serveFiles(connection: Connection, context: ServerContext): Promise<void> {
  connection.resting = true;
  const first = await connection.peek();
  if (first === 0) return await serveUpload(connection, context);
  connection.farewell = encodeError;
  if (first === TLS_HANDSHAKE) {
    throw new InletError("bad-request", "Cannot speak TLS: this is an inlet server, on plain TCP");
  }
  if (!await greet(connection, context)) return;
  for (;;) {
    const request = await nextRequest(connection, context);
    if (request === null) return;
    if (await answer(connection, context, request) === "end") return;
  }
}

async function greet(connection: Connection, context: ServerContext): Promise<boolean> {
  const line = await connection.readLine();
  if (line === null) return false;
  if (/^[A-Z]+ \S+ HTTP\//.test(line)) {
    throw new InletError("bad-request", "Cannot speak HTTP: this is an inlet server");
  }
  const request = decodeRequest(line);
  if (request.type !== "hello") {
    throw new InletError("bad-request", `Cannot begin: say "hello ${VERSION} NAME" first`);
  }
  if (request.version !== VERSION) {
    throw new InletError(
      "version",
      `Cannot speak version ${request.version}: this server speaks version ${VERSION}`,
    );
  }
  if (new TextEncoder().encode(request.name).length > MAX_CLIENT_NAME_BYTES) {
    throw new InletError(
      "bad-name",
      `Cannot take the client's name: the limit is ${MAX_CLIENT_NAME_BYTES} bytes`,
    );
  }
  const { client, clients } = context;
  client.name = request.name;
  context.log.info("welcome", `is ${quoted(client.name)}`, { name: client.name });
  await connection.write(
    encodeReply({ type: "welcome", client: client.number, limit: clients.limit }),
  );
  return true;
}

async function nextRequest(
  connection: Connection,
  context: ServerContext,
): Promise<Request | null> {
  if (context.signal.aborted) throw context.signal.reason;
  connection.resting = true;
  try {
    const line = await connection.readLine();
    return line === null ? null : decodeRequest(line);
  } finally {
    connection.resting = false;
  }
}

/** Answers one request. What fails here without losing step is an answer too. */
async function answer(
  connection: Connection,
  context: ServerContext,
  request: Request,
): Promise<"end" | void> {
  switch (request.type) {
    case "hello":
      throw new InletError("bad-request", "Cannot be greeted twice");
    case "put":
    case "push":
      return await servePut(connection, context, request);
    case "say":
      return await serveSay(connection, context, request);
    case "get":
      return await serveGet(connection, context, request.name);
    case "list":
      return await serveLines(connection, (await context.store.list()).map(formatListEntry));
    case "status":
      return await serveLines(connection, context.clients.status());
    case "exit":
      await connection.write(encodeReply({ type: "ok", detail: "bye" }));
      return "end";
    case "chat":
      context.log.info("chat", `says ${quoted(request.text)}`, { text: request.text });
      return await connection.write(encodeLine(`${request.text} ACK`));
  }
}

/** Where a body goes: a file in flight, or the server's stdout. */
interface Target extends Disposable {
  write(chunk: Uint8Array): void | Promise<void>;
  /** Makes it count, and gives the name that it got. */
  publish(): Promise<string>;
}

async function servePut(
  connection: Connection,
  context: ServerContext,
  { type, size, name }: Extract<Request, { type: "put" | "push" }>,
): Promise<void> {
  const what = `store ${quoted(name)}`;
  const reception = new Reception(connection, context, what);
  const open = (): Target => {
    checkSize(what, size ?? 0, context.maxBytes);
    return context.store.create(name);
  };
  const stored = await reception.run(open, size, type === "put");
  if (stored) context.log.stored(stored);
}

async function serveSay(
  connection: Connection,
  context: ServerContext,
  { size }: Extract<Request, { type: "say" }>,
): Promise<void> {
  using turn = context.messages.turn();
  await connection.unwatched(turn.ready);
  const reception = new Reception(connection, context, "take the message");
  const target: Target = {
    write: (chunk) => connection.unwatched(turn.write(chunk)),
    publish: () => Promise.resolve(""),
    [Symbol.dispose]: () => {},
  };
  const said = await reception.run(() => target, size, true);
  if (said) {
    context.log.info("message", `sent a message of ${said.size} bytes`, { size: said.size });
  }
}

/**
 * A body on its way into a target. Whatever the target cannot do is answered at once, and the rest
 * of the body is read past, so that the next line is a line again; where that would take too long,
 * the connection ends instead.
 */
class Reception {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #what: string;
  readonly #tally = new Tally();
  #target: Target | undefined;
  #refused = false;
  #skipped = 0;

  constructor(connection: Connection, context: ServerContext, what: string) {
    this.#connection = connection;
    this.#context = context;
    this.#what = what;
  }

  /**
   * @param size `null` where the sender does not know it.
   * @param asked Whether the sender waits for `go` before it sends, and sends nothing without.
   * @returns What was stored and acknowledged, or `undefined` after a refusal.
   */
  async run(open: () => Target, size: number | null, asked: boolean): Promise<Stored | undefined> {
    try {
      await this.#attempt(() => void (this.#target = open()));
      if (asked && this.#refused) return undefined;
      if (asked) await this.#connection.write(encodeReply({ type: "go", offset: 0 }));
      const trailer = await receiveBody(this.#connection, size, (chunk) => this.#write(chunk));
      return await this.#conclude(trailer);
    } finally {
      this.#target?.[Symbol.dispose]();
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (this.#refused) return this.#skip(chunk);
    await this.#attempt(() => {
      this.#tally.add(chunk);
      checkSize(this.#what, this.#tally.bytes, this.#context.maxBytes);
      return this.#target!.write(chunk);
    });
  }

  async #conclude(trailer: BodyLine): Promise<Stored | undefined> {
    if (this.#refused) return undefined;
    let name = "";
    await this.#attempt(async () => {
      this.#verify(trailer);
      name = await this.#target!.publish();
    });
    if (this.#refused) return undefined;
    const stored = { size: this.#tally.bytes, crc: this.#tally.crc, name };
    await this.#connection.write(encodeReply({ type: "ok", detail: formatStored(stored) }));
    return stored;
  }

  #verify(trailer: BodyLine): void {
    if (trailer.type === "abort") {
      throw new InletError("aborted", `Did not ${this.#what}: ${trailer.text}`);
    }
    if (trailer.type === "end" && trailer.crc !== this.#tally.crc) {
      throw new InletError(
        "checksum",
        `Cannot ${this.#what}: it arrived with CRC-32 ${formatCrc(this.#tally.crc)}, ` +
          `it was sent with ${formatCrc(trailer.crc)}`,
      );
    }
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#refused = true;
      this.#target?.[Symbol.dispose]();
      const known = explain(error, `Cannot ${this.#what}`);
      this.#context.log.failure(known);
      await this.#connection.write(encodeError(known));
    }
  }

  #skip(chunk: Uint8Array): void {
    this.#skipped += chunk.length;
    if (this.#skipped <= MAX_SKIPPED_BYTES) return;
    // The refusal was said already. A second one would answer the next request.
    this.#connection.farewell = undefined;
    throw new InletError("aborted", "Gave up reading past a refused body");
  }
}

/** Hands over the bytes of a body as they come, and returns the line that ended it. */
async function receiveBody(
  connection: Connection,
  size: number | null,
  write: (chunk: Uint8Array) => void | Promise<void>,
): Promise<BodyLine> {
  const sink = (): WritableStream<Uint8Array> => new WritableStream({ write });
  if (size !== null) await connection.body(size).pipeTo(sink());
  for (;;) {
    const line = await connection.readLine();
    if (line === null) throw new InletError("lost", "The connection ended before its body did");
    const part = decodeBodyLine(line);
    if (part.type !== "data") return part;
    if (size !== null) throw new ProtocolError("a body of known size has no chunks");
    await connection.body(part.size).pipeTo(sink());
  }
}

async function serveGet(
  connection: Connection,
  context: ServerContext,
  name: string,
): Promise<void> {
  let stored: StoredFile;
  try {
    stored = context.store.read(name);
  } catch (error) {
    const known = explain(error, `Cannot get ${quoted(name)}`);
    context.log.failure(known);
    return await connection.write(encodeError(known));
  }
  using _ = stored;
  const { size } = stored;
  const body = fileBody(stored.file, size);
  await connection.write(encodeReply({ type: "ok", detail: String(size) }));
  await connection.send(body.stream);
  await connection.write(encodeBodyLine(
    body.changed()
      ? { type: "abort", text: `${quoted(name)} changed while it was sent` }
      : { type: "end", crc: body.tally.crc },
  ));
  context.log.info("sent", `got ${quoted(name)}, ${formatBytes(size)}`, { name, size });
}

async function serveLines(connection: Connection, lines: readonly string[]): Promise<void> {
  await connection.write(encodeReply({ type: "ok", detail: String(lines.length) }));
  for (const line of lines) await connection.write(encodeLine(line));
}

/** Told how each source fared: what was stored, or why it was not. */
export type OnResult = (source: Source, result: Partial<Stored> | InletError) => void;

/** A push that the server has not answered yet. */
interface Outstanding {
  source: Source;
  /** What made us abort it, which says more than the server's answer to that. */
  failure: InletError | undefined;
  answerBytes: number;
}

/**
 * Client half. After {@linkcode FilesClient.greet} each method is one request. Errors are
 * {@linkcode InletError}: what the server said, or what happened to the connection.
 */
export class FilesClient {
  readonly #connection: Connection;
  readonly #context: ClientContext;
  readonly #outstanding: Outstanding[] = [];
  /** Why no other request can follow: the connection is gone, or a body broke off. */
  #end: InletError | undefined;

  private constructor(connection: Connection, context: ClientContext) {
    this.#connection = connection;
    this.#context = context;
  }

  /** Says hello, and waits to be let in. */
  static async greet(
    connection: Connection,
    name: string,
    context: ClientContext,
  ): Promise<FilesClient> {
    const client = new FilesClient(connection, context);
    await connection.write(encodeRequest({ type: "hello", version: VERSION, name }));
    const reply = await client.#reply();
    switch (reply.type) {
      case "welcome":
        return client;
      case "busy":
        throw new InletError(
          "busy",
          `The server is full: ${reply.clients} of ${reply.limit} clients`,
        );
      case "challenge":
        throw new InletError("denied", "The server asks for a key, and this client has none");
      default:
        throw unexpected(reply);
    }
  }

  /**
   * Sends files, small ones without waiting for the answer to the one before.
   *
   * @returns What was not tried, because the connection ended before its turn.
   */
  async send(sources: readonly Source[], onResult: OnResult): Promise<readonly Source[]> {
    for (const [index, source] of sources.entries()) {
      this.#context.progress.name(source.label);
      try {
        if (source.size !== null && source.size <= MAX_PUSHED_BYTES) {
          await this.#push(source, onResult);
        } else {
          await this.#settle(0, onResult);
          onResult(source, await this.#put(source));
        }
      } catch (error) {
        await this.#settle(0, onResult);
        onResult(source, explain(error));
      }
      if (this.#end) return sources.slice(index + 1);
    }
    await this.#settle(0, onResult);
    return [];
  }

  /** Sends a message to the server's stdout. It is there when this returns. */
  async say(source: Source): Promise<Stored> {
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    await this.#write(encodeRequest({ type: "say", size: source.size }));
    return await this.#sendBody(source, body);
  }

  /**
   * Gets a file, handing over its bytes as they come. They are verified when this returns, and not
   * before.
   */
  async get(name: string, write: (chunk: Uint8Array) => void | Promise<void>): Promise<Tally> {
    const { progress } = this.#context;
    const size = decodeCount(await this.#request({ type: "get", name }));
    progress.begin(size);
    progress.name(name);
    const tally = new Tally();
    const trailer = await receiveBody(this.#connection, size, (chunk) => {
      tally.add(chunk);
      progress.add(chunk.length);
      return write(chunk);
    });
    if (trailer.type === "abort") throw new InletError("changed", `Cannot get it: ${trailer.text}`);
    if (trailer.type === "end" && trailer.crc !== tally.crc) {
      throw new InletError(
        "checksum",
        `Cannot get ${quoted(name)}: it arrived with CRC-32 ${formatCrc(tally.crc)}, ` +
          `it was sent with ${formatCrc(trailer.crc)}`,
      );
    }
    return tally;
  }

  /** The files that the server would give. */
  async list(): Promise<ListEntry[]> {
    return (await this.#lines({ type: "list" })).map(parseListEntry);
  }

  /** One line for each client of the server, now and before. */
  async status(): Promise<string[]> {
    return await this.#lines({ type: "status" });
  }

  /** Takes leave. */
  async exit(): Promise<void> {
    if (!this.#end) await this.#request({ type: "exit" });
  }

  async #lines(request: Request): Promise<string[]> {
    const lines: string[] = [];
    for (let left = decodeCount(await this.#request(request)); left > 0; left--) {
      const line = await this.#connection.readLine();
      if (line === null) throw new InletError("lost", "The connection ended within an answer");
      lines.push(line);
    }
    return lines;
  }

  /** Small enough to go out whole, header and checksum and all. */
  async #push(source: FileSource, onResult: OnResult): Promise<void> {
    const { name, size } = source;
    const request = encodeRequest({ type: "push", size, name });
    await this.#settle(MAX_OUTSTANDING_BYTES - request.length, onResult);
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    const content = await collect(body.stream, size);
    const failure = body.changed() ? changed(source) : undefined;
    await this.#write(concat([request, content, trailerOf(body.tally, failure)]));
    this.#outstanding.push({ source, failure, answerBytes: request.length });
  }

  /** Takes answers until those still to come have at most so many bytes. */
  async #settle(mostBytes: number, onResult: OnResult): Promise<void> {
    let bytes = this.#outstanding.reduce((sum, { answerBytes }) => sum + answerBytes, 0);
    while (bytes > mostBytes && this.#outstanding.length > 0) {
      const { source, failure, answerBytes } = this.#outstanding.shift()!;
      bytes -= answerBytes;
      const result = await this.#reply().then(decodeStored).catch(explain);
      onResult(source, failure ?? result);
    }
  }

  async #put(source: Source): Promise<Stored> {
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    await this.#write(encodeRequest({ type: "put", size: source.size, name: source.name }));
    return await this.#sendBody(source, body);
  }

  /** After `go`: the body and its checksum, while listening for a no that comes before the end. */
  async #sendBody(source: Source, body: OpenBody): Promise<Stored> {
    const go = await this.#reply();
    if (go.type !== "go" || go.offset !== 0) throw this.#giveUp(unexpected(go));
    const answer = this.#reply();
    const stop = new AbortController();
    answer.catch(() => {}).finally(() => stop.abort());
    let failure: InletError | undefined;
    try {
      const tally = "tally" in body ? body.tally : new Tally();
      const stream = "tally" in body ? body.stream : chunked(body.stream, tally);
      await this.#connection.send(stream, stop.signal);
      if ("changed" in body && body.changed()) failure = changed(source);
      await this.#connection.write(trailerOf(tally, failure));
    } catch (error) {
      // The server's no says why. Only a failure of our own has nobody else to tell it.
      if (!stop.signal.aborted) {
        this.#connection.abort(explain(error, `Cannot send ${source.label}`));
      }
      this.#end ??= new InletError("lost", "The connection ended within a body");
    }
    const reply = await answer;
    if (failure) throw failure;
    return decodeStored(reply);
  }

  /** Sends a request, and returns the detail of its `ok`. */
  async #request(request: Request): Promise<string> {
    await this.#write(encodeRequest(request));
    const reply = await this.#reply();
    if (reply.type !== "ok") throw unexpected(reply);
    return reply.detail;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#end) throw this.#end;
    await this.#connection.write(bytes).catch((error) => {
      throw this.#giveUp(error);
    });
  }

  async #reply(): Promise<Reply> {
    if (this.#end) throw this.#end;
    try {
      const line = await this.#connection.readLine();
      if (line === null) throw new InletError("lost", "The server closed the connection");
      return decodeReply(line);
    } catch (error) {
      throw this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): InletError {
    return this.#end ??= explain(error);
  }
}

/** A body as one piece. Its chunks share one buffer, so each is copied before the next comes. */
async function collect(stream: ReadableStream<Uint8Array>, size: number): Promise<Uint8Array> {
  const whole = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of stream) {
    whole.set(chunk, filled);
    filled += chunk.length;
  }
  return whole;
}

/**
 * Frames a body of unknown length. Cancelling it does not wait for the next chunk, which a pipe that
 * has stalled never gives: an async generator would.
 */
function chunked(stream: ReadableStream<Uint8Array>, tally: Tally): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let framed: Uint8Array | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      if (framed) {
        controller.enqueue(framed);
        framed = undefined;
        return;
      }
      const { done, value } = await reader.read();
      if (done) return controller.close();
      tally.add(value);
      framed = value;
      controller.enqueue(encodeBodyLine({ type: "data", size: value.length }));
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

function trailerOf(tally: Tally, failure: InletError | undefined): Uint8Array {
  return encodeBodyLine(
    failure ? { type: "abort", text: failure.message } : { type: "end", crc: tally.crc },
  );
}

function decodeStored(reply: Reply): Stored {
  if (reply.type !== "ok") throw unexpected(reply);
  return parseStored(reply.detail);
}

function decodeCount(detail: string): number {
  if (!/^\d{1,15}$/.test(detail)) throw new ProtocolError(`"${detail}" is no number`);
  return Number(detail);
}

/** An answer that was not hoped for. */
function unexpected(reply: Reply): InletError {
  return reply.type === "error"
    ? new InletError(reply.code, reply.text)
    : new InletError("bad-request", `The server answered out of turn: ${reply.type}`);
}
