/**
 * What a program can do with a client that stays connected.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { type Client, connect, type Entry, InletError, type TransferProgress } from "../client.ts";
import { writeAll } from "../lib/body/streams.ts";
import { MemoryStore } from "../docs/memory_store.ts";
import { type ClientEvent, serve } from "../server.ts";
import { fixture, integration, names, startServer, tempDir } from "./helpers.ts";
import { bytes, noise, pair, streamOf } from "./library_pair.ts";
import { relayTo } from "./relay.ts";

const QUIET = { quiet: true };

const namesOf = (entries: readonly Entry[]): string[] => entries.map(({ name }) => name);

integration("put() takes a stream, a Blob, bytes and a path, each also as large", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const large = noise(3_000_000);
  const bodies = {
    "bytes": bytes("hello\n"),
    "blob": new Blob(["hello\n"]),
    "stream": streamOf("hel", "", "lo\n"),
    "path": { path: fixture("hello.txt") },
    "url": { path: new URL("../fixtures/hello.txt", import.meta.url) },
  };
  for (const [name, body] of Object.entries(bodies)) {
    assertEquals(await client.put(name, body), { name, size: 6, crc: 0x363a3020 });
    assertEquals(Deno.readTextFileSync(`${directory}/${name}`), "hello\n");
  }
  const streamed = new Blob([large as BlobPart]).stream();
  assertEquals((await client.put("in/stream", streamed, { size: large.length })).size, 3_000_000);
  await client.put("in/blob", new Blob([large as BlobPart]));
  await client.put("in/bytes", large);
  // One chunk, larger than the wire has room for.
  await client.put("in/huge", ReadableStream.from([new Uint8Array(20_000_000)]));
  for (const name of ["stream", "blob", "bytes"]) {
    assertEquals(Deno.readFileSync(`${directory}/in/${name}`), large);
  }
  assertEquals(Deno.statSync(`${directory}/in/huge`).size, 20_000_000);
});

integration("put() stores what is empty, and numbers a name that is taken", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const empty = [new Uint8Array(), new Blob([]), streamOf(), streamOf("", "")];
  for (const [index, body] of empty.entries()) {
    const { name, size, crc } = await client.put("empty", body);
    assertEquals([name, size, crc], [index === 0 ? "empty" : `empty (${index + 1})`, 0, 0]);
    assertEquals(Deno.statSync(`${directory}/${name}`).size, 0);
  }
});

integration("put() gives a file its time and permissions, and get() tells them", async () => {
  await using both = await pair();
  const { client } = both;
  const modified = new Date("2001-02-03T04:05:06.789Z");
  await client.put("small", bytes("hello\n"), { modified, mode: 0o640 });
  await client.put("stream", streamOf("hello\n"), { modified, mode: 0o640 });
  for (const name of ["small", "stream"]) {
    const { size, body, verified } = await client.get(name);
    assertEquals([size, await new Response(body).text()], [6, "hello\n"]);
    assertEquals(await verified, { crc: 0x363a3020, modified, mode: 0o640 });
  }
});

integration("a text is no body, and a size goes with a stream alone", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const wrong: [unknown, object?][] = [["hello.txt"], [undefined], [{ path: 5 }], [[1, 2]]];
  wrong.push([bytes("a"), { size: 1 }], [streamOf("a"), { size: -1 }], [bytes("a"), {
    mode: 0o1777,
  }]);
  wrong.push([streamOf("a"), { size: 1.5 }], [streamOf("a"), { size: 2 ** 53 }]);
  wrong.push([{ path: new URL("file:///%E0") }], [{ path: fixture("hello.txt") }, { mode: 0 }]);
  wrong.push([{ path: "no such file" }], [bytes("a"), { modified: new Date(NaN) }]);
  for (const [body, options] of wrong) {
    const error = await client.put("a", body as Uint8Array, options).catch((error) => error);
    assertEquals([error.name, error.code], ["InletError", "usage"], Deno.inspect(body));
  }
  const locked = streamOf("a");
  locked.getReader();
  assertEquals((await client.put("a", locked).catch((error) => error)).code, "usage");
  assertEquals(names(directory), []);
});

integration(
  "a name that no line can hold is refused here, and others arrive as they are",
  async () => {
    await using both = await pair();
    const { client } = both;
    for (const name of ["", "a\nb", "a\rb", "\ud800", "x".repeat(5000)]) {
      for (const call of ["get", "mkdir"] as const) {
        const error = await client[call](name).catch((error) => error);
        assertEquals(error.code, name === "" ? "usage" : "bad-name", name);
      }
      assert(await client.put(name, bytes("a")).catch((error) => error) instanceof InletError);
    }
    for (const name of ["../up", "a\0b", "/", "a/"]) {
      assertEquals((await client.put(name, bytes("a")).catch((e) => e)).code, "bad-name", name);
    }
    const path = fixture("hello.txt");
    assertEquals((await client.put("a/", { path }).catch((error) => error)).code, "bad-name");
    const odd = [" a ", "put 5 a", "naïve ☕", "a;b=c", "%41", "-", "'\"$(x)", "\u202egpj.exe"];
    for (const name of odd) {
      assertEquals((await client.put(name, bytes(name))).name, name);
      assertEquals(await new Response((await client.get(name)).body).text(), name);
    }
    assertEquals(namesOf(await Array.fromAsync(client.list())).sort(), odd.sort());
  },
);

integration(
  "list() and tree() are iterables, and Array.fromAsync makes arrays of them",
  async () => {
    await using both = await pair();
    const { client, directory } = both;
    await client.put("a.txt", bytes("hello\n"), { modified: new Date(0) });
    await client.mkdir("photos/empty");
    await client.put("photos/b.jpg", bytes("jpg"));
    await Deno.symlink("b.jpg", `${directory}/photos/latest`);
    assertEquals((await Array.fromAsync(client.list()))[0], {
      ...{ name: "a.txt", kind: "file", size: 6, modified: new Date(0) },
      ...{ mode: undefined, target: undefined },
    });
    const shown: unknown[] = [];
    for await (const { name, kind, size, target } of client.tree("photos")) {
      shown.push([name, kind, size, target]);
    }
    assertEquals(shown, [
      ["photos", "folder", undefined, undefined],
      ["photos/b.jpg", "file", 3, undefined],
      ["photos/empty", "folder", undefined, undefined],
      ["photos/latest", "link", undefined, "b.jpg"],
    ]);
    assertEquals(namesOf(await Array.fromAsync(client.tree())).length, 5);
    assertEquals((await client.tree("").next().catch((error) => error)).code, "usage");
    const missing = await assertRejects(() => Array.fromAsync(client.tree("no")), InletError);
    assertEquals(missing.code, "not-found");
  },
);

integration("a list may be left early, and the client goes on", async () => {
  await using both = await pair();
  const { client, directory } = both;
  await Deno.mkdir(directory, { recursive: true });
  for (let number = 0; number < 6000; number++) {
    Deno.writeTextFileSync(`${directory}/${number}`, "");
  }
  for await (const { name } of client.list()) {
    assertEquals(name, "0");
    break;
  }
  assertEquals((await client.status()).length, 1);
  assertEquals((await Array.fromAsync(client.list())).length, 6000);
});

integration("status() tells who is there, say() and chat() reach the server", async () => {
  await using both = await pair({}, { name: "a|b" });
  const { client, server } = both;
  await using other = await connect(server.address, { name: "ben" });
  await other.chat("Hello");
  await other.chat("get up early");
  await other.say("");
  const [first, second, ...more] = await client.status();
  assertEquals(more, []);
  assertEquals([first!.id, first!.name, first!.until, first!.wire], [
    1,
    "a|b",
    undefined,
    "native",
  ]);
  assertEquals([second!.name, second!.address.split(":")[0]], ["ben", "127.0.0.1"]);
  assert(Math.abs(Date.now() - second!.since.getTime()) < 120_000);
  await other[Symbol.asyncDispose]();
  while ((await client.status())[1]!.until === undefined);
  for (const text of ["a\nb", "\ud800"]) {
    assertEquals((await client.chat(text).catch((error) => error)).code, "usage");
  }
});

integration("compare() finds the same content, also under a number", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const path = fixture("hello.txt");
  await client.put("hello.txt", { path });
  assertEquals(await client.compare("hello.txt", bytes("hello\n")), "hello.txt");
  assertEquals(await client.compare("hello.txt", bytes("jello\n")), undefined);
  assertEquals(await client.compare("hello.txt", new Blob(["hello\n"])), "hello.txt");
  assertEquals(await client.compare("other.txt", { path }), undefined);
  assertEquals(await client.compare("hello.txt", { path }), "hello.txt");
  assertEquals((await client.put("hello.txt", bytes("new"))).name, "hello (2).txt");
  assertEquals(await client.compare("hello.txt", bytes("new")), "hello (2).txt");
  const stream = streamOf("a") as unknown as Uint8Array;
  assertEquals((await client.compare("a", stream).catch((error) => error)).code, "usage");
  assertEquals(names(directory), ["hello (2).txt", "hello.txt"]);
});

integration("requests made at the same time are all right, on one connection", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const large = noise(1_500_000);
  const puts = Array.from(
    { length: 100 },
    (_, number) => client.put(`n/${number}`, bytes(`${number}`)),
  );
  const others = [client.put("large", large), client.mkdir("folder"), client.chat("hello")];
  const after = Array.from(
    { length: 20 },
    (_, number) => client.get(`n/${number}`).then(({ body }) => new Response(body).text()),
  );
  const listed = Array.fromAsync(client.list());
  const stored = await Promise.all(puts);
  assertEquals(
    stored.map(({ name }) => name),
    Array.from({ length: 100 }, (_, number) => `n/${number}`),
  );
  await Promise.all(others);
  assertEquals(await Promise.all(after), Array.from({ length: 20 }, (_, number) => `${number}`));
  assertEquals((await listed).length, 101);
  assertEquals(Deno.readFileSync(`${directory}/large`), large);
  assertEquals((await client.status()).length, 1);
});

integration("bytes that the program takes away meanwhile are not stored", async () => {
  await using both = await pair();
  const { client, directory } = both;
  for (const size of [100, 5_000_000]) {
    const room = new ArrayBuffer(size, { maxByteLength: size });
    const putting = client.put("resized", new Uint8Array(room));
    room.resize(10);
    assertEquals((await putting.catch((error) => error)).code, "changed");
    const moved = new Uint8Array(new ArrayBuffer(size));
    const other = client.put("moved", moved);
    moved.buffer.transfer();
    assertEquals((await other.catch((error) => error)).code, "changed");
  }
  assertEquals((await client.put("a", bytes("a"))).name, "a");
  assertEquals((await client.status()).length, 1);
  assertEquals(names(directory), ["a"]);
}, { sanitized: true });

integration(
  "a Blob that cannot be read fails its own put, while others are under way",
  async () => {
    class Gone extends Blob {
      override bytes(): Promise<Uint8Array<ArrayBuffer>> {
        return Promise.reject(new Error("it is gone"));
      }
    }
    await using both = await pair();
    const { client, directory } = both;
    const slow = new TransformStream<Uint8Array, Uint8Array>();
    const before = client.put("before", slow.readable);
    const failing = client.put("gone", new Gone(["hello\n"]));
    const saying = client.say(new Gone(["hello\n"]));
    // Another turn of the event loop, in which a rejection without a handler would end this process.
    await delay(0);
    await slow.writable.close();
    assertEquals((await failing.catch((error) => error)).code, "aborted");
    assertEquals((await saying.catch((error) => error)).code, "aborted");
    assertEquals((await before).name, "before");
    assertEquals(names(directory), ["before"]);
  },
  { sanitized: true },
);

integration("one put of several fails alone", async () => {
  await using both = await pair({ maxBytes: 4 });
  const { client } = both;
  const results = await Promise.allSettled([
    client.put("a", bytes("1234")),
    client.put("b", bytes("12345")),
    client.put("c", streamOf("123", "45")),
    client.put("../d", bytes("1")),
    client.put("e", bytes("1")),
  ]);
  const told = results.map((one) => one.status === "fulfilled" ? one.value.name : one.reason.code);
  assertEquals(told, ["a", "too-large", "too-large", "bad-name", "e"]);
});

/** Functions that throw, at once and by a promise. */
function throwing(error: Error): (() => unknown)[] {
  return [() => {
    throw error;
  }, () => Promise.reject(error)];
}

