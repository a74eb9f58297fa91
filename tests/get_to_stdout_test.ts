/**
 * `--get --output -` with a reader that is slower than the server's patience.
 *
 * @module
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import {
  bytes,
  integration,
  Running,
  scriptPath,
  startServer,
  type TestServer,
} from "./helpers.ts";

/** A server with one large file, which gives up a client that does not read for half a second. */
async function impatientServer(content: Uint8Array): Promise<TestServer> {
  const server = await startServer({ args: ["--timeout", "0.5"] });
  await Deno.writeFile(`${server.dir}/big.bin`, content);
  return server;
}

/** A client that gets it to stdout, and that the server has given up. */
async function getSlowly(
  server: TestServer,
  args: readonly string[],
): Promise<{ client: Running; read(): Promise<Uint8Array> }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port)],
      ...["--get", "big.bin", "--output", "-", ...args],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const client = new Running(process);
  await server.running.says(/client 1: No data in either direction for 0\.5 s/);
  return { client, read: () => new Response(process.stdout).bytes() };
}

integration("--get --output - with --retry goes on behind a reader that is slow", async () => {
  const content = bytes(32 * 2 ** 20);
  await using server = await impatientServer(content);
  const { client, read } = await getSlowly(server, ["--retry", "3"]);
  await using _ = client;
  const stdout = await read();
  assertEquals((await client.ended()).code, 0, client.log);
  assert(stdout.every((byte, index) => byte === content[index]));
  assertEquals(stdout.length, content.length);
  await client.says(/^big\.bin: resuming at .* of 32 MiB$/);
});

integration("--get --output - with --retry does not mix two versions of a file", async () => {
  await using server = await impatientServer(bytes(32 * 2 ** 20));
  const { client, read } = await getSlowly(server, ["--retry", "3"]);
  await using _ = client;
  // Before anything is read: the client comes back as soon as it can write again.
  await Deno.writeFile(`${server.dir}/big.bin`, new Uint8Array(32 * 2 ** 20));
  assertLess((await read()).length, 32 * 2 ** 20);
  assertEquals((await client.ended()).code, 5);
  await client.says(/^inlet: Cannot continue "big\.bin": the file on the server is no longer /);
});

integration("--get --output - without --retry says that there is such an option", async () => {
  await using server = await impatientServer(bytes(32 * 2 ** 20));
  const { client, read } = await getSlowly(server, []);
  await using _ = client;
  await read();
  assertEquals((await client.ended()).code, 4);
  await client.says(/^inlet: With --retry N the client reconnects and continues the transfer$/);
});
