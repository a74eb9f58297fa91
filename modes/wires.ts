/**
 * Chooses the protocol of a connection by its first byte, so that several share one port.
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
import type { Caller } from "../lib/server/waiting_room.ts";
import { serveFiles } from "./files/serve.ts";
import { serveUpload } from "./upload.ts";

/** A protocol that a connection may open with. */
interface Wire {
  /** Whether this first byte selects it. `null` means that the connection ended without a byte. */
  opensWith(first: number | null): boolean;
  serve(connection: Connection, context: ServerContext): Promise<void>;
}

/** The first byte of a TLS handshake record (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 0x16;

/** The first match serves. No line of the native protocol begins with 0x00 or 0x16. */
const WIRES: readonly Wire[] = [
  { opensWith: (first) => first === 0, serve: serveUploadWithoutKey },
  { opensWith: (first) => first === TLS_HANDSHAKE, serve: refuseTls },
  { opensWith: () => true, serve: serveFiles },
];

/** Serves a connection in the protocol that its first byte selects. */
export async function serveAnyWire(connection: Connection, context: ServerContext): Promise<void> {
  connection.resting = true;
  context.client.unauthenticated = context.keyVerifier !== undefined;
  connection.farewell = encodeError;
  const first = await connection.peek();
  await WIRES.find((wire) => wire.opensWith(first))!.serve(connection, context);
}

/** Finds out who is calling a full server. It consumes nothing. */
export async function peekCaller(connection: Connection): Promise<Caller> {
  const first = await connection.peek();
  const native = first !== null &&
    WIRES.find((wire) => wire.opensWith(first))!.serve === serveFiles;
  if (!native) return { greeted: first !== null, name: "", native };
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

async function serveUploadWithoutKey(
  connection: Connection,
  context: ServerContext,
): Promise<void> {
  if (context.keyVerifier) {
    throw new InletError("denied", "Cannot take uploads: this server requires a key");
  }
  await serveUpload(connection, context);
}

function refuseTls(): Promise<void> {
  const reason = "Cannot speak TLS: this is an inlet server on plain TCP";
  return Promise.reject(new InletError("bad-request", reason));
}
