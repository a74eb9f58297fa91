/**
 * Serves `diff`: which entries of one folder of the client the store has.
 *
 * A tree makes thousands of these requests, one after another. Those that are complete in the
 * connection's buffer are answered together, without a promise for each.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import {
  decodeRequest,
  decodeUtf8,
  type DiffEntry,
  encodeReply,
  MAX_LINE_BYTES,
  parseDiffEntry,
  ProtocolError,
  type Request,
} from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import { encodeError, explain, InletError } from "../../lib/errors.ts";
import { clientOf } from "../../lib/address.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { Asker, Maybe } from "../../lib/store/store.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { quoted } from "../../lib/text.ts";
import { patiently } from "./wait.ts";

const VERB = new TextEncoder().encode("diff");
const LF = 0x0a;

/** Most bytes of a request that is waited for as a whole. A longer one is read line by line. */
const MAX_GATHERED_BYTES = 128 * 1024;

type Diff = Extract<Request, { type: "diff" }>;

/** A complete request in a buffer. */
interface Block {
  request: Diff;
  entries: readonly DiffEntry[];
  /** Length of all its lines. */
  bytes: number;
}

/**
 * Answers `diff` requests, for as long as they arrive without a pause.
 *
 * @returns Whether there was at least one.
 */
export async function serveDiffs(
  connection: Connection,
  context: ServerContext,
): Promise<boolean> {
  let served = false;
  let answers: Uint8Array[] = [];
  const flush = async (): Promise<void> => {
    if (answers.length > 0) await connection.write(concat(answers));
    answers = [];
  };
  while (!context.signal.aborted) {
    const block = findBlock(connection.buffered);
    if (block === undefined) break;
    if (typeof block === "number") {
      // The client may wait for these answers before it sends the rest.
      await flush();
      if (!await connection.gather(block)) break;
      continue;
    }
    connection.skip(block.bytes);
    served = true;
    let answer = answerTo(connection, context, block, flush);
    // In a step of its own: what was flushed meanwhile is another array.
    if (answer instanceof Promise) answer = await answer;
    answers.push(answer);
    if (connection.buffered.length > 0 && isTurnDue()) await takeTurns();
  }
  await flush();
  return served;
}

/** Serves one `diff` whose lines need not have arrived. */
export async function serveDiff(
  connection: Connection,
  context: ServerContext,
  request: Diff,
): Promise<void> {
  const entries: DiffEntry[] = [];
  while (entries.length < request.count) {
    const line = await connection.readLine();
    if (line === null) throw new InletError("lost", "The connection ended within a request");
    entries.push(parseDiffEntry(line));
  }
  await connection.write(await answerTo(connection, context, { request, entries }));
}

/**
 * The request at the start of a buffer; if it is incomplete, the minimum length it needs, in bytes;
 * `undefined` if it is another one, or the code that reads every request has to say what is wrong.
 */
function findBlock(buffer: Uint8Array): Block | number | undefined {
  if (VERB.some((byte, index) => buffer[index] !== byte)) return undefined;
  const head = buffer.indexOf(LF) + 1;
  if (head === 0) return buffer.length < MAX_LINE_BYTES ? buffer.length + 1 : undefined;
  try {
    const request = decodeRequest(textOf(buffer.subarray(0, head)));
    if (request.type !== "diff") return undefined;
    let end = head;
    for (let line = 0; line < request.count; line++) {
      const next = buffer.indexOf(LF, end) + 1;
      if ((next || buffer.length) - end > MAX_LINE_BYTES) return undefined;
      if (next === 0) return buffer.length < MAX_GATHERED_BYTES ? buffer.length + 1 : undefined;
      end = next;
    }
    const entries = textOf(buffer.subarray(head, end)).split(/\r?\n/).map(parseDiffEntry);
    return { request, entries, bytes: end };
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Lines as text, without the last ending. */
function textOf(lines: Uint8Array): string {
  return decodeUtf8(lines.subarray(0, lines.at(-2) === CR ? -2 : -1));
}

const CR = 0x0d;

/** @param flush Sends the answers before, if this one takes a while. */
function answerTo(
  connection: Connection,
  context: ServerContext,
  { request: { name, fields }, entries }: Omit<Block, "bytes">,
  flush?: () => Promise<void>,
): Maybe<Uint8Array> {
  const what = `compare ${quoted(name)}`;
  const refused = (error: unknown): Uint8Array => {
    // A client that has left is not refused anything.
    if (connection.failure) throw connection.failure;
    const failure = explain(error, `Cannot ${what}`);
    context.log.failure(failure);
    return encodeError(failure);
  };
  const told = (flags: string): Uint8Array => encodeReply({ type: "ok", detail: flags });
  context.log.begin(name);
  const leaving = new AbortController();
  try {
    checkAccess(rightsOf(context), "diff", what);
    const byContent = fields?.check === "crc";
    const asker = { signal: leaving.signal, client: clientOf(connection) };
    const flags = context.store.diff(name, entries, { ...asker, byContent });
    if (typeof flags === "string") return told(flags);
    // It may fail before it is waited for.
    flags.catch(() => {});
    const work = ({ signal }: Asker): Promise<string> => {
      signal?.addEventListener("abort", () => leaving.abort(signal.reason));
      return flags;
    };
    const flushed = flush?.() ?? Promise.resolve();
    return flushed.then(() => patiently(connection, what, work)).then(told).catch(refused);
  } catch (error) {
    return refused(error);
  }
}
