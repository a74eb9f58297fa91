/**
 * Uploads in parts to a bucket of a real object store.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32 } from "node:zlib";
import { LeasedState, readState } from "../lib/bucket/leased.ts";
import { META } from "../lib/bucket/layout.ts";
import { PartPool } from "../lib/bucket/part_pool.ts";
import { InletError } from "../lib/errors.ts";
import type { Bucket } from "../lib/s3/bucket.ts";
import type { Upload } from "../lib/store/store.ts";
import { bucketStores, changed, objectsIn, type TestStores } from "./bucket_stores.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration } from "./helpers.ts";

const MIB = 1024 * 1024;
const PREFIX = "inbox/";

/** Content that tells its places apart. */
function contentOf(bytes: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let index = 0, state = seed; index < words.length; index++) {
    state = Math.imul(state, 1664525) + 1013904223;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

/** Writes content in pieces of odd sizes. */
async function write(upload: Upload, content: Uint8Array, piece = 777_777): Promise<void> {
  for (let at = 0; at < content.length; at += piece) {
    const written = upload.write(content.subarray(at, at + piece));
    if (written) await written;
  }
}

/** Has the store remove what it was told to remove: only then it shows what it should have kept. */
async function collectGarbage(): Promise<void> {
  await (await sharedCeph()).collectGarbage();
}

/** Checks that an object has a content. */
async function assertStored(
  bucket: Bucket,
  name: string,
  content: Uint8Array,
): Promise<Readonly<Record<string, string>>> {
  const object = await bucket.get(PREFIX + name);
  assert(object, `${name} is there`);
  const there = await new Response(object.body).bytes();
  assertEquals(there.length, content.length);
  assertEquals(crc32(there), crc32(content));
  return object.meta;
}

/** The keys of what the store keeps for itself, without ids. */
async function ownObjects(bucket: Bucket): Promise<string[]> {
  const own = await objectsIn(bucket, `${PREFIX}.inlet/`);
  return own.map(({ key }) => key.slice(PREFIX.length + 7).replaceAll(/[0-9a-f-]{36}/g, "ID"));
}

/** Looks until there is something. */
async function present<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
  }
}

/** How many uploads in parts are open. */
async function openUploads(bucket: Bucket): Promise<number> {
  let open = 0;
  for await (const page of bucket.uploads("")) open += page.length;
  return open;
}

integration("a body of several parts is stored, with its facts beside it", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const store = await stores.open();
  const content = contentOf(20 * MIB + 3);
  const modified = new Date("2020-02-03T04:05:06.789Z");
  for (const [name, size] of [["known.bin", content.length], ["unknown.bin", null]] as const) {
    await using upload = await store.receive(name, size);
    await write(upload, content);
    const facts = { modified, mode: 0o640, id: "of the client" };
    assertEquals(await upload.publish(facts, crc32(content)), name);
  }
  await collectGarbage();
  for (const name of ["known.bin", "unknown.bin"]) {
    const meta = await assertStored(bucket, name, content);
    const beside = await bucket.get(`${PREFIX}.inlet/facts/${meta[META.id]}`);
    assertEquals(await new Response(beside!.body).json(), {
      [META.modified]: "2020-02-03T04:05:06.789Z",
      [META.mode]: "640",
      [META.crc]: crc32(content).toString(16).padStart(8, "0"),
      [META.sent]: "of%20the%20client",
    });
  }
  assertEquals(await ownObjects(bucket), ["facts/ID", "facts/ID"]);
  assertEquals(await openUploads(bucket), 0);
}, CEPH);

integration("a body that ends within its first part is one object without a state", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  for (const bytes of [0, 1, 8 * MIB - 1, 8 * MIB]) {
    for (const size of [bytes, null]) {
      const content = contentOf(bytes);
      const name = `${bytes} ${size}`;
      await using upload = await store.receive(name, size);
      await write(upload, content);
      assertEquals(await upload.publish({}, crc32(content)), name);
      const meta = await assertStored(stores.bucket, name, content);
      assertEquals(meta[META.crc], crc32(content).toString(16).padStart(8, "0"));
    }
  }
  assertEquals(await ownObjects(stores.bucket), []);
}, CEPH);

