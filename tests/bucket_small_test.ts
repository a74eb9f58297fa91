/**
 * Small files, folders and links in a bucket: several stores on one bucket share nothing but that.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import type { BucketStore } from "../lib/bucket/bucket_store.ts";
import { claim } from "../lib/bucket/claim.ts";
import { BucketContext } from "../lib/bucket/context.ts";
import { META, OWN_PREFIX } from "../lib/bucket/layout.ts";
import { placeholder } from "../lib/bucket/marks.ts";
import { InletError } from "../lib/errors.ts";
import { serve } from "../server.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { bucketStores, contentOf, held, objectsIn, type TestStores } from "./bucket_stores.ts";
import { CEPH, integration } from "./helpers.ts";
import { StoreProxy } from "./faults/store_proxy.ts";
import { Wire } from "./wire.ts";

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** The first names of a name that is taken again and again. */
function variants(count: number): string[] {
  const numbers = Array.from({ length: count - 1 }, (_, index) => `a (${index + 2}).bin`);
  return ["a.bin", ...numbers].sort();
}

async function sizes({ bucket }: TestStores): Promise<string[]> {
  return (await objectsIn(bucket)).map(({ key, size }) => `${key} ${size}`);
}

/** The keys of the objects that are not the store's own. */
async function filesIn({ bucket }: TestStores): Promise<string[]> {
  const keys = (await objectsIn(bucket)).map(({ key }) => key);
  return keys.filter((key) => !key.startsWith(`inbox/${OWN_PREFIX}`)).sort();
}

/** Asserts that stored files are there with their content, and no other is. */
async function assertStored(
  stores: TestStores,
  stored: readonly (readonly [name: string, content: string])[],
): Promise<void> {
  const { bucket } = stores;
  assertEquals(await filesIn(stores), stored.map(([name]) => `inbox/${name}`).sort());
  for (const [name, content] of stored) {
    assertEquals(await contentOf(bucket, `inbox/${name}`), content, name);
  }
}

integration("eight writers of two stores on one name get the first eight names", async () => {
  for (let round = 0; round < 3; round++) {
    await using stores = await bucketStores();
    const servers = [await stores.open(), await stores.open()];
    const stored = await Promise.all(Array.from({ length: 8 }, async (_, index) => {
      const content = `by writer ${index} of round ${round}`;
      return [await servers[index % 2]!.put("a.bin", bytes(content)), content] as const;
    }));
    assertEquals(stored.map(([name]) => name).sort(), variants(8));
    await assertStored(stores, stored);
  }
}, CEPH);

integration("batches of two stores on one name leave no number out", async () => {
  await using stores = await bucketStores();
  const servers = [await stores.open(), await stores.open()];
  const names = await Promise.all(servers.map(async (server) => {
    using batch = server.batch();
    const files = [];
    for (let index = 0; index < 100; index++) files.push(await batch.put("a.bin", bytes("same")));
    await batch.commit();
    return files.map(({ name }) => name);
  }));
  assertEquals(names.flat().sort(), variants(200));
}, CEPH);

integration("a file keeps its time, permission bits and CRC-32 in its metadata", async () => {
  await using stores = await bucketStores();
  const modified = new Date("2001-02-03T04:05:06.789Z");
  const server = await stores.open();
  assertEquals(
    await server.put("täg/€.txt", bytes("hello"), { modified, mode: 0o640 }),
    "täg/€.txt",
  );
  const { meta, size } = (await stores.bucket.head("inbox/täg/€.txt"))!;
  assertEquals(size, 5);
  assertEquals(meta[META.modified], "2001-02-03T04:05:06.789Z");
  assertEquals(meta[META.mode], "640");
  assertEquals(meta[META.crc], crc32("hello").toString(16));
}, CEPH);

integration(
  "what was sent again is stored once, by whatever server, and under a number too",
  async () => {
    await using stores = await bucketStores();
    const [one, two] = [await stores.open(), await stores.open()];
    const send = (server: BucketStore, id: string, text = "hello"): Promise<string> =>
      server.put("a.txt", bytes(text), { id });
    assertEquals(await send(one, "first"), "a.txt");
    assertEquals(await send(two, "first"), "a.txt");
    assertEquals(await send(one, "second"), "a (2).txt");
    assertEquals(await send(one, "third"), "a (3).txt");
    assertEquals(await send(await stores.open(), "second"), "a (2).txt");
    // The same id and another content is another file.
    assertEquals(await send(two, "first", "world"), "a (4).txt");
    // Digits of the ending are none of the number; and a name may have no ending.
    for (const name of ["b.mp2", "c"]) {
      await two.put(name, bytes("other"));
      const numbered = await one.put(name, bytes("hello"), { id: "fifth" });
      assertEquals(
        await (await stores.open()).put(name, bytes("hello"), { id: "fifth" }),
        numbered,
      );
    }
    // Two at a time: an earlier one may still be on its way.
    const both = await Promise.all([send(one, "fourth"), send(two, "fourth")]);
    assertEquals(both, ["a (5).txt", "a (5).txt"]);
    assertEquals((await filesIn(stores)).length, 9);
  },
  CEPH,
);

