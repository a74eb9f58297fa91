import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InletError, send } from "../client.ts";
import { connect } from "../lib/net/connect.ts";
import { RateLimit } from "../lib/net/rate_limit.ts";
import {
  assertRefused,
  bytes,
  fixture,
  integration,
  names,
  pure,
  runClient,
  runScript,
  startServer,
  tempDir,
} from "./helpers.ts";
import { checkMinRate } from "../modes/files/own_limit.ts";
import { ProtocolError } from "../protocol.ts";
import { type InProcessServer, serveHere } from "./in_process.ts";

/** A clock that stands still but for sleep. */
class FakeClock {
  ms = 0;
  sleeps: number[] = [];

  now(): number {
    return this.ms;
  }

  sleep(milliseconds: number): Promise<void> {
    this.sleeps.push(milliseconds);
    this.ms += milliseconds;
    return Promise.resolve();
  }
}

pure("RateLimit lets no more move than its bytes a second, in even pieces", async () => {
  for (const rate of [1, 1000, 1_000_000, 1e9]) {
    const clock = new FakeClock();
    const limit = new RateLimit(rate, clock);
    const total = 10 * rate;
    for (let moved = 0; moved < total; moved += limit.pieceBytes) {
      await limit.take(Math.min(limit.pieceBytes, total - moved));
    }
    // A tenth of a second is for nothing at the beginning.
    assert(Math.abs(clock.ms - 9900) < 1, `${rate}: ${clock.ms}`);
    assert(Math.max(...clock.sleeps) <= Math.max(100, 1000 / rate) + 0.001, `${rate}`);
  }
});

pure("RateLimit saves up a tenth of a second of silence, and no more", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(1000, clock);
  clock.ms = 3_600_000;
  await limit.take(100);
  assertEquals(clock.sleeps, []);
  await limit.take(100);
  await limit.take(50);
  assertEquals(clock.sleeps, [100, 50]);
});

pure("RateLimit counts what moves at the same time together", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(1000, clock);
  await limit.take(100);
  const waiting = [limit.take(100), limit.take(100)];
  assertEquals(clock.sleeps, [100, 100]);
  await Promise.all(waiting);
});

integration("send() stays under its rate over all files, and they arrive whole", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const clock = new FakeClock();
  const sizes = [0, 1, 5000, 100_000, 300_000];
  const files = await Promise.all(sizes.map((size) => local.write(`${size}`, bytes(size))));
  for (const mode of ["files", "upload"]) {
    clock.ms = 0;
    const address = { hostname: "127.0.0.1", port: server.port };
    const results = await send(address, files, { mode, rate: new RateLimit(50_000, clock) });
    assert(results.every(({ error }) => !error));
    // 405,001 bytes and the lines around them, less the tenth of a second.
    assert(clock.ms > 8000 && clock.ms < 8200, `${clock.ms}`);
  }
  for (const size of sizes) {
    assertEquals(Deno.readFileSync(`${server.dir}/${size}`), bytes(size));
    assertEquals(Deno.readFileSync(`${server.dir}/${size} (2)`), bytes(size));
  }
});

integration("--limit sends and gets files whole", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const file = await local.write("a.bin", bytes(2_000_000));
  const { code, stderr } = await runClient(server, [file, "--limit", "20MB"]);
  assertEquals(code, 0, stderr);
  const args = ["--get", "a.bin", "--output", `${local.path}/b.bin`, "--limit", "20MB"];
  const got = await runClient(server, args);
  assertEquals(got.code, 0, got.stderr);
  assertEquals(Deno.readFileSync(`${local.path}/b.bin`), bytes(2_000_000));
});

integration("--limit of nothing is refused", async () => {
  const ended = await runScript("client.ts", ["127.0.0.1", "5000", "a", "--limit", "0"]);
  assertRefused(
    ended,
    2,
    'Cannot use "0" as the --limit: give a size of at least 1 byte, like 500, 64KiB, 10MB or 1.5GiB',
  );
});

/** A server that drops transfers slower than this. */
async function slowest(dir: string, bytesPerSecond: number): Promise<InProcessServer> {
  return await serveHere({ dir, minRate: { bytesPerSecond, windowMs: 60_000 } });
}

pure("a minimum rate that is no number is a fault of the server", () => {
  const rate = new RateLimit(600);
  for (const told of ["1e999", "Infinity", "NaN", "-1", "", "9".repeat(300)]) {
    const fields = { "min-rate": told };
    const check = (): void =>
      checkMinRate({ type: "welcome", client: 1, limit: 1, fields }, { rate });
    assertThrows(check, ProtocolError, "minimum rate");
  }
});

integration("--limit below the server's --min-rate is refused at the start", async () => {
  await using local = await tempDir();
  await using server = await slowest(local.path, 1024);
  const ended = await runClient(server, [fixture("hello.txt"), "--limit", "600"]);
  assertRefused(
    ended,
    2,
    "Cannot keep to 600 B/s: the server drops transfers slower than 1 KiB/s; give at least --limit 1127",
  );
  assertEquals(names(local.path), []);
});

integration("send() keeps to a rate that the server's minimum allows", async () => {
  await using local = await tempDir();
  for (const floor of [500, 0]) {
    await using server = await slowest(local.path, floor);
    const address = { hostname: "127.0.0.1", port: server.port };
    const sent = await send(address, [fixture("hello.txt")], { rate: new RateLimit(600) });
    assertEquals(sent.length, 1);
  }
});

integration("send() counts the connections that share a rate", async () => {
  await using local = await tempDir();
  await using server = await slowest(local.path, 2000);
  const rate = new RateLimit(3000);
  const address = { hostname: "127.0.0.1", port: server.port };
  const signal = new AbortController().signal;
  {
    using _ = await connect(address, { timeoutMs: 60_000, signal, rate });
    const error = await assertRejects(
      () => send(address, [fixture("hello.txt")], { rate }),
      InletError,
      "Cannot keep to 1.46 KiB/s on each of 2 connections: ",
    );
    assertEquals(error.code, "usage");
  }
  assertEquals((await send(address, [fixture("hello.txt")], { rate })).length, 1);
});
