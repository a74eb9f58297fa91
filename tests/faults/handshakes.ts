/**
 * Encrypted connections that break off after any byte, in either direction: handshakes between both
 * halves of ours over a stream in memory, and whole conversations with a real server.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { identityOf } from "../../lib/auth/identity.ts";
import { InletError } from "../../lib/errors.ts";
import { acceptTls } from "../../lib/net/tls_accept.ts";
import { connectTls } from "../../lib/net/tls_connect.ts";
import { memoryPair } from "../memory_stream.ts";
import { relayTo } from "../relay.ts";
import { contentOf, type Dice, nameOf } from "./content.ts";
import { inTurns } from "./in_turns.ts";
import type { Way } from "./peer.ts";
import { bytesSource, type ServerOnTrial, type Trial, withClient } from "./trial.ts";

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

/** Bytes of a file that is put: more than one record of TLS. */
const SIZE = 20_000;

/** Connections that are cut before the next look. */
const BATCH = 20;

/**
 * Cuts the encrypted bytes of conversations that put a file, at random, and looks after each batch
 * whether all is well.
 */
export async function cutEncrypted(
  server: ServerOnTrial,
  trial: Trial,
  way: Way,
  { cuts, dice }: { cuts: number; dice: Dice },
): Promise<void> {
  const lengths = { up: 0, down: 0 };
  for (const direction of ["up", "down"] as const) {
    lengths[direction] = await putThrough(server, trial, { direction, bytes: Infinity, way });
  }
  for (let left = cuts; left > 0; left -= BATCH) {
    await inTurns(Array.from({ length: Math.min(left, BATCH) }), async () => {
      const direction = dice.of(["up", "down"] as const);
      const bytes = dice.below(lengths[direction]);
      await putThrough(server, trial, { direction, bytes, way });
    });
    await trial.assertSound(server);
  }
}

/**
 * Puts a file through a relay.
 *
 * @returns How many bytes that had passed on, in the direction that it cuts, when the file was
 * acknowledged. What comes behind that, nobody waits for.
 */
async function putThrough(
  server: ServerOnTrial,
  trial: Trial,
  cut: { direction: Direction; bytes: number; way: Way },
): Promise<number> {
  const stop = new AbortController();
  // Nobody else ends a silence: the client leaves then.
  const onCut = (): void =>
    cut.way === "silence" ? stop.abort(new InletError("lost", "cut")) : undefined;
  using relay = await relayTo(server, { ...cut, onCut });
  const number = trial.take(1);
  const name = nameOf(number, SIZE);
  let length = 0;
  trial.possible.add(name);
  try {
    await withClient(relay, async (client) => {
      await client.put(bytesSource(name, contentOf(trial.seed, number, SIZE)));
      length = relay.passed.length;
      trial.acknowledged.add(name);
    }, stop.signal);
    assert(cut.bytes === Infinity || relay.cut || cut.direction === "down");
  } catch (error) {
    assert(relay.cut, Deno.inspect(error));
    // It says nothing of whose key the server has.
    assert(error instanceof InletError && error.code === "lost", Deno.inspect(error));
  }
  return length;
}
