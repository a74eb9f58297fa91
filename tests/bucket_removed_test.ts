/**
 * What becomes of an upload to a bucket of which another program removes something: its state, its parts,
 * the object at its name.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import type { BucketStore } from "../lib/bucket/bucket_store.ts";
import { META } from "../lib/bucket/layout.ts";
import { readState } from "../lib/bucket/leased.ts";
import type { UploadState } from "../lib/bucket/state.ts";
import { InletError } from "../lib/errors.ts";
import type { Bucket } from "../lib/s3/bucket.ts";
import type { Upload } from "../lib/store/store.ts";
import { bucketStores, changed, objectsIn, type TestStores } from "./bucket_stores.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration } from "./helpers.ts";

const MIB = 1024 * 1024;
const FINGERPRINT = "f".repeat(64);

/** Two parts. */
const CONTENT = new TextEncoder().encode(
  crypto.getRandomValues(new Uint8Array(9 * MIB / 256)).toHex().repeat(128),
);
const CRC = crc32(CONTENT);

/** Begins an upload, and has all of it arrive, the first part at the object store. */
async function arrived(stores: TestStores, store: BucketStore): Promise<Upload> {
  const upload = await store.receiveResumable("a.bin", CONTENT.length, {
    fingerprint: FINGERPRINT,
  });
  await upload.write(CONTENT);
  while (!(await states(stores)).some((state) => state.parts.length > 0));
  return upload;
}

async function states({ bucket }: TestStores): Promise<UploadState[]> {
  const objects = await objectsIn(bucket, "inbox/.inlet/up/");
  const found = await Promise.all(objects.map(({ key }) => readState(bucket, key)));
  return found.flatMap((one) => one ? [one.state] : []);
}

/** The uploads in parts that are open. */
async function open({ bucket }: TestStores): Promise<{ key: string; uploadId: string }[]> {
  return (await Array.fromAsync(bucket.uploads(""))).flat();
}

async function removeBelow({ bucket }: TestStores, prefix: string): Promise<void> {
  for (const { key } of await objectsIn(bucket, prefix)) await bucket.delete(key);
}

const removeStates = (stores: TestStores): Promise<void> => removeBelow(stores, "inbox/.inlet/up/");

async function abortAll(stores: TestStores): Promise<void> {
  for (const upload of await open(stores)) await stores.bucket.abort(upload);
}

/** Ends an upload as a connection does that failed. */
async function fails(upload: Upload, action: () => Promise<unknown>): Promise<InletError> {
  const error = await assertRejects(action, InletError);
  await upload.discard();
  await upload[Symbol.asyncDispose]();
  return error;
}

/** The client comes again, with or without its ticket, and sends what is missing. */
async function sendsAgain(store: BucketStore, ticket: string | undefined): Promise<string> {
  const query = { fingerprint: FINGERPRINT, ticket };
  const [partial] = await Array.fromAsync(store.findPartials("a.bin", query));
  await using upload = await partial?.take({ fingerprint: FINGERPRINT }) ??
    await store.receiveResumable("a.bin", CONTENT.length, { fingerprint: FINGERPRINT });
  await upload.write(CONTENT.subarray(upload.kept.bytes));
  return await upload.publish({}, CRC);
}

async function assertWhole({ bucket }: TestStores, name = "a.bin"): Promise<void> {
  await (await sharedCeph()).collectGarbage();
  const content = await new Response((await bucket.get(`inbox/${name}`))!.body).bytes();
  assertEquals([content.length, crc32(content)], [CONTENT.length, CRC]);
}

integration("an upload whose state is removed fails, and leaves its name", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  const upload = await arrived(stores, store);
  await removeStates(stores);
  const error = await fails(upload, () => upload.publish({}, CRC));
  assertEquals([error.code, error.message], [
    "aborted",
    "Cannot store the file: its upload has been removed",
  ]);
  assertEquals(await open(stores), []);
  assertEquals((await stores.bucket.head("inbox/a.bin"))!.meta[META.mark], "free");
  assertEquals(await sendsAgain(store, upload.ticket), "a.bin");
  await assertWhole(stores);
}, CEPH);

