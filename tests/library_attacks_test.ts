/**
 * A client of the library whose signal, body, server or program does the worst at any moment. Each of
 * these tests fails if anything is left open.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { connect, type InletError, RateLimit } from "../client.ts";
import { serve } from "../server.ts";
import { freePort, integration, names, PROC, run, startServer, tempDir } from "./helpers.ts";
import { bytes, endless, noise, pair, streamOf, visit } from "./library_pair.ts";

const QUIET = { quiet: true };
const SANITIZED = { sanitized: true };

/** What a promise is rejected with. */
function reasonOf(promise: Promise<unknown>): Promise<InletError> {
  return promise.then(() => {
    throw new Error("it was kept");
  }, (error) => error);
}

integration("connect() tells by a code why it has failed", async () => {
  await using local = await tempDir();
  const key = "a key of sixteen characters";
  await using server = await serve({ directory: local.path, key, log: QUIET });
  const { address } = server;
  const other = { key: "another key altogether" };
  assertEquals((await reasonOf(connect(address, other))).code, "untrusted");
  assertEquals((await reasonOf(connect(address))).code, "denied");
  await server.shutdown(0);
  assertEquals((await reasonOf(connect(address, { key }))).code, "lost");
  await using small = await serve({ directory: local.path, maxClients: 1, log: QUIET });
  await using client = await connect(small.address);
  await client.chat("hello");
  assertEquals((await reasonOf(connect(small.address))).code, "busy");
  const wrong = [[undefined], [address, { name: "a\nb" }], [{ hostname: "x" }], [address, {
    retries: -1,
  }], [address, {
    key: 5,
  }]];
  for (const given of wrong) {
    const connecting = (connect as (...given: unknown[]) => Promise<unknown>)(...given);
    assertEquals((await reasonOf(connecting)).code, "usage");
  }
}, SANITIZED);

integration("a signal gives up connecting to a server that says nothing", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const connecting = reasonOf(connect(silent.addr, { signal: controller.signal }));
  using _ = await silent.accept();
  controller.abort("enough");
  assertEquals(await connecting as unknown, "enough");
  const before = await reasonOf(connect(silent.addr, { signal: AbortSignal.abort("before") }));
  assertEquals(before as unknown, "before");
}, SANITIZED);

integration("a put that is given up before it is made cancels its body", async () => {
  await using both = await pair();
  const { stream, ended } = endless("hello");
  const putting = reasonOf(both.client.put("a", stream, { signal: AbortSignal.abort("enough") }));
  assertEquals([await putting, await ended] as unknown, ["enough", "enough"]);
}, SANITIZED);

integration("a put whose body never ends is given up by its signal, and cancelled", async () => {
  await using both = await pair();
  const { client, directory } = both;
  for (const size of [undefined, 1000]) {
    const controller = new AbortController();
    const { stream, ended } = endless("hello");
    const putting = reasonOf(client.put("a", stream, {
      ...{ signal: controller.signal, size },
      onProgress: () => controller.abort("enough"),
    }));
    assertEquals(await putting as unknown, "enough");
    await ended;
    assertEquals((await client.put("b", bytes("b"))).size, 1);
    while (names(directory).includes("(in flight)")) await client.chat("wait");
  }
  assertEquals(names(directory), ["b", "b (2)"]);
}, SANITIZED);

integration("a request that waits is given up by its signal, and never made", async () => {
  await using both = await pair();
  const { client, directory } = both;
  const first = new AbortController();
  const { stream } = endless("hello");
  const held = reasonOf(client.put("a", stream, { signal: first.signal }));
  const second = new AbortController();
  const { signal } = second;
  const waiting = [
    client.put("b", bytes("b"), { signal }),
    client.put("c", streamOf("c"), { signal }),
    client.get("d", { signal }),
    Array.fromAsync(client.list({ signal })),
    client.status({ signal }),
    client.say("hello", { signal }),
    client.chat("hello", { signal }),
    client.mkdir("e", { signal }),
    client.compare("f", bytes("f"), { signal }),
  ].map(reasonOf);
  second.abort("enough");
  for (const reason of await Promise.all(waiting)) assertEquals(reason as unknown, "enough");
  first.abort("at last");
  assertEquals(await held as unknown, "at last");
  assertEquals((await client.put("g", bytes("g"))).name, "g");
  assertEquals(names(directory), ["g"]);
  assertEquals(await reasonOf(client.mkdir("h", { signal })) as unknown, "enough");
}, SANITIZED);