integration(
  "what is sent again is stored once, though the first request comes to the store behind the second",
  async () => {
    await using stores = await bucketStores();
    const { bucket, asked, go } = held(stores.bucket, "put", /a \(3\)/);
    const [one, two] = [await stores.open({ bucket }), await stores.open()];
    const write = (name: string): unknown => stores.bucket.put(`inbox/${name}`, bytes("other"));
    const send = (server: BucketStore): Promise<string> =>
      server.put("a.txt", bytes("hello"), { id: "mine" });
    const others = ["a.txt", "a (2).txt"];
    await Promise.all(others.map(write));
    const first = send(one);
    await asked;
    // Whoever searches for a free number takes those below one that is taken for taken.
    await write("a (4).txt");
    assertEquals(await send(two), "a (3).txt");
    go();
    assertEquals(await first, "a (3).txt");
    const stored = [...others, "a (4).txt"].map((name) => [name, "other"] as const);
    await assertStored(stores, [...stored, ["a (3).txt", "hello"]]);
  },
  CEPH,
);

integration(
  "where another file takes the number of what is sent again, both attempts find the same one",
  async () => {
    await using stores = await bucketStores();
    const { bucket, asked, go } = held(stores.bucket, "put", /a \(2\)/);
    const one = await stores.open({ bucket });
    const two = await stores.open();
    await two.put("a.txt", bytes("other"));
    const first = one.put("a.txt", bytes("hello"), { id: "mine" });
    await asked;
    assertEquals(await two.put("a.txt", bytes("faster")), "a (2).txt");
    const again = (await stores.open()).put("a.txt", bytes("hello"), { id: "mine" });
    go();
    assertEquals(await Promise.all([first, again]), ["a (3).txt", "a (3).txt"]);
    await assertStored(stores, [["a.txt", "other"], ["a (2).txt", "faster"], [
      "a (3).txt",
      "hello",
    ]]);
  },
  CEPH,
);

integration("what another program writes in the place of a noted number is no number", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const send = async (): Promise<string> =>
    await (await stores.open()).put("a.txt", bytes("hello"), { id: "mine" });
  await bucket.put("inbox/a.txt", bytes("other"));
  assertEquals(await send(), "a (2).txt");
  const note = (await objectsIn(bucket)).find(({ key }) => key.includes("/sent/"))!.key;
  const odd = ["", "0", "-7", "2.5", "9".repeat(30), "x".repeat(100_000)];
  for (const [index, text] of odd.entries()) {
    await bucket.put(note, bytes(text));
    assertEquals(await send(), `a (${index + 3}).txt`);
    assertEquals(await send(), `a (${index + 3}).txt`);
  }
}, CEPH);

integration(
  "a client that got no answer sends a file to another server, which knows it",
  async () => {
    await using stores = await bucketStores();
    await using one = await serve({ port: 0, store: await stores.open(), log: { quiet: true } });
    await using two = await serve({ port: 0, store: await stores.open(), log: { quiet: true } });
    for (const request of ["push;id=abc 6 a.txt", "put;id=xyz 6 b.txt", "push;id=uvw 6 c/d.txt"]) {
      const answers: string[] = [];
      for (const { address } of [one, two, one]) {
        using wire = await Wire.greet(address as Deno.NetAddr);
        await wire.says(`${request}\n`);
        if (request.startsWith("put")) await wire.line();
        await wire.says("hello\nend 363a3020\n");
        answers.push(await wire.line());
      }
      assertEquals(answers, Array(3).fill(`ok 6 363a3020 ${request.split(" ")[2]}`));
    }
    assertEquals((await filesIn(stores)).length, 3);
  },
  CEPH,
);

