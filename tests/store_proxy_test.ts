import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Ceph } from "./ceph/ceph.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { Dice } from "./faults/content.ts";
import { randomFaults, type StoreFault, StoreProxy } from "./faults/store_proxy.ts";
import { CEPH, integration, pure } from "./helpers.ts";

/** What a proxy does to a PUT, what its client gets then, and what the store has. */
const PUTS:
  readonly (readonly [StoreFault | undefined, number | "no answer", string | undefined])[] = [
    [undefined, 200, "content"],
    ["delay", 200, "content"],
    ["twice", 200, "content"],
    ["late copy", 200, "content"],
    ["cut before", "no answer", undefined],
    ["cut after", "no answer", "content"],
    ["slow down", 503, undefined],
    ["error after", 500, "content"],
  ];

integration("a store proxy does to each PUT what it is told", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  for (const [fault, status, stored] of PUTS) {
    await using proxy = await StoreProxy.start(ceph, { fault: () => fault, lateMs: 20 });
    const path = `${bucket.name}/${fault ?? "nothing"}`.replace(" ", "-");
    const answered = await put(proxy, path, "content");
    await proxy.settle();
    const there = await ceph.fetch(path).then((response) => response.text(), () => undefined);
    assertEquals([fault, answered, there], [fault, status, stored]);
    assertEquals(proxy.requests.length, 1);
  }
}, CEPH);

/** Puts an object, and gives the status of the answer. */
async function put(store: Ceph, path: string, body: string): Promise<number | "no answer"> {
  try {
    const response = await store.fetch(path, { method: "PUT", body });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    return Number(/: (\d{3}) /.exec((error as Error).message)?.[1]) || "no answer";
  }
}

integration("a store proxy sends a late copy after its client has gone on", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  const { promise: late, resolve: goOn } = Promise.withResolvers<void>();
  await using proxy = await StoreProxy.start(ceph, { fault: () => "late copy", late });
  const path = `${bucket.name}/a`;
  await put(proxy, path, "first");
  await ceph.fetch(path, { method: "DELETE" });
  goOn();
  await proxy.settle();
  assertEquals(await (await ceph.fetch(path)).text(), "first");
}, CEPH);

integration("a store proxy breaks an answer off in its middle", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  await put(ceph, `${bucket.name}/a`, "content");
  await using proxy = await StoreProxy.start(ceph, { fault: () => "cut within" });
  const response = await proxy.fetch(`${bucket.name}/a`);
  assertEquals(response.headers.get("content-length"), "7");
  await assertRejects(() => response.text());
}, CEPH);

integration("a store proxy gives no answer, and the store has the object or not", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  for (const [fault, isStored] of [["hang before", false], ["hang after", true]] as const) {
    const path = `${bucket.name}/${isStored}`;
    const isThere = (): Promise<boolean> =>
      ceph.fetch(path, { method: "HEAD" }).then(() => true, () => false);
    const arrived = Promise.withResolvers<void>();
    await using proxy = await StoreProxy.start(ceph, {
      fault: () => (arrived.resolve(), fault),
    });
    const ending = new AbortController();
    const { signal } = ending;
    const hanging = assertRejects(() =>
      proxy.fetch(path, { method: "PUT", body: "content", signal })
    );
    await arrived.promise;
    while (isStored && !await isThere());
    ending.abort();
    await hanging;
    assertEquals(await isThere(), isStored);
  }
}, CEPH);

integration("a store proxy ignores conditions, as some stores do", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  await using proxy = await StoreProxy.start(ceph);
  const putNew = async (body: string): Promise<void> => {
    const init = { method: "PUT", body, headers: { "if-none-match": "*" } };
    await (await proxy.fetch(`${bucket.name}/a`, init)).body?.cancel();
  };
  await putNew("first");
  await assertRejects(() => putNew("second"), Error, "412");
  proxy.misbehaviour = { ignoresConditions: true };
  await putNew("third");
  assertEquals(await (await ceph.fetch(`${bucket.name}/a`)).text(), "third");
}, CEPH);

integration("a store proxy passes on what was signed, odd keys and large bodies too", async () => {
  const ceph = await sharedCeph();
  await using bucket = await ceph.makeBucket();
  await using proxy = await StoreProxy.start(ceph);
  const large = new Uint8Array(9_000_001).fill(7);
  const path = `${bucket.name}/%01%20%2B%27/%C3%A9`;
  await (await proxy.fetch(path, { method: "PUT", body: large })).body?.cancel();
  assertEquals((await (await proxy.fetch(path)).bytes()).length, large.length);
  const [put] = proxy.requests;
  assertEquals(put!.path, path);
  assertEquals(put!.size, large.length);
}, CEPH);

pure("random faults hit the share of requests that they are told", async () => {
  const fault = randomFaults(new Dice(1), 30);
  const request = { method: "PUT", path: "a", query: "", headers: {}, size: 0 };
  const faults = await Promise.all(Array.from({ length: 1000 }, () => fault(request)));
  const hits = faults.filter((hit) => hit).length;
  assert(hits > 250 && hits < 350, `${hits}`);
});
