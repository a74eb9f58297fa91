/**
 * The server's `get` in mode talk: the bytes of a file, and what tells its end. serve.ts has the
 * conversation.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { checkAccess, isDropOnly } from "../../lib/auth/access.ts";
import { explain } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { StoredFile } from "../../lib/store/store.ts";
import { quoted } from "../../lib/text.ts";

/** Bytes of one write: programs of this kind read as many at a time. */
const CHUNK_BYTES = 1024;

/**
 * Answers a `get`.
 *
 * @param request `get a.txt`, or the same twice: without line endings, two messages that come together
 * are one.
 * @throws {InletError} `denied`, `not-found` or `bad-name` before the first byte; what else it throws
 * ends the session, because the client would take the error for bytes of the file
 */
export async function serveTalkGet(
  connection: Connection,
  context: ServerContext,
  request: string,
  ending: Uint8Array,
): Promise<void> {
  const name = nameIn(request);
  context.log.begin(name);
  checkAccess(rightsOf(context), "get", `get ${quoted(name)}`);
  const once = /^(.+?)\1+$/s.exec(request)?.[1];
  try {
    using file = await context.store.open(name);
    return await give(connection, context, name, file, ending);
  } catch (error) {
    if (once === undefined || !isAbsent(error)) throw error;
  }
  using file = await context.store.open(nameIn(once));
  await give(connection, context, nameIn(once), file, ending);
}

/**
 * Answers the bare name of a file, if the server takes it for a `get`.
 *
 * @returns Whether the message was answered.
 */
export async function serveBareName(
  connection: Connection,
  context: ServerContext,
  text: string,
  ending: Uint8Array,
): Promise<boolean> {
  // A server that gives no files does not tell which it has.
  if (!context.wire.bareNames || isDropOnly(rightsOf(context))) return false;
  try {
    using file = await context.store.open(text);
    await give(connection, context, text, file, ending);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function nameIn(request: string): string {
  return request.replace(/^get\s+/i, "").trimEnd();
}

function isAbsent(error: unknown): boolean {
  const { code } = explain(error);
  return code === "not-found" || code === "bad-name";
}

async function give(
  connection: Connection,
  { log, wire }: ServerContext,
  name: string,
  file: StoredFile,
  ending: Uint8Array,
): Promise<void> {
  const { size } = file;
  // A client may be silent between messages, but not take a file and stop reading.
  const { patient } = connection;
  connection.patient = false;
  try {
    await connection.send(ReadableStream.from(chunksOf(file)));
  } finally {
    connection.patient = patient;
  }
  // Without a marker an ending would be a byte of the file.
  const { getMarker } = wire;
  if (getMarker.length > 0) await connection.write(concat([getMarker, ending]));
  log.got(name, size);
}

async function* chunksOf(file: StoredFile): AsyncGenerator<Uint8Array> {
  for await (const chunk of file.stream(0)) {
    for (let start = 0; start < chunk.length; start += CHUNK_BYTES) {
      yield chunk.subarray(start, start + CHUNK_BYTES);
    }
  }
}
