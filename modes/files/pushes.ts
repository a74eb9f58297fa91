/**
 * The server half of pushes: small files that arrive one after another.
 *
 * A push that is complete in the connection's buffer needs no stream: the server verifies it in
 * place, stores it, and takes the next. It sends the answers together before it waits for more
 * bytes. Anything else stays in the buffer for the code that reads every request.
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
import { acknowledge, admit, admittedFacts } from "./admission.ts";
import { MAX_PUSHED_BYTES } from "./framing.ts";
import { checkEnd } from "./receive.ts";
import { Tally } from "../../lib/body/streams.ts";
import { quoted } from "../../lib/text.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";

const VERB = new TextEncoder().encode("push ");
const LF = 0x0a;
const CR = 0x0d;

/** A complete push in a buffer. */
interface Push {
  request: Extract<Request, { type: "push" }>;
  content: Uint8Array;
  trailer: BodyLine;
  /** Length from the request line to the end of the trailer, in bytes. */
  bytes: number;
}

/**
 * Stores small pushes, for as long as they arrive without a pause.
 *
 * @returns Whether there was at least one.
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
      // The client may wait for these answers before it sends the rest.
      await flush();
      if (!await connection.gather(push)) break;
      continue;
    }
    answers.push(await store(push, context));
    connection.skip(push.bytes);
    served = true;
    if (connection.buffered.length > 0 && isTurnDue()) await takeTurns();
  }
  await flush();
  return served;
}

/**
 * The push at the start of a buffer; if it is incomplete, the minimum length it needs, in bytes.
 */
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
    // The code that reads every request reports the error.
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** The line at the start of a buffer, and its length in bytes including the ending. */
function lineIn(buffer: Uint8Array): { text: string; bytes: number } | undefined {
  const end = buffer.indexOf(LF);
  if (end < 0 && buffer.length < MAX_LINE_BYTES) return undefined;
  if (end < 0 || end >= MAX_LINE_BYTES) throw new ProtocolError("the line is too long");
  const line = buffer.subarray(0, buffer[end - 1] === CR ? end - 1 : end);
  return { text: decodeUtf8(line), bytes: end + 1 };
}

/** Stores one file, and returns the answer. */
async function store(
  { request: { size, name, fields }, content, trailer }: Push,
  context: ServerContext,
): Promise<Uint8Array> {
  const what = `store ${quoted(name)}`;
  context.log.begin(name);
  try {
    admit(context, "push", what, size);
    const tally = new Tally();
    tally.add(content);
    const facts = admittedFacts(context, checkEnd(what, tally, trailer));
    // Most stores return at once. Awaiting a promise for each of thousands of files is measurable.
    const store = (): string | Promise<string> => context.store.put(name, content, facts);
    const put = fields?.id === undefined
      ? store()
      : context.acknowledged.publishOnce({ id: fields.id, size, crc: tally.crc }, store);
    const stored = { size, crc: tally.crc, name: typeof put === "string" ? put : await put };
    return acknowledge(context, stored, name);
  } catch (error) {
    const failure = explain(error, `Cannot ${what}`);
    context.log.failure(failure);
    return encodeError(failure);
  }
}
