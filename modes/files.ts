/**
 * The native conversation: verified files, several to a connection. PROTOCOL.md has the grammar.
 *
 * 1. C: `hello 1 ben`. S: `welcome client 1 of 100`, or `busy 100 of 100` and the end. Where a key is
 *    needed, S: `challenge NONCE`. C: `answer DIGEST`. S: `welcome …`, or `error denied …` and the end.
 * 2. C: `put 6 a.txt`. S: `go 0`. C: 6 bytes, then `end 363a3020`, their CRC-32.
 *    S: `ok 6 363a3020 a.txt`, once they are verified and the file has that name.
 * 3. C: `push 6 a.txt`, the bytes and the `end` at once, and the next push right behind: the server
 *    answers each in order, `ok …` or `error …`.
 * 4. C: `get a.txt`. S: `ok 6`, `data 6`, 6 bytes, `end 363a3020`. Meanwhile C may say `stop`: then it
 *    ends with `abort stopped`, or, when the `stop` came too late, there is a `stop ACK` behind it.
 * 5. C: `list` or `status`. S: `ok 1` and so many lines. C: `whoami`. S: `ok ben-2`.
 * 6. C: `say 6`. S: `go 0`. C: a body. S: `ok 6 363a3020`, once it is on the server's stdout.
 * 7. C: any other line, `Hello`, or `chat Hello`. S: `Hello ACK`.
 * 8. C: `exit`. S: `ok bye` and the end.
 *
 * While nothing is asked S may say `note TEXT`, or `error shutdown …` or `error timeout …` and the end.
 * A note can cross a request: then it stands in front of the answer.
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
  ACK,
  decodeRequest,
  encodeLine,
  encodeReply,
  encodeRequest,
  formatListEntry,
  type ListEntry,
  MAX_CLIENT_NAME_BYTES,
  MAX_TALK_BYTES,
  parseListEntry,
  parseStored,
  type Reply,
  type Request,
  STOP,
  STOPPED,
  type Stored,
  VERSION,
} from "../protocol.ts";
import { checkAccess, checkSize } from "../lib/access.ts";
import {
  checkTrailer,
  chunked,
  collect,
  receiveBody,
  sendBody,
  Stop,
  trailerOf,
} from "../lib/bodies.ts";
import type { Connection, Rest } from "../lib/connection.ts";
import { decodeCount, Dialogue, unexpected } from "../lib/dialogue.ts";
import { encodeError, explain, InletError } from "../lib/errors.ts";
import type { Gate } from "../lib/gate.ts";
import { answerChallenge, makeNonce } from "../lib/key.ts";
import { Reception, refuse, type Target } from "../lib/reception.ts";
import { changed, type FileSource, type OpenBody, type Source } from "../lib/sources.ts";
import { fileBody, Tally } from "../lib/streams.ts";
import type { StoredFile } from "../lib/store.ts";
import { formatBytes, quoted } from "../lib/text.ts";
import type { ClientContext, ServerContext } from "../lib/mode.ts";
import { serveUpload } from "./upload.ts";

/** Files up to this size are pushed: cheaper to send in vain than to ask about first. */
const MAX_PUSHED_BYTES = 64 * 1024;

/**
 * Answers that may be outstanding, in bytes. They fit into any socket's buffers, so the server never
 * waits for us to read while we wait for it to read.
 */
const MAX_OUTSTANDING_BYTES = 16 * 1024;

/** A session is warned so long before its rest ends, or half-way where it is short. Milliseconds. */
const WARNING_MS = 60_000;

/** The first byte of a TLS greeting. */
const TLS_HANDSHAKE = 0x16;