integration(
  "small files are acknowledged in order, and stored though their client has left",
  async () => {
    await using stores = await bucketStores();
    await using server = await serve({ port: 0, store: await stores.open(), log: { quiet: true } });
    const push = (name: string): string => `push 6 ${name}\nhello\nend 363a3020\n`;
    const names = Array.from({ length: 200 }, (_, index) => `f/${index}`);
    using wire = await Wire.greet(server.address as Deno.NetAddr);
    await wire.says("mkdir;files=200;mode=700 f\n" + names.map(push).join(""));
    assertEquals(await wire.line(), "ok f");
    for (const name of names) assertEquals(await wire.line(), `ok 6 363a3020 ${name}`);
    await wire.says(push("last"));
    assertEquals(await wire.line(), "ok 6 363a3020 last");
    using leaving = await Wire.greet(server.address as Deno.NetAddr);
    await leaving.says(names.map((name) => push(`g${name}`)).join(""));
    await leaving.closeWrite();
    for (const name of names) assertEquals(await leaving.line(), `ok 6 363a3020 g${name}`);
    assertEquals(await leaving.line(), "");
  },
  CEPH,
);

integration("uploads without a name are numbered, and no number is given twice", async () => {
  await using stores = await bucketStores();
  const servers = [await stores.open(), await stores.open()];
  const receive = async (index: number): Promise<string> => {
    await using upload = await servers[index % 2]!.receiveNumbered(".file");
    await upload.write(bytes(`${index}`));
    return await upload.publish();
  };
  const names = await Promise.all(Array.from({ length: 8 }, (_, index) => receive(index)));
  const numbers = Array.from({ length: 8 }, (_, index) => `${index + 1}.file`);
  assertEquals(names.sort(), numbers);
  assertEquals([await receive(8), await receive(9)].sort(), ["10.file", "9.file"]);
}, CEPH);

integration("a name that was given up is taken by the next, and by one of eight", async () => {
  await using stores = await bucketStores();
  const context = new BucketContext({ bucket: stores.bucket, prefix: "inbox/" });
  await claim(context, "a.bin", placeholder("free", "0"));
  await claim(context, "a (2).bin", placeholder("claimed", "1"));
  const servers = [await stores.open(), await stores.open()];
  const names = await Promise.all(
    Array.from({ length: 8 }, (_, index) => servers[index % 2]!.put("a.bin", bytes(`${index}`))),
  );
  assertEquals(names.sort(), variants(9).filter((name) => name !== "a (2).bin"));
  assertEquals((await stores.bucket.head("inbox/a (2).bin"))!.meta[META.mark], "claimed");
}, CEPH);

integration("a number behind hundreds is found by few requests, and the next by two", async () => {
  await using stores = await bucketStores();
  const names = variants(300);
  await Promise.all(names.map((name) => stores.bucket.put(`inbox/${name}`, bytes(name))));
  let requests = 0;
  const counting = new Proxy(stores.bucket, {
    get: (target, name: "put" | "head") => (...given: unknown[]) => {
      requests++;
      return Reflect.apply(target[name], target, given);
    },
  });
  const server = await stores.open({ bucket: counting });
  assertEquals(await server.put("a.bin", bytes("")), "a (301).bin");
  assert(requests < 24, `${requests}`);
  requests = 0;
  assertEquals(await server.put("a.bin", bytes("")), "a (302).bin");
  assertEquals(requests, 2);
  // Those that come together try numbers of their own.
  requests = 0;
  await Promise.all(names.slice(0, 20).map(() => server.put("a.bin", bytes(""))));
  assertEquals(requests, 40);
}, CEPH);

integration("a folder gets a number where a file has its name, at every server", async () => {
  await using stores = await bucketStores();
  const [one, two] = [await stores.open(), await stores.open()];
  assertEquals(await one.put("a/b", bytes("file")), "a/b");
  assertEquals(await two.put("a/b/c", bytes("below")), "a/b (2)/c");
  assertEquals(await one.put("a/b/d", bytes("below")), "a/b (2)/d");
  assertEquals(await one.makeFolder("a/b"), { name: "a/b (2)", isNew: false });
  // A file gets a number where this server knows a folder.
  assertEquals(await one.put("a", bytes("")), "a (2)");
  assertEquals(await two.makeFolder("new"), { name: "new", isNew: true });
  assertEquals(await two.put("new", bytes("")), "new (2)");
  // In a batch, too, in the order in which they came.
  using batch = one.batch();
  const made = [
    await batch.put("x", bytes("")),
    await batch.makeFolder("x"),
    await batch.put("x/y", bytes("")),
    await batch.put("z/y", bytes("")),
    await batch.put("z", bytes("")),
  ];
  await batch.commit();
  assertEquals(made.map(({ name }) => name), ["x", "x (2)", "x (2)/y", "z/y", "z (2)"]);
}, CEPH);