integration("onProgress tells all bytes, and what it throws ends the call", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const large = noise(2_000_000);
  const bodies = { large, small: bytes("hello\n"), stream: new Blob([large as BlobPart]).stream() };
  for (const [name, body] of Object.entries(bodies)) {
    const told: TransferProgress[] = [];
    const { size } = await client.put(name, body, {
      onProgress: (progress) => told.push(progress),
    });
    const isKnown = name !== "stream";
    assertEquals(told.at(-1), { bytes: size, size: isKnown ? size : undefined });
    const got: TransferProgress[] = [];
    const { body: all } = await client.get(name, { onProgress: (progress) => got.push(progress) });
    await new Response(all).bytes();
    assertEquals(got.at(-1), { bytes: size, size });
    assert(got.every((one, index) => index === 0 || one.bytes > got[index - 1]!.bytes));
  }
  const mine = new Error("mine");
  for (const onProgress of throwing(mine)) {
    assertEquals(await client.put("thrown", large, { onProgress }).catch((error) => error), mine);
    assertEquals(Deno.statSync(`${directory}/thrown`).size, large.length);
    const { body, verified } = await client.get("large", { onProgress });
    assertEquals(await new Response(body).bytes().catch((error) => error), mine);
    assertEquals(await verified.catch((error) => error), mine);
    assertEquals(await client.put("small", bytes("small"), { onProgress }).catch((e) => e), mine);
  }
});

