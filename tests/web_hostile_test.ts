/**
 * HTTP from hostile hands: what never ends, what ends at the wrong moment, and what comes in floods.
 * Plain and encrypted where that makes a difference.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { equals } from "@std/bytes/equals";
import { dialResettable } from "../lib/net/node_stream.ts";
import {
  bytes,
  integration,
  KEY,
  names,
  openFiles,
  PROC,
  type Reachable,
  residentBytes,
  run,
  startServer,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { serve, type ServeOptions } from "../server.ts";
import type { HttpSocket } from "../web/socket.ts";
import { HttpWire, problemIn } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";
import { slowStore, startOnSlowDisk } from "./slow_disk.ts";

/** Servers, without and with a key: with one, all is encrypted. */
const SERVERS = Object.entries({ plain: undefined, encrypted: KEY });

function get({ fields }: HttpWire, path = "/files/"): string {
  return `GET ${path} HTTP/1.1\r\n${fields}\r\n`;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A PUT, or its beginning. */
function put({ fields }: HttpWire, name: string, size: number, body: string): string {
  return `PUT /files/${name} HTTP/1.1\r\n${fields}Content-Length: ${size}\r\n\r\n${body}`;
}

/**
 * A server with limits on time, in this process: while it does not run, neither they nor its clients
 * go on.
 */
async function hereFor(key: string | undefined, limits: ServeOptions) {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(await tempDir());
  const log: string[] = [];
  const server = stack.use(
    await serve({
      ...{ directory: dir, ...limits, ...key !== undefined && { key } },
      log: ({ id, message }) => void log.push(`client ${id}: ${message}`),
    }),
  );
  const kept = stack.move();
  return {
    ...{ dir, key, log, port: server.address.port },
    /** Stops it, and waits until it has told all. */
    ended: () => server.shutdown(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const CHUNKED = "Transfer-Encoding: chunked\r\n";

/**
 * Sends text, and resets the connection.
 *
 * @param once What happens before that; by default, something comes back.
 */
async function resetBehind(server: Reachable, text: string, once?: () => Promise<unknown>) {
  const address = { hostname: "127.0.0.1", port: server.port };
  const stream = await dialResettable(address, new AbortController().signal);
  await stream.write(new TextEncoder().encode(text));
  await (once ? once() : stream.read(new Uint8Array(1024)));
  stream.reset();
}

for (const [manner, key] of SERVERS) {
  integration(`${manner}: a hundred requests at once are answered one after another`, async () => {
    await using server = await startServer({ key });
    using wire = await HttpWire.dial(server);
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    await wire.says(
      numbers.map((n) => put(wire, `${n}`, 3, `<${n % 10}>`) + get(wire, `/files/${n}`)).join(""),
    );
    for (const n of numbers) {
      assertEquals(await wire.status(), 201);
      const got = (await wire.response())!;
      assertEquals([got.status, new TextDecoder().decode(got.body)], [200, `<${n % 10}>`]);
    }
    // The connection is there for more, and at its end the answers still come.
    await wire.says(get(wire) + get(wire));
    await wire.closeWrite();
    assertEquals([await wire.status(), await wire.status(), await wire.status()], [200, 200, 0]);
  });

  integration(`${manner}: large bodies and what is sent behind them do not mix`, async () => {
    await using server = await startServer({ key });
    using wire = await HttpWire.dial(server);
    const content = bytes(3_000_000);
    const large = encode(put(wire, "a", content.length, ""));
    const small = encode(put(wire, "b", 5, "hello"));
    const asked = encode(get(wire));
    const all = concat([asked, large, content, small, asked, large, content, asked, asked]);
    const sent = (async () => {
      // In pieces that end wherever they do.
      for (let at = 0, size = 1; at < all.length; at += size, size = size * 3 % 700_001) {
        await wire.says(all.subarray(at, at + size));
      }
    })();
    const statuses: number[] = [];
    while (statuses.length < 7) statuses.push(await wire.status());
    assertEquals(statuses, [200, 201, 201, 200, 201, 200, 200]);
    await sent;
    assertEquals(names(server.dir), ["a", "a (2)", "b"]);
    for (const name of ["a", "a (2)"]) {
      assert(equals(await Deno.readFile(`${server.dir}/${name}`), content));
    }
    // The body comes later, and then a request that cannot be a second one.
    const head = put(wire, "c", content.length, "").replace("\r\n", "\r\nExpect: 100-continue\r\n");
    assertEquals((await wire.asks(head)).status, 100);
    await wire.says(content);
    assertEquals(await wire.status(), 201);
    assert(equals(await Deno.readFile(`${server.dir}/c`), content));
    assertEquals((await wire.asks(get(wire).replace("1.1", "1.0"))).status, 505);
    assert(await wire.ends());
    // Within one, its end is told.
    using other = await HttpWire.dial(server);
    await other.says(concat([large, content.subarray(0, 2_000_000)]));
    await other.closeWrite();
    const cut = (await other.response())!;
    assertEquals([cut.status, problemIn(cut).code], [400, "lost"]);
    assertEquals(names(server.dir), ["a", "a (2)", "b", "c"]);
  });

  integration(
    `${manner}: a head that never ends is answered with 408, also a later one`,
    async () => {
      await using server = await hereFor(key, { greetingTimeoutMs: 1000 });
      const late = async (before: boolean): Promise<void> => {
        using wire = await HttpWire.dial(server);
        if (before) assertEquals((await wire.asks(get(wire))).status, 200);
        await wire.says(get(wire).slice(0, -4));
        const response = (await wire.response())!;
        assertEquals([response.status, problemIn(response).code], [408, "timeout"]);
        assert(await wire.ends());
      };
      // A connection at rest is no such thing.
      using resting = await HttpWire.dial(server);
      assertEquals((await resting.asks(get(resting))).status, 200);
      await Promise.all([late(false), late(true)]);
      assertEquals((await resting.asks(get(resting))).status, 200);
    },
  );

  integration(`${manner}: a body that stops is cut, and an idle connection ends`, async () => {
    await using server = await hereFor(key, { timeoutMs: 1000 });
    using within = await HttpWire.dial(server);
    await within.says(put(within, "a", 10, "hello"));
    using resting = await HttpWire.dial(server);
    assertEquals((await resting.asks(get(resting))).status, 200);
    const response = (await within.response())!;
    assertEquals([response.status, problemIn(response).code], [408, "timeout"]);
    assert(await within.ends());
    assert(await resting.ends());
    await server.ended();
    assertEquals(names(server.dir), []);
    // The end of a connection at rest is not worth a line.
    assertEquals(server.log.filter((line) => line.includes("No data")), [
      "client 1: No data in either direction for 1 s",
    ]);
  });

  integration(`${manner}: connections at rest hold no place, and requests do`, async () => {
    await using server = await startServer({ key, args: ["--max-clients", "1"] });
    using first = await HttpWire.dial(server);
    assertEquals((await first.asks(get(first))).status, 200);
    using second = await HttpWire.dial(server);
    await second.says(put(second, "a", 10, "hello"));
    await uploadGrows(server.dir, 5);
    const busy = await first.asks(get(first));
    assertEquals([busy.status, problemIn(busy).code], [503, "busy"]);
    assertEquals(busy.headers["retry-after"], "1");
    if (key === undefined) {
      using third = await HttpWire.dial(server);
      assertEquals(problemIn(await third.asks(get(third))).code, "busy");
    }
    await second.says("there");
    assertEquals(await second.status(), 201);
    assertEquals((await first.asks(get(first, "/files/a"))).status, 200);
  });

  integration(
    `${manner}: a server that stops lets a request finish, and ends the others`,
    async () => {
      await using server = await startServer({ key });
      using resting = await HttpWire.dial(server);
      assertEquals((await resting.asks(get(resting))).status, 200);
      using within = await HttpWire.dial(server);
      await within.says(put(within, "a", 10, "hello"));
      await uploadGrows(server.dir, 5);
      const stopped = server.running.stop("SIGTERM");
      assert(await resting.ends());
      await within.says("there");
      const { status, headers } = (await within.response())!;
      assertEquals([status, headers.connection], [201, "close"]);
      assert(await within.ends());
      assertEquals((await stopped).code, 0);
      assertEquals(names(server.dir), ["a"]);
    },
  );
}

integration(
  "resets within a PUT, CONNECT and Upgrade end nothing but their connections",
  async () => {
    await using server = await startServer();
    const head = "PUT /files/a HTTP/1.1\r\nHost: localhost\r\n";
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
    const beginnings = [
      `${head}Content-Length: 5\r\n\r\nhel`,
      `${head}Content-Length: 5000000\r\n\r\nhel`,
      `${chunked}5\r\nhello\r\n`,
      `${chunked}5\r\nhel`,
      `${chunked}5\r\nhello\r\n0\r\n`,
      `${chunked}5\r\nhello\r\n0`,
    ];
    for (const [index, text] of beginnings.entries()) {
      await resetBehind(server, text, () => server.running.says(/connected from/, index + 1));
      await server.running.says(/: left,/, index + 1);
      assertEquals(names(server.dir), []);
    }
    const before = openFiles({ pid: server.pid });
    const connect = "CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (let turn = 0; turn < 10; turn++) {
      for (
        const text of [
          connect,
          // Its answer is under way when the reset comes.
          `GET /files/large HTTP/1.1\r\nHost: localhost\r\n\r\n${connect}`,
          "GET /files/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
          "GET /files/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ]
      ) await resetBehind(server, text);
    }
    using wire = await HttpWire.dial(server);
    // The log leaves most of these out. Each answer gives the server the time to close one.
    do assertEquals((await wire.asks(get(wire))).status, 200); while (
      openFiles({ pid: server.pid }) > before + 1
    );
  },
  PROC,
);

integration("a file that is too large is refused before its body, or within it", async () => {
  await using local = await tempDir();
  const file = await local.write("large", new Uint8Array(32 * 1024 * 1024));
  await using server = await startServer({ args: ["--max-size", "1MiB"] });
  const url = `http://127.0.0.1:${server.port}/`;
  for (
    const fields of [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]]
  ) {
    // By itself, curl waits a second for the server's word, and then sends.
    const args = ["-sS", "--noproxy", "*", "--expect100-timeout", "60", ...fields];
    const told = ["-w", "%{http_code} %{size_upload}"];
    const { stdout } = await run("curl", [...args, ...told, "-T", file, url]);
    const [, code, status, sent] = /"code":"([^"]*)"}\n(\d+) (\d+)$/.exec(stdout) ?? [stdout];
    assertEquals([code, status], ["too-large", "413"]);
    if (fields.length === 0) assertEquals(sent, "0");
  }
  assertEquals(names(server.dir), []);
}, { programs: ["curl"] });

integration("a server that is killed within a PUT leaves nothing under a name", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  await wire.says(put(wire, "a", 1_000_000, "x".repeat(100_000)));
  await uploadGrows(server.dir, 100_000);
  await server.running.stop("SIGKILL");
  assertEquals(names(server.dir), ["(in flight)"]);
});

