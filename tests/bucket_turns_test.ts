import { assertEquals } from "@std/assert";
import { BucketContext } from "../lib/bucket/context.ts";
import { takeTurn } from "../lib/bucket/turns.ts";
import { bucketStores, objectsIn } from "./bucket_stores.ts";
import { CEPH, integration } from "./helpers.ts";

const HOUR_MS = 3_600_000;

integration("of the servers of a bucket one has the turn, until it is over", async () => {
  await using stores = await bucketStores();
  const context = new BucketContext({ bucket: stores.bucket, prefix: "inbox/" });
  const ofEight = async (): Promise<number> => {
    const turns = Array.from({ length: 8 }, () => takeTurn(context, HOUR_MS));
    return (await Promise.all(turns)).filter((isOurs) => isOurs).length;
  };
  assertEquals([await ofEight(), await ofEight()], [1, 0]);
  assertEquals(await takeTurn(context, 0), true);
}, CEPH);

integration("a server that is not to write takes no turn", async () => {
  await using stores = await bucketStores();
  const [reader, writer] = [await stores.open({ readOnly: true }), await stores.open()];
  await reader.sweepInTurn(0);
  assertEquals(await objectsIn(stores.bucket), []);
  await writer.sweepInTurn(0);
  assertEquals((await objectsIn(stores.bucket)).map(({ key }) => key), ["inbox/.inlet/swept"]);
}, CEPH);
