/**
 * Mode talk over streams in memory: how a file is received and sent within limits, and when the client
 * hints at a dialogue.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { delay } from "@std/async/delay";
import { clientWire, type WireOptions } from "../client/wire_options.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import { InletError } from "../lib/errors.ts";
import type { ByteStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import type { ConnectionOptions } from "../lib/net/connection_options.ts";
import { Log } from "../lib/server/log.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { TalkClient } from "../modes/talk/client.ts";
import { Drip } from "../modes/talk/pauses.ts";
import {
  RECEIVE_LIMITS,
  type Received,
  receiveFile,
  type ReceiveLimits,
} from "../modes/talk/receive_file.ts";
import { serveTalkGet } from "../modes/talk/serve_get.ts";
import { bytes, pure } from "./helpers.ts";

/** Milliseconds of silence that no test waits out, unless it fails. */
const LONG_MS = 10_000;

/** What a peer says, piece by piece. It is silent after the last one. */
type Pieces = AsyncGenerator<string | Uint8Array, void>;

/** Options of {@linkcode connectTo}. */
interface PeerOptions extends Partial<ConnectionOptions> {
  /**
   * Whether it reads what is written.
   *
   * @default {true}
   */
  reads?: boolean;
  /** Called with what it reads. */
  onRead?(text: string): void;
}

/** A connection to a peer that says this. */
function connectTo(
  peer: Pieces,
  { reads = true, onRead, ...options }: PeerOptions = {},
): Connection {
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => {});
  let rest = new Uint8Array();
  const stream: ByteStream = {
    remote: "127.0.0.1:1",
    async read(into) {
      if (rest.length === 0) {
        const { value, done } = await Promise.race([peer.next(), closed.promise]);
        if (done) return await closed.promise;
        rest = typeof value === "string" ? new TextEncoder().encode(value) : value.slice();
      }
      const count = Math.min(into.length, rest.length);
      into.set(rest.subarray(0, count));
      rest = rest.slice(count);
      return count;
    },
    async write(chunk) {
      if (!reads) return await closed.promise;
      onRead?.(new TextDecoder().decode(chunk));
      return chunk.length;
    },
    touch: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    close: () => closed.reject(new InletError("lost", "closed")),
    reset: () => closed.reject(new InletError("lost", "reset")),
  };
  return new Connection(stream, { idleTimeoutMs: LONG_MS, ...options });
}

async function* saying(...pieces: (string | Uint8Array)[]): Pieces {
  yield* pieces;
}

/** Says this, and then a byte at a time, each within a pause, for longer than any limit here. */
async function* dripping(first: string): Pieces {
  yield first;
  for (let count = 0; count < 500; count++) {
    await delay(5);
    yield "1";
  }
}

function wireContext(timeoutMs: number, wire: WireOptions): WireContext {
  return {
    timeoutMs,
    wire: clientWire({ lineGapMs: 50, ...wire }),
    progress: { expect() {}, add() {} },
    onNotice() {},
  } as unknown as WireContext;
}

/** Receives `a.txt` from a server that answers so. */
async function receive(
  answer: Pieces,
  { limits, timeoutMs = LONG_MS, onRead, ...wire }:
    & WireOptions
    & Pick<PeerOptions, "onRead">
    & { limits?: Partial<ReceiveLimits>; timeoutMs?: number } = {},
): Promise<Received & { stored: number }> {
  using connection = connectTo(answer, onRead ? { onRead } : {});
  await connection.peek();
  let stored = 0;
  const received = await receiveFile(connection, {
    name: "a.txt",
    request: "get a.txt",
    endsLines: false,
    isBare: false,
    target: { write: (chunk) => void (stored += chunk.length) },
    context: wireContext(timeoutMs, wire),
    limits: { ...RECEIVE_LIMITS, ...limits },
  });
  return { ...received, stored };
}

pure("RECEIVE_LIMITS are those of PROTOCOL.md", () => {
  const limits = { patientGaps: 10, mostUnsizedBytes: 2 ** 30, leastBytes: 1024 };
  assertEquals(RECEIVE_LIMITS, limits);
});

pure("receiveFile() takes a file without a size up to its limit, and no more", async () => {
  const limits = { mostUnsizedBytes: 5000 };
  const { stored } = await receive(saying(bytes(4997), "EOF"), { limits });
  assertEquals(stored, 4997);
  const pieces = Array.from({ length: 6 }, () => bytes(1000));
  const error = await assertRejects(() => receive(saying(...pieces), { limits }), InletError);
  assertEquals(error.code, "checksum");
  assertEquals(error.message, 'Cannot get "a.txt": it does not end within 4.88 KiB');
});

pure("receiveFile() waits for a late marker for more than a pause, but not for ever", async () => {
  const late = async function* (): Pieces {
    yield "hello\n";
    await delay(150);
    yield "EOF";
  };
  assertEquals((await receive(late())).stored, 6);
  const limits = { patientGaps: 2 };
  await assertRejects(
    () => receive(saying("hello\n"), { limits }),
    InletError,
    "nothing proves that this is all",
  );
});