integration("floods of requests that nobody reads the answers of stay small", async () => {
  await using server = await startServer();
  const before = residentBytes(server);
  using wire = await HttpWire.dial(server);
  const some = get(wire).repeat(500);
  // It reads no further, so that this is never done.
  const flood = wire.says(some.repeat(400));
  using other = await HttpWire.dial(server);
  const head = "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  await other.says(`${head}0\r\n\r\n${some}`);
  assertEquals(await other.status(), 201);
  for (let n = 0; n < 500; n++) assertEquals(await other.status(), 200);
  const grown = residentBytes(server) - before;
  assert(grown < 64 * 1024 * 1024, `${grown} bytes`);
  wire[Symbol.dispose]();
  await flood;
}, PROC);

integration("readers that stall cost a server little", async () => {
  await using server = await startServer();
  Deno.mkdirSync(server.dir, { recursive: true });
  Deno.writeFileSync(`${server.dir}/large`, bytes(64 * 1024 * 1024));
  using first = await HttpWire.dial(server);
  await first.says(get(first, "/files/large"));
  await first.more();
  const before = residentBytes(server);
  const wires = await Promise.all(Array.from({ length: 20 }, () => HttpWire.dial(server)));
  for (const wire of wires) await wire.says(get(wire, "/files/large"));
  await Promise.all(wires.map((wire) => wire.more()));
  for (const wire of wires) wire[Symbol.dispose]();
  await server.running.says(/: left,/, 20);
  const grown = residentBytes(server) - before;
  assert(grown < 20 * 4 * 1024 * 1024, `${grown} bytes`);
  assertMatch(server.running.log, /The client left/);
}, PROC);