integration("a body that is not read holds up no other request if it is small", async () => {
  await using both = await pair();
  const { client } = both;
  await client.put("small", noise(500_000));
  const { body } = await client.get("small");
  assertEquals((await Array.fromAsync(client.list())).length, 1);
  assertEquals((await new Response(body).bytes()).length, 500_000);
});

/** Makes a file of a server that takes no space: no disk has to be waited for, in whatever time. */
async function storeLarge(directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  await Deno.writeFile(`${directory}/large`, new Uint8Array());
  await Deno.truncate(`${directory}/large`, 30_000_000);
}

integration("a large body that nobody reads fails once others wait, and they go on", async () => {
  await using both = await pair({}, { timeoutMs: 2000 });
  const { client, directory } = both;
  await storeLarge(directory);
  const { body, verified } = await client.get("large");
  assertEquals((await Array.fromAsync(client.list())).length, 1);
  const error = await assertRejects(() => new Response(body).bytes(), InletError);
  assertEquals(error.code, "timeout");
  assertEquals(
    error.message,
    "Cannot go on with the answer: nothing was read of it for 2 s, and other requests wait",
  );
  assertEquals(await verified.catch((error) => error), error);
  assertEquals((await client.status()).length, 1);
});

integration("a large body waits for its reader as long as nobody else waits", async () => {
  await using both = await pair({}, { timeoutMs: 1000 });
  const { client, directory } = both;
  await storeLarge(directory);
  const { body } = await client.get("large");
  // Several times the limit on silence: this side is the silent one.
  await delay(2500);
  assertEquals((await new Response(body).bytes()).length, 30_000_000);
});