integration("a folder gets its facts from its maker alone, by whatever server", async () => {
  await using stores = await bucketStores();
  const [one, two] = [await stores.open(), await stores.open()];
  const modified = new Date("2020-01-02T03:04:05.678Z");
  const facts = async (): Promise<(string | undefined)[]> => {
    const { meta } = (await stores.bucket.head("inbox/photos/"))!;
    return [meta[META.mode], meta[META.modified]];
  };
  assertEquals(await one.makeFolder("photos", { mode: 0o500, id: "ben" }), {
    name: "photos",
    isNew: true,
  });
  assertEquals(await facts(), ["700", undefined]);
  const others = { name: "photos", isNew: false };
  assertEquals(await two.makeFolder("photos", { mode: 0o777, modified, id: "eve" }), others);
  assertEquals(await one.makeFolder("photos", { mode: 0o777, modified, id: "eve" }), others);
  assertEquals(await one.makeFolder("photos", { mode: 0o777, modified }), others);
  assertEquals(await facts(), ["700", undefined]);
  assertEquals(await two.makeFolder("photos", { mode: 0o500, modified, id: "ben" }), others);
  assertEquals(await facts(), ["500", "2020-01-02T03:04:05.678Z"]);
  // One that other objects imply is there already.
  await one.put("implied/file", bytes(""));
  assertEquals(await two.makeFolder("implied", { mode: 0o777 }), { name: "implied", isNew: false });
  assertEquals(await stores.bucket.head("inbox/implied/"), undefined);
  // A name in it that was given up is no content.
  const context = new BucketContext({ bucket: stores.bucket, prefix: "inbox/" });
  await claim(context, "empty/a", placeholder("free", "0"));
  assertEquals(await two.makeFolder("empty"), { name: "empty", isNew: true });
}, CEPH);

integration("a folder whose files come right behind it is that of its maker", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  using batch = store.batch();
  const modified = new Date("2024-02-29T12:00:00.123Z");
  const names = Array.from({ length: 8 }, (_, index) => `d${index}`);
  for (const id of names) {
    await batch.makeFolder(id, { id, mode: 0o710, files: 1 });
    await batch.put(`${id}/a.txt`, bytes("a"));
  }
  await batch.commit();
  for (const id of names) await batch.makeFolder(id, { id, mode: 0o710, modified });
  await batch.commit();
  for (const name of names) {
    const { meta } = (await stores.bucket.head(`inbox/${name}/`))!;
    assertEquals([meta[META.mode], meta[META.modified]], ["710", modified.toISOString()]);
  }
}, CEPH);

integration("a link is made once, and under a number where something else is", async () => {
  await using stores = await bucketStores();
  const [one, two] = [await stores.open(), await stores.open()];
  const long = `${"above/".repeat(300)}end`;
  assertEquals(await one.makeLink("l", { to: "a/b" }), { name: "l", isNew: true });
  assertEquals(await two.makeLink("l", { to: "a/b" }), { name: "l", isNew: false });
  assertEquals(await two.makeLink("l", { to: long }), { name: "l (2)", isNew: true });
  assertEquals(await one.makeLink("l", { to: long }), { name: "l (2)", isNew: false });
  assertEquals(await one.put("l", bytes("")), "l (3)");
  assertEquals(
    (await sizes(stores)).sort(),
    ["inbox/l 1031", "inbox/l (2) 4219", "inbox/l (3) 0"].sort(),
  );
  await assertRejects(() => one.put("l/x", bytes("")), InletError, "it is a symbolic link");
  await assertRejects(() => one.makeLink("m", { to: "../out" }), InletError, "leads out");
  const hiding = await stores.open({ hidesNames: true });
  assertEquals(await hiding.put("l/x", bytes("")), "l (4)/x");
}, CEPH);

integration("names are checked before anything is sent", async () => {
  await using stores = await bucketStores();
  const store = await stores.open({ dotfiles: false, prefix: `${"p".repeat(200)}/` });
  const refused = [
    ".a",
    "a/.b/c",
    "../x",
    "a//b",
    ".inlet/up",
    "a\n",
    `${"nnnn/".repeat(120)}${"x".repeat(255)}`,
  ];
  for (const name of refused) {
    await assertRejects(() => store.put(name, bytes("")), InletError, "Cannot take");
    await assertRejects(() => store.makeFolder(name), InletError, "Cannot take");
  }
  // The longest has room for a number, though not in its last part.
  const longest = `${"nnnnn/".repeat(95)}${"x".repeat(252)}`;
  assertEquals(await store.put(longest, bytes("")), longest);
  assertEquals(await store.put(longest, bytes("")), `${longest.slice(0, -4)} (2)`);
}, CEPH);

