/**
 * Which uploads to a bucket a client may go on with, and how often.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import type { BucketStore } from "../lib/bucket/bucket_store.ts";
import { InletError } from "../lib/errors.ts";
import type { PartialFile, PartialQuery, Upload } from "../lib/store/store.ts";
import { bucketStores, contentOf, objectsIn } from "./bucket_stores.ts";
import { CEPH, integration } from "./helpers.ts";
import { mortalBucket } from "./mortal_bucket.ts";

const MIB = 1024 * 1024;
const FINGERPRINT = "f".repeat(64);

/** Nine MiB are two parts. */
const LARGE = crypto.getRandomValues(new Uint8Array(9 * MIB / 256)).toHex().repeat(128);
const CONTENT = new TextEncoder().encode(LARGE);
const SMALL = CONTENT.subarray(0, 100_000);

/** Begins an upload, and has so much of it arrive. */
async function begun(
  store: BucketStore,
  { name = "a.bin", size = CONTENT.length, bytes = 0 },
): Promise<Upload> {
  const upload = await store.receiveResumable(name, size, { fingerprint: FINGERPRINT });
  await upload.write(CONTENT.subarray(0, bytes));
  return upload;
}

/** Has so much of an upload arrive, and breaks it off. Returns its ticket. */
async function brokenOff(store: BucketStore, how: Parameters<typeof begun>[1]): Promise<string> {
  await using upload = await begun(store, how);
  return upload.ticket!;
}

async function found(
  store: BucketStore,
  query: Partial<PartialQuery> = {},
  name = "a.bin",
): Promise<PartialFile[]> {
  return await Array.fromAsync(store.findPartials(name, { fingerprint: FINGERPRINT, ...query }));
}

const take = (partial: PartialFile | undefined): Promise<Upload | undefined> =>
  partial!.take({ fingerprint: FINGERPRINT });

integration("an upload that broke off keeps every byte, also of a small file", async () => {
  await using stores = await bucketStores();
  const [one, two] = [await stores.open(), await stores.open()];
  for (
    const [name, content, bytes] of [
      ["small.bin", SMALL, 99_999],
      ["large.bin", CONTENT, 8 * MIB + 1],
      ["one.bin", CONTENT, 1],
    ] as const
  ) {
    await brokenOff(one, { name, size: content.length, bytes });
    const [partial] = await found(two, {}, name);
    assertEquals(partial!.bytes, bytes);
    await using upload = await take(partial);
    assertEquals([upload!.kept.bytes, await upload!.kept.crc()], [
      bytes,
      crc32(content.subarray(0, bytes)),
    ]);
    await upload!.write(content.subarray(bytes));
    assertEquals(await upload!.publish({}, crc32(content)), name);
    const stored = await contentOf(stores.bucket, `inbox/${name}`);
    assertEquals(stored === new TextDecoder().decode(content), true, name);
  }
  assertEquals(await objectsIn(stores.bucket, "inbox/.inlet/tail/"), []);
}, CEPH);

integration("one of several that resume an upload gets it, and the others nothing", async () => {
  await using stores = await bucketStores();
  const ticket = await brokenOff(await stores.open(), { bytes: MIB });
  const partials = await Promise.all(Array.from({ length: 4 }, async () => {
    return (await found(await stores.open(), { ticket }))[0];
  }));
  const uploads = (await Promise.all(partials.map(take))).filter((upload) => upload !== undefined);
  const intact = [];
  for (const upload of uploads) {
    try {
      await upload.write(CONTENT.subarray(MIB));
      intact.push(await upload.publish({}, crc32(CONTENT)));
    } catch (error) {
      assertEquals((error as InletError).code, "aborted");
    }
    await upload[Symbol.asyncDispose]();
  }
  assertEquals(intact, ["a.bin"]);
}, CEPH);