integration(
  "a body that is cancelled stops the server, and leaves the client as it was",
  async () => {
    await using both = await pair();
    const { client } = both;
    await client.put("large", new Uint8Array(200_000_000));
    const { body, verified } = await client.get("large");
    const reader = body.getReader();
    assert((await reader.read()).value!.length > 0);
    await reader.cancel("enough");
    const error = await verified.catch((error) => error);
    assertEquals([error.code, error.cause], ["interrupted", "enough"]);
    assertEquals((await Array.fromAsync(client.list())).length, 1);
    assertEquals((await client.status()).length, 1);
  },
);

integration("a client connects again where the server has ended its session", async () => {
  const { promise: left, resolve } = Promise.withResolvers<void>();
  const onClient = ({ type }: ClientEvent): void => type === "left" ? resolve() : undefined;
  await using both = await pair({ sessionTimeoutMs: 300, onClient });
  const { client } = both;
  await client.put("a", bytes("a"));
  await left;
  await client.put("b", bytes("b"));
  assertEquals((await Array.fromAsync(client.list())).length, 2);
});

/** What a server says at the end of an idle session. */
const EXPIRED = "error;unread=yes timeout No data in either direction for 600 s\n";

/** A link to a server on which the end of the first session crosses its first request. */
function crossingLinkTo({ port }: { port: number }): Disposable & {
  readonly address: { readonly hostname: string; readonly port: number };
  /** Settles when the first client is welcome: what it sends from then on is a request. */
  readonly welcomed: Promise<void>;
} {
  const stack = new DisposableStack();
  const listener = stack.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const { promise: welcomed, resolve: onWelcome } = Promise.withResolvers<void>();
  const pass = async (near: Deno.TcpConn, isFirst: boolean): Promise<void> => {
    const far = stack.use(await Deno.connect({ hostname: "127.0.0.1", port }));
    let [isWelcome, isOver] = [false, false];
    const up = async (): Promise<void> => {
      for await (const chunk of near.readable) {
        // The server reads what comes behind the end, and drops it.
        if (isOver) continue;
        isOver = isFirst && isWelcome;
        if (!isOver) await writeAll(far, chunk);
        else await writeAll(near, bytes(EXPIRED)).then(() => near.closeWrite());
      }
      await far.closeWrite();
    };
    const down = async (): Promise<void> => {
      for await (const chunk of far.readable) {
        await writeAll(near, chunk);
        isWelcome = true;
        onWelcome();
      }
      if (!isOver) await near.closeWrite();
    };
    // Either side may have gone.
    for (const direction of [up, down]) direction().catch(() => {});
  };
  const accept = async (): Promise<void> => {
    let isFirst = true;
    for await (const near of listener) {
      pass(stack.use(near), isFirst).catch(() => {});
      isFirst = false;
    }
  };
  accept().catch(() => {});
  const address = { hostname: "127.0.0.1", port: listener.addr.port };
  return { address, welcomed, [Symbol.dispose]: () => stack.dispose() };
}