integration("a body and a list that are given up fail with the reason of the signal", async () => {
  await using both = await pair();
  const { client, directory } = both;
  await client.put("large", new Uint8Array(50_000_000));
  for (let number = 0; number < 10_000; number++) {
    Deno.writeTextFileSync(`${directory}/${number}`, "");
  }
  const controller = new AbortController();
  const { body, verified } = await client.get("large", { signal: controller.signal });
  const list = client.list({ signal: controller.signal });
  controller.abort("enough");
  assertEquals(await reasonOf(new Response(body).bytes()) as unknown, "enough");
  assertEquals(await reasonOf(verified) as unknown, "enough");
  assertEquals(await reasonOf(list.next()) as unknown, "enough");
  const later = new AbortController();
  const listing = client.list({ signal: later.signal });
  await listing.next();
  later.abort("later");
  assertEquals(await reasonOf(Array.fromAsync(listing)) as unknown, "later");
  assertEquals((await Array.fromAsync(client.list())).length, 10_001);
  assertEquals((await client.status()).length, 1);
}, SANITIZED);

integration(
  "a body that fails or lies about its size stores nothing, and the client goes on",
  async () => {
    await using both = await pair();
    const { client, directory } = both;
    const failing = (): ReadableStream<Uint8Array> => {
      let isFirst = true;
      return new ReadableStream({
        pull(controller): void {
          if (!isFirst) throw new TypeError("boom");
          isFirst = false;
          controller.enqueue(bytes("hello"));
        },
      });
    };
    for (const size of [undefined, 10]) {
      const error = await reasonOf(client.put("a", failing(), { size }));
      assertEquals([error.code, error.message], [
        "aborted",
        'Cannot send "a": its body failed: boom',
      ]);
      assert(error.cause instanceof TypeError);
    }
    for (
      const [size, why] of [[6, "it ended after 5 of 6 bytes"], [
        4,
        "it has more than 4 bytes",
      ]] as const
    ) {
      const error = await reasonOf(client.put("a", streamOf("hel", "lo"), { size }));
      assertEquals([error.code, error.message], ["changed", `Cannot send "a": ${why}`]);
    }
    const noBytes = ReadableStream.from(["hello"]) as ReadableStream<unknown>;
    const error = await reasonOf(client.put("a", noBytes as ReadableStream<Uint8Array>));
    assertEquals(error.message, 'Cannot send "a": its chunks are no Uint8Array');
    assertEquals((await client.put("b", streamOf("b"))).name, "b");
    // That some connections have ended is known there a moment later.
    while (names(directory).includes("(in flight)")) await client.chat("wait");
    assertEquals(names(directory), ["b"]);
  },
  SANITIZED,
);

integration(
  "a Blob of a file that is gone fails its put, and none that is given up is left",
  async () => {
    await using both = await pair();
    const { client, directory } = both;
    class Gone extends Blob {
      override bytes(): Promise<Uint8Array<ArrayBuffer>> {
        return Promise.reject(new Deno.errors.NotFound("gone"));
      }
    }
    const results = await Promise.all([
      client.put("a", bytes("a")),
      reasonOf(client.put("b", new Gone(["b"]))),
      client.put("c", bytes("c")),
      reasonOf(client.put("d", new Gone(["d"]), { signal: AbortSignal.abort("enough") })),
    ]);
    assertEquals((results[1] as InletError).code, "aborted");
    assertEquals(results[3] as unknown, "enough");
    assertEquals(names(directory), ["a", "c"]);
  },
  SANITIZED,
);

