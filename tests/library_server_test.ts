/**
 * What a program gives to its server: a store, a function for the log, and one for clients.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryStore } from "../docs/memory_store.ts";
import { connect, InletError, send } from "../client.ts";
import { type ClientEvent, type LoggedEvent, serve, type ServeOptions } from "../server.ts";
import { freePort, integration, names, run, tempDir } from "./helpers.ts";
import { bytes, noise, streamOf } from "./library_pair.ts";
import { Wire } from "./wire.ts";

/** Gathers what a function is called with, and waits for it. */
function gather<T>(): {
  told: T[];
  take(one: T): void;
  until(isEnough: (told: T[]) => boolean): Promise<void>;
} {
  const told: T[] = [];
  let wake = (): void => {};
  return {
    told,
    take(one): void {
      told.push(one);
      wake();
    },
    async until(isEnough): Promise<void> {
      while (!isEnough(told)) await new Promise<void>((resolve) => wake = resolve);
    },
  };
}

const silent = (): void => {};

integration("a store of the program keeps files, and no directory is touched", async () => {
  await using local = await tempDir();
  await Deno.mkdir(`${local.path}/tree/below`, { recursive: true });
  await local.write("tree/a.txt", "hello\n");
  await local.write("tree/below/b.txt", "world\n");
  await Deno.mkdir(`${local.path}/tree/empty`);
  const { told, take } = gather<LoggedEvent>();
  await using server = await serve({ store: new MemoryStore(), log: take });
  await using client = await connect(server.address);
  const large = noise(3_000_000);
  assertEquals((await client.put("large", large)).size, large.length);
  assertEquals((await client.put("large", streamOf("small"))).name, "large (2)");
  assertEquals(await new Response((await client.get("large")).body).bytes(), large);
  assertEquals(await client.get("large").then(({ body }) => body.cancel()), undefined);
  const modified = new Date("2020-01-02T03:04:05Z");
  await client.put("small", bytes("hello\n"), { modified });
  const { body, verified } = await client.get("small");
  assertEquals(await new Response(body).text(), "hello\n");
  assertEquals((await verified).modified, modified);
  assertEquals(await client.compare("small", bytes("hello\n")), "small");
  assertEquals(await client.compare("small", bytes("jello\n")), undefined);
  assertEquals((await client.get("nothing").catch((error) => error)).code, "not-found");
  assertEquals((await client.put("../up", bytes("a")).catch((error) => error)).code, "bad-name");
  await send(server.address, [`${local.path}/tree`]);
  const again = await send(server.address, [`${local.path}/tree`], { skipSame: true });
  assert(again.every(({ same }) => same), Deno.inspect(again));
  const tree = await Array.fromAsync(client.tree("tree"));
  assertEquals(tree.map(({ kind, name }) => [kind, name]), [
    ["folder", "tree"],
    ["file", "tree/a.txt"],
    ["folder", "tree/below"],
    ["file", "tree/below/b.txt"],
    ["folder", "tree/empty"],
  ]);
  assertEquals((await Array.fromAsync(client.list())).length, 5);
  assertMatch(told[0]!.message, /storing into a store of the program$/);
  assertEquals(told[0]!.directory, undefined);
  assertEquals(names(local.path), ["tree"]);
});

integration(
  "a store of the program serves HTTP, and denies uploads over several requests",
  async () => {
    await using server = await serve({ store: new MemoryStore(), log: silent });
    const url = `http://127.0.0.1:${server.address.port}`;
    const put = await fetch(`${url}/files/a.txt`, { method: "PUT", body: "hello\n" });
    assertEquals(put.status, 201);
    await put.body?.cancel();
    assertEquals(await (await fetch(`${url}/files/a.txt`)).text(), "hello\n");
    const ranged = await fetch(`${url}/files/a.txt`, { headers: { Range: "bytes=1-2" } });
    assertEquals(await ranged.text(), "el");
    const headers = { "Tus-Resumable": "1.0.0", "Upload-Length": "5" };
    const tus = await fetch(`${url}/uploads/`, { method: "POST", headers });
    assertEquals(tus.status, 403);
    assertMatch(await tus.text(), /keeps no upload over several requests/);
    const part = { "Tus-Resumable": "1.0.0" };
    const id = "0".repeat(32);
    const head = await fetch(`${url}/uploads/${id}`, { method: "HEAD", headers: part });
    assertEquals(head.status, 404);
  },
);

integration(
  "a client and a server with a store of the program need no permission but the net",
  async () => {
    const program = `
    import { connect } from "./client.ts";
    import { serve } from "./server.ts";
    import { MemoryStore } from "./docs/memory_store.ts";
    const key = "a key of sixteen characters";
    await using server = await serve({ store: new MemoryStore(), key, log: () => {} });
    await using client = await connect(server.address, { key });
    await client.put("a", new Blob(["hello"]));
    console.log(await new Response((await client.get("a")).body).text());
  `;
    const args = ["run", "--no-prompt", "--allow-net=127.0.0.1", "--no-check", "--ext=ts", "-"];
    const { stdout, stderr } = await run(Deno.execPath(), args, { stdin: program });
    assertEquals([stdout, stderr], ["hello\n", ""]);
  },
);

integration("a store goes with no option that only a directory has", async () => {
  const store = new MemoryStore();
  const wrong: ServeOptions[] = [{ directory: "x" }, { fsync: true }, { links: "all" }];
  for (const options of wrong) {
    const error = await assertRejects(() => serve({ store, ...options }), InletError);
    assertEquals(error.code, "usage");
    assertEquals(error.message, `Cannot use ${Object.keys(options)[0]} with store; try --help`);
  }
});

