/**
 * What only a bucket has for whoever reads it: pages of a list, looks at objects, keys of other programs,
 * reads that share an answer, lists that are behind.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import type { BucketStore } from "../lib/bucket/bucket_store.ts";
import { MARKED_BYTES, META } from "../lib/bucket/layout.ts";
import { placeholder } from "../lib/bucket/marks.ts";
import { InletError } from "../lib/errors.ts";
import type { Bucket, ListedPage } from "../lib/s3/bucket.ts";
import type { ListEntry } from "../protocol.ts";
import { bucketStores, type TestStores, writeByForm } from "./bucket_stores.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { allOf, bytes, CEPH, collect, integration, run, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";

/** Below the prefix of bucket_stores.ts. */
const PREFIX = "inbox/";

const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** The requests that a store has sent. */
type Counts = Record<"head" | "get" | "list", number>;

/** A bucket that counts requests, and may answer some of them in another way. */
function watched(
  bucket: Bucket,
  changed: Partial<Bucket> = {},
): { bucket: Bucket; counts: Counts } {
  const counts = { head: 0, get: 0, list: 0 };
  const around = { ...changed };
  for (const name of ["head", "get"] as const) {
    const ask: (...given: never[]) => unknown = around[name] ?? bucket[name].bind(bucket);
    around[name] = ((...given: never[]) => (counts[name]++, ask(...given))) as never;
  }
  const list = around.list ?? bucket.list.bind(bucket);
  around.list = async function* (query) {
    for await (const page of list(query)) {
      counts.list++;
      yield page;
    }
  };
  const get = (target: Bucket, name: keyof Bucket): unknown =>
    around[name] ?? (target[name] as () => unknown).bind(target);
  return {
    bucket: new Proxy(bucket, { get: (target, name) => get(target, name as keyof Bucket) }),
    counts,
  };
}

/** Opens a store whose requests are counted. */
async function openWatched(
  stores: TestStores,
  changed?: Partial<Bucket>,
): Promise<{ store: BucketStore; counts: Counts }> {
  const { bucket, counts } = watched(stores.bucket, changed);
  return { store: await stores.open({ bucket }), counts };
}

/** Writes objects as another program does. */
async function write(
  { bucket }: TestStores,
  objects: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>,
): Promise<void> {
  await Promise.all(
    Object.entries(objects).map(([key, content]) =>
      bucket.put(PREFIX + key, typeof content === "string" ? encode(content) : content)
    ),
  );
}

function namesOf(entries: readonly ListEntry[]): string[] {
  return entries.map(({ name, size }) => size === null ? `${name}/` : name);
}

/** Lists a bucket in pages of so many. */
function inPagesOf(bucket: Bucket, limit: number): Bucket["list"] {
  return async function* (query) {
    for (let after = query.after;;) {
      let page: ListedPage = { objects: [], prefixes: [] };
      for await (page of bucket.list({ ...query, after, limit })) break;
      yield page;
      if (page.objects.length + page.prefixes.length < limit) return;
      after = page.objects.at(-1)!.key;
    }
  };
}

integration("a long list comes in pages, none of which is fetched before it is due", async () => {
  await using stores = await bucketStores();
  const names = Array.from({ length: 300 }, (_, index) => `${index}`.padStart(3, "0"));
  for (let start = 0; start < names.length; start += 100) {
    const some = names.slice(start, start + 100);
    await write(stores, Object.fromEntries(some.map((name) => [`f/${name}`, name])));
  }
  // What is the store's own comes before, and is passed over at once.
  const own = names.slice(0, 60).map((name) => [`.inlet/facts/${name}`, name]);
  await write(stores, Object.fromEntries(own));
  const { store, counts } = await openWatched(stores, { list: inPagesOf(stores.bucket, 10) });
  const seen: string[] = [];
  for await (const page of store.list()) {
    const before = seen.length;
    seen.push(...page.map(({ name }) => name));
    // What is held is one page and the looks under way, however long the list is.
    assert(page.length < names.length, `all in a page of ${page.length}`);
    assert(counts.head - before <= page.length + 32, `${counts.head} looks for ${seen.length}`);
  }
  assertEquals(counts.list, 1 + names.length / 10 + 1);
  assertEquals(seen, names.map((name) => `f/${name}`));
  const tree = await allOf((await stores.open()).tree("/"));
  assertEquals(namesOf(tree), ["f/", ...seen]);
}, CEPH);

