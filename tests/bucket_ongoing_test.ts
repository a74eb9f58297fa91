/**
 * Uploads to a bucket that go on over several requests, each of which may come to another server.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import type { BucketStore } from "../lib/bucket/bucket_store.ts";
import { InletError } from "../lib/errors.ts";
import type { Bucket } from "../lib/s3/bucket.ts";
import type { OngoingUpload, Taking } from "../lib/store/ongoing.ts";
import { bucketStores, changed, objectsIn, type TestStores } from "./bucket_stores.ts";
import { CEPH, integration } from "./helpers.ts";
import { mortalBucket } from "./mortal_bucket.ts";

const CONTENT = crypto.getRandomValues(new Uint8Array(65536));
const ID = "0123456789abcdef0123456789abcdef";

/** How a request takes an upload over whose last one is a second old. */
const TAKING: Taking = { quietMs: 1000 };

async function begun(
  store: BucketStore,
  how: { id?: string; size?: number | null; owner?: string; fingerprint?: string } = {},
): Promise<OngoingUpload> {
  const { id = ID, size = null, ...others } = how;
  return await store.ongoing.begin(id, { name: "a.bin", size, details: "{}", ...others });
}

/** Appends so many pieces of the content to an upload, in one request. */
async function append(
  store: BucketStore,
  pieces: number,
  how: Partial<Taking> = {},
): Promise<number> {
  const upload = (await store.ongoing.find(ID))!;
  await using taken = (await upload.take({ ...TAKING, ...how }))!;
  for (let piece = 0; piece < pieces; piece++) await taken.write(CONTENT);
  return taken.kept.bytes / CONTENT.length;
}

async function bytesOf(store: BucketStore): Promise<number> {
  return (await store.ongoing.find(ID))!.bytes / CONTENT.length;
}

/** Publishes an upload of so many pieces that is whole. */
async function publish(store: BucketStore, pieces: number): Promise<string> {
  const upload = (await store.ongoing.find(ID))!;
  await using taken = (await upload.take(TAKING))!;
  return await taken.publish({}, crcOf(pieces));
}

function crcOf(pieces: number): number {
  let crc = 0;
  for (let piece = 0; piece < pieces; piece++) crc = crc32(CONTENT, crc);
  return crc;
}

async function assertStored({ bucket }: TestStores, name: string, pieces: number): Promise<void> {
  const content = await new Response((await bucket.get(`inbox/${name}`))!.body).bytes();
  assertEquals([content.length, crc32(content)], [pieces * CONTENT.length, crcOf(pieces)]);
}

integration(
  "requests of an upload come to one server after another, and each byte is kept",
  async () => {
    await using stores = await bucketStores();
    const [one, two] = [await stores.open(), await stores.open()];
    // Two parts, and then some.
    for (const total of [3, 150]) {
      const step = Math.ceil(total / 3);
      assertEquals((await begun(one)).bytes, 0);
      for (let round = 0; round < 3; round++) {
        const store = round % 2 === 0 ? two : one;
        assertEquals(await bytesOf(store), round * step);
        assertEquals(await append(store, step), round * step);
      }
      await (await two.ongoing.find(ID))!.change({ size: total * CONTENT.length });
      assertEquals((await one.ongoing.find(ID))!.size, total * CONTENT.length);
      // One tail at most is left of all the requests.
      assert((await objectsIn(stores.bucket, "inbox/.inlet/tail/")).length <= 1);
      const name = await publish(one, total);
      const outcome = { name, size: total * CONTENT.length };
      const there = (await two.ongoing.find(ID))!;
      assertEquals([there.outcome, there.bytes], [outcome, outcome.size]);
      assertEquals(await there.take(TAKING), undefined);
      await assertStored(stores, name, total);
      await there.remove();
      assertEquals(await one.ongoing.find(ID), undefined);
      await assertStored(stores, name, total);
      assertEquals(await objectsIn(stores.bucket, "inbox/.inlet/ongoing/"), []);
    }
  },
  CEPH,
);

integration("an upload whose server was killed goes on at another one at once", async () => {
  await using stores = await bucketStores();
  const { bucket, kill } = mortalBucket(stores.bucket);
  const [dead, live] = [await stores.open({ bucket }), await stores.open()];
  await begun(dead, { size: 200 * CONTENT.length });
  await append(dead, 100);
  const upload = (await dead.ongoing.find(ID))!;
  const taken = (await upload.take(TAKING))!;
  // It sends the first part.
  for (let piece = 100; piece < 150; piece++) await taken.write(CONTENT);
  while (await bytesOf(live) < 128);
  kill();
  assertEquals(await append(live, 72), 128);
  assertEquals(await publish(live, 200), "a.bin");
  await assertStored(stores, "a.bin", 200);
}, CEPH);

