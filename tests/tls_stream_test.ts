/**
 * TLS over a stream in memory: both halves of it, in pieces of any size, and with ends and errors
 * where the test wants them.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import { credentialOf } from "../lib/auth/credential.ts";
import { identityOf } from "../lib/auth/identity.ts";
import { InletError } from "../lib/errors.ts";
import type { ByteStream } from "../lib/net/byte_stream.ts";
import { connect } from "../lib/net/connect.ts";
import { acceptTls } from "../lib/net/tls_accept.ts";
import { connectTls } from "../lib/net/tls_connect.ts";
import { Dice } from "./faults/content.ts";
import { bytes, integration, KEY, startServer } from "./helpers.ts";
import { memoryPair, type MemoryStream, type Pieces } from "./memory_stream.ts";

const IDENTITY = await identityOf(new Uint8Array(32).fill(7));
const ACCEPT = { identity: () => Promise.resolve(IDENTITY), handshakeMs: 60_000 };

/** Both ends of an encrypted connection, and what is below them. */
interface Pair {
  client: ByteStream;
  server: ByteStream;
  belowClient: MemoryStream;
  belowServer: MemoryStream;
}

/** Shakes hands, and says a byte: a server knows its client by the first one. */
async function pairOf(pieces?: Pieces): Promise<Pair> {
  const [belowClient, belowServer] = memoryPair(pieces);
  const server = acceptTls(belowServer, ACCEPT);
  const first = server.read(new Uint8Array(1000));
  const client = await connectTls(belowClient, IDENTITY);
  await client.write(new Uint8Array(1));
  assertEquals(await first, 1);
  return { client, server, belowClient, belowServer };
}

async function writeAll(stream: ByteStream, content: Uint8Array, most: Pieces): Promise<void> {
  for (let at = 0; at < content.length;) {
    at += await stream.write(content.subarray(at, at + most()));
  }
}

/** Reads so many bytes, or all: their number and checksum. */
async function readOf(stream: ByteStream, count: number, most: Pieces): Promise<[number, number]> {
  let [left, crc] = [count, 0];
  while (left > 0) {
    const buffer = new Uint8Array(Math.min(left, most()));
    const read = await stream.read(buffer);
    if (read === null) break;
    crc = crc32(buffer.subarray(0, read), crc);
    left -= read;
  }
  return [count - left, crc];
}

Deno.test("TLS carries 20 MB both ways at once, in pieces of any size", async () => {
  const dice = new Dice(3);
  const any = (): number => 1 + dice.below(100_000);
  const { client, server } = await pairOf(any);
  const size = 20_000_000;
  const content = [bytes(size), bytes(size).reverse()] as const;
  const [, , down, up] = await Promise.all([
    writeAll(client, content[0], any),
    writeAll(server, content[1], any),
    readOf(client, size, any),
    readOf(server, size, any),
  ]);
  assertEquals(up, [size, crc32(content[0])]);
  assertEquals(down, [size, crc32(content[1])]);
  client.close();
  server.close();
});

Deno.test("TLS goes through byte by byte, above and below", async () => {
  const one = (): number => 1;
  const { client, server } = await pairOf(one);
  const content = bytes(300);
  assertEquals(await client.write(new Uint8Array(0)), 0);
  for (const [from, to] of [[client, server], [server, client]] as const) {
    const [, read] = await Promise.all([
      writeAll(from, content, one),
      readOf(to, content.length, one),
    ]);
    assertEquals(read, [300, crc32(content)]);
  }
  client.close();
  server.close();
});

for (const first of ["client", "server"] as const) {
  Deno.test(`TLS goes on in one direction when the ${first} has closed the other`, async () => {
    const { client, server } = await pairOf();
    const [one, other] = first === "client" ? [client, server] : [server, client];
    const content = bytes(1_000_000);
    await one.write(content.subarray(0, 10));
    await one.closeWrite();
    assertEquals((await readOf(other, 100, () => 100))[0], 10);
    const [, read] = await Promise.all([
      other.write(content).then(() => other.closeWrite()),
      readOf(one, content.length + 1, () => 100_000),
    ]);
    assertEquals(read, [content.length, crc32(content)]);
    assertEquals(await one.read(new Uint8Array(1)), null);
    client.close();
    server.close();
  });
}

Deno.test("what a write by TLS was given arrives, though this side closes right behind it", async () => {
  const { client, server } = await pairOf(() => 1000);
  const content = bytes(100_000);
  // As a note does that crosses a reply.
  const writes = [content.subarray(0, 40_000), content.subarray(40_000, 99_990)];
  const writing = writes.map((part) => client.write(part));
  const [, read] = await Promise.all([
    client.write(content.subarray(99_990)).then(() => client.close()),
    readOf(server, content.length, () => 100_000),
    ...writing,
  ]);
  assertEquals(read, [content.length, crc32(content)]);
  server.close();
});