integration(
  "an upload that is being sent is found by its ticket alone, and its holder stops",
  async () => {
    await using stores = await bucketStores();
    const [one, two] = [await stores.open({ leaseMs: 9000 }), await stores.open()];
    const taken = Promise.withResolvers<void>();
    const old = await one.receiveResumable("a.bin", CONTENT.length, {
      ...{ fingerprint: FINGERPRINT, onTaken: () => taken.resolve() },
    });
    let sent = 8 * MIB + 1;
    await old.write(CONTENT.subarray(0, sent));
    // Its first part is noted.
    while ((await found(two, { ticket: old.ticket! }))[0]?.bytes !== 8 * MIB);
    // Its server may have died: that takes a wait. One of which nothing arrives could be had.
    const sending = setInterval(() => old.write(CONTENT.subarray(sent, ++sent)), 100);
    const other = { ticket: crypto.randomUUID() };
    const taking = found(two, other).then(([partial]) => take(partial));
    assertEquals(await taking.finally(() => clearInterval(sending)), undefined);
    const [partial] = await found(two, { ticket: old.ticket! });
    await using upload = await take(partial);
    assertEquals(upload!.kept.bytes, 8 * MIB);
    // Its client sends the ticket that it knows, should this server be killed before it learns another.
    assertEquals(upload!.ticket, old.ticket);
    await assertRejects(() => old.publish({}, 0), InletError);
    await taken.promise;
    await old[Symbol.asyncDispose]();
    await upload!.write(CONTENT.subarray(8 * MIB));
    assertEquals(await upload!.publish({}, crc32(CONTENT)), "a.bin");
  },
  CEPH,
);

integration("an upload goes on by its ticket at one server after another", async () => {
  await using stores = await bucketStores();
  await using old = await begun(await stores.open(), { bytes: 8 * MIB + 1 });
  const ticket = old.ticket!;
  const other = await stores.open();
  while ((await found(other, { ticket }))[0]?.bytes !== 8 * MIB);
  for (let server = 1; server <= 3; server++) {
    const [partial] = await found(await stores.open(), { ticket });
    // Nothing is waited for, and the one before it still has it.
    const upload = await take(partial);
    assertEquals([upload?.kept.bytes, upload?.ticket], [8 * MIB, ticket], `${server}`);
  }
}, CEPH);

integration(
  "an upload of a dead server is found without a ticket once its lease is over",
  async () => {
    await using stores = await bucketStores();
    const { bucket, kill } = mortalBucket(stores.bucket);
    const dead = await stores.open({ bucket, leaseMs: 1000 });
    const { ticket } = await begun(dead, { bytes: 8 * MIB + 1 });
    const live = await stores.open();
    while ((await found(live, { ticket: ticket! }))[0]?.bytes !== 8 * MIB);
    kill();
    const [partial] = await found(live);
    await using resumed = await take(partial);
    assertEquals(resumed!.kept.bytes, 8 * MIB);
  },
  CEPH,
);

integration(
  "a server that was stopped for longer than its lease publishes nothing more",
  async () => {
    await using stores = await bucketStores();
    const { bucket, stop } = mortalBucket(stores.bucket);
    const slow = await stores.open({ bucket, leaseMs: 1000 });
    const old = await begun(slow, { bytes: 8 * MIB + 1 });
    await old.write(CONTENT.subarray(8 * MIB + 1));
    const other = await stores.open();
    while ((await found(other, { ticket: old.ticket! }))[0]?.bytes !== 8 * MIB);
    const goOn = stop();
    const published = assertRejects(() => old.publish({}, crc32(CONTENT)), InletError);
    let partial: PartialFile | undefined;
    while (!partial) [partial] = await found(other);
    await using upload = await take(partial);
    await upload!.write(CONTENT.subarray(8 * MIB));
    goOn();
    assertEquals((await published).code, "aborted");
    await old[Symbol.asyncDispose]();
    assertEquals(await upload!.publish({}, crc32(CONTENT)), "a.bin");
    const files = (await objectsIn(stores.bucket, "inbox/a")).map(({ key, size }) => [key, size]);
    assertEquals(files, [["inbox/a.bin", CONTENT.length]]);
  },
  CEPH,
);

integration(
  "a small file that another server goes on with is published by that one alone",
  async () => {
    await using stores = await bucketStores();
    const { bucket, stop } = mortalBucket(stores.bucket);
    const [slow, other] = [await stores.open({ bucket, leaseMs: 1000 }), await stores.open()];
    const ticket = await brokenOff(other, { size: SMALL.length, bytes: 100 });
    const old = (await take((await found(slow, { ticket }))[0]))!;
    await old.write(SMALL.subarray(100));
    const goOn = stop();
    const published = assertRejects(() => old.publish({}, crc32(SMALL)), InletError);
    await using upload = (await take((await found(other, { ticket }))[0]))!;
    await upload.write(SMALL.subarray(100));
    assertEquals(await upload.publish({}, crc32(SMALL)), "a.bin");
    goOn();
    assertEquals((await published).code, "aborted");
    await old[Symbol.asyncDispose]();
    const files = (await objectsIn(stores.bucket, "inbox/a")).map(({ key, size }) => [key, size]);
    assertEquals(files, [["inbox/a.bin", SMALL.length]]);
  },
  CEPH,
);