/** Server half. A first byte of 0 is no line: it opens the size of an upload client. */
export async function serveFiles(connection: Connection, context: ServerContext): Promise<void> {
  connection.resting = true;
  if (context.gate) context.client.stranger = true;
  const first = await connection.peek();
  connection.farewell = encodeError;
  if (first === 0) {
    if (context.gate) {
      throw new InletError("denied", "Cannot take uploads: this server asks for a key");
    }
    return await serveUpload(connection, context);
  }
  if (first === TLS_HANDSHAKE) {
    throw new InletError("bad-request", "Cannot speak TLS: this is an inlet server, on plain TCP");
  }
  if (!await greet(connection, context)) return;
  const rest = restOf(context.sessionTimeoutMs);
  for (;;) {
    const request = await nextRequest(connection, context, rest);
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
  if (context.gate) {
    if (!await passes(connection, context.gate)) return false;
    client.stranger = false;
  }
  clients.introduce(client, request.name.trim());
  context.log.info("welcome", `is ${quoted(client.name)}`, { name: client.name });
  await connection.write(
    encodeReply({ type: "welcome", client: client.number, limit: clients.limit }),
  );
  return true;
}

/** Challenges a client to prove its key. One that leaves instead gives no answer at all. */
async function passes(connection: Connection, gate: Gate): Promise<boolean> {
  const host = connection.remote.slice(0, connection.remote.lastIndexOf(":"));
  gate.checkWait(host);
  const nonce = makeNonce();
  await connection.write(encodeReply({ type: "challenge", nonce }));
  const line = await connection.readLine();
  if (line === null) return false;
  const request = decodeRequest(line);
  if (request.type !== "answer") {
    throw new InletError("denied", `Cannot let you in: say "answer DIGEST" first`);
  }
  await gate.check(host, nonce, request.digest);
  return true;
}

async function nextRequest(
  connection: Connection,
  context: ServerContext,
  rest: Rest,
): Promise<Request | null> {
  if (context.signal.aborted) throw context.signal.reason;
  connection.resting = true;
  try {
    await connection.rest(rest);
    const line = await connection.readLine();
    return line === null ? null : decodeRequest(line);
  } finally {
    connection.resting = false;
  }
}

function restOf(limitMs: number): Rest {
  const leftMs = Math.min(WARNING_MS, limitMs / 2);
  const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;
  const text = `This session closes in ${seconds(leftMs)} s: it has been idle for ` +
    `${seconds(limitMs - leftMs)} s`;
  return {
    limitMs,
    warnAfterMs: limitMs - leftMs,
    warning: encodeReply({ type: "note", text }),
  };
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
    case "answer":
      throw new InletError("bad-request", "Cannot take an answer: nothing was asked");
    case "put":
    case "push":
      return await servePut(connection, context, request);
    case "say":
      return await serveSay(connection, context, request);
    case "get":
      return await serveGet(connection, context, request.name);
    case "list":
    case "status":
      return await serveLines(connection, context, request.type);
    case "whoami":
      return await connection.write(encodeReply({ type: "ok", detail: context.client.name }));
    case "exit":
      await connection.write(encodeReply({ type: "ok", detail: "bye" }));
      return "end";
    case "chat":
      return await serveChat(connection, context, request.text);
  }
}

async function servePut(
  connection: Connection,
  context: ServerContext,
  { type, size, name }: Extract<Request, { type: "put" | "push" }>,
): Promise<void> {
  const what = `store ${quoted(name)}`;
  const reception = new Reception(connection, context, what);
  const open = (): Target => {
    checkAccess(context.access, type, what);
    checkSize(what, size ?? 0, context.maxBytes);
    return context.store.create(name);
  };
  // Where files are only dropped, the name they got would tell which were there before.
  const shownName = context.access === "drop-only" ? name : undefined;
  const stored = await reception.run(open, size, type === "put", shownName);
  if (stored) context.log.stored(stored);
}

async function serveSay(
  connection: Connection,
  context: ServerContext,
  { size }: Extract<Request, { type: "say" }>,
): Promise<void> {
  using turn = context.messages.turn();
  await connection.unwatched(turn.ready);
  const what = "take the message";
  const reception = new Reception(connection, context, what);
  const target: Target = {
    write: (chunk) => connection.unwatched(turn.write(chunk)),
    publish: () => Promise.resolve(""),
    [Symbol.dispose]: () => {},
  };
  const open = (): Target => {
    checkAccess(context.access, "say", what);
    return target;
  };
  const said = await reception.run(open, size, true);
  if (said) {
    context.log.info("message", `sent a message of ${said.size} bytes`, { size: said.size });
  }
}