for (const [manner, key] of SERVERS) {
  integration(
    `${manner}: what comes faster than the disk takes it stays with its sender`,
    async () => {
      await using local = await tempDir();
      await using slow = await startOnSlowDisk(local.path, key);
      const piece = new Uint8Array(2 ** 20);
      const send = async (pieces: number, chunked: boolean): Promise<void> => {
        using wire = await HttpWire.dial(slow);
        const bytes = pieces * piece.length;
        const length = chunked ? CHUNKED : `Content-Length: ${bytes}\r\n`;
        await wire.says(`PUT /files/a HTTP/1.1\r\n${wire.fields}${length}\r\n`);
        if (chunked) await wire.says(`${bytes.toString(16)}\r\n`);
        for (let sent = 0; sent < pieces; sent++) await wire.says(piece);
        if (chunked) await wire.says("\r\n0\r\n\r\n");
        assertEquals(await wire.status(), 201);
      };
      // All code that is needed is loaded by now.
      await send(4, true);
      const before = residentBytes(slow);
      // Most of what several take together is garbage that any of them would leave.
      const kinds = [false, true, false, true];
      await Promise.all(kinds.map((chunked) => send(64, chunked)));
      const grown = (residentBytes(slow) - before) / kinds.length;
      assert(grown < 40_000_000, `${grown} bytes a connection`);
    },
    PROC,
  );
}

