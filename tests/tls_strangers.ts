/**
 * Strangers at the port of a server with a key: what each sends, and how it stays or leaves.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { PublicIdentity } from "../lib/auth/identity.ts";
import type { ByteStream } from "../lib/net/byte_stream.ts";
import { dialResettable } from "../lib/net/node_stream.ts";
import { connectTls } from "../lib/net/tls_connect.ts";
import { bytes } from "./helpers.ts";

/** What a stranger does on its connection. It knows the server by its public key at most. */
export type Visit = (stream: ByteStream, server: PublicIdentity) => Promise<unknown>;

/** The first flight of a client that speaks TLS up to that version. */
async function helloOf(maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const encrypted = new Duplex({
    read() {},
    write: (chunk: Uint8Array, _encoding, done) => (resolve(chunk), done()),
  });
  const socket = connect({
    ...{ socket: encrypted, servername: "", minVersion: "TLSv1.2", maxVersion },
  });
  socket.on("error", () => {});
  const hello = await promise;
  socket.destroy();
  return hello;
}

const HELLO = await helloOf("TLSv1.3");
const OLD_HELLO = await helloOf("TLSv1.2");
const NOISE = bytes(40_000);

/** A record: its type, its length, or another one that it claims, and its content. */
function record(type: number, content: Uint8Array, length = content.length): Uint8Array {
  return concat([Uint8Array.of(type, 3, 3, length >> 8, length & 0xff), content]);
}

/** A hello with another length of the message within the record. */
function helloThatClaims(length: number): Uint8Array {
  const hello = HELLO.slice();
  hello.set([length >> 16, (length >> 8) & 0xff, length & 0xff], 6);
  return hello;
}

/** Reads until the server ends it, in whatever way. */
async function stay(stream: ByteStream): Promise<void> {
  const buffer = new Uint8Array(65_536);
  while (await stream.read(buffer).catch(() => null) !== null);
}

/** Says it all, as far as the server takes it. */
async function say(stream: ByteStream, content: Uint8Array): Promise<void> {
  for (let said = 0; said < content.length;) {
    said += await stream.write(content.subarray(said)).catch(() => Infinity);
  }
}

/** Says that, and stays for as long as it is let. */
function sayAndStay(...contents: Uint8Array[]): Visit {
  return async (stream) => {
    await say(stream, concat(contents));
    await stay(stream);
  };
}

/** More than a connection holds on its way. */
function endless(): Uint8Array {
  return concat(new Array<Uint8Array>(10).fill(NOISE));
}

/** Says that, and more than anybody takes. */
function pour(...contents: Uint8Array[]): Visit {
  return async (stream) => {
    await say(stream, concat([...contents, endless()]));
    await stay(stream);
  };
}

/** Shakes hands, and then does that with the encrypted side, and the one below. */
function secured(visit: (inside: ByteStream, below: ByteStream) => Promise<unknown>): Visit {
  return async (below, server) => await visit(await connectTls(below, server), below);
}

/** Those whom the server sends away for what they say. */
export const IMPOSSIBLE: Readonly<Record<string, Visit>> = {
  "a hello of TLS 1.2": sayAndStay(OLD_HELLO),
  "0x16 0x03, and noise": sayAndStay(Uint8Array.of(0x16, 3), NOISE.subarray(0, 500)),
  "0x16, and noise": sayAndStay(Uint8Array.of(0x16), NOISE.subarray(0, 500)),
  "0x16, and noise without an end": pour(Uint8Array.of(0x16)),
  "a hello that claims to be shorter": sayAndStay(helloThatClaims(20)),
  "a hello that claims 16 MiB": pour(helloThatClaims(0xff_ffff)),
  "a record that claims 64 KiB": pour(record(0x16, NOISE.subarray(0, 100), 0xffff)),
  "a record of 20,000 bytes": sayAndStay(record(0x16, NOISE.subarray(0, 20_000))),
  "an alert behind a hello": sayAndStay(HELLO, record(0x15, Uint8Array.of(2, 40))),
  "data behind a hello": sayAndStay(HELLO, record(0x17, NOISE.subarray(0, 100))),
  "two hellos": sayAndStay(HELLO, HELLO),
  "an alert": sayAndStay(record(0x15, Uint8Array.of(2, 40))),
  "data": sayAndStay(record(0x17, NOISE.subarray(0, 100))),
  "noise behind a handshake": secured(async (inside, below) => {
    await say(below, NOISE.subarray(0, 1000));
    await stay(inside);
  }),
  "noise without an end behind a handshake": secured(async (inside, below) => {
    await say(below, endless());
    await stay(inside);
  }),
};

/** Those who leave by themselves. */
export const LEAVING: Readonly<Record<string, Visit>> = {
  "half a hello, and an end": async (stream) => {
    await say(stream, HELLO.subarray(0, 100));
    await stream.closeWrite();
    await stay(stream);
  },
  "0x16, and an end": async (stream) => {
    await say(stream, Uint8Array.of(0x16));
    await stream.closeWrite();
    await stay(stream);
  },
  "a hello, and an end": async (stream) => {
    await say(stream, HELLO);
    await stream.closeWrite();
    await stay(stream);
  },
  "a hello, and a reset": async (stream) => {
    await say(stream, HELLO);
    await stream.read(new Uint8Array(1));
    stream.reset();
  },
  "half a hello, and a reset": async (stream) => {
    await say(stream, HELLO.subarray(0, 100));
    stream.reset();
  },
  "a hello that begins byte by byte": async (stream) => {
    for (const byte of HELLO.subarray(0, 60)) await say(stream, Uint8Array.of(byte));
    await say(stream, HELLO.subarray(60));
    await stream.read(new Uint8Array(1));
  },
  "a handshake, and a reset": secured((inside) => Promise.resolve(inside.reset())),
  "a handshake, and an end": secured(async (inside) => {
    await inside.closeWrite();
    await stay(inside);
  }),
};

/** Those who stay, and say nothing more: the server has a limit for them. */
export const SILENT: Readonly<Record<string, Visit>> = {
  "half a hello, and silence": sayAndStay(HELLO.subarray(0, 100)),
  "0x16, and silence": sayAndStay(Uint8Array.of(0x16)),
  "a hello, and silence": sayAndStay(HELLO),
};

/** Makes a visit to a server, which the signal breaks off. */
export async function visit(
  { port }: { readonly port: number },
  how: Visit,
  server: PublicIdentity,
  signal = new AbortController().signal,
): Promise<void> {
  const address = { hostname: "127.0.0.1", port };
  const stream = await dialResettable(address, new AbortController().signal);
  const close = (): void => stream.close();
  signal.addEventListener("abort", close);
  try {
    await how(stream, server);
  } catch {
    // The server had enough of it.
  } finally {
    signal.removeEventListener("abort", close);
    stream.close();
  }
}