async function serveGet(
  connection: Connection,
  context: ServerContext,
  name: string,
): Promise<void> {
  const what = `get ${quoted(name)}`;
  let stored: StoredFile;
  try {
    checkAccess(context.access, "get", what);
    stored = context.store.read(name);
  } catch (error) {
    return await refuse(connection, context, explain(error, `Cannot ${what}`));
  }
  using _ = stored;
  const { size } = stored;
  const body = fileBody(stored.file, size);
  let stopped = false;
  await connection.write(encodeReply({ type: "ok", detail: String(size) }));
  await connection.send(chunked(body.stream, () => stopped ||= connection.takeLine(STOP)));
  const abort = stopped
    ? STOPPED
    : body.changed()
    ? `${quoted(name)} changed while it was sent`
    : undefined;
  await connection.write(trailerOf(body.tally, abort));
  const message = stopped ? `stopped getting ${quoted(name)}` : `got ${quoted(name)}`;
  context.log.info("sent", `${message}, ${formatBytes(body.tally.bytes)}`, { name, size });
}

async function serveLines(
  connection: Connection,
  context: ServerContext,
  type: "list" | "status",
): Promise<void> {
  const what = type === "list" ? "list the files" : "list the clients";
  try {
    checkAccess(context.access, type, what);
  } catch (error) {
    return await refuse(connection, context, explain(error));
  }
  const lines = type === "list"
    ? (await context.store.list()).map(formatListEntry)
    : context.clients.status();
  const answer = encodeReply({ type: "ok", detail: String(lines.length) });
  await connection.write(concat([answer, ...lines.map(encodeLine)]));
  context.log.info(type, `asked to ${what}`);
}

