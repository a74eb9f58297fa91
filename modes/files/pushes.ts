/**
 * The server's side of small files that come one behind the other.
 *
 * A push that is whole in the connection's buffer needs no stream: it is checked where it lies, stored
 * and answered, and then the next one. Answers leave together, before anything is waited for. What is
 * not such a push is left in the buffer as it is, for the way that takes everything.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  type BodyLine,
  decodeBodyLine,
  decodeRequest,
  decodeUtf8,
  MAX_LINE_BYTES,
  ProtocolError,
  type Request,
} from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { encodeError, explain } from "../../lib/errors.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { acknowledge, admit } from "./admission.ts";
import { checkEnd } from "./receive.ts";
import { Tally } from "../../lib/body/streams.ts";
import { quoted } from "../../lib/text.ts";

/** Files up to this size are pushed: cheaper to send in vain than to ask about first. In bytes. */
export const MAX_PUSHED_BYTES = 64 * 1024;

const VERB = new TextEncoder().encode("push ");
const LF = 0x0a;
const CR = 0x0d;

/** A push as it lies in a buffer. */
interface Push {
  request: Extract<Request, { type: "push" }>;
  content: Uint8Array;
  trailer: BodyLine;
  /** From the beginning of its line to the end of its trailer. */
  bytes: number;
}

/**
 * Stores the small pushes that are next, as many as come without a pause between them.
 *
 * @returns Whether there was any.
 */
export async function servePushes(
  connection: Connection,
  context: ServerContext,
): Promise<boolean> {
  using _ = connection.enforceMinRate();
  let served = false;
  let answers: Uint8Array[] = [];
  const flush = async (): Promise<void> => {
    if (answers.length > 0) await connection.write(concat(answers));
    answers = [];
  };
  while (!context.signal.aborted) {
    const push = findPush(connection.buffered);
    if (push === undefined) break;
    if (typeof push === "number") {
      // The client may wait for these before it sends the rest.
      await flush();
      if (!await connection.gather(push)) break;
      continue;
    }
    answers.push(await store(push, context));
    connection.skip(push.bytes);
    served = true;
  }
  await flush();
  return served;
}

/** The push that a buffer begins with, or how many bytes it has at least when it is not whole yet. */
function findPush(buffer: Uint8Array): Push | number | undefined {
  if (VERB.some((byte, index) => buffer[index] !== byte)) return undefined;
  try {
    const head = lineIn(buffer);
    const request = head && decodeRequest(head.text);
    if (request?.type !== "push" || request.size > MAX_PUSHED_BYTES) return undefined;
    const end = head!.bytes + request.size;
    const tail = lineIn(buffer.subarray(end));
    if (!tail) return Math.max(end, buffer.length) + 1;
    const trailer = decodeBodyLine(tail.text);
    if (trailer.type === "data") return undefined;
    const content = buffer.subarray(head!.bytes, end);
    return { request, content, trailer, bytes: end + tail.bytes };
  } catch (error) {
    // What is wrong with it is said where every request is read.
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** The line that a buffer begins with, and its length in bytes with its ending. */
function lineIn(buffer: Uint8Array): { text: string; bytes: number } | undefined {
  const end = buffer.indexOf(LF);
  if (end < 0 && buffer.length < MAX_LINE_BYTES) return undefined;
  if (end < 0 || end >= MAX_LINE_BYTES) throw new ProtocolError("the line is too long");
  const line = buffer.subarray(0, buffer[end - 1] === CR ? end - 1 : end);
  return { text: decodeUtf8(line), bytes: end + 1 };
}

/** Stores one file, and gives the answer. */
async function store(
  { request: { size, name }, content, trailer }: Push,
  context: ServerContext,
): Promise<Uint8Array> {
  const what = `store ${quoted(name)}`;
  try {
    admit(context, "push", what, size);
    const tally = new Tally();
    tally.add(content);
    const modified = checkEnd(what, tally, trailer);
    // Most stores answer at once, and a promise for each of thousands of small files would show.
    const put = context.store.put(name, content, { modified });
    const stored = { size, crc: tally.crc, name: typeof put === "string" ? put : await put };
    return acknowledge(context, stored, name);
  } catch (error) {
    const failure = explain(error, `Cannot ${what}`);
    context.log.failure(failure);
    return encodeError(failure);
  }
}