integration("a stream that stalls loses its put, and no call behind it", async () => {
  await using both = await pair({ timeoutMs: 1000 });
  const { client, directory } = both;
  for (const size of [undefined, 100]) {
    const { stream, ended } = endless("hello");
    const putting = reasonOf(client.put("a", stream, { size }));
    await client.put("b", bytes("b"));
    assertEquals((await putting).code, "timeout");
    assertEquals((await ended as InletError).code, "timeout");
    while (names(directory).includes("(in flight)")) await client.chat("wait");
  }
  assertEquals(names(directory), ["b", "b (2)"]);
}, SANITIZED);

integration("a body that the server refuses is cancelled", async () => {
  await using both = await pair({ maxBytes: 3 });
  const { client } = both;
  const { stream, ended } = endless("hello");
  assertEquals((await reasonOf(client.put("a", stream))).code, "too-large");
  assertEquals((await ended as InletError).code, "too-large");
}, SANITIZED);

integration("the end of a client ends what is under way, at once and for good", async () => {
  await using both = await pair();
  const { client, directory } = both;
  await client.put("large", new Uint8Array(50_000_000));
  const { body, verified } = await client.get("large");
  const { stream, ended } = endless("hello");
  const calls = [
    client.put("a", stream),
    client.put("b", bytes("b")),
    client.get("large"),
    client.chat("hello"),
    Array.fromAsync(client.list()),
  ].map(reasonOf);
  await Promise.all([client[Symbol.asyncDispose](), client[Symbol.asyncDispose]()]);
  await client[Symbol.asyncDispose]();
  for (const { code } of await Promise.all(calls)) assertEquals(code, "closed");
  assertEquals((await reasonOf(new Response(body).bytes())).code, "closed");
  assertEquals((await reasonOf(verified)).code, "closed");
  assertEquals((await ended as InletError).code, "closed");
  assertEquals((await reasonOf(client.put("c", bytes("c")))).code, "closed");
  assertEquals((await reasonOf(client.list().next())).code, "closed");
  assertEquals(names(directory), ["large"]);
}, SANITIZED);

integration(
  "each put to a server that is gone fails, and so does each put of an ended client",
  async () => {
    await using both = await pair();
    const { client, server } = both;
    await server.shutdown(0);
    for (let attempt = 0; attempt < 5; attempt++) {
      assertMatch((await reasonOf(client.put("a", bytes("a")))).code, /^(lost|shutdown)$/);
    }
    await client[Symbol.asyncDispose]();
    for (let attempt = 0; attempt < 2; attempt++) {
      assertEquals((await reasonOf(client.put("a", bytes("a")))).code, "closed");
    }
  },
  SANITIZED,
);

integration("what is called after the end of a client never reaches the server", async () => {
  const seen: string[] = [];
  const log = ({ event }: { event: string }): void => void seen.push(event);
  await using both = await pair({ log });
  const { client } = both;
  const ending = client[Symbol.asyncDispose]();
  const late = [client.chat("late"), client.put("a", bytes("a")), client.mkdir("b")].map(reasonOf);
  for (const { code } of await Promise.all(late)) assertEquals(code, "closed");
  await ending;
  await both.server.shutdown();
  assertEquals(seen.filter((event) => /^(chat|stored|folder)$/.test(event)), []);
  assert(seen.includes("left"), String(seen));
}, SANITIZED);

for (const [when, size] of [["a put of known size", 100], ["a put", undefined]] as const) {
  integration(`a server that stops within ${when} fails it with a code`, async () => {
    await using both = await pair();
    const { client, server } = both;
    const { stream, ended } = endless("hello");
    const begun = Promise.withResolvers<void>();
    const putting = reasonOf(client.put("a", stream, { size, onProgress: () => begun.resolve() }));
    await begun.promise;
    await server.shutdown(0);
    assert(["shutdown", "lost"].includes((await putting).code), (await putting).code);
    await ended;
    assertEquals((await reasonOf(client.chat("hello"))).code, "lost");
  }, SANITIZED);
}

integration("a server that stops within a get fails its body with a code", async () => {
  await using both = await pair();
  const { client, server } = both;
  await client.put("large", new Uint8Array(50_000_000));
  const { body, verified } = await client.get("large");
  const reader = body.getReader();
  await reader.read();
  await server.shutdown(0);
  const read = async (): Promise<void> => {
    while (!(await reader.read()).done);
  };
  const { code } = await reasonOf(read());
  assert(["shutdown", "lost"].includes(code), code);
  assertEquals((await reasonOf(verified)).code, code);
}, SANITIZED);

