/**
 * The lease of an upload's state: one holder at a time, whatever the answers of the store and the pauses
 * of a server.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { scheduleFor } from "../lib/bucket/part_schedule.ts";
import { isFree, LeasedState, readState } from "../lib/bucket/leased.ts";
import { newId, stateKey, type UploadState } from "../lib/bucket/state.ts";
import type { Bucket, Put } from "../lib/s3/bucket.ts";
import { InletError } from "../lib/errors.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { bucketStores } from "./bucket_stores.ts";
import { StoreProxy } from "./faults/store_proxy.ts";
import { CEPH, integration } from "./helpers.ts";

function newState(): { key: string; state: UploadState } {
  const id = newId();
  const state: UploadState = {
    ...{ id, want: "a.bin", size: null, stage: "open", schedule: scheduleFor(null) },
    ...{ parts: [], samples: [], failures: 0 },
  };
  return { key: stateKey("", "0".repeat(64), id), state };
}

const withFailures = (failures: number) => (state: UploadState) => ({ ...state, failures });

integration("LeasedState saves the newest of several changes, and others read it", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const { key, state } = newState();
  const leased = await LeasedState.create({ bucket, key }, state);
  for (let count = 1; count < 50; count++) leased.note(withFailures(count));
  await leased.save(withFailures(50));
  const found = await readState(bucket, key);
  assertEquals(found?.state.failures, 50);
  assert(found!.lease.serial < 10, `${found!.lease.serial} saves`);
  assert(!isFree(found!));
  await leased.release(withFailures(51));
  const released = await readState(bucket, key);
  assertEquals(released?.state.failures, 51);
  assert(isFree(released!));
}, CEPH);

integration(
  "one of 8 that adopt a state at once gets it, and its former holder stops",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const { key, state } = newState();
    const holder = await LeasedState.create({ bucket, key }, state);
    const found = (await readState(bucket, key))!;
    const all = await Promise.all(
      Array.from({ length: 8 }, () => LeasedState.adopt({ bucket }, found)),
    );
    const [adopted, ...others] = all.filter((leased) => leased !== undefined);
    assertEquals(others, []);
    await adopted!.save(withFailures(1));
    const error = await assertRejects(() => holder.save(withFailures(2)), InletError);
    assertEquals(error.code, "aborted");
    assert(holder.signal.aborted);
    await holder.release(withFailures(3));
    assertEquals((await readState(bucket, key))!.state.failures, 1);
    await adopted!.release();
  },
  CEPH,
);

integration(
  "a holder saves its state again within the lease, and one that does not loses it",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const { key, state } = newState();
    const saved = Promise.withResolvers<void>();
    let puts = 0;
    const watched = changed(bucket, async (put) => {
      const answer = await put();
      if (++puts === 3) saved.resolve();
      return answer;
    });
    const holder = await LeasedState.create({ bucket: watched, key, leaseMs: 1500 }, state);
    await saved.promise;
    await holder.hold();
    // Where the disk of the store stalls it may look free for a moment, and is saved again.
    while (isFree((await readState(bucket, key))!));
    await holder.release();
  },
  CEPH,
);

integration("LeasedState tells a lost answer from a lost lease", async () => {
  await using stores = await bucketStores();
  const { bucket } = stores;
  const { key, state } = newState();
  let fault: "before" | "after" | "late" | undefined = "after";
  let late: (() => Promise<Put>) | undefined;
  const faulty = changed(bucket, async (put) => {
    const now = fault;
    fault = undefined;
    if (now === "late") late = put;
    if (now === "after") await put();
    if (now !== undefined) return "unclear";
    // An earlier attempt arrives first.
    await late?.();
    late = undefined;
    return await put();
  });
  const holder = await LeasedState.create({ bucket: faulty, key }, state);
  for (const [count, kind] of (["before", "after", "late", undefined] as const).entries()) {
    fault = kind;
    await holder.save(withFailures(count));
    assertEquals((await readState(bucket, key))!.state.failures, count);
  }
  const other = (await LeasedState.adopt({ bucket }, (await readState(bucket, key))!))!;
  fault = "before";
  await assertRejects(() => holder.save(withFailures(9)), InletError);
  assertEquals(holder.signal.reason.code, "aborted");
  await other.remove();
  assertEquals(await readState(bucket, key), undefined);
}, CEPH);

integration(
  "a state that is replaced where its answer breaks off is read as it is then",
  async () => {
    await using stores = await bucketStores();
    const { bucket } = stores;
    const { key, state } = newState();
    const holder = await LeasedState.create({ bucket, key }, state);
    let gets = 0;
    await using proxy = await StoreProxy.start(await sharedCeph(), {
      async fault({ method }) {
        if (method !== "GET") return undefined;
        if (++gets === 1) return "cut within";
        if (gets === 2) await holder.save(withFailures(7));
        return undefined;
      },
    });
    const found = await readState(await stores.reach(proxy.endpoint), key);
    assertEquals(found?.state.failures, 7);
    assert(gets > 2, `${gets} requests`);
    await holder.release();
  },
  CEPH,
);

/** A bucket whose answers to PUT may get lost. */
function changed(bucket: Bucket, change: (put: () => Promise<Put>) => Promise<Put>): Bucket {
  return {
    get: (...args) => bucket.get(...args),
    delete: (...args) => bucket.delete(...args),
    put: (...args) => change(() => bucket.put(...args)),
  } as Bucket;
}
