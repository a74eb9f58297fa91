/**
 * The client's part of what is resumed: uploads, whose partial file is on the server, and downloads,
 * whose partial file is here.
 *
 * - The server's partial file is found by a fingerprint, and the client proves that it has the file.
 * - The server finds out by a digest of ranges whether its file begins with the partial file here.
 *
 * The rest moves at once, and meanwhile each side reads what it has not read yet. So the CRC-32 of the
 * whole is known once the rest has moved, and what the ranges did not show, that shows.
 *
 * A module of its own, because most transfers resume nothing.
 *
 * @module
 */

import type { ClientContext } from "../../lib/cli/client_context.ts";
import type { Progress } from "../../lib/cli/progress.ts";
import {
  fingerprintOf,
  MAX_RANGE_BYTES,
  partDigest,
  rangesDigest,
} from "../../lib/body/fingerprint.ts";
import { BeginningCrc } from "../../lib/body/reading.ts";
import type { Beginning, FileSource, RestBody } from "../../lib/body/sources.ts";
import type { Tally } from "../../lib/body/streams.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { Kept } from "../../lib/store/store.ts";
import { formatCount } from "../../lib/text.ts";
import {
  encodeReply,
  encodeRequest,
  type Fields,
  formatCrc,
  type Reply,
  type Stored,
} from "../../protocol.ts";
import type { Received, Saving } from "./answers.ts";
import { type Requester, unexpected } from "./requester.ts";

/** What the server lets the client do. */
interface Offer {
  /** Bytes that the server has already. */
  readonly offset: number;
  /** What the server finds it by. */
  readonly fingerprint: string;
}

/** The session in which an upload is resumed. */
export interface ReputSession {
  readonly connection: Connection;
  readonly context: ClientContext;
  readonly requester: Requester;
  /** Sends the first request behind those before it, as `Pipeline.ask` does. */
  ask(request: Uint8Array, readBytes: number): Promise<Reply>;
  /** Those of the request. */
  readonly fields: Fields | undefined;
  /** Sends the body, and reads the answer. */
  sendRest(source: FileSource, body: RestBody, offset: number): Promise<Stored>;
  /** Sends all of a file. */
  put(source: FileSource): Promise<Stored>;
}

/** Most partial files that the server may ask about. */
const MAX_ASKED = 16;

/** Milliseconds between two signs of life of a client that still reads. */
const NOTE_MS = 1000;

/** Continues the server's partial file of an earlier attempt, if it has one. */
export async function reput(session: ReputSession, source: FileSource): Promise<Stored> {
  const { context: { progress, onResume, tickets }, requester } = session;
  using file = source.openBeginning();
  const { label, size } = source;
  progress.doing("asking what the server has of it");
  const { offset, fingerprint } = await askToResume(session, source, file);
  if (offset > 0) onResume?.(label, offset, size);
  progress.skip(offset);
  // Nobody waits for it before the rest has gone out.
  using beginning = new BeginningCrc(offset, (options) => file.crc(offset, options));
  const body = file.rest(offset, (bytes) => progress.add(bytes));
  const whole = async (refused: AbortSignal): Promise<Tally> =>
    offset === 0 ? body.tally : await readMeanwhile(session, beginning, body.tally, refused);
  try {
    const stored = await session.sendRest(source, { ...body, whole }, offset);
    tickets?.delete(fingerprint);
    return stored;
  } catch (error) {
    // The partial file was not this file's after all, however much they looked alike.
    if (offset === 0 || requester.end || explain(error).code !== "checksum") throw error;
    onResume?.(label, 0, size);
    progress.skip(-size);
    return await session.put(source);
  }
}

/**
 * Waits until the beginning has been read, and tells the person and the server how far that is.
 *
 * @param refused The server needs it no more.
 * @returns What was sent.
 */
async function readMeanwhile(
  { connection, context: { progress } }: ReputSession,
  beginning: BeginningCrc,
  rest: Tally,
  refused: AbortSignal,
): Promise<Tally> {
  const { reading } = beginning;
  const over = Promise.withResolvers<Tally>();
  const leave = (): void => over.resolve(rest);
  refused.addEventListener("abort", leave);
  if (refused.aborted) leave();
  progress.doing(() => `checking what the server has: ${reading}`);
  let noted = Promise.resolve();
  const timer = setInterval(() => {
    const text = `The client reads its file: ${reading}`;
    // A connection that has ended shows below.
    noted = connection.write(encodeReply({ type: "note", text })).catch(() => {});
  }, NOTE_MS);
  try {
    return await connection.unwatched(Promise.race([beginning.whole(rest), over.promise]));
  } finally {
    clearInterval(timer);
    refused.removeEventListener("abort", leave);
    progress.doing(undefined);
    await noted;
  }
}

