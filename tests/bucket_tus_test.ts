/**
 * tus at servers that store into one bucket: each request may come to another one.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { decodeState } from "../lib/bucket/state.ts";
import { InletError } from "../lib/errors.ts";
import type { Bucket } from "../lib/s3/bucket.ts";
import { serve } from "../server.ts";
import { BucketScene } from "./bucket_scene.ts";
import { bucketStores, changed, held } from "./bucket_stores.ts";
import { type Misbehaviour, StoreProxy } from "./faults/store_proxy.ts";
import { bytes, CEPH, integration, type Reachable, startServer } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { ask, begin, BYTES, head, metadata, offsetOf, patch, requestOf } from "./tus_wire.ts";

const PART = 8 * 1024 * 1024;

/** Two parts, and some. */
const CONTENT = bytes(20_000_000);

/** Sends so much of the content from an offset on, as the body of a request that may end later. */
async function sends(
  server: Reachable,
  path: string,
  offset: number,
  to = CONTENT.length,
  fields: Record<string, string> = {},
): Promise<HttpWire> {
  const wire = await HttpWire.dial(server);
  const length = { "Upload-Offset": offset, "Content-Length": CONTENT.length - offset };
  await wire.says(requestOf("PATCH", path, { ...BYTES, ...length, ...fields }));
  await wire.says(CONTENT.subarray(offset, to));
  return wire;
}

async function answerOf(wire: HttpWire): Promise<Response> {
  using _ = wire;
  return (await wire.response())!;
}

/** How many parts the state of the one upload tells. */
async function notedParts(scene: BucketScene): Promise<number> {
  for await (const { objects } of scene.bucket.list({ prefix: scene.key(".inlet/ongoing/") })) {
    for (const { key } of objects) {
      const object = await scene.bucket.get(key);
      const leased = object && decodeState(await new globalThis.Response(object.body).bytes());
      return leased?.state.parts.length ?? 0;
    }
  }
  return 0;
}

integration("a tus upload goes on at another server when the first is killed", async () => {
  await using scene = await BucketScene.make();
  await using first = await scene.serve();
  await using second = await scene.serve();
  const path = await begin(first, {
    ...metadata({ filename: "a.bin" }),
    "Upload-Length": CONTENT.length,
  });
  assertEquals(await offsetOf(second, path), 0);
  using broken = await sends(first, path, 0, 2 * PART + 1);
  await scene.until(async () => await notedParts(scene) === 2);
  await first.running.stop("SIGKILL");
  assertEquals(await offsetOf(second, path), 2 * PART);
  const answer = await answerOf(await sends(second, path, 2 * PART));
  assertEquals([answer.status, answer.headers["inlet-name"]], [204, "a.bin"]);
  assertEquals(await scene.content("a.bin"), CONTENT);
  await using third = await scene.serve();
  const { headers } = await head(third, path);
  assertEquals(headers["upload-offset"], `${CONTENT.length}`);
  assertEquals(headers["inlet-name"], "a.bin");
  assertEquals(await broken.response(), undefined);
}, CEPH);

integration("of a tus upload that is sent to two servers at once, one goes on", async () => {
  await using scene = await BucketScene.make();
  await using first = await scene.serve();
  await using second = await scene.serve();
  const path = await begin(first, {
    ...metadata({ filename: "a.bin" }),
    "Upload-Length": CONTENT.length,
  });
  using taken = await sends(first, path, 0, PART + 1);
  await scene.until(async () => await notedParts(scene) === 1);
  // Its client has come to another server, and knows best that this one is gone.
  const answer = await answerOf(await sends(second, path, PART));
  assertEquals(answer.status, 204);
  assert([undefined, 423].includes((await taken.response())?.status));
  assertEquals(await scene.content("a.bin"), CONTENT);
  assertEquals((await scene.names()).filter((name) => name !== "(own)"), ["a.bin"]);
}, CEPH);

integration("what has a wrong checksum does not count at any server", async () => {
  await using scene = await BucketScene.make();
  await using first = await scene.serve();
  await using second = await scene.serve();
  const path = await begin(first, {
    ...metadata({ filename: "a.bin" }),
    "Upload-Length": CONTENT.length,
  });
  const checksum = { "Upload-Checksum": "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=" };
  const refused = await answerOf(await sends(first, path, 0, CONTENT.length, checksum));
  assertEquals(refused.status, 460);
  assertEquals(await offsetOf(second, path), 0);
  assertEquals((await answerOf(await sends(second, path, 0))).status, 204);
  assertEquals(await scene.content("a.bin"), CONTENT);
}, CEPH);