integration(
  "an upload that is discarded leaves its name to the next, and nothing else",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const store = await stores.open();
    const content = contentOf(18 * MIB);
    for (const size of [content.length, null]) {
      await using upload = await store.receive("a.bin", size);
      await write(upload, content);
      await upload.discard();
      await assertRejects(() => upload.publish(), InletError, "the upload has ended");
    }
    {
      await using abandoned = await store.receive("a.bin", content.length);
      await write(abandoned, content.subarray(0, 9 * MIB));
    }
    assertEquals(await ownObjects(bucket), []);
    assertEquals(await openUploads(bucket), 0);
    assertEquals((await bucket.head(`${PREFIX}a.bin`))?.meta[META.mark], "free");
    await using upload = await store.receive("a.bin", content.length);
    await write(upload, content);
    assertEquals(await upload.publish(), "a.bin");
    await assertStored(bucket, "a.bin", content);
  },
  CEPH,
);

integration("large and small files of one name, from two servers, get each a name", async () => {
  await using stores = await bucketStores();
  const two = [await stores.open(), await stores.open()] as const;
  const contents = Array.from(
    { length: 8 },
    (_, seed) => contentOf(seed % 2 === 0 ? 9 * MIB : 1000, seed + 1),
  );
  const names = await Promise.all(contents.map(async (content, index) => {
    await using upload = await two[index % 2 === 0 ? 0 : 1].receive("a.bin", content.length);
    await write(upload, content);
    return await upload.publish({}, crc32(content));
  }));
  const expected = ["a.bin", ...Array.from({ length: 7 }, (_, n) => `a (${n + 2}).bin`)];
  assertEquals([...names].sort(), expected.sort());
  await collectGarbage();
  for (const [index, name] of names.entries()) {
    await assertStored(stores.bucket, name, contents[index]!);
  }
  assertEquals((await ownObjects(stores.bucket)).filter((key) => !key.startsWith("facts/")), []);
}, CEPH);

integration(
  "what is set aside for others is taken up again, also within the first part",
  async () => {
    await using stores = await bucketStores();
    const pool = new PartPool({ budgetBytes: 8 * MIB, patienceMs: 1 });
    const store = await stores.open({ pool });
    const contents = [contentOf(7 * MIB, 1), contentOf(19 * MIB, 2), contentOf(11 * MIB, 3)];
    const names = await Promise.all(contents.map(async (content, index) => {
      await using upload = await store.receive(`${index}.bin`, index === 1 ? null : content.length);
      await write(upload, content, 300_001);
      return await upload.publish({}, crc32(content));
    }));
    assertEquals(names, ["0.bin", "1.bin", "2.bin"]);
    await collectGarbage();
    for (const [index, name] of names.entries()) {
      await assertStored(stores.bucket, name, contents[index]!);
    }
    assertEquals(await ownObjects(stores.bucket), ["facts/ID", "facts/ID"]);
    assertEquals([pool.lentBytes, pool.waiting], [0, 0]);
  },
  CEPH,
);

integration("clients that stall do not keep the others from their memory", async () => {
  await using stores = await bucketStores();
  const pool = new PartPool({ budgetBytes: 24 * MIB, patienceMs: 50 });
  const store = await stores.open({ pool });
  const go = Promise.withResolvers<void>();
  let fast = 5;
  const results = Array.from({ length: 9 }, async (_, index) => {
    const content = contentOf((index % 3 === 0 ? 6 : 9) * MIB + index, index + 1);
    await using upload = await store.receive(
      `${index}.bin`,
      index % 2 === 0 ? content.length : null,
    );
    const begun = index < 4 ? 2 * MIB : 0;
    await write(upload, content.subarray(0, begun));
    // The first four send nothing more until all others have finished.
    if (index < 4) await go.promise;
    await write(upload, content.subarray(begun));
    const name = await upload.publish({}, crc32(content));
    if (index >= 4 && --fast === 0) go.resolve();
    return { name, content };
  });
  const stored = await Promise.all(results);
  await collectGarbage();
  for (const { name, content } of stored) await assertStored(stores.bucket, name, content);
  assertEquals([pool.lentBytes, pool.waiting], [0, 0]);
  assertEquals((await ownObjects(stores.bucket)).filter((key) => !key.startsWith("facts/")), []);
}, CEPH);