integration(
  "a body reaches a slow disk as it was sent, whichever way it comes",
  async () => {
    await using local = await tempDir();
    const content = bytes(8 * 1024 * 1024);
    const { store, chunks } = await slowStore(local.path);
    await using server = await serveHere({ dir: local.path, store });
    for (const chunked of [false, true]) {
      using wire = await HttpWire.dial(server);
      const length = chunked ? CHUNKED : `Content-Length: ${content.length}\r\n`;
      await wire.says(`PUT /files/a HTTP/1.1\r\n${wire.fields}${length}\r\n`);
      const chunk = chunked ? `${content.length.toString(16)}\r\n` : "";
      const end = chunked ? "\r\n0\r\n\r\n" : "";
      await wire.says(chunk);
      await wire.says(content);
      await wire.says(`${end}${get(wire)}`);
      assertEquals([await wire.status(), await wire.status()], [201, 200]);
      assert(chunks.length > 2);
      // The parser copies what passes it: that is what lets the connection read into the same memory.
      if (chunked) assert(equals(concat(chunks), content));
      chunks.length = 0;
      const stored = await Deno.readFile(`${local.path}/a${chunked ? " (2)" : ""}`);
      assert(equals(stored, content));
    }
  },
);

integration("bodies that drip are cut, both ways", async () => {
  await using local = await tempDir();
  await local.write("large", new Uint8Array(16 * 1024 * 1024));
  const minRate = { bytesPerSecond: 1_000_000_000, windowMs: 100 };
  await using server = await serveHere({ dir: local.path, minRate });
  using sends = await HttpWire.dial(server);
  await sends.says(put(sends, "a", 1000, ""));
  using takes = await HttpWire.dial(server);
  await takes.says(get(takes, "/files/large"));
  const dripping = setInterval(() => {
    sends.says("x");
    // The last of them may be under way when the connection is closed here.
    takes.more().catch(() => {});
  }, 20);
  try {
    const response = (await sends.response())!;
    assertEquals([response.status, problemIn(response).code], [408, "timeout"]);
    await server.left(2);
    assertEquals(server.failures.map(({ code }) => code), ["timeout", "timeout"]);
  } finally {
    clearInterval(dripping);
  }
  assertEquals(names(local.path), ["large"]);
});

/** So many requests that what each leaves behind is more than what one or two still need. */
const MANY = 40;

integration(
  "the requests of one connection leave nothing behind that waits for its end",
  async () => {
    await using local = await tempDir();
    await using server = await serveHere({ dir: local.path });
    const { httpServer } = await import("../web/server.ts");
    let waiting = (): number => NaN;
    httpServer.once("connection", (connected: unknown) => {
      const socket = connected as HttpSocket;
      const { gone } = socket;
      let thens = 0;
      const then = (...reactions: Parameters<typeof gone.then>): Promise<unknown> => {
        thens++;
        return Promise.prototype.then.apply(gone, reactions);
      };
      Object.assign(gone, { then });
      waiting = () => thens + socket.listenerCount("close");
    });
    using wire = await HttpWire.dial(server);
    const ask = async (): Promise<void> => assertEquals((await wire.asks(get(wire))).status, 200);
    await ask();
    const first = waiting();
    for (let count = 0; count < MANY; count++) await ask();
    // The first one, and the last, may not have come to their end.
    const more = waiting() - first;
    assert(Math.abs(more) < MANY / 2, `${more} more after ${MANY} more requests`);
  },
);
