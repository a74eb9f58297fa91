/**
 * Chooses the protocol of a connection by its first bytes, so that several share one port.
 *
 * @module
 */

import {
  decodeRequest,
  MAX_CLIENT_NAME_BYTES,
  MAX_LINE_BYTES,
  ProtocolError,
  VERSION,
} from "../protocol.ts";
import { encodeError, InletError } from "../lib/errors.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { type Caller, UNKNOWN } from "../lib/server/waiting_room.ts";
import { serveFiles } from "./files/serve.ts";
import { type Opening, openingOf } from "./first_bytes.ts";
import type { Mode } from "./mode.ts";
import {
  answerInHttp,
  following,
  needsKey,
  notSpoken,
  PAUSE_MS,
  unknownClient,
  unknownProxy,
} from "./strangers.ts";
import { serveUpload } from "./upload.ts";

/** How a client of the default mode begins. */
const BEGINNING = `a client of mode files begins with "hello ${VERSION} NAME"`;

/**
 * Serves a connection in the protocol that its first bytes select.
 *
 * @param fallback The mode of a connection that begins in no protocol of the default mode. Without
 * one it is refused.
 */
export async function serveAnyWire(
  connection: Connection,
  context: ServerContext,
  fallback?: Mode,
): Promise<void> {
  const { authenticator, client } = context;
  connection.resting = true;
  client.unauthenticated = authenticator !== undefined;
  connection.farewell = encodeError;
  const opening = await openingOn(connection, fallback !== undefined);
  if (opening === "http") answerInHttp(connection);
  if (opening === "proxy") throw unknownProxy(connection);
  if (authenticator && !connection.isEncrypted) {
    if (connection.buffered.length === 0) return;
    throw needsKey(opening);
  }
  client.wire = opening;
  switch (opening) {
    case "native":
      return await serveFiles(connection, context);
    case "upload":
      return await serveUploadBeside(connection, context);
    case "http": {
      if (!context.wire.web) throw notSpoken(opening);
      // Not sooner: node:http takes longer to load than a small file takes to arrive.
      const { serveHttp } = await import("../web/serve.ts");
      return await serveHttp(connection, context);
    }
    case "tls":
      throw notSpoken(opening);
    case "other":
      if (fallback) return await fallBack(connection, context, fallback);
      throw await unknownClient(connection, BEGINNING, authenticator === undefined);
  }
}

/**
 * Finds out who is calling a full server. It consumes nothing.
 *
 * @param options.fallback As for {@linkcode serveAnyWire}.
 * @param options.encrypted Whether no other caller counts.
 * @param options.web Whether HTTP is served.
 */
export async function peekCaller(
  connection: Connection,
  { fallback, encrypted, web }: { fallback?: Mode | undefined; encrypted: boolean; web: boolean },
): Promise<Caller> {
  const isOver = await connection.peek() === null;
  if (isOver || (encrypted && !connection.isEncrypted)) return UNKNOWN;
  const opening = await openingOn(connection, fallback !== undefined);
  const native = opening === "native" || (opening === "other" && !fallback);
  if (opening === "http" && web) {
    const { refusalInHttp } = await import("../web/serve.ts");
    return { greeted: true, name: "", native, farewell: refusalInHttp };
  }
  if (!native) return { greeted: true, name: "", native };
  const line = await connection.peekLine(MAX_LINE_BYTES);
  const name = line.endsWith("\n") ? nameIn(line.trimEnd()) : undefined;
  return { greeted: name !== undefined, name: name ?? "", native };
}

/** The name in a `hello`; `undefined` if a line is none, or the server would refuse it. */
function nameIn(line: string): string | undefined {
  try {
    const request = decodeRequest(line);
    if (request.type !== "hello" || request.version !== VERSION) return undefined;
    const name = request.name.trim();
    return new TextEncoder().encode(name).length > MAX_CLIENT_NAME_BYTES ? undefined : name;
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/**
 * Reads what a connection begins with, and consumes nothing.
 *
 * @param falls Whether another wire is served too. Its client may have said all that it says at first
 * with bytes that could become a line of ours, so a pause decides.
 */
async function openingOn(connection: Connection, falls: boolean): Promise<Opening> {
  for (;;) {
    const opening = openingOf(connection.buffered);
    if (opening) return opening;
    const pauseMs = falls && connection.buffered.length > 0 ? PAUSE_MS : undefined;
    // The native conversation knows what to say of a line that has no end.
    if (await following(connection, pauseMs) !== "bytes") return falls ? "other" : "native";
  }
}

/** Serves a client of another wire, which has no greeting of ours. */
async function fallBack(
  connection: Connection,
  context: ServerContext,
  { name, serve }: Mode,
): Promise<void> {
  context.client.wire = name;
  context.log.info("fallback", `is served in mode ${name}`, { mode: name });
  connection.begun();
  connection.resting = false;
  connection.farewell = undefined;
  await serve!(connection, context);
}

/** Serves an upload. A dialogue is for the wire of the fallback alone. */
async function serveUploadBeside(connection: Connection, context: ServerContext): Promise<void> {
  if (context.authenticator) {
    throw new InletError("denied", "Cannot take uploads: this server requires a key");
  }
  await serveUpload(connection, { ...context, wire: { ...context.wire, dialogue: [] } });
}
