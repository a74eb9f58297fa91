import { createServer, type Socket } from "node:net";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MAX_LINE_BYTES, ProtocolError } from "../protocol.ts";
import { type ByteStream, TcpStream } from "../lib/net/byte_stream.ts";
import { BufferedReader } from "../lib/net/buffered_reader.ts";
import { Connection } from "../lib/net/connection.ts";
import type { ConnectionOptions } from "../lib/net/connection_options.ts";
import { buffers } from "../lib/body/buffer_pool.ts";
import { encodeError, InletError } from "../lib/errors.ts";
import { lookAround } from "../lib/net/awake.ts";
import { dialResettable } from "../lib/net/node_stream.ts";
import { RateLimit } from "../lib/net/rate_limit.ts";
import { nextWithin } from "../modes/talk/pauses.ts";
import { borrowAll, bytes, collect, dial, integration, pure, readAll, sendTo } from "./helpers.ts";

/** Two ends of one TCP connection: ours, and a stranger's. */
interface Pair extends Disposable {
  connection: Connection;
  peer: Deno.TcpConn;
}

/** @param pieces Most bytes that each read of our end brings, one after the other, then again. */
async function connected(
  options: Partial<ConnectionOptions> = {},
  pieces?: readonly number[],
): Promise<Pair> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [peer, conn] = await Promise.all([dial(listener.addr), listener.accept()]);
  const connection = new Connection(new TcpStream(pieces ? inPieces(conn, pieces) : conn), {
    idleTimeoutMs: 60_000,
    ...options,
  });
  return {
    connection,
    peer,
    [Symbol.dispose](): void {
      connection[Symbol.dispose]();
      try {
        peer.close();
      } catch {
        // The test has closed it.
      }
    },
  };
}

