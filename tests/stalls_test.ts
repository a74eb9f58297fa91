/**
 * This side does not run for a while: a disk hangs, or the process is stopped. That is not the
 * silence of the other side.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { serve } from "../server.ts";
import { TcpStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import { integration, run, startClient, startServer, tempDir } from "./helpers.ts";
import { acceptPut, impostor, Wire } from "./wire.ts";

/** The limits of the programs, in seconds: long enough for whatever else a busy machine delays. */
const LIMIT = "4";

/** Longer than every limit of these tests, in milliseconds. */
const STALL_MS = 6000;

/** Keeps this whole process from running, as a call into a disk that hangs does. */
function hang(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Stops processes for longer than their limits, and lets them go on. */
async function suspend(processes: Deno.ChildProcess[]): Promise<void> {
  for (const process of processes) process.kill("SIGSTOP");
  await delay(STALL_MS);
  for (const process of processes) process.kill("SIGCONT");
}

/** The next line that is no note. */
async function lineOf(wire: Wire): Promise<string> {
  for (;;) {
    const line = await wire.line();
    if (!line.startsWith("note ")) return line;
  }
}

integration("a server that was stopped for longer than its limits cuts no client", async () => {
  const args = ["--timeout", LIMIT, "--session-timeout", LIMIT, "--greeting-timeout", LIMIT];
  await using server = await startServer({ args });
  using putting = await Wire.greet(server);
  await putting.says("put 10 a.txt\n");
  assertEquals(await putting.line(), "go 0");
  await putting.says("hello");
  using resting = await Wire.greet(server);
  using greeting = await Wire.dial(server);
  await greeting.says("hello 1");
  await suspend([server.running.process]);
  await Promise.all([
    putting.says("helloend 00000000\n"),
    resting.says("still here\n"),
    greeting.says(" late\n"),
  ]);
  assertMatch(await putting.line(), /^(ok|error checksum) /);
  assertMatch(await lineOf(resting), /^still here ACK/);
  assertMatch(await greeting.line(), /^welcome /);
});

integration("a client that was stopped for longer than --timeout takes the answer", async () => {
  using server = impostor();
  await using local = await tempDir();
  const file = await local.write("a.bin", new Uint8Array(600_000));
  await using client = startClient(server, [file, "--timeout", LIMIT]);
  using wire = await acceptPut(server);
  await wire.skip(600_000);
  const [, crc] = /^end\S* (\w+)/.exec(await wire.line())!;
  await suspend([client.process]);
  await wire.says(`ok 600000 ${crc} a.bin\n`);
  const { code } = await client.ended();
  assertEquals(code, 0, client.log);
});

integration("a machine that sleeps during a transfer goes on with it", async () => {
  await using local = await tempDir();
  await using server = await startServer({ args: ["--timeout", LIMIT] });
  const file = await local.write("a.bin", new Uint8Array(4 * 1024 * 1024));
  await using client = startClient(server, [file, "--timeout", LIMIT, "--limit", "2MiB"]);
  await server.running.says(/is ""|is "/);
  await suspend([client.process, server.running.process]);
  const { code } = await client.ended();
  assertEquals(code, 0, client.log);
});

integration("a disk that hangs is not the slowness of a client", async () => {
  await using local = await tempDir();
  await using server = await serve({
    directory: local.path,
    timeoutMs: 1000,
    minRateWindowMs: 500,
    minRate: 1024,
    log: { quiet: true },
  });
  using wire = await Wire.greet(server.address);
  await wire.says("put 6 a.txt\n");
  await wire.line();
  await wire.says("hel");
  hang(STALL_MS);
  await wire.says("lo\nend 363a3020\n");
  assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
});

/** Waits to be told to send, sends, and tells that it has. */
const SENDS_WHEN_TOLD = `
import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
open(sys.argv[2]).read()
peer.sendall(b"more")
open(sys.argv[3], "w").close()
peer.recv(1)
`;

integration("bytes that came while this side hung count as having come in time", async () => {
  await using local = await tempDir();
  const [tell, told] = [`${local.path}/tell`, `${local.path}/told`];
  assertEquals((await run("mkfifo", [tell, told])).code, 0);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = ["-c", SENDS_WHEN_TOLD, `${listener.addr.port}`, tell, told];
  const peer = new Deno.Command("python3", { args }).spawn();
  using connection = new Connection(new TcpStream(await listener.accept()), {
    idleTimeoutMs: 10_000,
  });
  const more = connection.moreWithin(200);
  // These calls hang as those into a slow disk do, and the bytes are there behind them.
  Deno.writeTextFileSync(tell, "");
  Deno.readTextFileSync(told);
  hang(300);
  assertEquals(await more, true);
  connection[Symbol.dispose]();
  await peer.status;
}, { programs: ["mkfifo", "python3"] });