async function serveChat(
  connection: Connection,
  context: ServerContext,
  text: string,
): Promise<void> {
  if (new TextEncoder().encode(text).length > MAX_TALK_BYTES) {
    const reason = `Cannot answer: the limit of talk is ${MAX_TALK_BYTES} bytes`;
    return await refuse(connection, context, new InletError("bad-request", reason));
  }
  context.log.info("chat", `says ${quoted(text)}`, { text });
  await connection.write(encodeLine(text + ACK));
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
  readonly #dialogue: Dialogue;
  readonly #outstanding: Outstanding[] = [];
  #number = 0;
  #limit = 0;

  private constructor(connection: Connection, context: ClientContext) {
    this.#connection = connection;
    this.#context = context;
    this.#dialogue = new Dialogue(connection, context.onNote);
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
    const reply = await this.#dialogue.reply();
    if (reply.type !== "challenge") return reply;
    const { key } = this.#context;
    if (key === undefined) {
      throw new InletError("denied", "The server asks for a key: give it with --token-file FILE");
    }
    const digest = await answerChallenge(key, reply.nonce);
    await this.#dialogue.write(encodeRequest({ type: "answer", digest }));
    return await this.#dialogue.reply();
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
    return this.#dialogue.end !== undefined;
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
          onResult(source, await this.put(source));
        }
      } catch (error) {
        await this.#settle(0, onResult);
        onResult(source, explain(error));
      }
      if (this.#dialogue.end) return sources.slice(index + 1);
    }
    await this.#settle(0, onResult);
    return [];
  }

  /** Sends a message to the server's stdout. It is there when this returns. */
  async say(source: Source): Promise<Stored> {
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    await this.#dialogue.write(encodeRequest({ type: "say", size: source.size }));
    return await this.#sendBody(source, body, source.size);
  }

  /**
   * Sends one file.
   *
   * @param signal Stops it, in such a way that other requests can follow.
   */
  async put(source: Source, signal?: AbortSignal): Promise<Stored> {
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    // Only a body in chunks can be broken off with the conversation still in step.
    const size = signal ? null : source.size;
    await this.#dialogue.write(encodeRequest({ type: "put", size, name: source.name }));
    return await this.#sendBody(source, body, size, signal);
  }

  /**
   * Gets a file, handing over its bytes as they come. They are verified when this returns, and not
   * before.
   *
   * @param signal Stops it, in such a way that other requests can follow.
   */
  async get(
    name: string,
    write: (chunk: Uint8Array) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<Tally> {
    const { progress } = this.#context;
    const size = decodeCount(await this.#dialogue.request({ type: "get", name }));
    progress.begin(size);
    progress.name(name);
    const tally = new Tally();
    const stop = new Stop(this.#connection, signal);
    const trailer = await receiveBody(this.#connection, null, async (chunk) => {
      if (stop.reason) return;
      tally.add(chunk);
      progress.add(chunk.length);
      await stop.guard(() => write(chunk));
    }).catch((error) => {
      throw this.#dialogue.giveUp(error);
    }).finally(() => stop.release());
    const inBody = trailer.type === "abort" && trailer.text === STOPPED;
    if (stop.reason && !inBody) await this.#dialogue.acknowledgement(STOP);
    if (stop.reason) throw stop.reason;
    checkTrailer(name, size, tally, trailer);
    return tally;
  }

  /** Says something, and gives the server's answer to it. */
  async chat(text: string): Promise<string> {
    await this.#dialogue.write(encodeRequest({ type: "chat", text }));
    return await this.#dialogue.acknowledgement(text);
  }

  /** What the server calls this client: its own name, or that name with a number. */
  async whoami(): Promise<string> {
    return await this.#dialogue.request({ type: "whoami" });
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
      await this.#dialogue.note();
    }
  }

  /** The files that the server would give. */
  async list(): Promise<ListEntry[]> {
    return (await this.#dialogue.lines({ type: "list" })).map(parseListEntry);
  }

  /** One line for each client of the server, now and before. */
  async status(): Promise<string[]> {
    return await this.#dialogue.lines({ type: "status" });
  }

  /** Takes leave. */
  async exit(): Promise<void> {
    if (!this.#dialogue.end) await this.#dialogue.request({ type: "exit" });
  }

  /** Small enough to go out whole, header and checksum and all. */
  async #push(source: FileSource, onResult: OnResult): Promise<void> {
    const { name, size } = source;
    const request = encodeRequest({ type: "push", size, name });
    await this.#settle(MAX_OUTSTANDING_BYTES - request.length, onResult);
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    const content = await collect(body.stream, size);
    const failure = body.changed() ? changed(source) : undefined;
    await this.#dialogue.write(concat([request, content, trailerOf(body.tally, failure?.message)]));
    this.#outstanding.push({ source, failure, answerBytes: request.length });
  }

  /** Takes answers until those still to come have at most so many bytes. */
  async #settle(mostBytes: number, onResult: OnResult): Promise<void> {
    let bytes = this.#outstanding.reduce((sum, { answerBytes }) => sum + answerBytes, 0);
    while (bytes > mostBytes && this.#outstanding.length > 0) {
      const { source, failure, answerBytes } = this.#outstanding.shift()!;
      bytes -= answerBytes;
      const result = await this.#dialogue.reply().then(decodeStored).catch(explain);
      onResult(source, failure ?? result);
    }
  }

  /** After `go`: the body and its checksum, while listening for a no that comes before the end. */
  async #sendBody(
    source: Source,
    body: OpenBody,
    size: number | null,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const go = await this.#dialogue.reply();
    if (go.type === "error") throw unexpected(go);
    if (go.type !== "go" || go.offset !== 0) throw this.#dialogue.giveUp(unexpected(go));
    const answer = this.#dialogue.reply();
    const stop = new AbortController();
    answer.catch(() => {}).finally(() => stop.abort());
    let failure: InletError | undefined;
    try {
      failure = await sendBody(this.#connection, source, body, size, stop.signal, signal);
    } catch (error) {
      // The server's no says why. Only a failure of our own has nobody else to tell it.
      if (!stop.signal.aborted) {
        this.#connection.abort(explain(error, `Cannot send ${source.label}`));
      }
      this.#dialogue.end ??= new InletError("lost", "The connection ended within a body");
    }
    const reply = await answer;
    if (failure) throw failure;
    return decodeStored(reply);
  }
}

function decodeStored(reply: Reply): Stored {
  if (reply.type !== "ok") throw unexpected(reply);
  return parseStored(reply.detail);
}