/** A connection whose reads bring no more than a network that cuts the stream there would. */
function inPieces(conn: Deno.TcpConn, pieces: readonly number[]): Deno.TcpConn {
  let reads = 0;
  return new Proxy(conn, {
    get(target, key): unknown {
      if (key === "read") {
        return (into: Uint8Array) => target.read(into.subarray(0, pieces[reads++ % pieces.length]));
      }
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Lines of both endings, an empty one, and bodies that hold line breaks themselves. */
const CONVERSATION = encoder.encode(
  "hello 1 ben\r\nput 5 naïve ☕.txt\na\nb\r\nend 5f3a9c01\n\nsay 0\nexit\r\n",
);

async function converse({ connection, peer }: Pair): Promise<void> {
  await sendTo(peer, CONVERSATION);
  await peer.closeWrite();
  assertEquals(await connection.readLine(), "hello 1 ben");
  assertEquals(await connection.peek(), "p".charCodeAt(0));
  assertEquals(await connection.readLine(), "put 5 naïve ☕.txt");
  assertEquals(decoder.decode(await collect(connection.body(5))), "a\nb\r\n");
  assertEquals(decoder.decode(await connection.readExactly(4)), "end ");
  assertEquals(await connection.readLine(), "5f3a9c01");
  assertEquals(await connection.readLine(), "");
  assertEquals(await connection.readLine(), "say 0");
  assertEquals((await collect(connection.body(0))).length, 0);
  assertEquals(await connection.readLine(), "exit");
  assertEquals(await connection.peek(), null);
  assertEquals(await connection.readLine(), null);
}

integration("Connection reads lines and bodies that come in one piece", async () => {
  using pair = await connected();
  await converse(pair);
});

integration("Connection reads lines and bodies that come byte by byte", async () => {
  using pair = await connected({}, [1]);
  await converse(pair);
});

integration("Connection reads lines and bodies that are cut at any byte", async () => {
  for (let cut = 1; cut < CONVERSATION.length; cut++) {
    using pair = await connected({}, [cut, CONVERSATION.length]);
    await converse(pair);
  }
});

integration("readLine() takes a line of 4096 bytes, and no longer one", async () => {
  for (const ending of ["\n", "\r\n"]) {
    for (const pieces of [[100_000], [1000], [4095, 1, 4096]]) {
      using pair = await connected({}, pieces);
      const longest = "x".repeat(MAX_LINE_BYTES - ending.length);
      await sendTo(pair.peer, `short\n${longest}${ending}x${longest}${ending}`);
      assertEquals(await pair.connection.readLine(), "short");
      assertEquals(await pair.connection.readLine(), longest);
      await assertRejects(
        () => pair.connection.readLine(),
        ProtocolError,
        "longer than 4096 bytes",
      );
    }
  }
});

integration("readLine() gives up a line without an end after 4096 bytes of it", async () => {
  using pair = await connected();
  await sendTo(pair.peer, "x".repeat(MAX_LINE_BYTES));
  await assertRejects(() => pair.connection.readLine(), ProtocolError, "longer than 4096 bytes");
});

integration("readLine() says that the connection ended within a line", async () => {
  using pair = await connected();
  await sendTo(pair.peer, "hello 1 ben\nput 5 a.t");
  pair.peer.close();
  assertEquals(await pair.connection.readLine(), "hello 1 ben");
  const error = await assertRejects(() => pair.connection.readLine(), InletError, "within a line");
  assertEquals(error.code, "lost");
});

integration("readLine() refuses what is not UTF-8, and goes on behind it", async () => {
  using pair = await connected();
  await sendTo(pair.peer, new Uint8Array([0x61, 0xff, 0x0a, 0x62, 0x0a]));
  await assertRejects(() => pair.connection.readLine(), ProtocolError, "not UTF-8");
  assertEquals(await pair.connection.readLine(), "b");
});

integration("readExactly() says that the connection ended within a header", async () => {
  using pair = await connected();
  await sendTo(pair.peer, "1234567");
  pair.peer.close();
  const error = await assertRejects(() => pair.connection.readExactly(8), InletError, "a header");
  assertEquals(error.code, "lost");
});

for (const size of [0, 1, 16_384, 16_385, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3_000_000]) {
  integration(`body() gives exactly ${size} bytes, and leaves the line behind them`, async () => {
    for (const pieces of [[2 ** 20], [16_384], [7, 100_000, 1]]) {
      using pair = await connected({}, pieces);
      const sending = sendTo(pair.peer, "put\n").then(() => sendTo(pair.peer, bytes(size)))
        .then(() => sendTo(pair.peer, "end\n"));
      assertEquals(await pair.connection.readLine(), "put");
      const body = await collect(pair.connection.body(size));
      // Compared without printing a megabyte when they differ.
      assertEquals(body.length, size);
      assert(body.every((byte, index) => byte === expected(size)[index]));
      assertEquals(await pair.connection.readLine(), "end");
      await sending;
    }
  });
}

const contents = new Map<number, Uint8Array>();

function expected(size: number): Uint8Array {
  if (!contents.has(size)) contents.set(size, bytes(size));
  return contents.get(size)!;
}

integration("body() goes on with its small buffer when the large ones are lent out", async () => {
  using _ = borrowAll();
  using pair = await connected();
  const sending = sendTo(pair.peer, bytes(100_000)).then(() => sendTo(pair.peer, "end\n"));
  assertEquals(await collect(pair.connection.body(100_000)), bytes(100_000));
  assertEquals(await pair.connection.readLine(), "end");
  await sending;
});

integration("body() without a size gives all bytes until the other side closes", async () => {
  for (const size of [0, 1, 100_000]) {
    using pair = await connected();
    const sending = sendTo(pair.peer, bytes(size)).then(() => pair.peer.closeWrite());
    assertEquals(await collect(pair.connection.body()), bytes(size));
    await sending;
  }
});

integration("body() fails when the connection ends before its size", async () => {
  for (const [size, come] of [[1, 0], [6, 5], [100_000, 99_999]] as const) {
    using pair = await connected();
    const sending = sendTo(pair.peer, bytes(come)).then(() => pair.peer.closeWrite());
    const error = await assertRejects(
      () => collect(pair.connection.body(size)),
      InletError,
      `ended ${size - come} bytes before the end of the body`,
    );
    assertEquals(error.code, "lost");
    await sending;
  }
});

integration("body() gives its large buffer back when the connection rests", async () => {
  const rest = { limitMs: 60_000, warnAfterMs: 60_000, warning: encoder.encode("") };
  using pair = await connected();
  const sending = sendTo(pair.peer, bytes(4 * 2 ** 20));
  await collect(pair.connection.body(4 * 2 ** 20));
  await sending;
  assert(buffers.lentBytes > 0);
  const resting = pair.connection.rest(rest);
  assertEquals(buffers.lentBytes, 0);
  await sendTo(pair.peer, "still here\n");
  await resting;
  assertEquals(await pair.connection.readLine(), "still here");
});

integration("body() counts its large buffer as lent no more when it fails", async () => {
  using pair = await connected();
  const sending = sendTo(pair.peer, bytes(2 ** 20)).then(() => pair.peer.close());
  await assertRejects(() => collect(pair.connection.body(2 ** 21)), InletError);
  assert(buffers.lentBytes > 0);
  pair.connection[Symbol.dispose]();
  assertEquals(buffers.lentBytes, 0);
  await sending;
});

integration("a chunk of a body stays as it is when its connection is cut", async () => {
  const content = bytes(2 ** 20);
  using first = await connected();
  const sending = sendTo(first.peer, content);
  const reader = first.connection.body(content.length).getReader();
  let read = 0;
  let chunk: Uint8Array = new Uint8Array();
  while (buffers.lentBytes === 0 || chunk.length < 20_000) {
    chunk = (await reader.read()).value!;
    read += chunk.length;
  }
  first.connection.abort(new InletError("timeout", "Too slow"));
  assertEquals(buffers.lentBytes, 0);
  using second = await connected();
  const others = sendTo(second.peer, new Uint8Array(2 ** 20));
  await collect(second.connection.body(2 ** 20));
  await others;
  const start = read - chunk.length;
  // Compared without printing a megabyte when they differ.
  assert(chunk.every((byte, index) => byte === content[start + index]));
  await sending.catch(() => {});
});

integration("Connection lets others have their turn while much is there to read", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [peer, conn] = await Promise.all([dial(listener.addr), listener.accept()]);
  using _ = peer;
  // As with a sender that is never slower than this side.
  class Endless extends TcpStream {
    override read(into: Uint8Array): Promise<number> {
      return Promise.resolve(into.length);
    }
  }
  using connection = new Connection(new Endless(conn), { idleTimeoutMs: 60_000 });
  using other = await connected();
  let heard = false;
  other.connection.arrival().then(() => heard = true);
  await sendTo(other.peer, "x");
  for await (const _ of connection.body(2 ** 40)) if (heard) break;
  assert(heard);
});

/** One turn of the event loop: what could go on without anything new has gone on then. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

integration("Connection takes a read that is over, and pauses, for no new arrival", async () => {
  const paused = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const sleep = (): Promise<void> => {
    paused.resolve();
    return goOn.promise;
  };
  const rate = new RateLimit(1000, { now: () => 0, sleep });
  await rate.take(100);
  using pair = await connected({ rate });
  pair.connection.arrival();
  await sendTo(pair.peer, "one\n");
  await paused.promise;
  assertEquals(await pair.connection.readLine(), "one");
  let arrived = false;
  const arrival = pair.connection.arrival().then(() => arrived = true);
  const more = pair.connection.moreWithin(1);
  goOn.resolve();
  assertEquals([await more, arrived], [false, false]);
  await sendTo(pair.peer, "two\n");
  await arrival;
  assertEquals(await pair.connection.readLine(), "two");
});

integration("moreWithin() tells whether more comes, and loses nothing of it", async () => {
  using pair = await connected();
  assertEquals(await pair.connection.moreWithin(1), false);
  assertEquals(await pair.connection.moreWithin(1), false);
  await sendTo(pair.peer, "put 5 a");
  assertEquals(await pair.connection.moreWithin(60_000), true);
  assertEquals(decoder.decode(pair.connection.takeBuffered()), "put 5 a");
  assertEquals(await pair.connection.moreWithin(1), false);
  // The read that was waited for is still under way, and a body has to take what it brings.
  await sendTo(pair.peer, bytes(100_000));
  assertEquals(await collect(pair.connection.body(100_000)), bytes(100_000));
  pair.peer.close();
  assertEquals(await pair.connection.moreWithin(60_000), false);
});

pure("moreWithin() counts what has come in time, also while it waits for its turn", async () => {
  const turn = Promise.withResolvers<void>();
  const reader = new BufferedReader({
    read: () => Promise.resolve(1),
    pause: () => turn.promise,
  });
  const more = reader.moreWithin(1);
  setTimeout(turn.resolve, 20);
  assertEquals(await more, true);
  assertEquals(reader.buffered.length, 1);
});

integration("a reset is told by every read behind it, whoever noticed it first", async () => {
  const noticed: Record<string, (connection: Connection) => Promise<void>> = {
    "a read that nobody waits for": (connection) => connection.arrival(),
    "a write": async (connection) => {
      let isReset = false;
      while (!isReset) await connection.write(bytes(1)).catch(() => isReset = true);
    },
  };
  for (const [what, notice] of Object.entries(noticed)) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { signal } = new AbortController();
    // A connection of Deno's own cannot be reset.
    const dialing = dialResettable(listener.addr, signal);
    const [peer, conn] = await Promise.all([dialing, listener.accept()]);
    using connection = new Connection(new TcpStream(conn), { idleTimeoutMs: 60_000 });
    peer.reset();
    await notice(connection);
    for (let times = 1; times <= 2; times++) {
      const reading = (): Promise<unknown> => connection.readLine();
      assertEquals((await assertRejects(reading, InletError)).code, "lost", what);
    }
  }
});

integration(
  "a reset is told to a socket that can be reset itself, however it is looked at",
  async () => {
    for (const look of ["touch", "closeWrite"] as const) {
      const server = createServer();
      const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      const { signal } = new AbortController();
      const stream = await dialResettable({ hostname: "127.0.0.1", port }, signal);
      const peer = await accepted;
      peer.write("ab");
      // It reads no further while a byte is left.
      assertEquals(await stream.read(new Uint8Array(1)), 1);
      const closed = new Promise((resolve) => peer.once("close", resolve));
      peer.resetAndDestroy();
      await closed;
      await stream[look]().catch(() => {});
      assertEquals(await stream.read(new Uint8Array(9)), 1);
      await assertRejects(() => stream.read(new Uint8Array(9)));
      stream.close();
      server.close();
    }
  },
);

integration("Connection is cut after the silence that it allows, with a farewell", async () => {
  using pair = await connected({ idleTimeoutMs: 100 });
  pair.connection.farewell = encodeError;
  const error = await assertRejects(() => pair.connection.readLine(), InletError, "for 0.1 s");
  assertEquals(error.code, "timeout");
  assertEquals(
    await readAll(pair.peer),
    "error timeout No data in either direction for 0.1 s\n",
  );
});

integration("Connection is cut when it has not begun in time, whatever comes", async () => {
  using pair = await connected({ greetingTimeoutMs: 300 });
  pair.connection.farewell = encodeError;
  const told = readAll(pair.peer);
  const reading = pair.connection.readLine();
  const dripping = setInterval(() => pair.peer.write(encoder.encode("x")).catch(() => {}), 20);
  const error = await assertRejects(() => reading, InletError);
  clearInterval(dripping);
  assertEquals([error.code, error.message], ["timeout", "No complete greeting within 0.3 s"]);
  assertEquals(await told, "error timeout No complete greeting within 0.3 s\n");
});

integration(
  "Connection says once that it has begun: by begun(), or by its first byte",
  async () => {
    const told: string[] = [];
    using greeting = await connected({
      greetingTimeoutMs: 60_000,
      onBegun: () => told.push("greeted"),
    });
    using other = await connected({ onBegun: () => told.push("first byte") });
    for (const { peer, connection } of [greeting, other]) {
      await sendTo(peer, "hello\nagain\n");
      await connection.readLine();
    }
    assertEquals(told, ["first byte"]);
    greeting.connection.begun();
    greeting.connection.begun();
    await other.connection.readLine();
    assertEquals(told, ["first byte", "greeted"]);
  },
);

integration("enforceMinRate() cuts who sends too slowly, until it is disposed of", async () => {
  using pair = await connected({ minRate: { bytesPerSecond: 1000, windowMs: 200 } });
  const dripping = setInterval(() => pair.peer.write(encoder.encode("x")).catch(() => {}), 20);
  try {
    {
      using _ = pair.connection.enforceMinRate();
    }
    assertEquals((await collect(pair.connection.body(30))).length, 30);
    using _ = pair.connection.enforceMinRate();
    const error = await assertRejects(() => collect(pair.connection.body(30)), InletError);
    assertEquals(error.code, "timeout");
  } finally {
    clearInterval(dripping);
  }
});

integration("Connection is not cut while it is unwatched, and is watched again then", async () => {
  using pair = await connected({ idleTimeoutMs: 50 });
  const slow = new Promise((resolve) => setTimeout(() => resolve("done"), 500));
  assertEquals(await pair.connection.unwatched(slow), "done");
  await sendTo(pair.peer, "still here\n");
  assertEquals(await pair.connection.readLine(), "still here");
  const error = await assertRejects(() => pair.connection.readLine(), InletError);
  assertEquals(error.code, "timeout");
});

integration("Connection is not cut while bytes move, one now and then", async () => {
  using pair = await connected({ idleTimeoutMs: 1500 });
  const started = performance.now();
  // Each wait is far shorter than the limit, all of them together are longer.
  const sending = (async () => {
    for (let sent = 0; sent < 20; sent++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await sendTo(pair.peer, "x");
    }
    await sendTo(pair.peer, "\n");
  })();
  assertEquals(await pair.connection.readLine(), "x".repeat(20));
  assert(performance.now() - started > 1500);
  await sending;
});

integration("abort() fails what waits, and everything after it, with the same error", async () => {
  using pair = await connected();
  const error = new InletError("shutdown", "The server is shutting down");
  const reading = pair.connection.readLine();
  pair.connection.abort(error);
  pair.connection.abort(new InletError("timeout", "a later one"));
  for (
    const action of [
      () => reading,
      () => pair.connection.readLine(),
      () => pair.connection.write(encoder.encode("x")),
      () => pair.connection.closeWrite(),
      () => collect(pair.connection.body(5)),
    ]
  ) assertEquals(await assertRejects(action), error);
  assertEquals(await readAll(pair.peer), "");
});

integration("abort() does not wait long for last words that nobody reads", async () => {
  using pair = await connected();
  pair.connection.farewell = encodeError;
  // More than any socket buffer holds, so that nothing behind it can leave.
  const writing = pair.connection.write(new Uint8Array(64 * 1024 * 1024));
  const error = new InletError("timeout", "Too slow");
  await turn();
  pair.connection.abort(error);
  assertEquals(await assertRejects(() => writing), error);
});

integration("a signal aborts the connection with its reason", async () => {
  const controller = new AbortController();
  using pair = await connected({ signal: controller.signal });
  const reading = pair.connection.readLine();
  const reason = new InletError("interrupted", "Interrupted");
  controller.abort(reason);
  assertEquals(await assertRejects(() => reading), reason);
  assertEquals(await readAll(pair.peer), "");
});

integration("send() sends a stream whole, and a line can follow it", async () => {
  using pair = await connected();
  const reading = readAll(pair.peer);
  await pair.connection.send(
    ReadableStream.from([encoder.encode("abc"), bytes(0), encoder.encode("d")]),
  );
  await pair.connection.write(encoder.encode("end\n"));
  await pair.connection.closeWrite();
  assertEquals(await reading, "abcdend\n");
});

integration("send() has no last words after a body that broke off", async () => {
  using pair = await connected();
  pair.connection.farewell = encodeError;
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield encoder.encode("half of it");
    throw new InletError("changed", "it changed");
  }
  await assertRejects(() => pair.connection.send(ReadableStream.from(broken())), InletError);
  const finishing = pair.connection.finish(new InletError("internal", "Cannot go on"));
  assertEquals(decoder.decode(await collect(pair.peer.readable)), "half of it");
  await finishing;
});

integration("abort() has no last words within a body", async () => {
  using pair = await connected();
  pair.connection.farewell = encodeError;
  const { promise, resolve } = Promise.withResolvers<void>();
  async function* waiting(): AsyncGenerator<Uint8Array> {
    yield encoder.encode("half of it");
    await promise;
    yield encoder.encode("the rest");
  }
  const sending = pair.connection.send(ReadableStream.from(waiting()));
  await pair.peer.read(new Uint8Array(10));
  const error = new InletError("shutdown", "The server is shutting down");
  pair.connection.abort(error);
  resolve();
  assertEquals(await assertRejects(() => sending), error);
  assertEquals(await readAll(pair.peer), "");
});

integration("send() stops between two chunks when it is told to", async () => {
  using pair = await connected();
  const stop = new AbortController();
  const endless = ReadableStream.from((async function* () {
    for (;;) yield await Promise.resolve(bytes(1000));
  })());
  const sending = pair.connection.send(endless, stop.signal);
  await pair.peer.read(new Uint8Array(10));
  stop.abort();
  const rest = readAll(pair.peer);
  await assertRejects(() => sending, DOMException);
  // The connection itself is as good as before.
  await pair.connection.write(encoder.encode("the end"));
  await pair.connection.closeWrite();
  assert((await rest).endsWith("the end"));
});

integration("write() says that the other side is gone", async () => {
  using pair = await connected();
  pair.peer.close();
  await pair.connection.readLine();
  const error = await assertRejects(async () => {
    for (;;) await pair.connection.write(bytes(100_000));
  }, InletError);
  assertEquals(error.code, "lost");
});

integration("finish() delivers its last words to a peer that first sends all it has", async () => {
  using pair = await connected();
  pair.connection.farewell = encodeError;
  // More than the sockets hold: closing at once would make this fail before the answer is read.
  const sending = sendTo(pair.peer, "nonsense\n")
    .then(() => sendTo(pair.peer, new Uint8Array(16 * 1024 * 1024)));
  assertEquals(await pair.connection.readLine(), "nonsense");
  const finishing = pair.connection.finish(new InletError("bad-request", "Cannot follow"));
  await sending;
  const answer = await collect(pair.peer.readable);
  assertEquals(decoder.decode(answer), "error bad-request Cannot follow\n");
  await finishing;
});

integration("finish() waits for a peer no less for a pause of this process", async () => {
  using pair = await connected();
  pair.connection.farewell = encodeError;
  const content = new Uint8Array(16 * 1024 * 1024);
  const sending = sendTo(pair.peer, content);
  const finishing = pair.connection.finish(new InletError("bad-request", "Cannot follow"));
  // For longer than it waits, nothing runs.
  const start = performance.now();
  while (performance.now() - start < 1100);
  await sending;
  assertEquals(await readAll(pair.peer), "error bad-request Cannot follow\n");
  await finishing;
});

integration("finish() waits only so long for a peer that never closes", async () => {
  using pair = await connected();
  await pair.connection.finish();
  await assertRejects(() => pair.connection.readLine(), InletError);
  assertEquals(await readAll(pair.peer), "");
});

integration("Connection holds a conversation over any stream of bytes", async () => {
  // A relay's: two streams in one process, without a socket.
  const [near, far] = pipes();
  using connection = new Connection(near, { idleTimeoutMs: 60_000 });
  await far.write(encoder.encode("hello 1 ben\nabc"));
  assertEquals(await connection.readLine(), "hello 1 ben");
  assertEquals(decoder.decode(await collect(connection.body(3))), "abc");
  assertEquals(connection.remote, "relay:1");
  await connection.write(encoder.encode("welcome\n"));
  await connection.closeWrite();
  const buffer = new Uint8Array(64);
  assertEquals(decoder.decode(buffer.subarray(0, (await far.read(buffer))!)), "welcome\n");
  assertEquals(await far.read(buffer), null);
});

/** Two ends of a stream of bytes in memory. */
function pipes(): [ByteStream, ByteStream] {
  const directions = [new TransformStream<Uint8Array>(), new TransformStream<Uint8Array>()];
  const end = (into: number, from: number): ByteStream => {
    const writer = directions[into]!.writable.getWriter();
    const reader = directions[from]!.readable.getReader();
    return {
      remote: "relay:1",
      async read(buffer): Promise<number | null> {
        const { value } = await reader.read();
        if (value) buffer.set(value);
        return value?.length ?? null;
      },
      write(bytes): Promise<number> {
        writer.write(bytes.slice()).catch(() => {});
        return Promise.resolve(bytes.length);
      },
      touch: () => Promise.resolve(),
      closeWrite(): Promise<void> {
        writer.close().catch(() => {});
        return Promise.resolve();
      },
      close: () => void reader.cancel().catch(() => {}),
      reset: () => void reader.cancel().catch(() => {}),
    };
  };
  return [end(0, 1), end(1, 0)];
}

pure("who stopped waiting for data starts no read over what another one has taken", async () => {
  let reads = 0;
  let arrive = (_bytes: Uint8Array): void => {};
  const reader = new BufferedReader({
    read: (into) => {
      reads++;
      const { promise, resolve } = Promise.withResolvers<number>();
      arrive = (bytes) => {
        into.set(bytes);
        resolve(bytes.length);
      };
      return promise;
    },
    pause: () => Promise.resolve(),
  });
  const taken = reader.readExactly(10);
  assertEquals(await nextWithin(reader as Connection, 1), "pause");
  arrive(bytes(10));
  assertEquals(await taken, bytes(10));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(reads, 1);
});

pure(
  "lookAround() waits until readers have what has arrived, however slow their turns are",
  async () => {
    const reader = new BufferedReader({
      read: (into) => Promise.resolve(new TextEncoder().encodeInto("exit\n", into).written),
      pause: () => new Promise((resolve) => setTimeout(resolve, 50)),
    });
    let line: string | null | undefined;
    reader.readLine().then((read) => line = read);
    await lookAround(() => [reader]);
    assertEquals(line, "exit");
  },
);

integration(
  "lookAround() waits until what has arrived is read, also by a busy process",
  async () => {
    using pair = await connected();
    let line: string | null | undefined;
    const reading = pair.connection.readLine().then((read) => line = read);
    await turn();
    const sending = sendTo(pair.peer, "exit\n");
    const looking = lookAround(() => [pair.connection]);
    // Its timer is due then, but not late, and is called before the read ends.
    const start = performance.now();
    while (performance.now() - start < 15);
    await looking;
    assertEquals(line, "exit");
    await Promise.all([reading, sending]);
  },
);

integration("lookAround() waits for one that writes before it reads what has arrived", async () => {
  const sleep = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
  const rate = new RateLimit(1000, { now: () => 0, sleep });
  await rate.take(100);
  using pair = await connected({ rate });
  await sendTo(pair.peer, "exit\n");
  let line: string | null | undefined;
  const conversing = pair.connection.write(encoder.encode("welcome\n"))
    .then(() => pair.connection.readLine()).then((read) => line = read);
  await lookAround(() => [pair.connection]);
  assertEquals(line, "exit");
  await conversing;
});

integration("lookAround() waits for those that come to rest while it looks", async () => {
  using pair = await connected();
  const atRest: Connection[] = [];
  let line: string | null | undefined;
  let asked = 0;
  await lookAround(() => {
    if (++asked === 2) {
      atRest.push(pair.connection);
      pair.connection.readLine().then((read) => line = read);
      sendTo(pair.peer, "exit\n");
    }
    return atRest;
  });
  assertEquals(line, "exit");
});