integration("a file in parts that is sent again is stored once", async () => {
  await using stores = await bucketStores();
  const content = contentOf(9 * MIB);
  const facts = { id: "the same" };
  for (const _ of [1, 2]) {
    const store = await stores.open();
    await using upload = await store.receive("a.bin", content.length);
    await write(upload, content);
    assertEquals(await upload.publish(facts, crc32(content)), "a.bin");
  }
  await collectGarbage();
  await assertStored(stores.bucket, "a.bin", content);
  assertEquals(await ownObjects(stores.bucket), ["facts/ID"]);
  const left = await stores.bucket.head(`${PREFIX}a (2).bin`);
  assertEquals(left?.meta[META.mark], "free");
}, CEPH);

integration("what another program writes in the place of an upload stays", async () => {
  await using stores = await bucketStores();
  const store = await stores.open();
  const content = contentOf(9 * MIB);
  await using upload = await store.receive("a.bin", content.length);
  await write(upload, content);
  await present(() => stores.bucket.head(`${PREFIX}a.bin`));
  await stores.bucket.put(`${PREFIX}a.bin`, new TextEncoder().encode("a stranger's"));
  await assertRejects(() => upload.publish(), InletError, "another program has written");
  await upload.discard();
  const there = await stores.bucket.get(`${PREFIX}a.bin`);
  assertEquals(await new Response(there!.body).text(), "a stranger's");
}, CEPH);

integration("a client is not told by a failure which numbers of its name are taken", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  await bucket.put(`${PREFIX}a.bin`, new Uint8Array(1));
  const store = await stores.open();
  await using upload = await store.receive("a.bin", 9 * MIB);
  await write(upload, contentOf(9 * MIB));
  await present(() => bucket.head(`${PREFIX}a (2).bin`));
  await bucket.put(`${PREFIX}a (2).bin`, new TextEncoder().encode("a stranger's"));
  const error = await assertRejects(() => upload.publish(), InletError, "another program");
  assertEquals(error.message.includes("(2)"), false, error.message);

  const lost = await stores.open({
    bucket: changed(bucket, {
      complete: async (upload) => {
        await bucket.abort(upload);
        return "unclear";
      },
    }),
  });
  await using other = await lost.receive("a.bin", 9 * MIB);
  await write(other, contentOf(9 * MIB));
  const failure = await assertRejects(() => other.publish(), InletError, "has lost its parts");
  assertEquals(failure.message.includes("(3)"), false, failure.message);
}, CEPH);

integration("an answer to Complete is looked into, and not believed", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const content = contentOf(9 * MIB);
  // Whether each of the Completes is passed on, and what is answered.
  const faults = [
    [[false, "unclear"], [true, "unclear"]],
    [[false, "done"], [false, "refused"], [true, "done"]],
    [[true, "refused"]],
  ] as const;
  for (const [index, answers] of faults.entries()) {
    let sent = 0;
    const complete: Bucket["complete"] = async (...asked) => {
      const [isPassedOn, answer] = answers[sent++]!;
      if (isPassedOn) await bucket.complete(...asked);
      return answer;
    };
    const store = await stores.open({ bucket: changed(bucket, { complete }) });
    await using upload = await store.receive(`${index}.bin`, content.length);
    await write(upload, content);
    assertEquals(await upload.publish({}, crc32(content)), `${index}.bin`);
    assertEquals(sent, answers.length);
  }
  await collectGarbage();
  for (const index of faults.keys()) await assertStored(bucket, `${index}.bin`, content);
}, CEPH);

