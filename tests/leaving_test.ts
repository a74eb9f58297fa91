/**
 * Clients that leave while the server works for them. Their work ends, and their place is free for
 * the next one.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  integration,
  PROC,
  pure,
  sendTo,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { InletError } from "../lib/errors.ts";
import { TcpStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import { Departure, type ReadAhead } from "../lib/net/departure.ts";
import type { Client } from "../lib/server/clients.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { ListEntry } from "../protocol.ts";
import { serveAnyWire } from "../modes/wires.ts";
import { type Arrived, Exchange } from "../web/exchange.ts";
import { serveHere } from "./in_process.ts";
import { Wire } from "./wire.ts";

const HUGE_BYTES = 64 * 1024 ** 3;
const TIME = "2026-01-01T00:00:00Z";

/** A directory with a file that takes longer to read than a test lasts; it takes no space. */
async function hugeFile(directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  const path = `${directory}/huge`;
  using file = await Deno.open(path, { write: true, createNew: true });
  await file.truncate(HUGE_BYTES);
  await file.utime(new Date(TIME), new Date(TIME));
}

/** Requests for which the server has to read the whole file. */
const HEAVY: Record<string, string> = {
  compare: `compare ${HUGE_BYTES} 00000001 ${TIME} huge\n`,
  reget: `reget ${HUGE_BYTES} 00000001 huge\n`,
};

/** Processor time that a process has used, in clock ticks of a hundredth of a second. */
function processorTicks({ pid }: { pid: number }): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Waits until a server that has one place serves again. */
async function isFree(server: TestServer): Promise<void> {
  for (;;) {
    using wire = await Wire.dial(server);
    await wire.says("hello 1 next\n");
    if (/^welcome/.test(await wire.line())) return;
  }
}

/** Ways to leave, each with what the server can see of it. */
const LEAVE: Record<string, (wire: Wire) => Promise<void> | void> = {
  "closes": (wire) => wire.close(),
  "closes its direction, and then leaves": async (wire) => {
    await wire.closeWrite();
    // It was not taken for gone: the server still tells it that it works.
    assertMatch(await wire.anyLine(), /^note Please wait/);
    assertMatch(await wire.anyLine(), /^note Please wait/);
    wire.close();
  },
  "sends more than the server reads ahead, and leaves": async (wire) => {
    await wire.says("Hello\n".repeat(10_000));
    wire.close();
  },
};

for (const [name, request] of Object.entries(HEAVY)) {
  for (const [way, leave] of Object.entries(LEAVE)) {
    integration(`${name}: a client that ${way} frees its place before it is done`, async () => {
      await using local = await tempDir();
      await hugeFile(local.path);
      await using server = await startServer({ dir: local.path, args: ["--max-clients", "1"] });
      const wire = await Wire.greet(server);
      await wire.says(request);
      assertMatch(await wire.anyLine(), /^note Please wait/);
      await leave(wire);
      await isFree(server);
      await server.running.says(/client 1: The peer left before its answer was ready/);
    });
  }
}

/** What a peer that has left can be known by: a reset, or nothing before a probe brings one. */
const LEFT: Record<string, { isReset: boolean; ahead: ReadAhead }> = {
  "with something unread": { isReset: true, ahead: "bytes" },
  "in order": { isReset: false, ahead: "end" },
  "behind more than is read ahead": { isReset: false, ahead: "full" },
};

for (const [how, { isReset, ahead }] of Object.entries(LEFT)) {
  pure(`Departure notices within a second that a peer has left ${how}`, async () => {
    const { setInterval } = globalThis;
    let look: (() => Promise<void>) | undefined;
    let everyMs = 0;
    globalThis.setInterval = ((action: () => Promise<void>, ms: number) => {
      [look, everyMs] = [action, ms];
      return 0;
    }) as unknown as typeof setInterval;
    const reset = Object.assign(new Error("Connection reset by peer"), { code: "ECONNRESET" });
    let isGone = false;
    let knows = isReset;
    using _ = new Departure({
      readAhead: () => ahead === "bytes" ? new Promise(() => {}) : Promise.resolve(ahead),
      touch: () => knows ? Promise.reject(reset) : Promise.resolve(),
      probe: () => Promise.resolve(void (knows = true)),
      endIsLeaving: false,
      onGone: ({ code }) => isGone = code === "lost",
    });
    globalThis.setInterval = setInterval;
    let ms = 0;
    for (; !isGone && ms < 1000; ms += everyMs) await look!();
    assert(isGone, `not after ${ms} ms`);
  });
}

integration("twenty clients that ask for one checksum and leave end the reading", async () => {
  await using local = await tempDir();
  await hugeFile(local.path);
  await using server = await startServer({ dir: local.path });
  const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.greet(server)));
  await Promise.all(wires.map((wire) => wire.says(HEAVY.compare!)));
  await Promise.all(wires.map((wire) => wire.anyLine()));
  wires.forEach((wire) => wire.close());
  await server.running.says(/left, 0 connected/);
  const before = processorTicks(server.running.process);
  // Half a second of an idle server, measured by the server's own answers.
  using wire = await Wire.greet(server);
  for (let count = 0; count < 100; count++) {
    await wire.says("Hello\n");
    await wire.line();
  }
  const used = processorTicks(server.running.process) - before;
  assert(used < 30, `it used ${used} hundredths of a second for nobody`);
}, PROC);

