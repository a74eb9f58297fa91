/**
 * The tunnel between two clients that know the words of one code: TLS 1.3 over whatever carries bytes
 * between them. The offering one is its server half, with the key that the words make.
 *
 * 1. Both: the handshake. Who accepts trusts that one key, and says nothing to any other.
 * 2. A: `proof;id=8f1c2d5e9a3b4c6d DIGEST`, in the flight of its last part of the handshake. The id is
 *    that of the receiver, which stays the same when it comes again; `again=yes` says that it does.
 *    `reach` tells where it can be reached directly: ways.ts has what follows from that.
 * 3. From here on the native conversation of PROTOCOL.md, in which the offering one is the client.
 *
 * @module
 */

import { timingSafeEqual } from "node:crypto";
import {
  decodeRequest,
  encodeRequest,
  type Fields,
  formatReach,
  type Reach,
} from "../../protocol.ts";
import type { CodeSecret } from "../../lib/auth/code_secret.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { Connection } from "../../lib/net/connection.ts";
import type { ConnectionOptions } from "../../lib/net/connection_options.ts";
import { acceptTls } from "../../lib/net/tls_accept.ts";
import { connectTls } from "../../lib/net/tls_connect.ts";
import { readWholeLine } from "../../lib/net/whole_line.ts";

/** Milliseconds that the other end has for its handshake, and then for its proof. */
const HANDSHAKE_MS = 10_000;

/** The limits of what is spoken within. */
export type TunnelOptions = Pick<ConnectionOptions, "idleTimeoutMs" | "signal" | "rate">;

/** A tunnel whose other end has proved that it knows the words. */
export interface Proved {
  /** What the two speak on. */
  connection: Connection;
  /** The receiver, as it names itself; the same when it comes again. */
  readonly id: string;
  /** Whether it has come before. */
  readonly isAgain: boolean;
  /** Where it can be reached directly, as it says. */
  readonly reach?: string | undefined;
}

/** What the receiver says of itself. */
export interface Receiver extends Pick<Proved, "id" | "isAgain"> {
  /** Opens where it can be reached directly, once the other end is the right one. */
  reach?(): Promise<Reach | undefined>;
}

/**
 * The connection within a tunnel. It is closed in order when it is disposed of: a pipe that is torn
 * could lose the last words of this side.
 */
class TunnelConnection extends Connection {
  #isEnding = false;

  override [Symbol.dispose](): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const finished = this.finish();
    ending.add(finished);
    finished.finally(() => ending.delete(finished));
  }
}

/** The ends that are under way. */
const ending = new Set<Promise<void>>();

/** Settles when all tunnels that were disposed of are closed, which takes a second at most. */
export async function tunnelsClosed(): Promise<void> {
  await Promise.all(ending);
}

const ID = /^[0-9a-f]{16}$/;

/** Makes the id of a receiver. */
export function makeReceiverId(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toHex();
}

/**
 * The offering end.
 *
 * @throws {InletError} `denied` if the other end did not prove itself, by whatever it did or left undone
 */
export async function openToProof(
  stream: ByteStream,
  { identity, proof }: CodeSecret,
  options: TunnelOptions,
): Promise<Proved> {
  const secured = acceptTls(stream, {
    identity: () => Promise.resolve(identity),
    handshakeMs: HANDSHAKE_MS,
  });
  const connection = new TunnelConnection(secured, options);
  try {
    return { connection, ...await readProof(connection, proof) };
  } catch (cause) {
    connection[Symbol.dispose]();
    options.signal?.throwIfAborted();
    const { message } = explain(cause);
    throw new InletError("denied", `Somebody came without the words: ${message}`, { cause });
  }
}

async function readProof(
  connection: Connection,
  proof: string,
): Promise<Omit<Proved, "connection">> {
  const line = await readWholeLine(connection, HANDSHAKE_MS);
  if (line === null) throw new InletError("lost", "they left");
  if (!connection.isEncrypted) throw new InletError("bad-request", "Cannot go on without TLS");
  const request = decodeRequest(line);
  if (request.type !== "proof" || !isSame(request.digest, proof)) {
    throw new InletError("denied", "they sent no proof");
  }
  const { id = "", again, reach } = request.fields ?? {};
  if (!ID.test(id)) throw new InletError("denied", "they named no receiver");
  return { id, isAgain: again !== undefined, reach };
}

/** Compares digests, in a time that tells nothing of where they differ. */
function isSame(...digests: [string, string]): boolean {
  const [one, other] = digests.map((digest) => new TextEncoder().encode(digest));
  return one!.length === other!.length && timingSafeEqual(one!, other!);
}

/**
 * The accepting end.
 *
 * @throws {InletError} `denied` if the other end does not hold the key, and so does not know the words;
 * `lost` if the stream ends
 */
export async function enterWithProof(
  stream: ByteStream,
  { identity, proof }: CodeSecret,
  { id, isAgain, reach: openReach }: Receiver,
  options: TunnelOptions,
): Promise<Connection> {
  const secured = await connectTls(stream, identity).catch((cause) => {
    if (explain(cause).code !== "untrusted") throw cause;
    throw new InletError("denied", WRONG_WORDS, { cause });
  });
  const connection = new TunnelConnection(secured, options);
  try {
    const reach = await openReach?.();
    const fields: Fields = {
      id,
      ...isAgain && { again: "yes" },
      ...reach && { reach: formatReach(reach) },
    };
    await connection.write(encodeRequest({ type: "proof", digest: proof, fields }));
    return connection;
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

/** Nobody can tell the two apart. */
export const WRONG_WORDS =
  "Cannot trust who answers: the words of the code are wrong, or somebody stands " +
  "in between; nothing was received";