for (const first of ["hello", "FILE a.txt ", "FILESIZE 999999999999999\n", "FILESIZE 1"]) {
  const what = `receiveFile() gives up a server that drips behind ${JSON.stringify(first)}`;
  pure(what, async () => {
    const given = { timeoutMs: 200, acceptUnproved: true };
    const error = await assertRejects(() => receive(dripping(first), given), InletError);
    assertEquals(error.code, "timeout");
    assertEquals(error.message, 'Cannot get "a.txt": fewer than 1,024 bytes came in 0.2 s');
  });
}

pure("receiveFile() says READY as --line-end has it", async () => {
  for (const [lineEnd, ready] of [[false, "READY"], [true, "READY\n"]] as const) {
    const said: string[] = [];
    const onRead = (text: string): void => void said.push(text);
    const peer = async function* (): Pieces {
      yield "FILESIZE 6\n";
      while (said.length === 0) await delay(1);
      yield "hello\n";
    };
    const { stored } = await receive(peer(), { lineEnd, onRead });
    assertEquals([stored, said], [6, [ready]]);
  }
});

pure("Drip ends what brings too little in a window, and nothing else", () => {
  const make = () =>
    new Drip({ windowMs: 100, leastBytes: 10 }, () => new InletError("timeout", "too slow"));
  const enough = make();
  for (let count = 0; count < 100; count++) enough.count(5, 60);
  const little = make();
  little.count(4, 60);
  assertThrows(() => little.count(5, 60), InletError, "too slow");
  const ended = make();
  ended.count(4, 60);
  ended.count(0, 60);
});

/** A context of the server that has one file, of these chunks. */
function serving(chunks: AsyncIterable<Uint8Array>): ServerContext {
  const file = { size: 5000, stream: () => chunks, [Symbol.dispose]() {} };
  return {
    access: "all",
    client: {},
    log: new Log({ quiet: true }),
    store: { open: () => Promise.resolve(file) },
    wire: { getMarker: new Uint8Array() },
  } as unknown as ServerContext;
}

pure("serveTalkGet() gives up a client that does not read for --timeout", async () => {
  const patience = { idleTimeoutMs: 100, patienceMs: 2000, reads: false };
  using connection = connectTo(saying(), patience);
  const giving = serveTalkGet(
    connection,
    serving(ReadableStream.from([bytes(5000)])),
    "get a.txt",
    new Uint8Array(),
  );
  await assertRejects(() => giving, InletError, "No data in either direction for 0.1 s");
});

pure("serveTalkGet() leaves the connection as patient as it was, whatever happens", async () => {
  const failing = async function* () {
    yield bytes(1000);
    throw new InletError("internal", "no more");
  };
  for (const chunks of [ReadableStream.from([bytes(5000)]), failing()]) {
    using connection = connectTo(saying(), { patienceMs: LONG_MS });
    const nothing = new Uint8Array();
    await serveTalkGet(connection, serving(chunks), "get\t a.txt ", nothing).catch(() => {});
    assert(connection.patient);
  }
});

/** Greets a server that says this, and talks to it. Returns how often it hinted, and still does. */
async function hintsAt(greeting: Pieces, talks: boolean): Promise<{ made: number; left: number }> {
  let asked = Promise.withResolvers<void>();
  const peer = async function* (): Pieces {
    yield* greeting;
    for (;;) {
      await asked.promise;
      asked = Promise.withResolvers();
      yield "Hello ACK";
    }
  };
  const onRead = (text: string): void => text === "Hello" ? asked.resolve() : undefined;
  using connection = connectTo(peer(), { onRead });
  const hints = { made: 0, left: 0 };
  const hint = (): Disposable => {
    hints.made++;
    hints.left++;
    return { [Symbol.dispose]: () => void hints.left-- };
  };
  const client = await TalkClient.greet(connection, wireContext(LONG_MS, {}), {
    name: "Ann",
    hint,
  });
  for (let count = 0; talks && count < 2; count++) await client.ask("Hello");
  return hints;
}

pure("TalkClient hints at a dialogue until the server has said something", async () => {
  assertEquals(await hintsAt(saying("Client01"), false), { made: 1, left: 0 });
  // While it waits for a greeting, for an answer to its name, and for the first answer.
  assertEquals(await hintsAt(saying(), true), { made: 3, left: 0 });
});

pure("TalkClient bounds what a server says unasked", async () => {
  const greeted = Promise.withResolvers<void>();
  const peer = async function* (): Pieces {
    yield "Client01";
    await greeted.promise;
    for (let count = 0; count < 17; count++) yield bytes(1024 * 1024);
  };
  using connection = connectTo(peer());
  const opening = { name: "Ann", hint: () => undefined };
  const client = await TalkClient.greet(connection, wireContext(LONG_MS, {}), opening);
  greeted.resolve();
  const said = "The server said more than 16 MiB unasked";
  await assertRejects(() => client.rest(new Promise(() => {})), InletError, said);
  assert(client.ended);
});