integration("a list of names and sizes takes no look but at what may be marked", async () => {
  await using stores = await bucketStores();
  await write(stores, { a: "a", b: bytes(MARKED_BYTES), "c/d": "d" });
  for (const mark of ["claimed", "free"] as const) {
    const { content, meta } = placeholder(mark, crypto.randomUUID());
    await stores.bucket.put(`${PREFIX}marked/${mark}`, content, { meta });
  }
  const { store, counts } = await openWatched(stores);
  const list = await allOf(store.list(undefined, true));
  assertEquals(list.map(({ name, size }) => [name, size]), [["a", 1], ["b", MARKED_BYTES], [
    "c/d",
    1,
  ]]);
  assertEquals(counts, { head: 3, get: 0, list: 1 });
  for (const name of ["marked/claimed", "marked/free", "marked"]) {
    for (const ask of [() => store.open(name), () => allOf(store.tree(name))]) {
      const error = await assertRejects(async () => await ask(), InletError, "it does not exist");
      assertEquals(error.code, "not-found");
    }
  }
  assertEquals(namesOf(await allOf(store.tree("/"))), ["a", "b", "c/", "c/d"]);
  assertEquals(namesOf(await allOf(store.tree("/", undefined, true))), ["a", "b", "c/"]);
}, CEPH);

integration(
  "a second list takes no look at what has not changed, and one at what has",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    // A look right after an object was written is not remembered: it could be written again.
    const later = (date: Date): Date => new Date(date.getTime() + 10_000);
    const { store, counts } = await openWatched(stores, {
      head: async (key, signal) => {
        const head = await bucket.head(key, signal);
        return head && { ...head, answered: later(head.answered) };
      },
    });
    const modified = new Date("2021-02-03T04:05:06.789Z");
    for (const name of ["a", "b", "c"]) await store.put(name, encode(name), { modified });
    const times = async (): Promise<number[]> =>
      (await allOf(store.list())).map(({ modified }) => modified.getTime());
    counts.head = 0;
    assertEquals(await times(), [modified, modified, modified].map((time) => time.getTime()));
    assertEquals(counts.head, 3);
    await times();
    assertEquals(counts.head, 3);
    await write(stores, { b: "replaced" });
    const [, now] = await times();
    assert(now! > modified.getTime());
    assertEquals(counts.head, 4);
  },
  CEPH,
);

integration(
  "what is gone when it is looked at is left out of a list, and the rest goes on",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    await write(stores, { a: "a", "b/c": "c", d: "d", e: "e" });
    const { store } = await openWatched(stores, {
      list: async function* (query) {
        for await (const page of bucket.list(query)) {
          // Another program is faster.
          await bucket.delete(`${PREFIX}b/c`);
          await bucket.put(`${PREFIX}d`, encode("longer"));
          yield page;
        }
      },
    });
    const tree = await allOf(store.tree("/"));
    assertEquals(tree.map(({ name, size }) => [name, size]), [["a", 1], ["d", 6], ["e", 1]]);
  },
  CEPH,
);

// The second is what Amazon's answer is for an object that another program encrypted by its own key.
for (const code of ["denied", "internal"] as const) {
  integration(
    `a file at which a look is ${code} is listed without its time, and told once`,
    async () => {
      await using stores = await bucketStores();
      await write(stores, { a: "a", secret: "of another account", z: "z" });
      const warnings: string[] = [];
      const { bucket } = watched(stores.bucket, {
        head: (key, signal) => {
          if (!key.endsWith("secret")) return stores.bucket.head(key, signal);
          return Promise.reject(new InletError(code, "The object store does not permit it"));
        },
      });
      const store = await stores.open({ bucket, warn: (message) => warnings.push(message) });
      for (let round = 0; round < 2; round++) {
        const list = await allOf(store.list());
        assertEquals(list.map(({ name, size }) => [name, size]), [["a", 1], ["secret", 18], [
          "z",
          1,
        ]]);
      }
      assertEquals(warnings, ['Cannot look at "secret": The object store does not permit it']);
    },
    CEPH,
  );
}

