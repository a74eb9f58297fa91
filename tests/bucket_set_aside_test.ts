/**
 * The memory of uploads to a bucket that have to set their parts aside, in the moments in which it changes
 * hands.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { crc32 } from "node:zlib";
import type { BucketStore } from "../lib/bucket/bucket_store.ts";
import { type PartBuffer, type PartHolder, PartPool } from "../lib/bucket/part_pool.ts";
import { InletError } from "../lib/errors.ts";
import type { Bucket } from "../lib/s3/bucket.ts";
import { bucketStores, held } from "./bucket_stores.ts";
import { allOf, CEPH, integration } from "./helpers.ts";
import { mortalBucket } from "./mortal_bucket.ts";

const MIB = 1024 * 1024;

/** A pool that tells who asks it. */
class ToldPool extends PartPool {
  readonly holders: PartHolder[] = [];

  #next = Promise.withResolvers<void>();

  override lend(...given: Parameters<PartPool["lend"]>): Promise<PartBuffer> {
    this.holders.push(given[1]);
    const lent = super.lend(...given);
    this.#next.resolve();
    this.#next = Promise.withResolvers();
    return lent;
  }

  /** Waits until it has been asked so many times. */
  async asked(times: number): Promise<void> {
    while (this.holders.length < times) await this.#next.promise;
  }
}

async function storedCrc(bucket: Bucket, key: string): Promise<number> {
  const object = await bucket.get(key);
  return crc32(await new Response(object!.body).bytes());
}

integration("a file that is published keeps its memory, though others wait for it", async () => {
  await using stores = await bucketStores();
  const pool = new ToldPool({ budgetBytes: 8 * MIB, patienceMs: 10 });
  const takingUp = held(stores.bucket, "get", /\/tail\//);
  const putting = held(takingUp.bucket, "put", /one\.bin/);
  const slow = await stores.open({ bucket: putting.bucket, pool });
  const fast = await stores.open({ pool });
  const [one, other] = [new Uint8Array(2 * MIB).fill(1), new Uint8Array(3 * MIB).fill(2)];
  await using first = await slow.receive("one.bin", null);
  await first.write(one);
  await using second = await fast.receive("other.bin", null);
  // The first one has to set aside what it has, and takes it up to publish it.
  await second.write(other.subarray(0, MIB));
  const published = first.publish();
  await takingUp.asked;
  const written = second.write(other.subarray(MIB));
  // Both have asked twice: what the first one gives back is granted to the second.
  await pool.asked(4);
  pool.holders[0]!.giveWay();
  takingUp.go();
  await written;
  putting.go();
  assertEquals(await published, "one.bin");
  assertEquals(await second.publish(), "other.bin");
  assertEquals(await storedCrc(stores.bucket, "inbox/one.bin"), crc32(one));
  assertEquals(await storedCrc(stores.bucket, "inbox/other.bin"), crc32(other));
  assertEquals([pool.lentBytes, pool.waiting], [0, 0]);
}, CEPH);

integration("memory that is granted while an upload is set aside comes back", async () => {
  await using stores = await bucketStores();
  const pool = new ToldPool({ budgetBytes: 16 * MIB, patienceMs: 1e6 });
  const sending = held(stores.bucket, "putPart", /a\.bin/);
  const store = await stores.open({ bucket: sending.bucket, pool });
  const other = pool.tryLend(8 * MIB, { filledBytes: 0, giveWay: () => {} })!;
  const content = new Uint8Array(9 * MIB).fill(3);
  await using upload = await store.receive("a.bin", content.length);
  // Its first part is on its way, and it waits for the memory of the second.
  const written = upload.write(content);
  await sending.asked;
  assertEquals([pool.holders.length, pool.waiting], [2, 1]);
  pool.holders[0]!.giveWay();
  other[Symbol.dispose]();
  sending.go();
  await written;
  await upload.publish();
  assertEquals(await storedCrc(stores.bucket, "inbox/a.bin"), crc32(content));
  assertEquals([pool.lentBytes, pool.waiting], [0, 0]);
}, CEPH);

integration(
  "what was set aside twice can be gone on with wherever its server is killed",
  async () => {
    const content = crypto.getRandomValues(new Uint8Array(65536));
    const id = "0123456789abcdef0123456789abcdef";
    const take = async (store: BucketStore) =>
      (await (await store.ongoing.find(id))!.take({ quietMs: 0 }))!;
    for (let last = 1, isKept = false; !isKept; last++) {
      await using stores = await bucketStores();
      let requests = 0;
      const { bucket, died } = mortalBucket(stores.bucket, () => ++requests === last);
      const pool = new ToldPool();
      const [dead, live] = [await stores.open({ bucket, pool }), await stores.open()];
      await live.ongoing.begin(id, { name: "a.bin", size: null, details: "" });
      const keeping = (async () => {
        const upload = await take(dead);
        for (let piece = 0; piece < 2; piece++) {
          await upload.write(content);
          pool.holders[piece]!.giveWay();
        }
        await upload.write(content);
        await upload.keep();
        return true;
      })();
      isKept = await Promise.race([keeping, died.then(() => false)]);
      const bytes = (await live.ongoing.find(id))!.bytes;
      assertEquals(bytes % content.length, 0);
      if (isKept) assertEquals(bytes, 3 * content.length);
      await using upload = await take(live);
      assertEquals(upload.kept.bytes, bytes);
      await upload.write(content);
      assertEquals(await upload.publish(), "a.bin");
      const pieces = Array<Uint8Array>(bytes / content.length + 1).fill(content);
      assertEquals(await storedCrc(stores.bucket, "inbox/a.bin"), crc32(concat(pieces)));
    }
  },
  CEPH,
);

/** A pool that keeps hold of the memory that it lends, as a fault of it would. */
class LeakingPool extends PartPool {
  readonly memory: Uint8Array[] = [];

  override async lend(...given: Parameters<PartPool["lend"]>): Promise<PartBuffer> {
    const buffer = await super.lend(...given);
    this.memory.push(buffer.memory);
    return buffer;
  }
}

for (const size of [2 * MIB, 9 * MIB]) {
  const what = size < 8 * MIB ? "at once" : "in parts";
  integration(
    `a file sent ${what} whose memory another one wrote into is not published`,
    async () => {
      await using stores = await bucketStores();
      const pool = new LeakingPool();
      const store = await stores.open({ pool });
      const content = new Uint8Array(size).fill(1);
      await using upload = await store.receive("a.bin", size);
      await upload.write(content.subarray(0, MIB));
      pool.memory[0]![17] = 2;
      await upload.write(content.subarray(MIB));
      const error = await assertRejects(() => upload.publish({}, crc32(content)), InletError);
      assertEquals(error.code, "checksum");
      await upload[Symbol.asyncDispose]();
      assertEquals(await allOf(store.list()), []);
      assertEquals(pool.lentBytes, 0);
    },
    CEPH,
  );
}
