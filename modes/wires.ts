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
import { AwakeTimer } from "../lib/net/awake.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import type { Caller } from "../lib/server/waiting_room.ts";
import { serveFiles } from "./files/serve.ts";
import { lookOf, type Opening, openingOf, unknownOpening } from "./first_bytes.ts";
import type { Mode } from "./mode.ts";
import { serveUpload } from "./upload.ts";

/** Milliseconds of silence after which a beginning counts as all that the client says at first. */
const PAUSE_MS = 1000;

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
  connection.resting = true;
  context.client.unauthenticated = context.keyVerifier !== undefined;
  connection.farewell = encodeError;
  switch (await openingOn(connection, fallback !== undefined)) {
    case "native":
      return await serveFiles(connection, context);
    case "upload":
      return await serveUploadBeside(connection, context);
    case "tls":
      throw notSpoken("TLS: this is an inlet server on plain TCP");
    case "http":
      throw notSpoken("HTTP: this is an inlet server, and it has no web page");
    case "other":
      if (fallback) return await fallBack(connection, context, fallback);
      throw await unknown(connection, context);
  }
}

/**
 * Finds out who is calling a full server. It consumes nothing.
 *
 * @param fallback As for {@linkcode serveAnyWire}.
 */
export async function peekCaller(connection: Connection, fallback?: Mode): Promise<Caller> {
  if (await connection.peek() === null) return { greeted: false, name: "", native: false };
  const opening = await openingOn(connection, fallback !== undefined);
  const native = opening === "native" || (opening === "other" && !fallback);
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

/** The error for a client of another wire. */
async function unknown(connection: Connection, context: ServerContext): Promise<InletError> {
  let look = lookOf(connection.buffered);
  while (!look) {
    const next = await following(connection, PAUSE_MS);
    look = lookOf(connection.buffered, next === "bytes" ? undefined : next);
  }
  return unknownOpening(look, context.keyVerifier === undefined);
}

/**
 * Waits for bytes beyond those that have arrived.
 *
 * @param pauseMs Milliseconds after which it is silence that follows; without it, nothing is.
 */
async function following(
  connection: Connection,
  pauseMs: number | undefined,
): Promise<"bytes" | "silence" | "end"> {
  const before = connection.buffered.length;
  const arrival = connection.peekLine(before + 1)
    .then(() => connection.buffered.length > before ? "bytes" : "end");
  if (pauseMs === undefined) return await arrival;
  const { promise: silence, resolve } = Promise.withResolvers<"silence">();
  using _ = new AwakeTimer(pauseMs, () => resolve("silence"));
  // Whoever reads next waits for the same bytes, and is told what went wrong.
  arrival.catch(() => {});
  return await Promise.race([arrival, silence]);
}

/** Serves a client of another wire, which has no greeting of ours. */
async function fallBack(
  connection: Connection,
  context: ServerContext,
  { name, serve }: Mode,
): Promise<void> {
  context.log.info("fallback", `is served in mode ${name}`, { mode: name });
  connection.begun();
  connection.resting = false;
  connection.farewell = undefined;
  await serve!(connection, context);
}

/** Serves an upload. A dialogue is for the wire of the fallback alone. */
async function serveUploadBeside(connection: Connection, context: ServerContext): Promise<void> {
  if (context.keyVerifier) {
    throw new InletError("denied", "Cannot take uploads: this server requires a key");
  }
  await serveUpload(connection, { ...context, wire: { ...context.wire, dialogue: [] } });
}

function notSpoken(what: string): InletError {
  return new InletError("bad-request", `Cannot speak ${what}`);
}