integration("a file that a list does not show yet is got and found", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const { store } = await openWatched(stores, {
    list: async function* (query) {
      for await (const { objects } of bucket.list(query)) {
        yield { objects: objects.filter(({ key }) => !key.endsWith("new")), prefixes: [] };
      }
    },
  });
  assertEquals(await store.put("f/new", encode("new"), {}), "f/new");
  assertEquals(await allOf(store.list()), []);
  using file = await store.open("f/new");
  assertEquals(await collect(file.stream(0)), encode("new"));
  const same = { size: 3, crc: crc32("new"), modified: new Date(0) };
  assertEquals(await store.find("f/new", same), { name: "f/new", isSame: true });
  assertEquals(await store.put("f/new", encode("2")), "f/new (2)");
}, CEPH);

integration("a file that another program replaces while it is read has changed", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  const [before, after] = [bytes(3_000_000), new Uint8Array(3_000_000)];
  await write(stores, { a: before });
  using file = await store.open("a");
  await write(stores, { a: after });
  const reads: (() => unknown)[] = [
    () => file.read(2_000_000, new Uint8Array(10)),
    () => collect(file.stream(0)),
    () => file.beginning(3_000_000),
  ];
  for (const read of reads) {
    const error = await assertRejects(async () => await read(), InletError);
    assertEquals([error.code, error.message], ["changed", '"a" changed while it was sent']);
  }
  await stores.bucket.delete(`${PREFIX}a`);
  const error = await assertRejects(
    async () => await file.read(9, new Uint8Array(100_000)),
    InletError,
  );
  assertEquals(error.code, "changed");
}, CEPH);

integration("a file that is closed while it is read asks for nothing more", async () => {
  await using stores = await bucketStores();
  await write(stores, { a: bytes(3_000_000) });
  const [asked, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const cancelled = Promise.withResolvers<void>();
  const { store, counts } = await openWatched(stores, {
    get: async (key, options) => {
      if ((options?.range?.bytes ?? 0) < 100_000) return await stores.bucket.get(key, options);
      asked.resolve();
      await goOn.promise;
      const object = (await stores.bucket.get(key, options))!;
      await object.body.cancel();
      const body = new ReadableStream({
        pull: (body) => body.error(new Error("it was read")),
        cancel: () => cancelled.resolve(),
      }, { highWaterMark: 0 });
      return { ...object, body };
    },
  });
  const file = await store.open("a");
  const reading = assertRejects(() => collect(file.stream(0)), Error, "closed while it was read");
  await asked.promise;
  file[Symbol.dispose]();
  goOn.resolve();
  await reading;
  assertEquals(counts.get, 2);
  await cancelled.promise;
}, CEPH);

integration("reads that follow one another share an answer", async () => {
  await using stores = await bucketStores();
  const content = bytes(3_000_000);
  await write(stores, { a: content });
  const { store, counts } = await openWatched(stores);
  using file = await store.open("a");
  const room = new Uint8Array(content.length);
  for (let at = 0; at < room.length; at += 100_000) {
    await file.read(at, room.subarray(at, at + 100_000));
  }
  assertEquals(crc32(room), crc32(content));
  assertEquals(counts.get, 3);
}, CEPH);

integration(
  "small files are read many at a time, and a large one is asked for once",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const names = Array.from({ length: 64 }, (_, index) => `${index}`.padStart(2, "0"));
    await write(stores, Object.fromEntries(names.map((name) => [name, name])));
    await write(stores, { large: bytes(512 * 1024 + 1) });
    let underWay = 0;
    let most = 0;
    const full = Promise.withResolvers<void>();
    const { store, counts } = await openWatched(stores, {
      get: async (...given) => {
        most = Math.max(most, ++underWay);
        if (most === 32) full.resolve();
        // The later ones are answered when as many are asked for as ever will be.
        if (given[0] > `${PREFIX}31`) await full.promise;
        return await bucket.get(...given).finally(() => underWay--);
      },
    });
    const got: string[] = [];
    let room: Uint8Array | undefined = new Uint8Array(3);
    const reader = {
      room: () => room,
      // It has room for two.
      add: ({ content }: { content: Uint8Array }) => {
        got.push(new TextDecoder().decode(content));
        if (got.length % 2 === 0) room = undefined;
      },
      flush: () => {
        room = new Uint8Array(3);
        return Promise.resolve();
      },
      drop: () => {},
    };
    assertEquals(await store.readSmall(names, reader), 64);
    assertEquals(got, names);
    assertEquals([most, counts.get], [32, 64]);
    assertEquals(await store.readSmall(["large", ...names], reader), 0);
    assertEquals(counts.get, 65);
  },
  CEPH,
);

