/**
 * Resumable uploads: tus 1.0.0 with its extensions, at `/uploads/`. docs/tus.md describes it.
 *
 * 1. C: POST with the length and the name of a file. S: 201 and the address of an upload, which holds
 *    128 random bits and is listed nowhere: who has it can go on with the upload.
 * 2. C: PATCH with bytes from an offset on. S: 204 and the new offset. What breaks off is kept.
 * 3. C: HEAD, after that. S: the offset to go on at.
 * 4. With the last byte the file is published. The answer tells its name.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../lib/errors.ts";
import { admit, checkSpace, shownName } from "../lib/server/admission.ts";
import type { OngoingUpload, OngoingUploads, Outcome } from "../lib/store/ongoing.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { quoted } from "../lib/text.ts";
import type { Exchange, Handler } from "./exchange.ts";
import { type Headers, Refusal } from "./problem.ts";
import { bodySize } from "./request_checks.ts";
import { encodePath } from "./target.ts";
import {
  append,
  catchUp,
  checkLength,
  checkOffset,
  DEAD_MS,
  refuseBusy,
  takeOver,
} from "./tus_append.ts";
import { joinParts, stopJoining } from "./tus_concat.ts";
import { type Details, detailsOf, ownerOf } from "./tus_details.ts";
import {
  checksumIn,
  CHECKSUMS,
  checkType,
  checkVersion,
  concatIn,
  countIn,
  lengthOf,
  metadataIn,
  textOf,
  TUS_VERSION,
  wantedName,
} from "./tus_headers.ts";

/** What is spoken beyond the core of tus, with any store. */
const EXTENSIONS: readonly string[] = [
  "creation",
  "creation-with-upload",
  "creation-defer-length",
  "expiration",
  "termination",
  "checksum",
];

const ON_ALL: Readonly<Record<string, Handler>> = { POST: create, OPTIONS: tellAbilities };
const ON_ONE: Readonly<Record<string, Handler>> = {
  HEAD: tellOffset,
  PATCH: takeBytes,
  DELETE: terminate,
  OPTIONS: tellAbilities,
};

/** Answers a request for all uploads. */
export function answerForAll(exchange: Exchange): void | Promise<void> {
  return act(exchange, ON_ALL);
}

/** Answers a request for one upload. */
export function answerForOne(exchange: Exchange): void | Promise<void> {
  return act(exchange, { ...ON_ONE, POST: refuseMethod });
}

function act(exchange: Exchange, actions: Readonly<Record<string, Handler>>): void | Promise<void> {
  const method = exchange.header("X-HTTP-Method-Override") ?? exchange.request.method!;
  if (!Object.hasOwn(actions, method)) throw notAllowed(method, actions);
  if (method !== "OPTIONS") checkVersion(exchange);
  return actions[method]!(exchange);
}

/** Refuses a POST to an upload that names no other method. */
function refuseMethod(): never {
  throw notAllowed("POST", ON_ONE);
}

function notAllowed(method: string, actions: Readonly<Record<string, Handler>>): Refusal {
  const Allow = Object.keys(actions).sort().join(", ");
  return new Refusal(405, `Cannot ${method} here: use ${Allow}`, { headers: { Allow } });
}

function tellAbilities(exchange: Exchange): void {
  const { maxBytes, store } = exchange.context;
  const extensions = store.ongoing?.canOpen ? [...EXTENSIONS, "concatenation"] : EXTENSIONS;
  exchange.send(204, {
    "Tus-Version": TUS_VERSION,
    "Tus-Extension": extensions.join(","),
    "Tus-Checksum-Algorithm": Object.keys(CHECKSUMS).join(","),
    ...maxBytes < Number.MAX_SAFE_INTEGER && { "Tus-Max-Size": maxBytes },
  });
}

