/**
 * Strangers at the port of a server with a key, who send what is no TLS, or the beginning of it, or
 * nothing: the server goes on, and keeps nothing of them.
 *
 * @module
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { credentialOf } from "../lib/auth/credential.ts";
import { InletError } from "../lib/errors.ts";
import { givesBack, holdingsOf, withClient } from "./faults/trial.ts";
import { integration, KEY, PROC, startServer, type TestServer, WHOLE_GC } from "./helpers.ts";
import { IMPOSSIBLE, LEAVING, SILENT, type Visit, visit } from "./tls_strangers.ts";

/** Strangers of a kind at once. */
const MANY = 130;

/** What a crowd of strangers may leave to the garbage collector, in bytes. */
const GROWTH = 40 * 2 ** 20;

/** Strangers at once who fill a server. */
const STRANGERS = 8;

/** Times that an honest client tries to get into a server that strangers fill. */
const MOST_TRIES = 5;

const { server: IDENTITY } = await credentialOf(KEY);

/** Limits that send nobody away within a test. */
const PATIENCE = ["--greeting-timeout", "600", "--timeout", "600"];

const SERVER = { key: KEY, env: WHOLE_GC };

const PLACES = ["--max-clients", "1000", "--backlog", "1000"];

/**
 * Lets strangers of each kind come: one, and then many at once. Each has to go as it came.
 *
 * @param use Has an honest client use the server, before and behind each of them.
 */
async function receive(
  server: TestServer,
  kinds: Record<string, Visit>,
  use = useHonestly,
): Promise<void> {
  await use(server);
  const before = holdingsOf(server);
  for (const [what, how] of Object.entries(kinds)) {
    for (const count of [1, MANY]) {
      await Promise.all(Array.from({ length: count }, () => visit(server, how, IDENTITY)));
      await givesBack(server, before).catch((error) => {
        throw new Error(`${count} of ${what}: ${error.message}`);
      });
      await use(server);
    }
  }
  const { rssBytes } = holdingsOf(server);
  assertLess(rssBytes - before.rssBytes, GROWTH);
  // No fault of the program is among what it says, which would have a stack.
  assert(!/internal error|^ +at /m.test(server.running.log), server.running.log);
}

async function useHonestly(server: TestServer): Promise<void> {
  assertEquals(await withClient(server, (client) => client.chat("Hello")), "Hello ACK");
}

/** Comes again if it is refused: on a busy machine, an honest client can look like a silent one. */
async function getIn(server: TestServer): Promise<void> {
  const refused: string[] = [];
  while (refused.length < MOST_TRIES) {
    try {
      return await useHonestly(server);
    } catch (error) {
      if (!(error instanceof InletError)) throw error;
      refused.push(error.message);
    }
  }
  throw new Error(`an honest client got in nowhere: ${refused.join("; ")}`);
}

integration("a stranger who sends what is no TLS is sent away, and leaves nothing", async () => {
  await using server = await startServer({ args: [...PLACES, ...PATIENCE], ...SERVER });
  await receive(server, IMPOSSIBLE);
}, PROC);

integration("a stranger who breaks off a handshake leaves nothing", async () => {
  await using server = await startServer({ args: [...PLACES, ...PATIENCE], ...SERVER });
  await receive(server, LEAVING);
}, PROC);

integration("--greeting-timeout counts for a handshake that does not go on", async () => {
  const args = [...PLACES, "--greeting-timeout", "1", "--timeout", "600"];
  await using server = await startServer({ args, ...SERVER });
  await receive(server, SILENT, getIn);
  await server.running.says(/No complete TLS handshake within 1 s/, 3);
}, PROC);

integration("strangers who fill a server keep nobody out who has the key", async () => {
  const args = ["--max-clients", "2", "--backlog", "1000"];
  await using server = await startServer({ args: [...args, ...PATIENCE], key: KEY });
  await useHonestly(server);
  const before = holdingsOf(server);
  for (const [what, how] of Object.entries({ ...IMPOSSIBLE, ...LEAVING, ...SILENT })) {
    const stop = new AbortController();
    const { promise: full, resolve: fill } = Promise.withResolvers<void>();
    let visits = 0;
    const count: Visit = (stream, identity) => {
      if (++visits === STRANGERS) fill();
      return how(stream, identity);
    };
    // Each that has left, or was dropped, is followed by the next.
    const strangers = Array.from({ length: STRANGERS }, async () => {
      while (!stop.signal.aborted) await visit(server, count, IDENTITY, stop.signal);
    });
    try {
      await full;
      for (let client = 0; client < 3; client++) await getIn(server);
    } catch (error) {
      throw new Error(`${what}: ${(error as Error).message}`);
    } finally {
      stop.abort();
      await Promise.all(strangers);
    }
    await givesBack(server, before);
  }
}, PROC);
