/**
 * The native conversation: verified files, several to a connection. PROTOCOL.md has the grammar.
 *
 * 1. C: `hello 1 ben`. S: `welcome client 1 of 100`, or `busy 100 of 100` and the end. Where a key is
 *    needed, S: `challenge NONCE`. C: `answer DIGEST`. S: `welcome …`, or `error denied …` and the end.
 * 2. C: `put 6 a.txt`. S: `go 0`. C: 6 bytes, then `end 363a3020`, their CRC-32.
 *    S: `ok 6 363a3020 a.txt`, once they are verified and the file has that name.
 * 3. C: `push 6 a.txt`, the bytes and the `end` at once, and the next push right behind: the server
 *    answers each in order, `ok …` or `error …`.
 * 4. C: `get a.txt`. S: `ok 6`, `data 6`, 6 bytes, `end 363a3020 2026-11-21T08:38:00Z`, the time of the
 *    file's last change, which may stand behind the `end` of a put too. Meanwhile C may say `stop`: then
 *    it ends with `abort stopped`, or, when the `stop` came too late, there is a `stop ACK` behind it.
 * 5. C: `list`, `tree photos` or `status`. S: `ok 1` and so many lines. C: `mkdir photos`.
 *    S: `ok photos`. C: `whoami`. S: `ok ben-2`.
 * 6. C: `say 6`. S: `go 0`. C: a body. S: `ok 6 363a3020`, once it is on the server's stdout.
 * 7. C: any other line, `Hello`, or `chat Hello`. S: `Hello ACK`.
 * 8. C: `reput 6 a.txt`. S: `go 2 d1256687`: two bytes are kept from an earlier attempt, with that
 *    CRC-32. C: `from 2` if its own file begins so, else `from 0`; then the rest, as in 2. The other way
 *    round, C: `reget 2 d1256687 a.txt`. S: `ok 6 2`, and the rest, as in 4.
 * 9. C: `compare 6 363a3020 2026-11-21T08:38:00Z a.txt`. S: `ok a.txt` if it has that file, else `ok`.
 * 10. C: `exit`. S: `ok bye` and the end.
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
  encodeBodyLine,
  encodeLine,
  encodeReply,
  encodeRequest,
  formatListEntry,
  type ListEntry,
  MAX_CLIENT_NAME_BYTES,
  MAX_LINE_BYTES,
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
import { hostOf } from "../lib/address.ts";
import { checkTrailer, chunked, receiveBody, sendBody, Stop, trailerOf } from "../lib/bodies.ts";
import type { Connection, Rest } from "../lib/connection.ts";
import { decodeCount, Dialogue, unexpected } from "../lib/dialogue.ts";
import { encodeError, exitCode, explain, InletError } from "../lib/errors.ts";
import type { Gate } from "../lib/gate.ts";
import { answerChallenge, makeNonce } from "../lib/key.ts";
import { Pipeline } from "../lib/pipeline.ts";
import { safeName } from "../lib/names.ts";
import { MAX_PUSHED_BYTES, servePushes } from "../lib/pushes.ts";
import { Reception, refuse, type Target } from "../lib/reception.ts";
import {
  changed,
  EmptyFolder,
  type FileSource,
  type Item,
  type OpenBody,
  type Source,
} from "../lib/sources.ts";
import { fileBody, readWhole, Tally, tallyOf } from "../lib/streams.ts";
import type { Upload } from "../lib/in_flight.ts";
import type { StoredFile } from "../lib/store.ts";
import { formatBytes, formatSeconds, quoted } from "../lib/text.ts";
import type { ClientContext, ServerContext } from "../lib/mode.ts";
import { serveUpload } from "./upload.ts";

/** A session is warned so long before its rest ends, or half-way where it is short. Milliseconds. */
const WARNING_MS = 60_000;

/** A client whose answer takes long is told so every so many milliseconds. */
const NOTE_MS = 1000;

