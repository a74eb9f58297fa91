/**
 * What a sweep of a bucket removes that no upload has any more, and what it leaves to other programs.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import type { Bucket, ListedPage, ListQuery } from "../lib/s3/bucket.ts";
import { hashOf } from "../lib/bucket/state.ts";
import { bucketStores, changed, contentOf, objectsIn, writeByForm } from "./bucket_stores.ts";
import { CEPH, integration } from "./helpers.ts";

const DAY_MS = 24 * 3_600_000;

/** Two parts. */
const SIZE = 9 * 1024 * 1024;

/** A bucket as it will be some days from now, if nothing happens meanwhile. */
function later(bucket: Bucket, days: number): Bucket {
  const ms = days * DAY_MS;
  const answeredLater = <T extends { readonly answered: Date }>(object: T | undefined) =>
    object && { ...object, answered: new Date(object.answered.getTime() + ms) };
  return changed(bucket, {
    head: async (...args) => answeredLater(await bucket.head(...args)),
    get: async (...args) => answeredLater(await bucket.get(...args)),
    async *list(query: ListQuery): AsyncGenerator<ListedPage> {
      for await (const { objects, prefixes } of bucket.list(query)) {
        const older = ({ modified }: { modified: Date }) => new Date(modified.getTime() - ms);
        yield {
          prefixes,
          objects: objects.map((object) => ({ ...object, modified: older(object) })),
        };
      }
    },
  });
}

async function openUploads(bucket: Bucket): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of bucket.uploads("")) keys.push(...page.map(({ key }) => key));
  return keys.sort();
}

integration("a sweep aborts what dead servers began, and nothing of another program", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const store = await stores.open();
  const upload = await store.receive("given up.bin", SIZE);
  await upload.write(new Uint8Array(SIZE - 1));
  await upload.discard();
  await upload[Symbol.asyncDispose]();
  await store.put("file.bin", new Uint8Array(5));
  // As a server leaves it that is killed before the state names the upload.
  await bucket.createUpload("inbox/given up.bin");
  const strange = ["inbox/file.bin", "inbox/strange.bin"];
  for (const key of strange) await bucket.createUpload(key);
  const before = await openUploads(bucket);
  await store.sweep();
  assertEquals(await openUploads(bucket), before);
  // With one that no request can name.
  const withOdd = changed(later(bucket, 2), {
    async *uploads(prefix) {
      yield [{ key: "inbox/a/../b", uploadId: "odd", begun: new Date(0) }];
      yield* bucket.uploads(prefix);
    },
  });
  await (await stores.open({ bucket: withOdd })).sweep();
  assertEquals(await openUploads(bucket), strange);
  assertEquals((await objectsIn(bucket, "inbox/")).map(({ key, size }) => [key, size]), [
    ["inbox/file.bin", 5],
    ["inbox/given up.bin", 1031],
  ]);
}, CEPH);

integration("a sweep removes what it finds below .inlet that belongs to nothing", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const store = await stores.open();
  const id = crypto.randomUUID();
  const hash = "a".repeat(64);
  const left = [`probe/${id}`, `sent/${hash}`, `tail/${id}/1`, `up/${hash}/ongoing-${hash}`];
  for (const path of left) await bucket.put(`inbox/.inlet/${path}`, new Uint8Array(1));
  // What is in use, or of a version that is not known, stays with all that may belong to it.
  await store.ongoing.begin(id, { name: "a", size: 9, details: "{}", fingerprint: hash });
  const used = (await objectsIn(bucket, "inbox/.inlet/")).map(({ key }) => key)
    .filter((key) => !left.some((path) => key.endsWith(path)));
  await store.sweep();
  assertEquals((await objectsIn(bucket, "inbox/.inlet/")).length, used.length + left.length);
  await bucket.put("inbox/.inlet/up/x/new", new TextEncoder().encode('{"version":2}'));
  const longKept = { bucket: later(bucket, 2), keepPartialsMs: 2.5 * DAY_MS };
  await (await stores.open(longKept)).sweep();
  assertEquals((await objectsIn(bucket, "inbox/.inlet/")).length, used.length + left.length + 1);
  const kept = { bucket: later(bucket, 2), keepPartialsMs: 1.9 * DAY_MS };
  await (await stores.open(kept)).sweep();
  const now = (await objectsIn(bucket, "inbox/.inlet/")).map(({ key }) => key);
  assertEquals(now, ["inbox/.inlet/tail/" + id + "/1", "inbox/.inlet/up/x/new"]);
  await bucket.delete("inbox/.inlet/up/x/new");
  await (await stores.open(kept)).sweep();
  assertEquals(await objectsIn(bucket, "inbox/.inlet/"), []);
}, CEPH);