integration("tus joins no uploads in a bucket, and says so", async () => {
  await using scene = await BucketScene.make();
  await using server = await scene.serve();
  const { headers } = await ask(server, "OPTIONS", "/uploads/");
  assertStringIncludes(headers["tus-extension"]!, "checksum");
  assert(!headers["tus-extension"]!.includes("concatenation"));
  const refused = await ask(server, "POST", "/uploads/", {
    ...{ "Upload-Concat": "partial", "Upload-Length": 3 },
  });
  assertEquals(refused.status, 403);
  assertStringIncludes(new TextDecoder().decode(refused.body), "Cannot join uploads");
}, CEPH);

integration(
  "a tus client is told that the object store is full, and of no byte it lacks",
  async () => {
    await using scene = await BucketScene.make();
    await using proxy = await StoreProxy.start(scene.ceph);
    await using server = await startServer({ store: scene.store, env: proxy.variables });
    const fields = { ...metadata({ filename: "a" }), "Upload-Length": 6 };
    const path = await begin(server, fields);
    assertEquals((await patch(server, path, 0, "ab")).headers["upload-offset"], "2");
    const ofTail: Misbehaviour["fault"] = ({ path }) =>
      path.includes("/tail/") ? "full" : undefined;
    let hasTail = false;
    const ofState: Misbehaviour["fault"] = ({ method, path }) => {
      if (method === "PUT" && path.includes("/tail/")) hasTail = true;
      return hasTail && method === "PUT" && path.includes("/ongoing/") ? "full" : undefined;
    };
    for (const fault of [ofState, ofTail]) {
      proxy.misbehaviour = { fault };
      const refused = await patch(server, path, 2, "cd");
      assertEquals([refused.status, refused.headers["upload-offset"]], [507, undefined]);
      assertEquals(problemIn(refused).code, "no-space");
      proxy.misbehaviour = {};
      assertEquals(await offsetOf(server, path), 2);
    }
    proxy.misbehaviour = { fault: ofTail };
    const body = "abc";
    const created = await ask(server, "POST", "/uploads/", { ...fields, ...BYTES }, body);
    assertEquals([created.status, created.headers["location"]], [507, undefined]);
    proxy.misbehaviour = {};
    assertEquals((await patch(server, path, 2, "cd")).headers["upload-offset"], "4");
    assertEquals((await patch(server, path, 4, "ef")).headers["inlet-name"], "a");
    assertEquals(new TextDecoder().decode(await scene.content("a")), "abcdef");
  },
  CEPH,
);

integration(
  "a PATCH whose bytes are just being kept is told so, and nobody takes it over",
  async () => {
    await using stores = await bucketStores();
    const { bucket, asked, go } = held(stores.bucket, "put", /\/tail\//);
    const store = await stores.open({ bucket });
    await using server = await serve({ port: 0, store, log: { quiet: true } });
    const at = server.address as Deno.NetAddr;
    const path = await begin(at, { ...metadata({ filename: "a" }), "Upload-Length": 6 });
    const patched = patch(at, path, 0, "abc");
    await asked;
    // It waits until nothing has moved for as long as a dead request is given.
    assertEquals((await head(at, path)).status, 423);
    go();
    assertEquals((await patched).status, 204);
    assertEquals(await offsetOf(at, path), 3);
  },
  CEPH,
);

integration("a tus client is told to come again while the object store is overloaded", async () => {
  await using stores = await bucketStores();
  let isBusy = true;
  const put: Bucket["put"] = async (key, ...rest) => {
    if (isBusy && key.includes("/tail/")) throw new InletError("overloaded", "It is too busy");
    return await stores.bucket.put(key, ...rest);
  };
  const store = await stores.open({ bucket: changed(stores.bucket, { put }) });
  await using server = await serve({ port: 0, store, log: { quiet: true } });
  const at = server.address as Deno.NetAddr;
  const path = await begin(at, { ...metadata({ filename: "a" }), "Upload-Length": 6 });
  const refused = await patch(at, path, 0, "abc");
  assertEquals([refused.status, refused.headers["upload-offset"]], [503, undefined]);
  isBusy = false;
  assertEquals(await offsetOf(at, path), 0);
  assertEquals((await patch(at, path, 0, "abc")).headers["upload-offset"], "3");
  assertEquals((await patch(at, path, 3, "def")).headers["inlet-name"], "a");
}, CEPH);
