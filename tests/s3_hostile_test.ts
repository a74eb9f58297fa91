/**
 * What an object store cannot do to a server that asks it, whatever it answers.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { InletError } from "../lib/errors.ts";
import { fixedCredentials } from "../lib/s3/credentials.ts";
import { openBucket } from "../lib/s3/open_bucket.ts";
import type { S3Bucket } from "../lib/s3/s3_bucket.ts";
import { integration } from "./helpers.ts";
import { type OddStore, oddStore, type StoreAnswer } from "./odd_store.ts";

const MIB = 1024 * 1024;
const CONTENT = new TextEncoder().encode("0123456789");
const UPLOAD = { key: "p/a", uploadId: "u" };

function open({ endpoint }: OddStore): Promise<S3Bucket> {
  const credentials = fixedCredentials({ accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" });
  const patience = { answerMs: 30_000, stallMs: 30_000, repeatMs: 0 };
  return openBucket({ bucket: "bucket", endpoint, credentials, patience });
}

/** Everything that a bucket is asked, but for Complete, of which no answer is believed. */
function actionsOf(bucket: S3Bucket): Record<string, () => Promise<unknown>> {
  return {
    get: async () => {
      for await (const _ of (await bucket.get("p/a"))!.body);
    },
    put: () => bucket.put("p/a", CONTENT),
    claim: () => bucket.put("p/a", CONTENT, { condition: { absent: true } }),
    head: () => bucket.head("p/a"),
    delete: () => bucket.delete("p/a"),
    list: () => Array.fromAsync(bucket.list({ prefix: "p/" })),
    createUpload: () => bucket.createUpload("p/a"),
    putPart: () => bucket.putPart(UPLOAD, 1, CONTENT),
    parts: () => bucket.parts(UPLOAD),
    abort: () => bucket.abort(UPLOAD),
    uploads: () => Array.fromAsync(bucket.uploads("p/")),
  };
}

async function refused(action: () => Promise<unknown>, message: string): Promise<void> {
  const error = await assertRejects(action, InletError, message);
  assertEquals(error.code, "internal", error.message);
}

integration("lib/s3: no more of an object is read than was asked for", async () => {
  const headers = { etag: '"abc"', "content-range": "bytes 0-9/100" };
  await using store = oddStore(() => ({ status: 206, headers, body: new Uint8Array(32 * MIB) }));
  const bucket = await open(store);
  for (const lent of [false, true]) {
    const { body } = (await bucket.get("a", { range: { offset: 0, bytes: 10 }, lent }))!;
    let bytes = 0;
    await refused(async () => {
      for await (const chunk of body) bytes += chunk.length;
    }, "The object store sent more than was asked for");
    assert(bytes <= 10);
  }
  assertEquals(store.requests.length, 2);
});

integration("lib/s3: an object that is compressed is not unpacked", async () => {
  const body = gzipSync(new Uint8Array(32 * MIB));
  await using store = oddStore(() => ({
    headers: { etag: '"abc"', "content-encoding": "gzip" },
    body,
  }));
  const object = (await (await open(store)).get("a"))!;
  assertEquals((await new Response(object.body).bytes()).length, body.length);
});

integration("lib/s3: what is answered without an ETag is not believed", async () => {
  const body = "<Error><Code>InternalError</Code></Error>";
  for (const headers of [{}, { etag: '""' }]) {
    await using store = oddStore(() => ({ headers, body }));
    const { get, put, claim, head, putPart } = actionsOf(await open(store));
    for (const action of [get, put, claim, head, putPart]) {
      await refused(action!, "The object store answered without the header etag");
    }
    assertEquals(store.requests.length, 5);
  }
});

integration("lib/s3: nobody is led to another store, and no key is told there", async () => {
  await using other = oddStore(() => ({ headers: { etag: '"abc"' }, body: CONTENT }));
  for (const status of [301, 302, 303, 307, 308]) {
    await using store = oddStore(({ target }) => ({
      status,
      headers: { location: `${other.endpoint}${target}` },
    }));
    const bucket = await open(store);
    for (const action of Object.values(actionsOf(bucket))) {
      await refused(action, `its answer makes no sense (HTTP ${status})`);
    }
    assertEquals(await bucket.complete(UPLOAD, [{ number: 1, etag: "e" }]), "refused");
  }
  assertEquals(other.requests, []);
});

const BOMB = '<!DOCTYPE a [<!ENTITY b "&c;&c;"><!ENTITY c "bomb">]>' +
  "<ListBucketResult>&b;</ListBucketResult>";

integration("lib/s3: no answer is too large or too deep, and none is asked for again", async () => {
  const root = "<ListBucketResult>";
  const bodies = [BOMB, root + " ".repeat(20 * MIB), `${root}${"<a>".repeat(3 * MIB)}`];
  for (const body of bodies) {
    await using store = oddStore(() => ({ body }));
    const bucket = await open(store);
    const { list, createUpload, parts, uploads } = actionsOf(bucket);
    for (const action of [list, createUpload, parts, uploads]) await refused(action!, "no sense");
    assertEquals(store.requests.length, 4);
    assertEquals(await bucket.complete(UPLOAD, [{ number: 1, etag: "e" }]), "unclear");
  }
});

integration(
  "lib/s3: what is listed beside what was asked for is refused, or left out",
  async () => {
    const time = "2026-11-27T05:13:10.601Z";
    const object =
      `<Contents><Key>other/a</Key><Size>1</Size><LastModified>${time}</LastModified>` +
      "<ETag>e</ETag></Contents>";
    const folder = "<CommonPrefixes><Prefix>other/</Prefix></CommonPrefixes>";
    let body = "";
    await using store = oddStore((): StoreAnswer => ({ body }));
    const bucket = await open(store);
    for (const entry of [object, folder]) {
      body = `<ListBucketResult>${entry}</ListBucketResult>`;
      await refused(actionsOf(bucket).list!, "The object store listed what was not asked for");
    }
    const [mine, others] = ["p/a", "other/a"].map((key) =>
      `<Upload><Key>${key}</Key><UploadId>u</UploadId><Initiated>${time}</Initiated></Upload>`
    );
    body = `<ListMultipartUploadsResult>${others}${mine}</ListMultipartUploadsResult>`;
    assertEquals(await Array.fromAsync(bucket.uploads("p/")), [
      [{ key: "p/a", uploadId: "u", begun: new Date(time) }],
    ]);
  },
);

integration("lib/s3: an upload with more parts than any has is not listed to its end", async () => {
  const part = "<Part><PartNumber>1</PartNumber><Size>1</Size><ETag>e</ETag></Part>";
  await using store = oddStore((_, number) => ({
    body: `<ListPartsResult><IsTruncated>true</IsTruncated>${part.repeat(1000)}` +
      `<NextPartNumberMarker>${number}</NextPartNumberMarker></ListPartsResult>`,
  }));
  const bucket = await open(store);
  await refused(() => bucket.parts(UPLOAD), "no sense");
  assertEquals(store.requests.length, 11);
});
