import { assertEquals, assertRejects } from "@std/assert";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration } from "./helpers.ts";

integration("sharedCeph() makes a bucket that goes with all that is in it", async () => {
  const ceph = await sharedCeph();
  let name: string;
  {
    await using bucket = await ceph.makeBucket();
    name = bucket.name;
    const odd = `${name}/%01a%2F..%2Fb`;
    await (await ceph.fetch(odd, { method: "PUT", body: "a" })).body?.cancel();
    await (await ceph.fetch(`${name}/large?uploads`, { method: "POST" })).body?.cancel();
    assertEquals(await (await ceph.fetch(odd)).text(), "a");
  }
  await assertRejects(() => ceph.fetch(name), Error, "404");
}, CEPH);
