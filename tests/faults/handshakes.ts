/**
 * Handshakes of TLS that break off after every byte, in either direction, between both halves of ours
 * over a stream in memory.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { identityOf } from "../../lib/auth/identity.ts";
import { InletError } from "../../lib/errors.ts";
import { acceptTls } from "../../lib/net/tls_accept.ts";
import { connectTls } from "../../lib/net/tls_connect.ts";
import { memoryPair } from "../memory_stream.ts";

const IDENTITY = await identityOf(new Uint8Array(32).fill(7));

/** Longer than any handshake. */
const HANDSHAKE_MS = 60_000;

/** Whose bytes are counted: the client's go up, the server's come down. */
export type Direction = "up" | "down";

/**
 * Cuts handshakes, with a first byte behind each way. Neither side waits for what does not come, and
 * neither thinks that the other has another key.
 *
 * @param first The bytes after which the first one is cut.
 * @param step The distance to the next one.
 * @returns How many were cut.
 */
export async function cutHandshakes(
  direction: Direction,
  why: "end" | Error,
  { first, step }: { first: number; step: number },
): Promise<number> {
  let cuts = 0;
  while (await cutHandshake(direction, first + cuts * step, why)) cuts++;
  return cuts;
}

/** Shakes hands over streams that are cut after so many bytes. Gives whether that broke it off. */
async function cutHandshake(
  direction: Direction,
  count: number,
  why: "end" | Error,
): Promise<boolean> {
  const [belowClient, belowServer] = memoryPair();
  const identity = (): Promise<typeof IDENTITY> => Promise.resolve(IDENTITY);
  const server = acceptTls(belowServer, { identity, handshakeMs: HANDSHAKE_MS });
  const cut = direction === "up" ? belowClient.outgoing : belowServer.outgoing;
  cut.limit = count;
  const cutting = (async () => {
    while (cut.taken < count && !belowClient.isClosed) await cut.changed();
    cut.end(why);
  })();
  const byte = new Uint8Array(1);
  const serving = (async () => {
    try {
      if (await server.read(new Uint8Array(10)) !== null) await server.write(byte);
    } catch (error) {
      assert(!(error instanceof InletError) || error.code === "lost", String(error));
    } finally {
      server.close();
    }
  })();
  let error: unknown;
  try {
    const client = await connectTls(belowClient, IDENTITY);
    await client.write(byte);
    if (await client.read(new Uint8Array(10)) === null) throw new InletError("lost", "It ended");
  } catch (thrown) {
    error = thrown;
  }
  belowClient.close();
  await Promise.all([serving, cutting]);
  assert(belowServer.isClosed);
  if (error instanceof InletError) assertEquals(error.code, "lost", `${count} ${direction}`);
  return error !== undefined;
}