integration(
  "wherever a server is killed that keeps bytes, those it told of are there",
  async () => {
    for (let last = 1, isKept = false; !isKept; last++) {
      await using stores = await bucketStores();
      let requests = 0;
      const { bucket, died } = mortalBucket(stores.bucket, () => ++requests === last);
      const [dead, live] = [await stores.open({ bucket }), await stores.open()];
      await begun(live);
      await append(live, 2);
      const keeping = (async () => {
        const upload = (await dead.ongoing.find(ID))!;
        const taken = (await upload.take(TAKING))!;
        for (let piece = 0; piece < 3; piece++) await taken.write(CONTENT);
        await taken.keep();
        return true;
      })();
      isKept = await Promise.race([keeping, died.then(() => false)]);
      const bytes = await bytesOf(live);
      assert(isKept ? bytes === 5 : [2, 5].includes(bytes), `${bytes} after ${last}`);
      assertEquals(await append(live, 1), bytes);
      await (await live.ongoing.find(ID))!.change({ size: (bytes + 1) * CONTENT.length });
      assertEquals(await publish(live, bytes + 1), "a.bin");
      await assertStored(stores, "a.bin", bytes + 1);
      assertEquals(await objectsIn(stores.bucket, "inbox/.inlet/tail/"), []);
    }
  },
  CEPH,
);

integration(
  "an upload that was killed when it was published has its outcome, and one copy",
  async () => {
    for (const [pieces, last] of [[200, "complete"], [5, "put"]] as const) {
      await using stores = await bucketStores();
      const { bucket, died } = mortalBucket(
        stores.bucket,
        (method, [key]) => method === last && (last === "complete" || key === "inbox/a.bin"),
      );
      const [dead, live] = [await stores.open({ bucket }), await stores.open()];
      await begun(dead, { size: pieces * CONTENT.length });
      // A small one that the killed server had not told of is sent again.
      await append(live, pieces - 1);
      await append(live, 1);
      publish(dead, pieces).catch(() => {});
      await died;
      assertEquals(await publish(live, pieces), "a.bin");
      assertEquals((await live.ongoing.find(ID))!.outcome!.name, "a.bin");
      const files = (await objectsIn(stores.bucket, "inbox/a")).map(({ key }) => key);
      assertEquals(files, ["inbox/a.bin"]);
      await assertStored(stores, "a.bin", pieces);
    }
  },
  CEPH,
);

integration(
  "an upload that was stored is known as such wherever its server was killed",
  async () => {
    await using stores = await bucketStores();
    let isStored = false;
    const { bucket, died } = mortalBucket(stores.bucket, (method, [key]) => {
      const isState = method === "put" && `${key}`.includes("/ongoing/");
      isStored ||= key === "inbox/a.bin";
      return isStored && isState;
    });
    const [dead, live] = [await stores.open({ bucket }), await stores.open()];
    await begun(dead, { size: 5 * CONTENT.length });
    await append(live, 5);
    publish(dead, 5).catch(() => {});
    await died;
    assertEquals((await live.ongoing.find(ID))?.outcome, {
      name: "a.bin",
      size: 5 * CONTENT.length,
    });
    await (await live.ongoing.find(ID))!.remove();
    assertEquals((await objectsIn(stores.bucket)).map(({ key }) => key), ["inbox/a.bin"]);
  },
  CEPH,
);

integration("a size that could not be noted is not taken for noted", async () => {
  await using stores = await bucketStores();
  await begun(await stores.open());
  let puts = 0;
  const put: Bucket["put"] = async (...args) => {
    // The first one takes the upload over.
    if (++puts === 2) throw new InletError("denied", "The object store does not permit it");
    return await stores.bucket.put(...args);
  };
  const store = await stores.open({ bucket: changed(stores.bucket, { put }) });
  const upload = (await store.ongoing.find(ID))!;
  await assertRejects(async () => await upload.change({ size: 5 }), InletError, "permit");
  assertEquals((await store.ongoing.find(ID))!.size, null);
  await upload.change({ size: 5 });
  assertEquals((await store.ongoing.find(ID))!.size, 5);
}, CEPH);