for (const key of [undefined, "a key of sixteen characters"]) {
  const how = key === undefined ? "in the clear" : "encrypted";
  integration(
    `with retries, a get and a put survive a server that is killed (${how})`,
    async () => {
      await using local = await tempDir();
      const dir = `${local.path}/received`;
      const content = noise(40_000_000);
      Deno.writeFileSync(`${local.path}/large`, content);
      const sealed = key === undefined ? {} : { key };
      const port = freePort();
      await using first = await startServer({ dir, port, ...sealed });
      const server = { hostname: "127.0.0.1", port };
      await using client = await connect(server, { retries: 100, ...sealed });
      const large = { path: `${local.path}/large` };
      await client.put("a", large);
      const { body, verified } = await client.get("a");
      const reader = body.getReader();
      const parts = [(await reader.read()).value!];
      await first.running.stop("SIGKILL");
      await using second = await startServer({ dir, port, ...sealed });
      for (let read; (read = await reader.read()).value;) parts.push(read.value);
      assertEquals(parts.reduce((sum, { length }) => sum + length, 0), content.length);
      const killed = Promise.withResolvers<unknown>();
      const putting = client.put("b", large, {
        onProgress: ({ bytes }) => {
          if (bytes > 1_000_000) killed.resolve(second.running.stop("SIGKILL"));
        },
      });
      await killed.promise;
      await using _ = await startServer({ dir, port, ...sealed });
      const stored = await putting;
      assertEquals(stored.crc, (await verified).crc);
      assertEquals(Deno.readFileSync(`${dir}/${stored.name}`), content);
    },
  );
}

/** A server that answers a get with these lines, whatever is asked. */
function impostor(
  answer: string,
): { port: number; hostname: string } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of listener) {
      using _ = conn;
      const buffer = new Uint8Array(1000);
      await conn.read(buffer);
      await conn.write(bytes("welcome client 1 of 100\n"));
      await conn.read(buffer);
      await conn.write(bytes(answer));
      while (await conn.read(buffer) !== null);
    }
  })();
  return {
    ...listener.addr,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await serving;
    },
  };
}

integration("a body whose checksum is wrong fails at its end", async () => {
  const answers = {
    "ok 6\ndata 6\nhello\nend 00000000\n": "checksum",
    "ok 7\ndata 6\nhello\nend 363a3020\n": "checksum",
    "ok 6\ndata 6\nhello\nabort gone\n": "changed",
    "ok 6\ndata 6\nhel": undefined,
    "ok 6\nnonsense\n": "bad-request",
  };
  for (const [answer, code] of Object.entries(answers)) {
    await using server = impostor(answer);
    await using client = await connect(server);
    const { size, body, verified } = await client.get("a");
    assert(size === 6 || size === 7);
    if (code === undefined) continue;
    assertEquals((await reasonOf(new Response(body).bytes())).code, code, answer);
    assertEquals((await reasonOf(verified)).code, code, answer);
  }
}, SANITIZED);

integration(
  "a client that was disposed of has no read under way, nor a pause behind it",
  async () => {
    const pauses: number[] = [];
    const clock = { now: () => 0, sleep: () => delay(pauses.shift() ?? 0) };
    const rate = new RateLimit(1000, clock);
    await rate.take(101);
    await using server = impostor("ok 6\ndata 6\nhello\nend 00000000\n");
    await using client = await connect(server, { rate });
    // The answer comes within the pause behind the request, and has a longer one.
    pauses.push(100, 1000);
    const { verified } = await client.get("a");
    assertEquals((await reasonOf(verified)).code, "checksum");
  },
  SANITIZED,
);