/** POST: begins an upload, which may have its first bytes, or all of them. */
async function create(exchange: Exchange): Promise<void> {
  const { context } = exchange;
  const [metadata, concat] = [exchange.header("Upload-Metadata"), exchange.header("Upload-Concat")];
  const values = metadataIn(metadata);
  const kind = concatIn(concat);
  if (kind && context.store.ongoing?.canOpen === false) {
    throw new InletError("denied", "Cannot join uploads: this store cannot read what has arrived");
  }
  const isPart = kind === "partial";
  const name = isPart ? "part" : wantedName(values);
  context.log.begin(name);
  const details: Details = { user: context.client.user?.name, metadata, concat };
  if (kind && !isPart) return await createJoined(exchange, kind.ids, { name, details });
  const size = lengthOf(exchange);
  const what = `store ${quoted(name)}`;
  admit(context, "put", what, size);
  checkSpace(context, what, size);
  const hasBody = isBodyThere(exchange);
  if (hasBody) checkType(exchange);
  checkRoom(exchange, what, 0, size);
  const fingerprint = isPart ? undefined : fingerprintIn(values);
  const id = newId();
  const ongoing = await ongoingOf(context, name).begin(id, {
    ...{ name, size, fingerprint, details: JSON.stringify(details) },
    owner: ownerOf(context.client),
  });
  const Location = exchange.address(`/uploads/${id}`);
  try {
    const { offset, outcome } = hasBody || size === 0
      ? await append(exchange, ongoing, { offset: 0, hasBody, publishes: !isPart })
      : { offset: 0, outcome: undefined };
    if (outcome) return tellStored(exchange, name, outcome, { Location, "Upload-Offset": offset });
    exchange.send(201, {
      ...{ Location, ...hasBody && { "Upload-Offset": offset } },
      ...expiry(exchange, new Date()),
    });
  } catch (error) {
    // Its client will never learn the address.
    await ongoing.remove();
    throw error;
  }
}

/** POST: joins uploads that are whole. */
async function createJoined(
  exchange: Exchange,
  ids: readonly string[],
  { name, details }: { name: string; details: Details },
): Promise<void> {
  if (exchange.header("Upload-Length") !== undefined) {
    throw new InletError("bad-request", "Cannot take Upload-Length: it is that of the parts");
  }
  const find = (): Promise<OngoingUpload[]> => ownParts(exchange, ids);
  const outcome = await joinParts(exchange, { ids, name, find });
  const id = newId();
  const { context, context: { client } } = exchange;
  const upload = await ongoingOf(context, name).begin(id, {
    ...{ name, size: outcome.size, details: JSON.stringify(details), owner: ownerOf(client) },
  });
  await upload.conclude(outcome);
  tellStored(exchange, name, outcome, { Location: exchange.address(`/uploads/${id}`) });
}

/** The parts that are to be joined. @throws {InletError} `not-found`; `bad-request` */
async function ownParts(exchange: Exchange, ids: readonly string[]): Promise<OngoingUpload[]> {
  const parts: OngoingUpload[] = [];
  for (const id of ids) {
    const part = await ownUpload(exchange, id);
    if (detailsOf(part).concat !== "partial") {
      throw new InletError("bad-request", "Cannot join an upload that is not partial");
    }
    parts.push(part);
  }
  return parts;
}

/** HEAD: tells where to go on. A request that is dead ends then. */
async function tellOffset(exchange: Exchange): Promise<void> {
  const found = await ownUpload(exchange, exchange.name);
  const upload = await freed(exchange, found);
  const { metadata, concat } = detailsOf(upload);
  const { name, size } = upload;
  let { bytes, outcome } = upload;
  const isWhole = bytes === size && outcome === undefined && concat === undefined;
  if (isWhole) {
    // The server was killed when it was about to publish it.
    admit(exchange.context, "put", `store ${quoted(name)}`, size);
    const whole = { offset: bytes, hasBody: false, publishes: true };
    ({ offset: bytes, outcome } = await append(exchange, upload, whole));
  }
  exchange.send(200, {
    "Upload-Offset": bytes,
    ...size === null ? { "Upload-Defer-Length": 1 } : { "Upload-Length": size },
    ...metadata !== undefined && { "Upload-Metadata": metadata },
    ...concat !== undefined && { "Upload-Concat": concat },
    ...outcome ? whereIs(exchange, name, outcome) : expiry(exchange, upload.written),
  });
}

/** PATCH: appends bytes. */
async function takeBytes(exchange: Exchange): Promise<void> {
  const { context, name: id } = exchange;
  const upload = await ownUpload(exchange, id);
  const { name } = upload;
  context.log.begin(name);
  const { concat } = detailsOf(upload);
  if (concat?.startsWith("final")) {
    throw new InletError("denied", `Cannot change ${quoted(name)}: it is joined of others`);
  }
  checkType(exchange);
  const checksum = checksumIn(exchange.header("Upload-Checksum"));
  const offset = countIn(exchange, "Upload-Offset");
  if (offset === undefined) throw new InletError("bad-request", "Cannot go on: give Upload-Offset");
  const what = `store ${quoted(name)}`;
  const size = lengthSaid(exchange, upload);
  admit(context, "put", what, size);
  if (upload.quietMs === undefined) checkOffset(offset, upload.bytes);
  checkRoom(exchange, what, offset, size);
  if (upload.outcome) {
    return exchange.send(204, {
      "Upload-Offset": offset,
      ...whereIs(exchange, name, upload.outcome),
    });
  }
  if (size !== upload.size) {
    await catchUp(upload);
    // Of one that is being sent, it would be changed under the hands of who sends it.
    if ((upload.quietMs ?? DEAD_MS) < DEAD_MS) refuseBusy();
    checkSpace(context, what, size);
    await upload.change({ size });
  }
  const { offset: end, outcome } = await append(exchange, upload, {
    ...{ offset, checksum, hasBody: isBodyThere(exchange), publishes: concat === undefined },
  });
  exchange.send(204, {
    "Upload-Offset": end,
    ...outcome ? whereIs(exchange, name, outcome) : expiry(exchange, new Date()),
  });
}