integration("whoever has lost the lease of an upload sends nothing more", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const sent: string[] = [];
  const noted = (name: "putPart" | "complete" | "abort") => (...asked: unknown[]): unknown => {
    sent.push(name);
    return (bucket[name] as (...asked: unknown[]) => unknown)(...asked);
  };
  const methods = ["putPart", "complete", "abort"] as const;
  const store = await stores.open({
    bucket: changed(bucket, Object.fromEntries(methods.map((name) => [name, noted(name)]))),
  });
  const content = contentOf(9 * MIB);
  {
    await using upload = await store.receive("a.bin", null);
    await write(upload, content);
    const found = await present(async () => {
      const [state] = await objectsIn(bucket, `${PREFIX}.inlet/up/`);
      const read = state && await readState(bucket, state.key);
      return read && read.state.parts.length > 0 ? read : undefined;
    });
    const taken = await LeasedState.adopt({ bucket }, found);
    assert(taken);
    assertEquals(sent, ["putPart"]);
    const why = "Another connection resumed this upload";
    // It learns of that when it notes one of the next parts.
    await assertRejects(() => write(upload, contentOf(300 * MIB)), InletError, why);
    const count = sent.length;
    await assertRejects(() => write(upload, content), InletError, why);
    await assertRejects(() => upload.publish(), InletError, why);
    assertEquals(sent.length, count);
    await upload.discard();
    await taken.release();
  }
  assert(!sent.includes("complete") && !sent.includes("abort"), sent.join());
  assertEquals(await openUploads(bucket), 1);
}, CEPH);

/** Takes over what is kept of a file, at a server of its own. */
async function takeOver(stores: TestStores, name: string, ticket: string): Promise<Upload> {
  const store = await stores.open();
  for await (const partial of store.findPartials(name, { fingerprint: "print", ticket })) {
    const upload = await partial.take({ fingerprint: "print" });
    assert(upload, "it is taken over");
    return upload;
  }
  throw new Error("nothing is kept");
}

integration(
  "an upload that breaks off is kept to the byte, also within its first part",
  async () => {
    await using stores = await bucketStores();
    // How many bytes arrive of how many, and whether that is announced.
    const cases = [
      [3 * MIB - 1, 3 * MIB, true],
      [3 * MIB - 1, 3 * MIB, false],
      [8 * MIB, 9 * MIB, false],
      [17 * MIB + 5, 18 * MIB, true],
    ] as const;
    for (const [arrived, bytes, isKnown] of cases) {
      const size = isKnown ? bytes : null;
      const content = contentOf(bytes);
      const name = `${arrived} of ${size}`;
      const how = { fingerprint: "print" };
      const first = await (await stores.open()).receiveResumable(name, size, how);
      await write(first, content.subarray(0, arrived));
      await first[Symbol.asyncDispose]();
      // Twice: what is set aside can be taken up, and set aside again.
      const second = await takeOver(stores, name, first.ticket!);
      assertEquals(second.kept.bytes, arrived);
      assertEquals(await second.kept.crc(), crc32(content.subarray(0, arrived)));
      await write(second, content.subarray(arrived, arrived + 1));
      await second[Symbol.asyncDispose]();
      await using third = await takeOver(stores, name, second.ticket!);
      assertEquals(third.kept.bytes, arrived + 1);
      await write(third, content.subarray(arrived + 1));
      assertEquals(await third.publish({}, crc32(content)), name);
      await third[Symbol.asyncDispose]();
      await assertStored(stores.bucket, name, content);
    }
    const tails = (await ownObjects(stores.bucket)).filter((key) => key.startsWith("tail/"));
    assertEquals(tails, []);
    assertEquals(await openUploads(stores.bucket), 0);
  },
  CEPH,
);