integration(
  "what a store throws is the answer, or internal and logged, and the server goes on",
  async () => {
    const store = new MemoryStore();
    const { told, take } = gather<LoggedEvent>();
    await using server = await serve({ store, log: take });
    await using client = await connect(server.address);
    await client.put("a", bytes("a"));
    const codes = async (): Promise<string[]> => {
      const calls = [
        client.put("b", bytes("b")),
        client.put("c", streamOf("c")),
        client.get("a"),
        client.mkdir("d"),
        client.compare("a", bytes("a")),
        Array.fromAsync(client.list()),
        Array.fromAsync(client.tree()),
        send(server.address, ["deno.json"]),
      ];
      return await Promise.all(calls.map((call) => call.then(() => "kept", ({ code }) => code)));
    };
    const broken = new MemoryStore();
    const methods = [
      "put",
      "receive",
      "open",
      "makeFolder",
      "find",
      "list",
      "tree",
    ] as const;
    const failWith = (error: Error): void => {
      const fail = (): never => {
        throw error;
      };
      for (const method of methods) store[method] = fail;
    };
    failWith(new Error("bucket"));
    assertEquals(await codes(), Array(8).fill("internal"));
    assertEquals(told.filter(({ stack }) => stack?.includes("bucket")).length, 8);
    failWith(new InletError("no-space", "The bucket is full"));
    assertEquals(await codes(), Array(8).fill("no-space"));
    for (const method of methods) store[method] = broken[method].bind(store) as never;
    assertEquals((await client.put("e", bytes("e"))).name, "e");
  },
);

integration("a store that fails at its start ends it, and frees the port", async () => {
  const store = new MemoryStore();
  store.prepare = () => Promise.reject(new Error("no bucket"));
  const port = freePort();
  await assertRejects(() => serve({ store, port, log: silent }), Error, "no bucket");
  Deno.listen({ hostname: "127.0.0.1", port }).close();
}, { sanitized: true });

integration("onClient tells who came, by which name, and who left", async () => {
  await using local = await tempDir();
  const { told, take, until } = gather<ClientEvent>();
  await using server = await serve({ directory: local.path, onClient: take, log: silent });
  {
    await using client = await connect(server.address, { name: "ben" });
    await client.chat("hello");
  }
  await until((told) => told.length === 3);
  const [came, named, left] = told;
  assertEquals([came!.type, named!.type, left!.type], ["came", "named", "left"]);
  const { address } = came!.client;
  assertMatch(address, /^127\.0\.0\.1:\d+$/);
  assertEquals(came!.client, { number: 1, name: "", address, user: undefined, wire: "files" });
  assertEquals(named!.client, { number: 1, name: "ben", address, user: undefined, wire: "native" });
  assertEquals(left!.client, named!.client);
  // One that says nothing has no name.
  (await Wire.dial(server.address)).close();
  await until((told) => told.length === 5);
  assertEquals(told.slice(3).map(({ type, client }) => [type, client.number, client.name]), [
    ["came", 2, ""],
    ["left", 2, ""],
  ]);
});

integration("a hook that fails is logged, and the client is served all the same", async () => {
  await using local = await tempDir();
  const { told, take, until } = gather<LoggedEvent>();
  const failures = [() => {
    throw new Error("at once");
  }, () => Promise.reject(new Error("later"))];
  for (const onClient of failures) {
    await using server = await serve({ directory: local.path, onClient, log: take });
    await using client = await connect(server.address);
    await client.chat("hello");
  }
  const failed = (): LoggedEvent[] => told.filter(({ event }) => event === "hook-failed");
  await until(() => failed().length === 6);
  assertEquals(failed()[0]!.message, "the hook for clients failed: at once");
  assertEquals(failed()[5]!.message, "the hook for clients failed: later");
});

integration(
  "a function takes the log, with the keys of --log json and nothing escaped",
  async () => {
    await using local = await tempDir();
    const { told, take, until } = gather<LoggedEvent>();
    {
      await using server = await serve({ directory: local.path, log: take });
      await using client = await connect(server.address, { name: "ben" });
      await client.put("a.txt", bytes("hello\n"));
      await client.chat("\x1b[2J");
      await client.get("no").catch(() => {});
    }
    await until((told) => told.some(({ event }) => event === "left"));
    const events = told.map(({ event }) => event);
    assertEquals(events, [
      "listening",
      "connected",
      "welcome",
      "stored",
      "chat",
      "refused",
      "left",
    ]);
    const { time, ms, address, ...stored } = told[3]!;
    assert(!Number.isNaN(Date.parse(time)) && ms !== undefined && address !== undefined);
    assertEquals(stored, {
      ...{ level: "info", event: "stored", message: 'stored "a.txt", 6 B, CRC-32 363a3020' },
      ...{ id: 1, client: "ben", file: "a.txt", bytes: 6, crc: "363a3020" },
    });
    assertEquals(told[4]!.text, "\x1b[2J");
    assertEquals([told[5]!.code, told[5]!.file, told[5]!.level], ["not-found", "no", "warn"]);
  },
);

for (const how of ["", "async "]) {
  integration(
    `a ${how}function that fails to take the log is told of once on stderr, and serves on`,
    async () => {
      await using local = await tempDir();
      const program = `
    import { connect } from "./client.ts";
    import { serve } from "./server.ts";
    const log = ${how}() => { throw new Error("full"); };
    await using server = await serve({ directory: "${local.path}/inbox", log });
    await using client = await connect(server.address);
    console.log((await client.put("a", new Uint8Array(3))).size);
  `;
      const args = ["run", "-A", "--no-check", "--ext=ts", "-"];
      const { code, stdout, stderr } = await run(Deno.execPath(), args, { stdin: program });
      assertEquals([code, stdout], [0, "3\n"], stderr);
      assertEquals(stderr, "inlet: the function that takes the log failed: Error: full\n");
    },
  );
}
