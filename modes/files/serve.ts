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
 * This is the server half. files_client.ts has the other one.
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
  formatListEntry,
  MAX_CLIENT_NAME_BYTES,
  MAX_TALK_BYTES,
  type Request,
  STOP,
  STOPPED,
  VERSION,
} from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import { hostOf } from "../../lib/address.ts";
import { chunked, trailerOf } from "./framing.ts";
import type { Connection, Rest } from "../../lib/net/connection.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { KeyVerifier } from "../../lib/auth/brute_force.ts";
import { makeNonce } from "../../lib/auth/key.ts";
import { safeName } from "../../lib/store/names.ts";
import { MAX_PUSHED_BYTES, servePushes } from "./pushes.ts";
import { BodyReceiver, refuse } from "./receive.ts";
import type { Target } from "../../lib/server/store_body.ts";
import { fileBody, readWhole, Tally, tallyOf } from "../../lib/body/streams.ts";
import type { Upload } from "../../lib/store/upload.ts";
import type { StoredFile } from "../../lib/store/directory.ts";
import { formatBytes, formatSeconds, quoted } from "../../lib/text.ts";
import type { ServerContext } from "../../lib/server/context.ts";

/** A session is warned so long before its rest ends, or half-way where it is short. Milliseconds. */
const WARNING_MS = 60_000;

/** A client whose answer takes long is told so every so many milliseconds. */
const NOTE_MS = 1000;

/** Server half. */
export async function serveFiles(connection: Connection, context: ServerContext): Promise<void> {
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
  if (context.keyVerifier) {
    if (!await passes(connection, context.keyVerifier)) return false;
    client.unauthenticated = false;
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
async function passes(connection: Connection, keyVerifier: KeyVerifier): Promise<boolean> {
  const host = hostOf(connection.remote);
  keyVerifier.checkWait(host);
  const nonce = makeNonce();
  await connection.write(encodeReply({ type: "challenge", nonce }));
  const line = await connection.readLine();
  if (line === null) return false;
  const request = decodeRequest(line);
  if (request.type !== "answer") {
    throw new InletError("denied", `Cannot let you in: say "answer DIGEST" first`);
  }
  await keyVerifier.check(host, nonce, request.digest);
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
  const stored = await new BodyReceiver(connection, context, what).receive({
    open: () => {
      checkAccess(context.access, type, what);
      checkSize(what, size ?? 0, context.maxBytes);
      return context.store.create(name);
    },
    size,
    ...(type === "put" && { negotiate: () => agreeOnStart(connection) }),
    reportedName: reportedName(context, name),
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
  const stored = await new BodyReceiver(connection, context, what).receive({
    open: () => {
      checkAccess(context.access, "reput", what);
      checkSize(what, size, context.maxBytes);
      // Where files are only dropped, what is kept would tell what others have sent.
      if (context.access === "drop-only") return context.store.create(name);
      return patiently(connection, what, context.store.resume(name, size));
    },
    size,
    negotiate: (upload) => agreeOnOffset(connection, context, name, upload),
    reportedName: reportedName(context, name),
  });
  if (stored) context.log.stored(stored);
}

/** Where files are only dropped, the name that one got would tell which were there before. */
function reportedName({ access }: ServerContext, name: string): (() => string) | undefined {
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
  using lock = context.stdout.lock();
  await connection.unwatched(lock.ready);
  const what = "take the message";
  const target: Target = {
    write: (chunk) => connection.unwatched(lock.write(chunk)),
    publish: () => Promise.resolve(""),
    discard: () => {},
    [Symbol.dispose]: () => {},
  };
  const said = await new BodyReceiver(connection, context, what).receive({
    open: () => {
      checkAccess(context.access, "say", what);
      return target;
    },
    size,
    negotiate: () => agreeOnStart(connection),
    exemptFromMinRate: true,
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