integration("tens of thousands of calls at once are all told the end of their client", async () => {
  await using both = await pair();
  const { client } = both;
  const calls = Array.from({ length: 30_000 }, (_, index) => client.chat(`${index}`));
  const told = Promise.allSettled(calls);
  await client[Symbol.asyncDispose]();
  const codes = (await told).map((one) => one.status === "fulfilled" ? "heard" : one.reason.code);
  assertEquals([...new Set(codes)].filter((code) => code !== "heard"), ["closed"]);
}, SANITIZED);

integration("a thousand clients in one process leave nothing open", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: QUIET });
  await visit(server.address, 0, 1000);
  assertEquals(names(local.path).length, 10);
}, SANITIZED);

integration(
  "hundreds of clients take no more memory and descriptors than those before",
  async () => {
    await using local = await tempDir();
    // A process of its own: beside this test others run.
    const program = `
    import { serve } from "./server.ts";
    import { holdingsOf } from "./tests/faults/trial.ts";
    import { visit } from "./tests/library_pair.ts";
    const dir = ${JSON.stringify(local.path)};
    await using server = await serve({ directory: dir, log: { quiet: true } });
    const told = [];
    for (const from of [0, 500]) {
      await visit(server.address, from, from + 500);
      await new Promise((resolve) => setTimeout(resolve, 0));
      gc();
      const { descriptors } = holdingsOf({ dir, pid: Deno.pid });
      told.push({ descriptors, heapBytes: Deno.memoryUsage().heapUsed });
    }
    console.log(JSON.stringify(told));
  `;
    const args = ["run", "-A", "--no-check", "--v8-flags=--expose-gc", "--ext=ts", "-"];
    const { stdout, stderr } = await run(Deno.execPath(), args, { stdin: program });
    assertMatch(stdout, /^\[/, stderr);
    const [before, after] = JSON.parse(stdout) as { descriptors: number; heapBytes: number }[];
    // Connections that have just been left may still close.
    assertLess(after!.descriptors, before!.descriptors + 30);
    assertLess(after!.heapBytes - before!.heapBytes, 500 * 2048);
  },
  PROC,
);

integration("a signal that outlives its calls keeps no listener of them", async () => {
  await using both = await pair({ maxBytes: 100 });
  const { client } = both;
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = function (this: AbortSignal, ...given: [string, never]): void {
    listeners.add(given[1]);
    addEventListener.apply(this, given);
  };
  signal.removeEventListener = function (this: AbortSignal, ...given: [string, never]): void {
    listeners.delete(given[1]);
    removeEventListener.apply(this, given);
  };
  await client.put("a", bytes("a"), { signal });
  await client.put("b", streamOf("b"), { signal });
  await reasonOf(client.put("c", new Uint8Array(101), { signal }));
  await reasonOf(client.put("c", streamOf("c".repeat(101)), { signal }));
  await new Response((await client.get("a", { signal })).body).bytes();
  await (await client.get("a", { signal })).body.cancel();
  await reasonOf(client.get("no", { signal }));
  for await (const _ of client.list({ signal })) break;
  await Array.fromAsync(client.tree("/", { signal }));
  await client.status({ signal });
  await client.say("hello", { signal });
  await client.chat("hello", { signal });
  await client.mkdir("d", { signal });
  await client.compare("a", bytes("a"), { signal });
  await (await connect(both.server.address, { signal }))[Symbol.asyncDispose]();
  assertEquals(listeners.size, 0);
}, SANITIZED);

integration("nothing happens when the library is imported", async () => {
  await using local = await tempDir();
  const program = `
    const before = Object.getOwnPropertyNames(globalThis).sort().join();
    const { connect, send } = await import(${
    JSON.stringify(new URL("../client.ts", import.meta.url))
  });
    const { serve } = await import(${JSON.stringify(new URL("../server.ts", import.meta.url))});
    console.log(typeof connect, typeof send, typeof serve);
    console.log(before === Object.getOwnPropertyNames(globalThis).sort().join());
  `;
  await local.write("program.ts", program);
  const config = new URL("../deno.json", import.meta.url).pathname;
  const args = ["run", "--no-prompt", "--no-check", "-c", config, `${local.path}/program.ts`];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), { args }).output();
  assertEquals([success, new TextDecoder().decode(stdout)], [
    true,
    "function function function\ntrue\n",
  ]);
});
