/**
 * The server half of downloads of small files that are asked for one after another.
 *
 * Requests that have arrived already are answered together, with one write. Whatever is not a small
 * file that can be read at once is left to the code that serves every request.
 *
 * @module
 */

import {
  decodeRequest,
  decodeUtf8,
  encodeBodyLine,
  encodeReply,
  MAX_LINE_BYTES,
} from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import type { WholeFile } from "../../lib/body/file_facts.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import { isTurnDue, takeTurns } from "../../lib/turns.ts";
import { MAX_PUSHED_BYTES, trailerOf } from "./framing.ts";

const VERB = new TextEncoder().encode("get ");
const LF = 0x0a;
const CR = 0x0d;

/** Most files that are read before they are sent. Meanwhile nobody else has a turn. */
const MAX_FILES = 128;

/** Most bytes of the files that are read before they are sent. */
const ROOM_BYTES = 4 * MAX_PUSHED_BYTES;

/** Most bytes around the content of one file. */
const AROUND_BYTES = 256;

/** A complete request in a buffer. */
interface Asked {
  readonly name: string;
  /** Length of the line in bytes. */
  readonly bytes: number;
}

/**
 * Sends small files, for as long as requests for them have arrived.
 *
 * @returns Whether there was at least one.
 */
export async function serveGets(connection: Connection, context: ServerContext): Promise<boolean> {
  let served = false;
  while (!context.signal.aborted && connection.buffered.length > 0) {
    const asked = findAsked(connection.buffered);
    if (asked.length === 0 || !isPermitted(context)) break;
    const names = asked.map(({ name }) => name);
    const most = Math.min(names.length * MAX_PUSHED_BYTES, ROOM_BYTES);
    const files = await context.store.readSmall(names, new Uint8Array(most + 1));
    if (files.length === 0) break;
    const answers = encodeAnswers(files);
    files.forEach(({ content }, index) => {
      connection.skip(asked[index]!.bytes);
      context.log.got(names[index]!, content.length);
    });
    await connection.write(answers);
    served = true;
    if (isTurnDue()) await takeTurns();
  }
  return served;
}

/** The requests at the start of a buffer. */
function findAsked(buffer: Uint8Array): Asked[] {
  const asked: Asked[] = [];
  for (let start = 0; asked.length < MAX_FILES;) {
    if (VERB.some((byte, index) => buffer[start + index] !== byte)) break;
    const end = buffer.indexOf(LF, start);
    if (end < 0 || end - start >= MAX_LINE_BYTES) break;
    const name = nameIn(buffer.subarray(start, buffer[end - 1] === CR ? end - 1 : end));
    if (name === undefined) break;
    asked.push({ name, bytes: end + 1 - start });
    start = end + 1;
  }
  return asked;
}

/** What a line asks for, unless it is malformed, which the code that reads every request reports. */
function nameIn(line: Uint8Array): string | undefined {
  try {
    const request = decodeRequest(decodeUtf8(line));
    return request.type === "get" ? request.name : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the client may get files. What it may not, the code that serves every request tells. */
function isPermitted(context: ServerContext): boolean {
  try {
    checkAccess(rightsOf(context), "get", "get");
    return true;
  } catch {
    return false;
  }
}

function encodeAnswers(files: readonly WholeFile[]): Uint8Array {
  const bytes = files.reduce((sum, { content }) => sum + content.length + AROUND_BYTES, 0);
  const answers = new Uint8Array(bytes);
  let filled = 0;
  const add = (piece: Uint8Array): void => {
    answers.set(piece, filled);
    filled += piece.length;
  };
  for (const { content, ...facts } of files) {
    const size = content.length;
    const tally = new Tally();
    tally.add(content);
    add(encodeReply({ type: "ok", detail: String(size) }));
    if (size > 0) {
      add(encodeBodyLine({ type: "data", size }));
      add(content);
    }
    add(trailerOf(tally, undefined, facts));
  }
  return answers.subarray(0, filled);
}
