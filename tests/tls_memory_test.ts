/**
 * One side of an encrypted transfer stops taking bytes, while hundreds of MiB are there. TLS reads
 * ahead and encrypts ahead by itself: the memory of both processes says whether it is kept from that.
 *
 * @module
 */

import { assert, assertLess, assertMatch } from "@std/assert";
import {
  integration,
  KEY,
  PROC,
  residentBytes,
  Running,
  scriptPath,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { dialWithKey } from "./secure.ts";

/** Bytes of a file that takes no space, and far more than a process may take in. */
const LARGE_BYTES = 2 ** 30;

/** What the memory of a process may grow by, in bytes. */
const GROWTH = 60 * 2 ** 20;

/** Says of a side that it has waited for the other, and that nothing has moved in that time. */
const STALLED = /No data in either direction for \d s/;

/** A server that gives up a client that takes nothing for a second, and has a large file. */
async function startImpatient(): Promise<TestServer> {
  const server = await startServer({ args: ["--timeout", "1", "--min-rate", "0"], key: KEY });
  makeLarge(`${server.dir}/large`);
  return server;
}

function makeLarge(path: string): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  file.truncateSync(LARGE_BYTES);
}

/** Lets a client transfer a file, so that all code that it needs is loaded. */
async function warmUp(server: TestServer): Promise<number> {
  await using local = await tempDir();
  const small = await local.write("small", new Uint8Array(2 ** 20));
  await using client = startClient(server, [small]);
  await client.ended();
  return residentBytes(server);
}

integration("a client that stops reading costs the server no memory", async () => {
  await using server = await startImpatient();
  const before = await warmUp(server);
  using conn = await dialWithKey(server, KEY);
  await conn.prove("deaf");
  assertMatch(await conn.line(), /^welcome /);
  await conn.send("get large\n");
  await server.running.says(STALLED);
  assertLess(residentBytes(server) - before, GROWTH);
}, PROC);

integration("a client process that is stopped costs the server no memory", async () => {
  await using server = await startImpatient();
  await using local = await tempDir();
  const before = await warmUp(server);
  await using client = startClient(server, ["--get", "large", "--output", `${local.path}/large`]);
  await uploadGrows(local.path, 1);
  client.process.kill("SIGSTOP");
  await server.running.says(STALLED);
  client.process.kill("SIGCONT");
  assertLess(residentBytes(server) - before, GROWTH);
}, PROC);

/** The most memory that a process takes until it has said something. */
async function mostUntil(running: Running, said: Promise<unknown>): Promise<number> {
  let [most, isOver] = [0, false];
  const over = said.finally(() => isOver = true);
  while (!isOver) {
    try {
      most = Math.max(most, residentBytes(running.process));
    } catch {
      // It has said it, and ended.
    }
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
  return most;
}

integration("a server process that is stopped costs the client no memory", async () => {
  await using server = await startServer({ key: KEY });
  await using local = await tempDir();
  makeLarge(`${local.path}/large`);
  // Also for a machine that is so busy that the handshake takes a second.
  await using client = startClient(server, [`${local.path}/large`, "--timeout", "4"]);
  await uploadGrows(server.dir, 1);
  const before = residentBytes(client.process);
  server.running.process.kill("SIGSTOP");
  const stalled = client.says(STALLED);
  assertLess(await mostUntil(client, stalled) - before, GROWTH);
  server.running.process.kill("SIGCONT");
}, PROC);

integration("a client whose output nobody reads takes no memory", async () => {
  await using server = await startImpatient();
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port)],
      ...["--get", "large", "--output", "-"],
    ],
    env: { INLET_TOKEN: KEY },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await using client = new Running(process);
  await server.running.says(/ is "inlet"/);
  const before = residentBytes(client.process);
  // The client is waiting for its reader, and the server for the client.
  await server.running.says(STALLED);
  assertLess(residentBytes(client.process) - before, GROWTH);
  assert(residentBytes(server) < 300 * 2 ** 20);
  await process.stdout.cancel();
}, PROC);