integration(
  "wrong bytes leave an upload as it was, and after three times it is not offered",
  async () => {
    await using stores = await bucketStores();
    const store = await stores.open();
    await brokenOff(store, { bytes: 100 });
    for (let attempt = 1; attempt <= 3; attempt++) {
      const [partial] = await found(await stores.open());
      assertEquals(partial!.bytes, 100);
      const upload = (await take(partial))!;
      await upload.write(new Uint8Array(CONTENT.length - 100));
      await upload.discard();
      await upload[Symbol.asyncDispose]();
    }
    assertEquals(await found(store), []);
  },
  CEPH,
);

integration("of one fingerprint at most eight uploads are kept", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  // One that is published is none of them, though it is known for a while.
  await using published = await begun(store, { bytes: CONTENT.length });
  assertEquals(await published.publish({}, crc32(CONTENT)), "a.bin");
  for (let count = 0; count < 8; count++) {
    await using upload = await begun(await stores.open(), { bytes: 10 });
    assertEquals(typeof upload.ticket, "string");
  }
  await using further = await begun(await stores.open(), { bytes: 10 });
  assertEquals(further.ticket, undefined);
  assertEquals((await found(store)).length, 8);
}, CEPH);

integration("an upload that has its place is not offered for another name", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  await brokenOff(store, { bytes: 8 * MIB + 1 });
  assertEquals(await found(store, {}, "b.bin"), []);
  assertEquals((await found(store)).length, 1);
  await using stores2 = await bucketStores();
  const other = await stores2.open();
  await brokenOff(other, { size: SMALL.length, bytes: 10 });
  const [partial] = await found(other, {}, "b.bin");
  await using upload = await take(partial);
  await upload!.write(SMALL.subarray(10));
  assertEquals(await upload!.publish({}, crc32(SMALL)), "b.bin");
}, CEPH);

integration("what is gone of an upload is sent again", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  await brokenOff(store, { bytes: 8 * MIB + 77 });
  for (const { key } of await objectsIn(stores.bucket, "inbox/.inlet/tail/")) {
    await stores.bucket.delete(key);
  }
  {
    await using upload = await take((await found(store))[0]);
    assertEquals(upload!.kept.bytes, 8 * MIB);
  }
  for await (const page of stores.bucket.uploads("")) {
    for (const upload of page) await stores.bucket.abort(upload);
  }
  await using upload = await take((await found(store))[0]);
  assertEquals(upload!.kept.bytes, 0);
  await upload!.write(CONTENT);
  assertEquals(await upload!.publish({}, crc32(CONTENT)), "a.bin");
}, CEPH);

integration(
  "a sweep leaves what is being sent, what is kept, and what another program sends",
  async () => {
    await using stores = await bucketStores();
    const [one, two] = [await stores.open(), await stores.open()];
    await stores.bucket.createUpload("inbox/strange.bin");
    await using upload = await begun(one, { name: "b.bin", bytes: 8 * MIB + 1 });
    while ((await found(two, { ticket: upload.ticket! }, "b.bin"))[0]?.bytes !== 8 * MIB);
    await brokenOff(one, { bytes: MIB });
    await two.sweep();
    assertEquals((await found(two)).length, 1);
    const hasty = await stores.open({ keepPartialsMs: 1 });
    // By the clock of the store, which tells whole seconds. The other one is older.
    while ((await found(two)).length === 1) await hasty.sweep();
    await upload.write(CONTENT.subarray(8 * MIB + 1));
    assertEquals(await upload.publish({}, crc32(CONTENT)), "b.bin");
    const open = [];
    for await (const page of stores.bucket.uploads("")) open.push(...page.map(({ key }) => key));
    assert(open.includes("inbox/strange.bin"));
  },
  CEPH,
);

integration(
  "an upload is not offered to a client that could not prove what is kept of it",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    await brokenOff(await stores.open(), { bytes: MIB });
    assertEquals((await found(await stores.open())).length, 1);
    const [{ key } = { key: "" }] = await objectsIn(bucket, "inbox/.inlet/up/");
    const state = JSON.parse((await contentOf(bucket, key))!);
    const [number] = state.tail;
    // Only the first five bytes were confirmed, and all samples lie behind them.
    const doubtful = {
      ...state,
      certain: { parts: [], tail: [number, 5, 0] },
      samples: [[100, "AAAA"]],
    };
    await bucket.put(key, new TextEncoder().encode(JSON.stringify(doubtful)));
    assertEquals(await found(await stores.open()), []);
  },
  CEPH,
);