integration(
  "a sweep leaves an upload alone whose state it cannot read, or another store has",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const store = await stores.open();
    const upload = await store.receive("given up.bin", SIZE);
    await upload.write(new Uint8Array(SIZE - 1));
    await upload.discard();
    await upload[Symbol.asyncDispose]();
    await bucket.createUpload("inbox/given up.bin");
    // A store of its own within the folder of the other.
    const inner = await stores.open({ prefix: "inbox/deep/" });
    await using live = await inner.receive("a/live.bin", SIZE);
    await live.write(new Uint8Array(SIZE));
    while ((await openUploads(bucket)).length < 2);
    await bucket.put("inbox/.inlet/up/x/new", new TextEncoder().encode('{"version":2}'));
    await (await stores.open({ bucket: later(bucket, 2) })).sweep();
    assertEquals(await openUploads(bucket), ["inbox/deep/a/live.bin", "inbox/given up.bin"]);
    await bucket.delete("inbox/.inlet/up/x/new");
    await (await stores.open({ bucket: later(bucket, 2) })).sweep();
    assertEquals(await openUploads(bucket), ["inbox/deep/a/live.bin"]);
    assertEquals(await live.publish(), "a/live.bin");
  },
  CEPH,
);

integration("an upload that cannot be cleared away keeps a sweep from no other", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const store = await stores.open();
  await store.ongoing.begin("id", { name: "a", size: 9, details: "{}" });
  const [begun] = await objectsIn(bucket, "inbox/.inlet/ongoing/");
  const state = JSON.parse((await contentOf(bucket, begun!.key))!);
  // No key is so long.
  const unclear = { ...state, name: `${"a".repeat(200)}/`.repeat(6) + "a" };
  await bucket.put("inbox/.inlet/up/0/unclear", new TextEncoder().encode(JSON.stringify(unclear)));
  const sweeping = (await stores.open({ bucket: later(bucket, 2) })).sweep();
  await assertRejects(() => sweeping, InletError, "too long");
  const left = (await objectsIn(bucket, "inbox/.inlet/")).map(({ key }) => key);
  assertEquals(left, ["inbox/.inlet/up/0/unclear"]);
}, CEPH);

integration(
  "a key below .inlet that no request can name, or a state that is denied, stops nothing",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const hash = await hashOf("file", "a file");
    const odd = ["ongoing/..", "probe/../x", "tail/../x", `up/${hash}/..`, "up/x/../y"];
    for (const key of odd) await writeByForm(stores.name, `inbox/.inlet/${key}`, "odd");
    const begin = async (id: string) =>
      await (await stores.open()).ongoing.begin(id, { name: "a", size: 9, details: "{}" });
    await begin("given up");
    await (await stores.open({ bucket: later(bucket, 2) })).sweep();
    const isOdd = (key: string) => odd.some((one) => key === `inbox/.inlet/${one}`);
    const left = (await objectsIn(bucket, "inbox/")).map(({ key }) => key);
    assertEquals(left.filter((key) => !isOdd(key)), []);
    assertEquals(left.length, odd.length);
    const query = { fingerprint: "a file" };
    assertEquals(await Array.fromAsync((await stores.open()).findPartials("a", query)), []);

    // Another account has written it.
    const secret = `inbox/.inlet/up/${hash}/secret`;
    await bucket.put(secret, new Uint8Array(9));
    await begin("given up later");
    const denying = (bucket: Bucket): Bucket =>
      changed(bucket, {
        get: async (key, how) => {
          if (key === secret) throw new InletError("denied", "no");
          return await bucket.get(key, how);
        },
      });
    const store = await stores.open({ bucket: denying(later(bucket, 2)) });
    await assertRejects(() => store.sweep(), InletError, "no");
    const rest = (await objectsIn(bucket, "inbox/")).map(({ key }) => key);
    assertEquals(rest.filter((key) => !isOdd(key)), [secret]);
    assertEquals(await Array.fromAsync(store.findPartials("a", query)), []);
  },
  CEPH,
);