Deno.test("a write by TLS returns once the stream below has taken all of it", async () => {
  const { client, belowClient, server } = await pairOf();
  belowClient.outgoing.limit = belowClient.outgoing.written + 20_000;
  let writes = 0;
  const writing = (async () => {
    for (;;) {
      await client.write(new Uint8Array(1000));
      writes++;
    }
  })();
  const ended = assertRejects(() => writing);
  assertEquals((await readOf(server, 19_000, () => 1000))[0], 19_000);
  assertEquals(writes, 19);
  assertEquals(belowClient.outgoing.written, belowClient.outgoing.limit);
  client.close();
  await ended;
  server.close();
});

Deno.test("TLS that nobody reads reads no more than half a megabyte ahead", async () => {
  const { client, server, belowServer } = await pairOf();
  const before = belowServer.incoming.taken;
  const writing = client.write(bytes(5_000_000)).catch(() => {});
  // All that the writer still could hand over is taken, and yet it waits.
  while (belowServer.incoming.taken - before < 500_000) await belowServer.incoming.changed();
  await idle();
  assertLess(belowServer.incoming.taken - before, 800_000);
  const [read] = await readOf(server, 5_000_000, () => 10_000);
  assertEquals(read, 5_000_000);
  await writing;
  client.close();
  server.close();
});

/** Lets everything happen that needs no event from outside. */
async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** What can be under way when a connection ends. */
const CALLS: Record<string, (stream: ByteStream) => Promise<unknown>> = {
  read: (stream) => stream.read(new Uint8Array(10)),
  write: (stream) => stream.write(new Uint8Array(1_000_000)),
  closeWrite: async (stream) => {
    stream.write(new Uint8Array(1_000_000)).catch(() => {});
    await stream.closeWrite();
  },
};

/** How a connection ends under them. */
const ENDS: Record<string, (pair: Pair) => void> = {
  "is closed here": ({ client }) => client.close(),
  "is reset here": ({ client }) => client.reset(),
  "is reset by the peer": ({ belowServer }) => belowServer.reset(),
  "brings an error": ({ belowClient }) => belowClient.incoming.end(new Error("no route")),
  "brings no TLS": ({ belowServer }) => void belowServer.write(new Uint8Array(100)),
};

for (const [call, action] of Object.entries(CALLS)) {
  for (const [how, end] of Object.entries(ENDS)) {
    Deno.test(`${call} by TLS fails when the connection ${how}`, async () => {
      const pair = await pairOf();
      const under = assertRejects(() => action(pair.client));
      await idle();
      end(pair);
      await under;
      await idle();
      await assertRejects(() => pair.client.write(new Uint8Array(1)));
      await assertRejects(() => pair.client.closeWrite());
      await assertRejects(() => pair.client.read(new Uint8Array(1)));
      pair.client.close();
      pair.client.close();
      pair.server.close();
    });
  }
}

Deno.test("bytes that are no TLS end a connection that is closed in one direction", async () => {
  const { client, server, belowClient, belowServer } = await pairOf();
  await server.closeWrite();
  await belowClient.write(new Uint8Array(100));
  const error = await assertRejects(() => server.read(new Uint8Array(10)), InletError);
  assertEquals(error.code, "untrusted");
  await idle();
  client.close();
  server.close();
  assert(belowServer.isClosed);
});

integration("a connection that is given up as its handshake is complete is not used", async () => {
  await using server = await startServer({ key: KEY });
  const { server: identity } = await credentialOf(KEY);
  const stop = new AbortController();
  const reason = new Error("enough");
  const seen = {
    ...identity,
    // It is asked for when the server has shown its certificate.
    get spki(): Uint8Array<ArrayBuffer> {
      stop.abort(reason);
      return identity.spki;
    },
  };
  const options = { timeoutMs: 60_000, signal: stop.signal, server: seen };
  const address = { hostname: "127.0.0.1", port: server.port };
  const error = await assertRejects(() => connect(address, options));
  assertEquals(error, reason);
});

Deno.test("reset() resets what is below, on both halves", async () => {
  const { client, server, belowClient, belowServer } = await pairOf();
  client.reset();
  server.reset();
  assert(belowClient.isReset && belowServer.isReset);
});

/** What a stranger can send behind a handshake that makes no sense. */
const NO_RECORDS: Record<string, Uint8Array> = {
  "nothing but zeros": new Uint8Array(100),
  "a record that cannot be decrypted": Uint8Array.of(0x17, 3, 3, 0, 30, ...bytes(30)),
  "a record that is too long": Uint8Array.of(0x17, 3, 3, 0xff, 0xff, ...bytes(100)),
  "an alert in clear": Uint8Array.of(0x15, 3, 3, 0, 2, 2, 40),
};

for (const [what, garbage] of Object.entries(NO_RECORDS)) {
  for (const half of ["client", "server"] as const) {
    Deno.test(`the ${half} half of TLS fails at ${what}`, async () => {
      const { client, server, belowClient, belowServer } = await pairOf();
      const [stream, peer] = half === "client" ? [client, belowServer] : [server, belowClient];
      await peer.write(garbage);
      const error = await assertRejects(() => stream.read(new Uint8Array(10)), InletError);
      assertEquals(error.code, "untrusted");
      client.close();
      server.close();
    });
  }
}