/** DELETE: forgets an upload. A file that was published of it stays. */
async function terminate(exchange: Exchange): Promise<void> {
  const upload = await ownUpload(exchange, exchange.name);
  admit(exchange.context, "put", `remove the upload of ${quoted(upload.name)}`, null);
  const remove = async (): Promise<void> => {
    await stopJoining(exchange.name);
    // By now it may have been published.
    await (await ownUpload(exchange, exchange.name)).remove();
  };
  await exchange.connection.unwatched(remove());
  exchange.send(204);
}

/** The uploads of the store. @throws {InletError} `denied` if it has none */
function ongoingOf({ store: { ongoing } }: ServerContext, name: string): OngoingUploads {
  if (ongoing) return ongoing;
  const why = "the store of this server keeps no upload over several requests";
  throw new InletError("denied", `Cannot store ${quoted(name)}: ${why}`);
}

/** The upload with an id, if it belongs to this client. @throws {InletError} `not-found` */
async function ownUpload({ context }: Exchange, id: string): Promise<OngoingUpload> {
  const isId = /^[0-9a-f]{32}$/.test(id);
  const upload = isId ? await context.store.ongoing?.find(id) : undefined;
  if (upload && detailsOf(upload).user === context.client.user?.name) return upload;
  throw new InletError("not-found", "Cannot find this upload: it is unknown, or has expired");
}

/**
 * An upload that nobody is sending. A request that has sent nothing for a moment ends.
 *
 * @throws {Refusal} 423 if another request is sending it
 */
async function freed(exchange: Exchange, upload: OngoingUpload): Promise<OngoingUpload> {
  const { quietMs } = upload;
  if (quietMs === undefined) return upload;
  await exchange.connection.unwatched(delay(Math.max(0, DEAD_MS - quietMs)));
  const later = await ownUpload(exchange, exchange.name);
  if (later.quietMs === undefined) return later;
  {
    await using _ = await takeOver(exchange, later);
  }
  return await ownUpload(exchange, exchange.name);
}

/** The length that an upload has, or gets by this request. @throws {InletError} `bad-request` */
function lengthSaid(exchange: Exchange, { size, bytes }: OngoingUpload): number | null {
  const said = countIn(exchange, "Upload-Length");
  if (said === undefined) return size;
  if (size !== null && said !== size) {
    throw new InletError("bad-request", `Cannot change the length: it is ${size}`);
  }
  if (said < bytes) throw new InletError("bad-request", `Cannot end at ${said}: there is more`);
  return said;
}

/** Refuses a body that would be too long, before it comes. */
function checkRoom(exchange: Exchange, what: string, offset: number, size: number | null): void {
  if (!isBodyThere(exchange)) return;
  const end = offset + (bodySize(exchange.request) ?? 0);
  if (size !== null) checkLength(what, end, size);
  admit(exchange.context, "put", what, end);
}

function isBodyThere({ request: { headers } }: Exchange): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** What the native client of this file would find the upload by. @throws {InletError} `bad-request` */
function fingerprintIn(values: ReturnType<typeof metadataIn>): string | undefined {
  const fingerprint = textOf(values, "fingerprint");
  if (fingerprint === undefined || /^[0-9a-f]{64}$/.test(fingerprint)) return fingerprint;
  throw new InletError("bad-request", "Cannot take the fingerprint: it has 64 hexadecimal digits");
}

function tellStored(exchange: Exchange, name: string, outcome: Outcome, headers: Headers): void {
  const shown = shownName(exchange.context, outcome.name, name);
  exchange.sendJson(201, { name: shown, size: outcome.size }, {
    ...headers,
    ...whereIs(exchange, name, outcome),
  });
}

/** The fields that tell the name of a published file. */
function whereIs(exchange: Exchange, name: string, outcome: Outcome): Headers {
  const path = encodePath(shownName(exchange.context, outcome.name, name));
  return { "Inlet-Name": path, "Content-Location": exchange.address(`/files/${path}`) };
}

/** The field that tells until when an upload is kept. */
function expiry({ context: { store } }: Exchange, written: Date): Headers {
  const expires = new Date(written.getTime() + store.ongoing!.keepMs);
  return { "Upload-Expires": expires.toUTCString() };
}

/** An id that nobody can guess: 128 random bits. */
function newId(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}