integration("the files of an archive are opened beside each other, and come in order", async () => {
  await using stores = await bucketStores();
  await using temp = await tempDir();
  const { bucket } = stores;
  const names = Array.from({ length: 40 }, (_, index) => `${index}`.padStart(2, "0"));
  await write(stores, Object.fromEntries(names.map((name) => [`f/${name}`, name])));
  let underWay = 0;
  let most = 0;
  const full = Promise.withResolvers<void>();
  const { store, counts } = await openWatched(stores, {
    get: async (...given) => {
      most = Math.max(most, ++underWay);
      if (most === 16) full.resolve();
      if (given[0] > `${PREFIX}f/10`) await full.promise;
      return await bucket.get(...given).finally(() => underWay--);
    },
  });
  await using server = await serveHere({ dir: temp.path, store });
  const answer = await fetch(`http://127.0.0.1:${server.port}/files/f/?archive=tar`);
  await Deno.writeFile(`${temp.path}/f.tar`, new Uint8Array(await answer.arrayBuffer()));
  const { stdout } = await run("tar", ["xvf", `${temp.path}/f.tar`, "-C", temp.path]);
  assertEquals(stdout.trim().split("\n"), ["f/", ...names.map((name) => `f/${name}`)]);
  for (const name of names) assertEquals(await Deno.readTextFile(`${temp.path}/f/${name}`), name);
  assertEquals([most, counts.get], [16, 40]);
}, { ...CEPH, programs: ["tar"] });

integration(
  "a diff asks once what is there, and looks at files of the same size alone",
  async () => {
    await using stores = await bucketStores();
    const modified = new Date("2021-02-03T04:05:06.789Z");
    const { store, counts } = await openWatched(stores);
    for (const name of ["a", "b", "c", "d"]) {
      await store.put(`f/${name}`, encode(name), {
        modified,
      });
    }
    const mode = undefined;
    const entries = ["a", "b", "c", "x", "y"].map((name) => ({ name, size: 1, modified, mode }));
    Object.assign(counts, { head: 0, get: 0, list: 0 });
    assertEquals(await store.diff("f", entries), "===..");
    assertEquals(counts, { head: 3, get: 0, list: 1 });
    const crcs = entries.map((entry) => ({ ...entry, crc: crc32(entry.name) }));
    assertEquals(await store.diff("f", crcs), "===..");
    // Their CRC-32 are known.
    assertEquals(counts.get, 0);
    // It may be there under a number, which is asked for.
    Object.assign(counts, { head: 0, list: 0 });
    assertEquals(await store.diff("f", [{ name: "d", size: 2, modified, mode }]), "!");
    assertEquals(counts, { head: 0, get: 0, list: 2 });
  },
  CEPH,
);

integration("a diff of few names among many lists no more than some pages", async () => {
  await using stores = await bucketStores();
  const names = Array.from({ length: 50 }, (_, index) => `${index}`.padStart(2, "0"));
  await write(stores, Object.fromEntries(names.map((name) => [`f/${name}`, name])));
  await write(stores, { "f/49 folder/x": "x" });
  const { store, counts } = await openWatched(stores, { list: inPagesOf(stores.bucket, 5) });
  const entry = (name: string, size: number | null) => ({
    ...{ name, size, modified: new Date(0), mode: undefined, byContent: true },
  });
  const entries = [entry("00", 2), entry("49", 2), entry("48 no", 2), entry("49 folder", null)];
  assertEquals(await store.diff("f", entries, { byContent: true }), "??.=");
  assert(counts.list < 10, `${counts.list} pages`);
}, CEPH);