/**
 * Asks the server for its partial file of a source, with the ticket of an earlier attempt.
 * @throws {InletError} what the server refuses with; `bad-request` if it breaks the rules
 */
async function askToResume(
  { context: { tickets }, requester, ask, fields }: ReputSession,
  source: FileSource,
  file: Beginning,
): Promise<Offer> {
  const { name, size } = source;
  const fingerprint = await fingerprintOf(source, (offset, into) => file.readAt(offset, into));
  const before = tickets?.get(fingerprint);
  const all = { ...fields, ...before !== undefined && { ticket: before } };
  const request = encodeRequest({ type: "reput", fingerprint, size, name, fields: all });
  // A server may read its partial file before it answers. Ours does not.
  let reply = await ask(request, size);
  for (let asked = 0; reply.type === "prove" && asked < MAX_ASKED; asked++) {
    const digest = await prove(requester, file, reply);
    await requester.write(encodeRequest({ type: "proof", digest }));
    reply = await requester.reply(size);
  }
  if (reply.type === "error") throw unexpected(reply);
  if (reply.type !== "go" || reply.offset > size) throw requester.giveUp(unexpected(reply));
  const ticket = reply.fields?.ticket;
  if (ticket !== undefined) tickets?.set(fingerprint, ticket);
  return { offset: reply.offset, fingerprint };
}

async function prove(
  requester: Requester,
  file: Beginning,
  { nonce, length, offsets }: Extract<Reply, { type: "prove" }>,
): Promise<string> {
  if (length > MAX_RANGE_BYTES) {
    const reason = `The server asked for ranges of ${formatCount(length)} bytes`;
    throw requester.giveUp(new InletError("bad-request", reason));
  }
  // A range behind the end reads as zeros: what is kept there is of another file, and that shows.
  return await rangesDigest(nonce, length, offsets, (offset, into) => file.readAt(offset, into));
}

/** The session in which a download is resumed. */
export interface RegetSession {
  readonly requester: Requester;
  readonly context: ClientContext;
  /** Receives the file that was requested. */
  receive(): Promise<Received>;
  /** Requests and receives all of it. */
  get(): Promise<Received>;
}

/** Continues the partial file of a download, if the server's file begins with it. */
export async function reget(
  { requester, context: { progress, onResume }, receive, get }: RegetSession,
  name: string,
  target: Saving,
): Promise<Received> {
  const kept = target.kept!;
  const digest = await digestOf(kept);
  const before = progress.moved - kept.bytes;
  await requester.write(encodeRequest({ type: "reget", offset: kept.bytes, digest, name }));
  try {
    return await receive();
  } catch (error) {
    // The server's file does not begin with it after all, however much they looked alike.
    const isOther = explain(error).code === "checksum" && target.kept!.bytes > 0;
    if (!isOther || requester.end || !target.startBeside) throw error;
    await target.startBeside();
    onResume?.(name, 0, kept.bytes);
    progress.skip(before - progress.moved);
    return await get();
  }
}

/** What was written to a pipe cannot be read again. But all of it was counted. */
async function digestOf(kept: Kept): Promise<string> {
  const { bytes } = kept;
  const read = kept.read?.bind(kept);
  if (!read) return formatCrc(await kept.crc());
  return await partDigest(bytes, async (offset, into) => await read(offset, into));
}

/** A partial file here, which is read while what follows it arrives. */
export class KeptHere extends BeginningCrc {
  constructor(kept: Kept) {
    super(kept.bytes, (options) => kept.crc(options));
  }

  /** The size and the CRC-32 of the whole file. The person is told how far the reading is. */
  async told(progress: Progress, rest: Tally): Promise<Tally> {
    progress.doing(() => `checking what is here of it: ${this.reading}`);
    try {
      return await this.whole(rest);
    } finally {
      progress.doing(undefined);
    }
  }
}