integration("wrong content for an upload that broke off leaves it as it was", async () => {
  await using stores = await bucketStores();
  const content = contentOf(20 * MIB);
  const first = await (await stores.open()).receiveResumable("a.bin", content.length, {
    fingerprint: "print",
  });
  await write(first, content.subarray(0, 10 * MIB));
  await first[Symbol.asyncDispose]();
  {
    await using wrong = await takeOver(stores, "a.bin", first.ticket!);
    await write(wrong, new Uint8Array(10 * MIB));
    await wrong.discard();
  }
  await using right = await takeOver(stores, "a.bin", first.ticket!);
  assertEquals(right.kept.bytes, 10 * MIB);
  assertEquals(await right.kept.crc(), crc32(content.subarray(0, 10 * MIB)));
  await write(right, content.subarray(10 * MIB));
  assertEquals(await right.publish({}, crc32(content)), "a.bin");
  await collectGarbage();
  await assertStored(stores.bucket, "a.bin", content);
}, CEPH);

integration(
  "an upload that the store fails says so, and what is stored of it is kept",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const content = contentOf(20 * MIB);
    let isBroken = false;
    const putPart: Bucket["putPart"] = async (...asked) => {
      if (!isBroken) return await bucket.putPart(...asked);
      throw new InletError("overloaded", "The object store is too busy");
    };
    const store = await stores.open({ bucket: changed(bucket, { putPart }) });
    const first = await store.receiveResumable("a.bin", content.length, { fingerprint: "print" });
    await write(first, content.subarray(0, 9 * MIB));
    await present(async () => {
      const [state] = await objectsIn(bucket, `${PREFIX}.inlet/up/`);
      const read = state && await readState(bucket, state.key);
      return read && read.state.parts.length > 0 ? read : undefined;
    });
    isBroken = true;
    const error = await assertRejects(async () => {
      await write(first, content.subarray(9 * MIB));
      await first.publish({}, crc32(content));
    }, InletError);
    assertEquals([error.code, error.message], ["overloaded", "The object store is too busy"]);
    await first.discard();
    await first[Symbol.asyncDispose]();
    await using second = await takeOver(stores, "a.bin", first.ticket!);
    assertEquals(second.kept.bytes, 8 * MIB);
    await write(second, content.subarray(8 * MIB));
    assertEquals(await second.publish({}, crc32(content)), "a.bin");
    await collectGarbage();
    await assertStored(bucket, "a.bin", content);
  },
  CEPH,
);

integration(
  "an upload that ends while it is published is completed or aborted, not both",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const content = contentOf(9 * MIB);
    await (await stores.open()).put("a.bin", new Uint8Array(7));
    const aborting = Promise.withResolvers<void>();
    let ending: PromiseLike<void> | undefined;
    let completed = 0;
    // Where it looks whether the file was sent before, it is disposed of.
    let isPublishing = false;
    const head: Bucket["head"] = async (key, signal) => {
      const found = await bucket.head(key, signal);
      if (key === `${PREFIX}a.bin` && isPublishing) {
        ending ??= upload[Symbol.asyncDispose]();
        await aborting.promise;
      }
      return found;
    };
    // The Abort is on its way for as long as it is being published.
    const abort: Bucket["abort"] = async (asked) => {
      aborting.resolve();
      await Promise.allSettled([publishing]);
      await bucket.abort(asked);
    };
    const complete: Bucket["complete"] = async (...asked) => {
      completed++;
      return await bucket.complete(...asked);
    };
    const store = await stores.open({
      bucket: changed(bucket, { complete, abort, head }),
    });
    const upload = await store.receive("a.bin", content.length);
    await write(upload, content);
    await present(() => bucket.head(`${PREFIX}a (2).bin`));
    isPublishing = true;
    const publishing = upload.publish({ id: "once" }, crc32(content));
    await assertRejects(() => publishing, InletError, "the upload has ended");
    await ending;
    assertEquals(completed, 0);
    assertEquals(await openUploads(bucket), 0);
    assertEquals((await bucket.head(`${PREFIX}a (2).bin`))?.meta[META.mark], "free");
  },
  CEPH,
);