/** The first byte of a TLS greeting. */
const TLS_HANDSHAKE = 0x16;

/** Server half. A first byte of 0 is no line: it opens the size of an upload client. */
export async function serveFiles(connection: Connection, context: ServerContext): Promise<void> {
  connection.resting = true;
  if (context.gate) context.client.stranger = true;
  connection.farewell = encodeError;
  const first = await connection.peek();
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
    await nextArrival(connection, context, rest);
    if (await servePushes(connection, context)) continue;
    const request = await nextRequest(connection);
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
  connection.begun();
  return true;
}

/** Challenges a client to prove its key. One that leaves instead gives no answer at all. */
async function passes(connection: Connection, gate: Gate): Promise<boolean> {
  const host = hostOf(connection.remote);
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

/** Waits until a client begins something, or leaves. */
async function nextArrival(
  connection: Connection,
  context: ServerContext,
  rest: Rest,
): Promise<void> {
  if (context.signal.aborted) throw context.signal.reason;
  connection.resting = true;
  try {
    await connection.rest(rest);
  } finally {
    connection.resting = false;
  }
}

async function nextRequest(connection: Connection): Promise<Request | null> {
  connection.resting = true;
  try {
    const line = await connection.readLine();
    return line === null ? null : decodeRequest(line);
  } finally {
    connection.resting = false;
  }
}

function restOf(limitMs: number): Rest {
  const leftMs = Math.min(WARNING_MS, limitMs / 2);
  const text = `This session closes in ${formatSeconds(leftMs)} s: it has been idle for ` +
    `${formatSeconds(limitMs - leftMs)} s`;
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
    case "from":
      throw new InletError("bad-request", `Cannot take "${request.type}": nothing was asked`);
    case "put":
    case "push":
      return await servePut(connection, context, request);
    case "reput":
      return await serveReput(connection, context, request);
    case "mkdir":
      return await serveMkdir(connection, context, request.name);
    case "say":
      return await serveSay(connection, context, request);
    case "get":
      return await serveGet(connection, context, request.name);
    case "reget":
      return await serveGet(connection, context, request.name, request);
    case "compare":
      return await serveCompare(connection, context, request);
    case "list":
    case "tree":
    case "status":
      return await serveLines(connection, context, request);
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
  const stored = await new Reception(connection, context, what).run({
    open: () => {
      checkAccess(context.access, type, what);
      checkSize(what, size ?? 0, context.maxBytes);
      return context.store.create(name);
    },
    size,
    ...(type === "put" && { agree: () => agreeOnStart(connection) }),
    shownName: shownName(context, name),
  });
  if (stored) context.log.stored(stored);
}

/** A put that goes on with what an earlier one left, and leaves what it has when it breaks off. */
async function serveReput(
  connection: Connection,
  context: ServerContext,
  { size, name }: Extract<Request, { type: "reput" }>,
): Promise<void> {
  const what = `store ${quoted(name)}`;
  const stored = await new Reception(connection, context, what).run({
    open: () => {
      checkAccess(context.access, "reput", what);
      checkSize(what, size, context.maxBytes);
      // Where files are only dropped, what is kept would tell what others have sent.
      if (context.access === "drop-only") return context.store.create(name);
      return patiently(connection, what, context.store.resume(name, size));
    },
    size,
    agree: (upload) => agreeOnOffset(connection, context, name, upload),
    shownName: shownName(context, name),
  });
  if (stored) context.log.stored(stored);
}

/** Where files are only dropped, the name that one got would tell which were there before. */
function shownName({ access }: ServerContext, name: string): (() => string) | undefined {
  return access === "drop-only" ? () => safeName(name) : undefined;
}

async function agreeOnStart(connection: Connection): Promise<Tally> {
  await connection.write(encodeReply({ type: "go", offset: 0 }));
  return new Tally();
}

/** Offers what is kept. The client knows whether its own file begins with the same bytes. */
async function agreeOnOffset(
  connection: Connection,
  context: ServerContext,
  name: string,
  upload: Upload,
): Promise<Tally> {
  const { kept } = upload;
  await connection.write(encodeReply({ type: "go", offset: kept.bytes, crc: kept.crc }));
  // It may have to read as much of its own file first.
  await connection.rest(restOf(context.sessionTimeoutMs));
  const line = await connection.readLine();
  const from = line === null ? null : decodeRequest(line);
  if (from?.type !== "from" || (from.offset !== 0 && from.offset !== kept.bytes)) {
    throw new InletError("bad-request", `Cannot go on: say "from ${kept.bytes}" or "from 0"`);
  }
  if (kept.bytes === 0) return kept;
  if (from.offset === 0) {
    upload.startOver();
    context.log.info(
      "restarted",
      `starts over with ${quoted(name)}: what was kept is another file`,
    );
    return upload.kept;
  }
  context.log.info("resumed", `goes on with ${quoted(name)} at ${formatBytes(kept.bytes)}`, {
    name,
    offset: kept.bytes,
  });
  return kept;
}

/** Waits for the disk, and lets the client know that its answer is on the way. */
async function patiently<T>(connection: Connection, what: string, work: Promise<T>): Promise<T> {
  const note = encodeReply({ type: "note", text: `Wait: it takes a while to ${what}` });
  const timer = setInterval(() => connection.write(note).catch(() => {}), NOTE_MS);
  try {
    return await connection.unwatched(work);
  } finally {
    clearInterval(timer);
  }
}

async function serveMkdir(
  connection: Connection,
  context: ServerContext,
  name: string,
): Promise<void> {
  const what = `make the folder ${quoted(name)}`;
  let folder: string;
  try {
    checkAccess(context.access, "mkdir", what);
    folder = context.store.makeFolder(name);
  } catch (error) {
    return await refuse(connection, context, explain(error, `Cannot ${what}`));
  }
  context.log.info("folder", `made the folder ${quoted(folder)}`, { name: folder });
  await connection.write(encodeReply({ type: "ok", detail: folder }));
}

async function serveSay(
  connection: Connection,
  context: ServerContext,
  { size }: Extract<Request, { type: "say" }>,
): Promise<void> {
  using turn = context.messages.turn();
  await connection.unwatched(turn.ready);
  const what = "take the message";
  const target: Target = {
    write: (chunk) => connection.unwatched(turn.write(chunk)),
    publish: () => Promise.resolve(""),
    discard: () => {},
    [Symbol.dispose]: () => {},
  };
  const said = await new Reception(connection, context, what).run({
    open: () => {
      checkAccess(context.access, "say", what);
      return target;
    },
    size,
    agree: () => agreeOnStart(connection),
    unhurried: true,
  });
  if (said) {
    context.log.info("message", `sent a message of ${said.size} bytes`, { size: said.size });
  }
}

/** @param kept What the client has of it from an earlier attempt. */
async function serveGet(
  connection: Connection,
  context: ServerContext,
  name: string,
  kept?: { offset: number; crc: number },
): Promise<void> {
  const what = `get ${quoted(name)}`;
  let stored: StoredFile;
  try {
    checkAccess(context.access, kept ? "reget" : "get", what);
    stored = context.store.read(name);
  } catch (error) {
    return await refuse(connection, context, explain(error, `Cannot ${what}`));
  }
  using _ = stored;
  const { file, size, modified } = stored;
  if (!kept && size <= MAX_PUSHED_BYTES) return await giveWhole(connection, context, name, stored);
  const begun = kept && await patiently(connection, what, beginning(stored, kept));
  const body = fileBody(file, size - (begun?.bytes ?? 0), undefined, begun);
  let stopped = false;
  const detail = begun ? `${size} ${begun.bytes}` : String(size);
  await connection.write(encodeReply({ type: "ok", detail }));
  await connection.send(chunked(body.stream, () => stopped ||= connection.takeLine(STOP)));
  const abort = stopped
    ? STOPPED
    : body.changed()
    ? `${quoted(name)} changed while it was sent`
    : undefined;
  await connection.write(trailerOf(body.tally, abort, modified));
  const message = stopped ? `stopped getting ${quoted(name)}` : `got ${quoted(name)}`;
  context.log.info("sent", `${message}, ${formatBytes(body.tally.bytes)}`, { name, size });
}

/** A small file goes out with one write. */
async function giveWhole(
  connection: Connection,
  { log }: ServerContext,
  name: string,
  { file, size, modified }: StoredFile,
): Promise<void> {
  const room = new Uint8Array(size + 1);
  const unchanged = readWhole(file, room, size);
  const content = room.subarray(0, size);
  const tally = new Tally();
  tally.add(content);
  const abort = unchanged ? undefined : `${quoted(name)} changed while it was sent`;
  await connection.write(concat([
    encodeReply({ type: "ok", detail: String(size) }),
    ...size > 0 ? [encodeBodyLine({ type: "data", size }), content] : [],
    trailerOf(tally, abort, modified),
  ]));
  log.info("sent", `got ${quoted(name)}, ${formatBytes(size)}`, { name, size });
}

/** The beginning of a file, read past if it is what the client has already; else nothing of it. */
async function beginning(
  { file, size }: StoredFile,
  kept: { offset: number; crc: number },
): Promise<Tally> {
  const tally = kept.offset <= size ? await tallyOf(file, kept.offset) : new Tally();
  if (tally.bytes === kept.offset && tally.crc === kept.crc) return tally;
  file.seekSync(0, Deno.SeekMode.Start);
  return new Tally();
}

async function serveCompare(
  connection: Connection,
  context: ServerContext,
  { name, ...fingerprint }: Extract<Request, { type: "compare" }>,
): Promise<void> {
  const what = `compare ${quoted(name)}`;
  let found: string | undefined;
  try {
    checkAccess(context.access, "compare", what);
    found = await patiently(connection, what, context.store.find(name, fingerprint));
  } catch (error) {
    return await refuse(connection, context, explain(error, `Cannot ${what}`));
  }
  await connection.write(encodeReply({ type: "ok", detail: found ?? "" }));
}

async function serveLines(
  connection: Connection,
  context: ServerContext,
  request: Extract<Request, { type: "list" | "tree" | "status" }>,
): Promise<void> {
  const { type } = request;
  const what = type === "list"
    ? "list the files"
    : type === "status"
    ? "list the clients"
    : `get ${quoted(request.name)}`;
  let lines: string[];
  try {
    checkAccess(context.access, type, what);
    lines = type === "status"
      ? context.clients.status()
      : (await (type === "list" ? context.store.list() : context.store.tree(request.name)))
        .map(formatListEntry);
  } catch (error) {
    return await refuse(connection, context, explain(error, `Cannot ${what}`));
  }
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
  readonly #dialogue: Dialogue;
  readonly #pipeline: Pipeline;
  /** What was sent whole and never answered: the server may have it or not. */
  readonly unanswered: Set<Item> = new Set();
  #number = 0;
  #limit = 0;

  private constructor(connection: Connection, context: ClientContext) {
    this.#connection = connection;
    this.#context = context;
    this.#dialogue = new Dialogue(connection, context.onNote);
    this.#pipeline = new Pipeline(this.#dialogue);
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
      if (this.#dialogue.end) return items.slice(index + 1);
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
    if (this.#dialogue.end) throw this.#dialogue.end;
  }

  /** Sends a message to the server's stdout. It is there when this returns. */
  async say(source: Source): Promise<Stored> {
    using body = source.open((bytes) => this.#context.progress.add(bytes));
    await this.#dialogue.write(encodeRequest({ type: "say", size: source.size }));
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
    await this.#dialogue.write(encodeRequest({ type: "put", size, name: source.name }));
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
    await this.#dialogue.write(
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
    const { size, tally } = this.#begin(name, target, decodeOk(await this.#dialogue.reply()));
    progress.expect(size);
    progress.name(name);
    const stop = new Stop(stoppable ? this.#connection : undefined, signal);
    const trailer = await receiveBody(this.#connection, null, async (chunk) => {
      if (stop.reason) return;
      tally.add(chunk);
      progress.add(chunk.length);
      await stop.guard(() => target.write(chunk));
    }).catch((error) => {
      throw this.#dialogue.giveUp(error);
    }).finally(() => stop.release());
    const inBody = trailer.type === "abort" && trailer.text === STOPPED;
    if (stop.reason && stoppable && !inBody) await this.#dialogue.acknowledgement(STOP);
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

  /** A folder of the server, and what is in it: names from the root of its store on. */
  async tree(name: string): Promise<ListEntry[]> {
    return (await this.#dialogue.lines({ type: "tree", name })).map(parseListEntry);
  }

  /** One line for each client of the server, now and before. */
  async status(): Promise<string[]> {
    return await this.#dialogue.lines({ type: "status" });
  }

  /** Takes leave. All that was asked is answered: a server that is gone by then has failed nobody. */
  async exit(): Promise<void> {
    if (this.#dialogue.end) return;
    await this.#dialogue.request({ type: "exit" }).catch((error) => {
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
      const result = await this.#noted(source, reply).then(decodeStored).catch(explain);
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
    await this.#dialogue.write(encodeRequest({ type: "reput", size, name }));
    file.readAhead();
    const go = await this.#go();
    if (go.offset > size) throw this.#dialogue.giveUp(unexpected(go));
    const { offset, crc = 0 } = go;
    const isSame = await this.#connection.unwatched(file.matches(offset, crc));
    const start = isSame ? { bytes: offset, crc } : { bytes: 0, crc: 0 };
    await this.#dialogue.write(encodeRequest({ type: "from", offset: start.bytes }));
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
      throw this.#dialogue.giveUp(new InletError("bad-request", reason));
    }
    this.#context.onResume?.(name, offset, size);
    this.#context.progress.skip(offset);
    if (offset === 0) target.startOver?.();
    else Object.assign(tally, kept);
    return { size, tally };
  }

  async #go(): Promise<Extract<Reply, { type: "go" }>> {
    const go = await this.#dialogue.reply();
    if (go.type === "error") throw unexpected(go);
    if (go.type !== "go") throw this.#dialogue.giveUp(unexpected(go));
    return go;
  }

  async #sendBody(
    source: Source,
    body: OpenBody,
    size: number | null,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const go = await this.#go();
    if (go.offset !== 0) throw this.#dialogue.giveUp(unexpected(go));
    return await this.#sendRest(source, body, size, signal);
  }

  /** The body and its checksum, while listening for a no that comes before the end. */
  async #sendRest(
    source: Source,
    body: OpenBody,
    size: number | null,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const answer = this.#dialogue.reply();
    const stop = new AbortController();
    answer.catch(() => {}).finally(() => stop.abort());
    let failure: InletError | undefined;
    let isSent = false;
    try {
      failure = await sendBody(this.#connection, source, body, size, stop.signal, signal);
      isSent = true;
    } catch (error) {
      // The server's no says why. Only a failure of our own has nobody else to tell it.
      if (!stop.signal.aborted) {
        this.#connection.abort(explain(error, `Cannot send ${source.label}`));
      }
      this.#dialogue.end ??= new InletError("lost", "The connection ended within a body");
    }
    const reply = await (isSent ? this.#noted(source, answer) : answer);
    if (failure) throw failure;
    return decodeStored(reply);
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

function decodeStored(reply: Reply): Stored {
  return parseStored(decodeOk(reply));
}