integration("an upload whose state is removed while it is completed is not aborted", async () => {
  for (const answer of ["done", "unclear"] as const) {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const completing: Promise<unknown>[] = [];
    const release = Promise.withResolvers<void>();
    const complete: Bucket["complete"] = async (...asked) => {
      await removeStates(stores);
      if (answer === "done") return await bucket.complete(...asked);
      completing.push(release.promise.then(() => bucket.complete(...asked)));
      return answer;
    };
    const aborted: string[] = [];
    const abort: Bucket["abort"] = async (upload) => {
      aborted.push(upload.uploadId);
      await bucket.abort(upload);
    };
    const store = await stores.open({
      bucket: changed(bucket, { complete, abort }),
      // A save that is under way brings the state back. Where it is saved often, it is removed again.
      ...answer === "unclear" && { leaseMs: 300 },
    });
    const upload = await arrived(stores, store);
    const error = await fails(upload, () => upload.publish({}, CRC));
    assertEquals(error.code, "aborted", error.message);
    assertEquals(aborted, []);
    release.resolve();
    await Promise.all(completing);
    await assertWhole(stores);
  }
}, CEPH);

integration("an upload that is aborted from outside is sent again", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  const upload = await arrived(stores, store);
  await abortAll(stores);
  const error = await fails(upload, () => upload.publish({}, CRC));
  assertEquals([error.code, error.message], [
    "aborted",
    "Cannot store the file: its upload has been removed",
  ]);
  assertEquals(await sendsAgain(store, upload.ticket), "a.bin");
  await assertWhole(stores);
}, CEPH);

integration(
  "an upload that is aborted from outside before it is completed is sent again",
  async () => {
    await using stores = await bucketStores();
    let isAborted = false;
    const complete: Bucket["complete"] = async (...asked) => {
      if (!isAborted) await abortAll(stores);
      isAborted = true;
      return await stores.bucket.complete(...asked);
    };
    const store = await stores.open({ bucket: changed(stores.bucket, { complete }) });
    const upload = await arrived(stores, store);
    const error = await fails(upload, () => upload.publish({}, CRC));
    assertEquals([error.code, error.message], [
      "internal",
      'Cannot store "a.bin": the object store has lost its parts',
    ]);
    assert(isAborted);
    assertEquals(await sendsAgain(await stores.open(), upload.ticket), "a.bin");
    await assertWhole(stores);
  },
  CEPH,
);

integration("an upload whose name another file has got is sent again under the next", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  const upload = await arrived(stores, store);
  await stores.bucket.delete("inbox/a.bin");
  assertEquals(await store.put("a.bin", new Uint8Array(7)), "a.bin");
  const error = await fails(upload, () => upload.publish({}, CRC));
  assertEquals([error.code, error.message], [
    "aborted",
    'Cannot store "a.bin": another program has written an object of that name',
  ]);
  assertEquals(await sendsAgain(await stores.open(), upload.ticket), "a (2).bin");
  await assertWhole(stores, "a (2).bin");
  assertEquals((await stores.bucket.head("inbox/a.bin"))!.size, 7);
}, CEPH);

integration(
  "the name of an upload that broke off and lost its state is free after a sweep",
  async () => {
    await using stores = await bucketStores();
    const store = await stores.open();
    const upload = await arrived(stores, store);
    await upload[Symbol.asyncDispose]();
    await removeStates(stores);
    const later = changed(stores.bucket, {
      head: async (...asked) => {
        const head = await stores.bucket.head(...asked);
        return head && { ...head, answered: new Date(head.answered.getTime() + 2 * 3_600_000) };
      },
    });
    await (await stores.open({ bucket: later, keepPartialsMs: 1 })).sweep();
    assertEquals(await open(stores), []);
    assertEquals((await stores.bucket.head("inbox/a.bin"))!.meta[META.mark], "free");
  },
  CEPH,
);

integration("a tus upload that can never be completed is not found any more", async () => {
  await using stores = await bucketStores();
  const complete: Bucket["complete"] = async (...asked) => {
    await abortAll(stores);
    return await stores.bucket.complete(...asked);
  };
  const store = await stores.open({ bucket: changed(stores.bucket, { complete }) });
  const id = "0123456789abcdef0123456789abcdef";
  const begun = await store.ongoing.begin(id, {
    ...{ name: "a.bin", size: CONTENT.length, details: "{}" },
  });
  {
    await using upload = (await begun.take({ quietMs: 0 }))!;
    await upload.write(CONTENT);
    await assertRejects(() => upload.publish({}, CRC), InletError, "has lost its parts");
  }
  assertEquals(await store.ongoing.find(id), undefined);
  assertEquals((await stores.bucket.head("inbox/a.bin"))!.meta[META.mark], "free");
  assertEquals(await objectsIn(stores.bucket, "inbox/.inlet/"), []);
}, CEPH);