integration("a call that crosses the end of its session is made again", async () => {
  await using both = await pair();
  const { server, directory } = both;
  Deno.writeFileSync(`${directory}/hello`, bytes("hello\n"));
  const large = noise(3_000_000);
  const read = async (client: Client): Promise<string> =>
    await new Response((await client.get("hello")).body).text();
  const many = ["1", "2", "3", "4", "5", "6"];
  const calls: [(client: Client) => Promise<unknown>, unknown][] = [
    [(client) => client.put("small", bytes("a")), { name: "small", size: 1, crc: 0xe8b7be43 }],
    [async (client) => (await client.put("large", large)).size, large.length],
    [read, "hello\n"],
    [async (client) => (await client.status()).length > 0, true],
    [async (client) => (await Array.fromAsync(client.tree("folder"))).length, 1],
    [(client) => client.mkdir("made"), "made"],
    [(client) => client.compare("hello", bytes("hello\n")), "hello"],
    [async (client) => (await client.put("stream", streamOf("a"))).name, "stream"],
    [async (client) => (await client.put("sized", streamOf("a"), { size: 1 })).name, "sized"],
    [(client) => client.chat("hello"), undefined],
    [(client) => client.say(""), undefined],
    [(client) => client.say(streamOf()), undefined],
    [async (client) => {
      const puts = many.map((name) => client.put(name, large.subarray(0, 400_000)));
      return (await Promise.all(puts)).map(({ name }) => name);
    }, many],
  ];
  Deno.mkdirSync(`${directory}/folder`);
  await Promise.all(calls.map(async ([call, result]) => {
    using link = crossingLinkTo(server.address);
    await using client = await connect(link.address);
    await link.welcomed;
    assertEquals(await call(client), result, String(call));
  }));
  const stored = ["folder", "hello", "large", "made", "sized", "small", "stream"];
  assertEquals(names(directory), [...many, ...stored]);
});