integration("a batch copies what it is given, and names what failed", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  await store.makeLink("link", { to: "a" });
  using batch = store.batch();
  const memory = new Uint8Array(100);
  const files = [];
  for (let index = 0; index < 100; index++) {
    files.push(await batch.put(`f${index}`, memory.fill(index)));
  }
  const failed = await batch.put("link/x", memory);
  await assertRejects(async () => await batch.put("..", memory), InletError, "Cannot take");
  await batch.commit();
  assertEquals(failed.name, undefined);
  assertEquals(failed.failure?.code, "denied");
  assertEquals(files.map(({ name }) => name), files.map((_, index) => `f${index}`));
  for (let index = 0; index < 100; index += 9) {
    const content = await contentOf(stores.bucket, `inbox/f${index}`);
    assertEquals(content, String.fromCharCode(index).repeat(100));
  }
}, CEPH);

integration(
  "eight writers behind a bad gateway get a name each, and a late copy changes nothing",
  async () => {
    await using stores = await bucketStores();
    await using proxy = await StoreProxy.start(await sharedCeph(), { lateMs: 300 });
    const faults = ["cut after", "twice", "late copy", "error after", "cut before"] as const;
    let count = 0;
    // Every third one, in turn.
    proxy.misbehaviour.fault = ({ method }) =>
      method === "PUT" && ++count % 3 === 0 ? faults[count / 3 % faults.length] : undefined;
    const servers = await Promise.all(
      [1, 2].map(async () => await stores.open({ bucket: await stores.reach(proxy.endpoint) })),
    );
    for (let round = 0; round < 2; round++) {
      const name = `a${round}.bin`;
      const stored = await Promise.all(Array.from({ length: 8 }, async (_, index) => {
        const content = `by writer ${index} of round ${round}`;
        return [await servers[index % 2]!.put(name, bytes(content)), content] as const;
      }));
      await proxy.settle();
      const expected = variants(8).map((name) => name.replace("a", `a${round}`)).sort();
      assertEquals(stored.map(([name]) => name).sort(), expected);
      for (const [name, content] of stored) {
        assertEquals(await contentOf(stores.bucket, `inbox/${name}`), content);
      }
    }
    assertEquals((await objectsIn(stores.bucket)).length, 16);
    for (const fault of faults) assert(proxy.faults.get(fault)! > 0, fault);
  },
  CEPH,
);

integration("what a store does not answer is given up at the end of a server", async () => {
  await using stores = await bucketStores();
  await using proxy = await StoreProxy.start(await sharedCeph());
  const store = await stores.open({ bucket: await stores.reach(proxy.endpoint) });
  const { promise: hangs, resolve } = Promise.withResolvers<void>();
  proxy.misbehaviour.fault = ({ method, path }) => {
    if (method !== "PUT" || !path.endsWith("/second")) return undefined;
    resolve();
    return "hang before";
  };
  await using server = await serve({ port: 0, store, log: { quiet: true } });
  using wire = await Wire.greet(server.address as Deno.NetAddr);
  // The second comes over the connection of the first.
  for (const name of ["first", "second"]) {
    await wire.says(`push 6 ${name}\nhello\nend 363a3020\n`);
    if (name === "first") assertEquals(await wire.line(), "ok 6 363a3020 first");
  }
  await hangs;
  await server.shutdown(0);
  const later = await stores.open();
  assertEquals(await later.put("second", bytes("later")), "second");
}, CEPH);

integration("a server ends within seconds though its store answers nothing more", async () => {
  await using stores = await bucketStores();
  await using proxy = await StoreProxy.start(await sharedCeph());
  const store = await stores.open({ bucket: await stores.reach(proxy.endpoint) });
  const [sending, reading] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isSilent = false;
  proxy.misbehaviour.fault = ({ method, query }) => {
    if (query.includes("partNumber")) isSilent = true;
    if (!isSilent) return undefined;
    (method === "GET" ? reading : sending).resolve();
    return "hang before";
  };
  await store.put("small", bytes("small"));
  const server = await serve({ port: 0, store, log: { quiet: true } });
  using wire = await Wire.greet(server.address as Deno.NetAddr);
  const size = 9 * 1024 * 1024;
  await wire.says(`put ${size} large\n`);
  await wire.line();
  await wire.says(new Uint8Array(size));
  await wire.says(`end ${crc32(new Uint8Array(size)).toString(16).padStart(8, "0")}\n`);
  await sending.promise;
  using reader = await Wire.greet(server.address as Deno.NetAddr);
  await reader.says("get small\n");
  await reading.promise;
  // The test hangs if this takes as long as the requests are waited for.
  await server.shutdown(0);
}, { ...CEPH, deadlineMs: 20_000 });