integration(
  "what was not confirmed does not count, whether it was discarded or its server killed",
  async () => {
    await using stores = await bucketStores();
    const { bucket, kill } = mortalBucket(stores.bucket);
    const [one, two] = [await stores.open({ bucket }), await stores.open()];
    await begun(one);
    await append(one, 100);
    const wrong = (await (await one.ongoing.find(ID))!.take({ ...TAKING, isTentative: true }))!;
    for (let piece = 0; piece < 100; piece++) await wrong.write(CONTENT);
    await wrong.discard();
    await wrong[Symbol.asyncDispose]();
    assertEquals(await bytesOf(two), 100);
    // As it breaks off.
    await append(one, 100, { isTentative: true });
    assertEquals(await bytesOf(two), 100);
    const upload = (await one.ongoing.find(ID))!;
    {
      await using right = (await upload.take({ ...TAKING, isTentative: true }))!;
      for (let piece = 0; piece < 100; piece++) await right.write(CONTENT);
      await upload.confirm();
    }
    assertEquals(await bytesOf(two), 200);
    const killed = (await (await one.ongoing.find(ID))!.take({ ...TAKING, isTentative: true }))!;
    for (let piece = 0; piece < 100; piece++) await killed.write(CONTENT);
    kill();
    assertEquals(await bytesOf(two), 200);
    assertEquals(await append(two, 1), 200);
    assertEquals(await publish(two, 201), "a.bin");
    await assertStored(stores, "a.bin", 201);
  },
  CEPH,
);

integration("an upload is removed, also from the server that is sending it", async () => {
  await using stores = await bucketStores();
  const [one, two] = [await stores.open(), await stores.open()];
  const taken = Promise.withResolvers<void>();
  const upload = await begun(one, { fingerprint: "f".repeat(64), size: 200 * CONTENT.length });
  const sending = (await upload.take({ ...TAKING, onTaken: () => taken.resolve() }))!;
  for (let piece = 0; piece < 150; piece++) await sending.write(CONTENT);
  await (await two.ongoing.find(ID))!.remove();
  await assertRejects(() => sending.publish({}, 0), InletError);
  await taken.promise;
  await sending[Symbol.asyncDispose]();
  assertEquals(await one.ongoing.find(ID), undefined);
  assertEquals((await objectsIn(stores.bucket, "inbox/.inlet/")).map(({ key }) => key), []);
  for await (const page of stores.bucket.uploads("")) assertEquals(page, []);
}, CEPH);

integration("an upload with a fingerprint is found by the client that has the file", async () => {
  await using stores = await bucketStores();
  const [one, two] = [await stores.open(), await stores.open()];
  const fingerprint = "f".repeat(64);
  await begun(one, { fingerprint, size: 5 * CONTENT.length });
  await append(one, 3);
  const [partial] = await Array.fromAsync(two.findPartials("a.bin", { fingerprint }));
  assertEquals(partial!.bytes, 3 * CONTENT.length);
  await using upload = (await partial!.take({ fingerprint }))!;
  for (let piece = 3; piece < 5; piece++) await upload.write(CONTENT);
  assertEquals(await upload.publish({}, crcOf(5)), "a.bin");
  assertEquals((await one.ongoing.find(ID))!.outcome!.name, "a.bin");
}, CEPH);

integration(
  "too many uploads are refused, and the oldest of which little has arrived gives way",
  async () => {
    await using stores = await bucketStores();
    const [one, two] = [await stores.open({ maxUploads: 4 }), await stores.open({ maxUploads: 4 })];
    const id = (index: number): string => `${index}`.padStart(32, "0");
    for (let index = 0; index < 4; index++) await begun(one, { id: id(index), owner: `${index}` });
    await begun(two, { id: id(4) });
    const left = [0, 1, 2, 3, 4].map((index) => one.ongoing.find(id(index)));
    assertEquals((await Promise.all(left)).filter((upload) => upload !== undefined).length, 4);
    const denied = await stores.open({ keepPartialsMs: 0 });
    const error = await assertRejects(() => begun(denied), InletError);
    assertEquals(error.code, "denied");
  },
  CEPH,
);

integration("an upload expires, and a sweep removes it with what finds it", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  await begun(store, { size: 200 * CONTENT.length });
  await append(store, 150);
  const other = await stores.open({ keepPartialsMs: 1 });
  // By the clock of the store, which tells whole seconds.
  while (await store.ongoing.find(ID)) await other.sweep();
  const left = (await objectsIn(stores.bucket, "inbox/")).map(({ key }) => key);
  assertEquals(left, ["inbox/a.bin"]);
  assertEquals(await store.put("a.bin", CONTENT), "a.bin");
  for await (const page of stores.bucket.uploads("")) assertEquals(page, []);
}, CEPH);