integration(
  "a call is made once where the server ends its body, or the store was late",
  async () => {
    const store = new MemoryStore();
    const put = store.put.bind(store);
    store.put = (...file) => {
      put(...file);
      throw new InletError("timeout", "Cannot tell what has become of it");
    };
    let clients = 0;
    const onClient = ({ type }: ClientEvent): void => void (clients += type === "came" ? 1 : 0);
    await using server = await serve({ store, timeoutMs: 300, onClient, log: QUIET });
    const calls = [
      (client: Client) => client.put("small", bytes("a")),
      (client: Client) => client.put("large", new ReadableStream()),
      (client: Client) => client.say(new ReadableStream()),
    ];
    for (const [index, call] of calls.entries()) {
      await using client = await connect(server.address);
      assertEquals(await call(client).catch(({ code }) => code), "timeout", String(call));
      assertEquals(clients, index + 1, String(call));
    }
    assertEquals((await Array.fromAsync(store.list())).flat().map(({ name }) => name), ["small"]);
  },
);

for (const way of ["end", "reset"] as const) {
  integration(`with retries, a body goes on after its connection is lost (${way})`, async () => {
    await using local = await tempDir();
    await using server = await serve({ directory: local.path, log: QUIET });
    const { port } = server.address;
    const all = noise(8_000_000);
    Deno.writeFileSync(`${local.path}/large`, all);
    using relay = await relayTo({ port, key: undefined }, {
      direction: "down",
      bytes: 3_000_000,
      way,
    });
    const notices: string[] = [];
    await using client = await connect(relay, {
      retries: 3,
      onNotice: (text) => notices.push(text),
    });
    const { body, verified } = await client.get("large");
    assertEquals(await new Response(body).bytes(), all);
    assertEquals((await verified).crc, (await client.put("again", all)).crc);
    assert(relay.cut);
    assert(notices.some((text) => text.includes("trying again")), notices.join("\n"));
  });
}

integration("with retries, a put is made once, whatever became of its answer", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: QUIET });
  const { port } = server.address;
  const small = bytes("hello\n");
  // In the answer to the put, which is made by then.
  const cut = {
    direction: "down",
    bytes: "welcome client 1 of 100\nok".length,
    way: "end",
  } as const;
  using relay = await relayTo({ port, key: undefined }, cut);
  await using client = await connect(relay, { retries: 3 });
  assertEquals((await client.put("small", small)).name, "small");
  assert(relay.cut);
  assertEquals(names(local.path), ["small"]);
});

integration("with retries, neither a stream nor a message is begun a second time", async () => {
  const large = new Blob([noise(3_000_000) as BlobPart]);
  const calls = [
    (client: Client): Promise<unknown> => client.put("a", large.stream()),
    (client: Client): Promise<unknown> => client.say(large),
  ];
  for (const call of calls) {
    await using server = await startServer();
    using relay = await relayTo(server, { direction: "up", bytes: 1_000_000, way: "reset" });
    await using client = await connect(relay, { retries: 3 });
    const failure = await call(client).then(() => undefined, (error) => error);
    assertEquals(failure?.code, "lost");
    await client.chat("hello");
    assert(!names(server.dir).includes("a"));
  }
});

integration("get() goes on behind the beginning that the program has", async () => {
  await using both = await pair();
  const { client } = both;
  const all = noise(5_000_000);
  const { crc } = await client.put("large", all);
  const told: TransferProgress[] = [];
  for (const bytes of [0, 1, 3_000_000, 5_000_000]) {
    const kept = { bytes, crc: crc32(all.subarray(0, bytes)) };
    const { size, body, verified } = await client.get("large", {
      ...{ kept, onProgress: (progress) => told.push(progress) },
    });
    assertEquals(size, all.length);
    assertEquals(await new Response(body).bytes(), all.slice(bytes));
    assertEquals((await verified).crc, crc);
    assertEquals(told.at(-1), { bytes: all.length, size: all.length });
  }
  for (const kept of [{ bytes: 3_000_000, crc: 1 }, { bytes: 6_000_000, crc }]) {
    const error = await client.get("large", { kept }).catch((error) => error);
    assertEquals(error.code, "changed");
    assertMatch(error.message, /^Cannot continue "large": the file on the server is no longer/);
  }
  await client.put("empty", bytes(""));
  const none = await client.get("empty", { kept: { bytes: 1, crc: 1 } }).catch((error) => error);
  assertEquals(none.code, "changed");
  const wrong = await client.get("large", { kept: { bytes: -1, crc: 0 } }).catch((error) => error);
  assertEquals(wrong.code, "usage");
  assertEquals((await client.status()).length, 1);
});