/** The first line that is no note. */
async function answerOf(wire: Wire): Promise<string> {
  for (;;) {
    const line = await wire.line();
    if (!line.startsWith("note ")) return line;
  }
}

integration("a hundred clients that ask for the same checksum cost as much as one", async () => {
  await using local = await tempDir();
  const size = 256 * 1024 ** 2;
  await Deno.writeFile(`${local.path}/large`, new Uint8Array(0));
  await Deno.truncate(`${local.path}/large`, size);
  await Deno.utime(`${local.path}/large`, new Date(TIME), new Date(TIME));
  await using server = await startServer({ dir: local.path });
  const request = `compare ${size} 00000000 ${TIME} large\n`;
  using first = await Wire.greet(server);
  let before = processorTicks(server.running.process);
  await first.says(request);
  assertEquals(await answerOf(first), "ok");
  const one = processorTicks(server.running.process) - before;
  const wires = await Promise.all(Array.from({ length: 99 }, () => Wire.greet(server)));
  before = processorTicks(server.running.process);
  await Promise.all(wires.map((wire) => wire.says(request)));
  for (const wire of wires) {
    assertEquals(await answerOf(wire), "ok");
    wire.close();
  }
  const all = processorTicks(server.running.process) - before;
  assert(all < 10 * one + 50, `one took ${one} ticks, a hundred took ${all}`);
}, PROC);

integration("who half-closes behind a heavy request still gets the answer", async () => {
  await using local = await tempDir();
  const size = 1024 ** 3;
  await Deno.writeFile(`${local.path}/large`, new Uint8Array(0));
  await Deno.truncate(`${local.path}/large`, size);
  await Deno.utime(`${local.path}/large`, new Date(TIME), new Date(TIME));
  await using server = await startServer({ dir: local.path });
  using wire = await Wire.greet(server);
  await wire.says(`compare ${size} 00000000 ${TIME} large\n`);
  await wire.closeWrite();
  assertMatch(await wire.rest(), /^(note .*\n)*ok\n$/);
});

/** A store on a disk that hangs: after so many pages of a list, the next one never comes. */
class HangingStore extends DirectoryStore {
  readonly #pages: number;

  constructor(root: string, pages: number) {
    super(root);
    this.#pages = pages;
  }

  override async *list(): AsyncGenerator<readonly ListEntry[]> {
    for (let page = 0; page < this.#pages; page++) {
      yield [{ name: `${page}.txt`, size: 1, modified: new Date(TIME) }];
    }
    await new Promise(() => {});
  }
}

for (const pages of [0, 1]) {
  integration(
    `a client that leaves a list whose page ${pages + 1} never comes is gone`,
    async () => {
      await using local = await tempDir();
      const store = new HangingStore(local.path, pages);
      await using server = await serveHere({ dir: local.path, store });
      const wire = await Wire.greet(server);
      await wire.says("list\n");
      assertMatch(await wire.anyLine(), pages === 0 ? /^note / : /^ok$/);
      if (pages > 0) assertEquals(await wire.line(), `1 ${TIME} 0.txt`);
      wire.close();
      await server.left(1);
      assertMatch(server.failures[0]!.message, /^The peer left before its answer was ready$/);
    },
  );
}

integration("a client that leaves while it is sent a file frees its place", async () => {
  await using local = await tempDir();
  await hugeFile(local.path);
  await using server = await startServer({ dir: local.path, args: ["--max-clients", "1"] });
  const wire = await Wire.greet(server);
  await wire.says("get huge\n");
  assertEquals(await wire.line(), `ok ${HUGE_BYTES}`);
  wire.close();
  await isFree(server);
});

integration(
  "a message that waits for its turn is not overwritten by what comes behind it",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const peer = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    using connection = new Connection(new TcpStream(await listener.accept()), {
      idleTimeoutMs: 60_000,
    });
    await sendTo(peer, "first");
    const chunk = await connection.piece(100);
    const reset = connection.whilePresent(() => new Promise<void>(() => {}), { usesChunk: true });
    await sendTo(peer, "second");
    await connection.write(new Uint8Array(1));
    // Closing with a byte unread sends a reset.
    peer.close();
    const error = await assertRejects(() => reset, InletError);
    assertEquals(error.code, "lost");
    assertEquals(new TextDecoder().decode(chunk), "first");
  },
);

integration("a client that has left is remembered without its connection", async () => {
  await using local = await tempDir();
  let client: Client | undefined;
  await using server = await serveHere({
    dir: local.path,
    serve: (connection, context) => {
      ({ client } = context);
      return serveAnyWire(connection, context);
    },
  });
  {
    using wire = await Wire.dial(server);
    await wire.says("hello 1 ben\n");
    assertMatch(await wire.line(), /^welcome/);
    assert(client!.moving);
  }
  await server.idle();
  assertEquals([client!.name, client!.moving], ["ben", undefined]);
});

pure("work for a client of HTTP that had left before is told so", async () => {
  const socket = new Duplex();
  const connection = { unwatched: (work: Promise<unknown>) => work };
  Object.assign(socket, { connection });
  socket.destroy();
  await once(socket, "close");
  const arrived = { request: { method: "GET" }, response: {}, socket, awaitsContinue: false };
  const exchange = new Exchange(
    arrived as unknown as Arrived,
    { query: new URLSearchParams() },
    "",
  );
  const gone = exchange.whileThere((signal) => Promise.resolve(signal.reason));
  assertEquals((await gone as InletError).code, "lost");
});