integration("keys of other programs are listed under names, by which they are got", async () => {
  await using stores = await bucketStores();
  const keys = {
    "a//b": "a/%/b",
    "/top": "%/top",
    "folder/": "folder/%",
    "line\nfeed": "line%0Afeed",
    "50%\r": "50%25%0D",
    "%0A": "%0A",
    "100%": "100%",
    "q/.INLET/x": "q/%2EINLET/x",
    [`long/${"x".repeat(300)}`]: `long/${"x".repeat(300)}`,
    "e\u0301": "e\u0301",
    "esc\x1b[31m": "esc%1B[31m",
    "separator\u2028": "separator%E2%80%A8",
  };
  await write(stores, Object.fromEntries(Object.keys(keys).map((key) => [key, `of ${key}`])));
  await write(stores, { "made/by hand/": "", ".inlet/own": "hidden" });
  const store = await stores.open();
  const list = (await allOf(store.list())).map(({ name }) => name);
  assertEquals(new Set(list), new Set(Object.values(keys)));
  for (const [key, name] of Object.entries(keys)) {
    using file = await store.open(name);
    assertEquals(new TextDecoder().decode(await collect(file.stream(0))), `of ${key}`, name);
    assertEquals((await allOf(store.tree(name))).at(-1)!.name, name);
  }
  const tree = namesOf(await allOf(store.tree("/")));
  for (const name of ["a/", "a/%/", "%/", "folder/", "made/", "made/by hand/", "q/%2EINLET/"]) {
    assert(tree.includes(name), name);
  }
  assertEquals(namesOf(await allOf(store.tree("a/%"))), ["a/%/", "a/%/b"]);
  assertEquals(namesOf(await allOf(store.tree("a", undefined, true))), ["a/", "a/%/"]);
  // By a name that no list shows, nothing is got.
  for (const name of ["line\nfeed", "a//b", "../inbox/top", ".inlet/own", "%2Einlet/own"]) {
    const error = await assertRejects(async () => await store.open(name), InletError);
    assertEquals(error.code, name.startsWith("%") ? "not-found" : "bad-name", name);
  }
}, CEPH);

integration(
  "keys with . and .. in them are listed, and refused where they would be rewritten",
  async () => {
    await using stores = await bucketStores();
    for (const key of ["a/../b", "./c", "d"]) {
      await writeByForm(stores.name, `${PREFIX}${key}`, `of ${key}`);
    }
    const store = await stores.open();
    const list = (await allOf(store.list())).map(({ name }) => name);
    assertEquals(list, ["%2E/c", "a/%2E%2E/b", "d"]);
    const tree = namesOf(await allOf(store.tree("/")));
    assertEquals(tree, ["%2E/", "%2E/c", "a/", "a/%2E%2E/", "a/%2E%2E/b", "d"]);
    for (const name of ["%2E/c", "a/%2E%2E/b", "a/../b"]) {
      const error = await assertRejects(async () => await store.open(name), InletError);
      assertEquals(error.code, "bad-name", name);
    }
  },
  CEPH,
);

integration(
  "a file in parts has its facts beside it, also after another program moved it",
  async () => {
    await using stores = await bucketStores();
    const store = await stores.open();
    const content = bytes(9_000_000);
    const modified = new Date("2021-02-03T04:05:06.789Z");
    await using upload = await store.receive("a", content.length);
    await upload.write(content);
    await upload.publish({ modified, mode: 0o640 }, crc32(content));
    const ceph = await sharedCeph();
    const head = (await stores.bucket.head(`${PREFIX}a`))!;
    assert(head.etag.endsWith("-2"), head.etag);
    assertEquals(head.meta[META.modified], undefined);
    await (await ceph.fetch(`${stores.name}/${PREFIX}moved`, {
      method: "PUT",
      headers: { "x-amz-copy-source": `/${stores.name}/${PREFIX}a` },
    })).body?.cancel();
    for (const name of ["a", "moved"]) {
      using file = await store.open(name);
      const facts = [file.modified, file.mode, await file.knownCrc()];
      assertEquals(facts, [modified, 0o640, crc32(content)], name);
    }
    assertEquals((await allOf(store.list())).map(({ modified }) => modified), [modified, modified]);
  },
  CEPH,
);