integration(
  "a body whose file is another one after a lost connection fails, and no more",
  async () => {
    await using local = await tempDir();
    await using server = await serve({ directory: local.path, log: QUIET });
    const large = `${local.path}/large`;
    for (const size of [8_000_000, 9_000_000, 0]) {
      Deno.writeFileSync(large, noise(8_000_000));
      const onCut = (): void => Deno.writeFileSync(large, noise(size));
      const cut = { direction: "down", bytes: 3_000_000, way: "end", onCut } as const;
      using relay = await relayTo({ port: server.address.port, key: undefined }, cut);
      await using client = await connect(relay, { retries: 3 });
      const { body } = await client.get("large");
      const error = await new Response(body).bytes().catch((error) => error);
      assertEquals(error.code, "changed", `${size}`);
      assertEquals((await Array.fromAsync(client.list())).length, 1);
    }
  },
);

integration("connect() takes the address of a server on a Unix socket, too", async () => {
  await using local = await tempDir();
  const path = `${local.path}/socket`;
  await using server = await serve({ path, directory: `${local.path}/inbox`, log: QUIET });
  await using client = await connect(server.address);
  const large = noise(3_000_000);
  await client.put("large", large);
  assertEquals(await new Response((await client.get("large")).body).bytes(), large);
});

integration("what onNotice throws ends the call, once it is made", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: QUIET });
  const cut = { direction: "down", bytes: 3_000_000, way: "end" } as const;
  Deno.writeFileSync(`${local.path}/large`, noise(8_000_000));
  const mine = new Error("mine");
  for (const onNotice of throwing(mine)) {
    using relay = await relayTo({ port: server.address.port, key: undefined }, cut);
    await using client = await connect(relay, { retries: 3, onNotice });
    const { body } = await client.get("large");
    assertEquals(await new Response(body).bytes().catch((error) => error), mine);
    assertEquals((await client.put("a", bytes("a"))).size, 1);
  }
});

integration(
  "without retries, a lost connection fails the call, and the next one connects",
  async () => {
    await using local = await tempDir();
    await using server = await serve({ directory: local.path, log: QUIET });
    const { port } = server.address;
    Deno.writeFileSync(`${local.path}/large`, noise(8_000_000));
    const cut = { direction: "down", bytes: 3_000_000, way: "reset" } as const;
    using relay = await relayTo({ port, key: undefined }, cut);
    await using client = await connect(relay);
    const { body, verified } = await client.get("large");
    const error = await assertRejects(() => new Response(body).bytes(), InletError);
    assertEquals([error.code, await verified.catch((error) => error)], ["lost", error]);
    assertEquals((await Array.fromAsync(client.list())).length, 1);
  },
);

for (const isUntold of [false, true]) {
  const how = isUntold ? ", of whose end the server knows nothing" : "";
  integration(
    `with resume, a file at a path continues what a broken put has left${how}`,
    async () => {
      await using local = await tempDir();
      await local.write("large", "x".repeat(8_000_000));
      const directory = `${local.path}/received`;
      await using server = await serve({ directory, log: QUIET });
      const { port } = server.address;
      const cut = { direction: "up", bytes: 5_000_000, way: "end", isUntold } as const;
      using relay = await relayTo({ port, key: undefined }, cut);
      const notices: string[] = [];
      await using client = await connect(relay, {
        resume: true,
        onNotice: (text) => notices.push(text),
      });
      const path = `${local.path}/large`;
      await assertRejects(() => client.put("large", { path }), InletError);
      const told: TransferProgress[] = [];
      await client.put("large", { path }, { onProgress: (progress) => told.push(progress) });
      assert(notices.some((text) => text.includes("resuming")), notices.join("\n"));
      assertEquals(told.at(-1), { bytes: 8_000_000, size: 8_000_000 });
      assertEquals(names(directory), ["large"]);
    },
  );
}
