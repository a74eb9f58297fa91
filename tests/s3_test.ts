/**
 * The client of object stores: addresses and answers by themselves, requests on a real Ceph.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { InletError } from "../lib/errors.ts";
import { locate, parseBucketAddress } from "../lib/s3/address.ts";
import type { ListedObject } from "../lib/s3/bucket.ts";
import { checkBucket } from "../lib/s3/check.ts";
import { fixedCredentials, profileOf } from "../lib/s3/credentials.ts";
import { decodeKey } from "../lib/s3/listing.ts";
import { openBucket } from "../lib/s3/open_bucket.ts";
import type { S3Bucket } from "../lib/s3/s3_bucket.ts";
import { escapeXml, parseXml, textOf } from "../lib/s3/xml.ts";
import { sharedCeph } from "./ceph/shared.ts";
import { CEPH, integration, pure } from "./helpers.ts";

pure("parseBucketAddress() takes addresses apart, and says what is wrong with others", () => {
  for (
    const [text, bucket, prefix] of [
      ["s3://inbox", "inbox", ""],
      ["s3://inbox/", "inbox", ""],
      ["S3://in.box-1/a", "in.box-1", "a/"],
      ["s3://inbox/a/b c?d#e%20/", "inbox", "a/b c?d#e%20/"],
    ]
  ) assertEquals(parseBucketAddress(text!), { bucket: bucket!, prefix: prefix! });
  for (
    const [text, why] of [
      ["s3://", "an address of a bucket is s3://BUCKET/PREFIX"],
      ["http://inbox/a", "an address of a bucket is s3://BUCKET/PREFIX"],
      ["s3:///a", "an address of a bucket is s3://BUCKET/PREFIX"],
      ["s3://ab", "the name of a bucket is"],
      ["s3://in..box", "the name of a bucket is"],
      ["s3://inbox/a//b", "a part that is empty, . or .."],
      ["s3://inbox//a", "a part that is empty, . or .."],
      ["s3://inbox/a//", "a part that is empty, . or .."],
      ["s3://inbox//", "a part that is empty, . or .."],
      ["s3://inbox/a/../b", "a part that is empty, . or .."],
      ["s3://inbox/./b", "a part that is empty, . or .."],
      ["s3://inbox/a\nb", "a control character"],
    ]
  ) assertEquals(assertThrows(() => parseBucketAddress(text!), InletError, why).code, "usage");
  for (const keys of ["AKIA:hush", "AKIA:hu/hush", "hush"]) {
    const withKeys = (): unknown => parseBucketAddress(`s3://${keys}@inbox/x`);
    const { message } = assertThrows(withKeys, InletError, "AWS_SECRET_ACCESS_KEY");
    assertEquals(message.includes("hu"), false, message);
  }
});

pure(
  "locate() puts the bucket into the host of Amazon's stores, and into the path of others",
  () => {
    assertEquals(locate("inbox", undefined, "eu-west-3"), {
      base: "https://inbox.s3.eu-west-3.amazonaws.com",
      region: "eu-west-3",
    });
    assertEquals(
      locate("in.box", undefined, "cn-north-1").base,
      "https://s3.cn-north-1.amazonaws.com.cn/in.box",
    );
    assertEquals(locate("inbox", "http://[::1]:9000/", "r1"), {
      base: "http://[::1]:9000/inbox",
      region: "r1",
    });
    assertEquals(locate("inbox", "https://store.example").region, "us-east-1");
    for (
      const [endpoint, why] of [
        ["store.example", "an endpoint is https://HOST or http://HOST:PORT"],
        ["127.0.0.1:9000", "an endpoint is https://HOST or http://HOST:PORT"],
        ["localhost:9000", "an endpoint begins with https:// or http://"],
        ["ftp://store.example", "an endpoint begins with https:// or http://"],
        ["http://store.example/inbox", "give http://store.example, and the bucket as the store"],
        ["http://store.example?a", "give http://store.example, and the bucket as the store"],
      ]
    ) assertThrows(() => locate("inbox", endpoint, "r"), InletError, why);
    const error = assertThrows(
      () => locate("inbox", "http://key:hidden@store.example"),
      InletError,
    );
    assert(!error.message.includes("hidden"), error.message);
    assertThrows(() => locate("inbox", undefined, "a.b/c"), InletError, "Cannot use the region");
  },
);

pure("profileOf() reads a profile of a file of credentials", () => {
  const text =
    "[default]\r\naws_access_key_id=A\n# no\n[ work ]\n AWS_Access_Key_Id = B=1 \n[x]\nk=v";
  assertEquals([...profileOf(text, "default")!], [["aws_access_key_id", "A"]]);
  assertEquals([...profileOf(text, "work")!], [["aws_access_key_id", "B=1"]]);
  assertEquals(profileOf(text, "other"), undefined);
});

pure("parseXml() reads what a store answers, and nothing else", () => {
  const text =
    `<?xml version="1.0" encoding="UTF-8"?>\n<s3:A xmlns:s3="u/v"><B/><B>1&amp;&#60;&#x3e;` +
    "&quot;&apos;&nbsp;</B><C d='e'><B> 2 </B></C></s3:A>\n";
  const root = parseXml(text)!;
  assertEquals([root.name, root.children.map(({ name }) => name)], ["A", ["B", "B", "C"]]);
  assertEquals(root.children[1]!.text, "1&<>\"'&nbsp;");
  assertEquals([textOf(root.children[2], "B"), textOf(root, "D")], [" 2 ", ""]);
  assertEquals(parseXml(`<a>${escapeXml("1 < 2 && 3 > 2")}</a>`)!.text, "1 < 2 && 3 > 2");
  for (
    const other of [
      "",
      "text",
      "<a>",
      "</a>",
      "<a></b>",
      "<a/><b/>",
      "<a><b></a></b>",
      "<a",
      "<a b=<c>",
    ]
  ) assertEquals(parseXml(other), undefined, other);
  for (let end = 0; end < text.trimEnd().length; end++) {
    assertEquals(parseXml(text.slice(0, end)), undefined, `${end}`);
  }
});

pure("parseXml() makes no more elements than an answer of a store has", () => {
  const flat = (count: number): string => `<a>${"<b/>".repeat(count)}</a>`;
  assertEquals(parseXml(flat(99_999))?.children.length, 99_999);
  assert(parseXml(flat(100_000)) === undefined);
  assert(parseXml("<a>".repeat(100_001) + "</a>".repeat(100_001)) === undefined);
});

pure("decodeKey() reads spaces either way, and what is no UTF-8", () => {
  assertEquals(decodeKey("a+b%20c%2Bd"), "a b c+d");
  assertEquals(decodeKey("%E2%82%AC%zz/%"), "€%zz/%");
  assertEquals(decodeKey("a%FF"), "a\ufffd");
});

const text = (content: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(content);

interface OpenBucket extends AsyncDisposable {
  readonly bucket: S3Bucket;
  readonly name: string;
  /** Opens it, or another one, with other options. */
  open(options?: { name?: string; key?: string; secret?: string }): Promise<S3Bucket>;
}

/** A bucket of a test's own. */
async function openOwn(): Promise<OpenBucket> {
  const ceph = await sharedCeph();
  const { endpoint, region, variables } = ceph;
  const { name, [Symbol.asyncDispose]: remove } = await ceph.makeBucket();
  const open: OpenBucket["open"] = (options = {}) =>
    openBucket({
      bucket: options.name ?? name,
      endpoint,
      region,
      credentials: fixedCredentials({
        accessKeyId: options.key ?? variables.AWS_ACCESS_KEY_ID!,
        secretAccessKey: options.secret ?? variables.AWS_SECRET_ACCESS_KEY!,
      }),
    });
  return { bucket: await open(), name, open, [Symbol.asyncDispose]: remove };
}

async function read(
  bucket: S3Bucket,
  key: string,
  options?: Parameters<S3Bucket["get"]>[1],
): Promise<string | undefined> {
  const found = await bucket.get(key, options);
  return found && await new Response(found.body).text();
}

async function listed(bucket: S3Bucket, prefix = ""): Promise<ListedObject[]> {
  const all: ListedObject[] = [];
  for await (const { objects } of bucket.list({ prefix })) all.push(...objects);
  return all;
}

integration(
  "lib/s3: an object is written where nothing is, or over what was looked at",
  async () => {
    await using own = await openOwn();
    const { bucket } = own;
    const meta = { "inlet-id": "1", "inlet-mode": "644" };
    const put = await bucket.put("a", text("one"), { condition: { absent: true }, meta });
    assert(typeof put === "object");
    assertEquals(await bucket.put("a", text("two"), { condition: { absent: true } }), "refused");
    const head = (await bucket.head("a"))!;
    assertEquals([head.size, head.etag, head.meta], [3, put.etag, meta]);
    assert(head.answered.getTime() >= head.modified.getTime());
    assert(
      typeof await bucket.put("a", text("three"), { condition: { etag: put.etag } }) === "object",
    );
    for (const key of ["a", "gone"]) {
      assertEquals(
        await bucket.put(key, text("four"), { condition: { etag: put.etag } }),
        "refused",
      );
    }
    assertEquals(await read(bucket, "a"), "three");
    await bucket.put("a", text("five"));
    assertEquals((await bucket.head("a"))!.meta, {});
    await bucket.delete("a");
    await bucket.delete("a");
    assertEquals([await bucket.head("a"), await bucket.get("a")], [undefined, undefined]);
  },
  CEPH,
);

integration("lib/s3: ranges of an object are read, those of nothing too", async () => {
  await using own = await openOwn();
  const { bucket } = own;
  await bucket.put("a", text("0123456789"));
  await bucket.put("empty", text(""));
  const { etag } = (await bucket.head("a"))!;
  const range = (offset: number, bytes?: number): Promise<string | undefined> =>
    read(bucket, "a", { range: { offset, bytes }, etag });
  assertEquals(await range(0), "0123456789");
  assertEquals([await range(0, 3), await range(7), await range(7, 99)], ["012", "789", "789"]);
  assertEquals([await range(10), await range(11, 5), await range(3, 0)], ["", "", ""]);
  assertEquals((await bucket.get("a", { range: { offset: 4, bytes: 2 } }))!.size, 10);
  assertEquals([await read(bucket, "empty"), await read(bucket, "gone", { etag })], [
    "",
    undefined,
  ]);
  assertEquals(await read(bucket, "empty", { range: { offset: 0, bytes: 9 } }), "");
  await bucket.put("a", text("changed"));
  for (const bytes of [undefined, 0, 3]) {
    const error = await assertRejects(() => range(0, bytes), InletError);
    assertEquals(error.code, "changed");
  }
}, CEPH);

integration("lib/s3: an object that was stored compressed is not decompressed", async () => {
  await using own = await openOwn();
  const packed = await new Response(
    new Blob(["hello"]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  const ceph = await sharedCeph();
  const headers = { "content-encoding": "gzip" };
  const init = { method: "PUT", body: packed, headers };
  await (await ceph.fetch(`${own.name}/a.gz`, init)).body?.cancel();
  const { size, body } = (await own.bucket.get("a.gz"))!;
  assertEquals([size, await new Response(body).bytes()], [packed.length, packed]);
}, CEPH);

/** Each character of Latin-1 but NUL, and some that are longer in UTF-8, or invisible. */
const CHARACTERS = [...Array(255).keys()].map((index) => String.fromCodePoint(index + 1))
  .concat(["€", "\u2028", "\u202e", "\ufeff", "\uffff", "\u{1f600}"]);

const ODD = "!'()*~-._=&?#;:@$, %25\u{1}\n é";

integration("lib/s3: a key may have any character", async () => {
  await using own = await openOwn();
  const { bucket } = own;
  const keys = CHARACTERS.map((character) => `${character}k${character}/n${character}`)
    .concat("//a//", "%2e%2e/%2f", "a+b c", "x/...", ODD + "/1");
  const waiting = [...keys];
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let key; (key = waiting.pop()) !== undefined;) {
      await bucket.put(key, text(key));
      assertEquals(new Uint8Array(await bodyOf(bucket, key)), text(key), key);
    }
  }));
  assertEquals((await listed(bucket)).map(({ key }) => key).toSorted(), keys.toSorted());
  for (const key of ["+k+", ODD]) {
    for await (const { objects, prefixes } of bucket.list({ prefix: key, delimiter: "/" })) {
      assertEquals([objects, prefixes], [[], [`${key}/`]]);
    }
  }
}, CEPH);

async function bodyOf(bucket: S3Bucket, key: string): Promise<Uint8Array> {
  return await new Response((await bucket.get(key))!.body).bytes();
}

integration("lib/s3: a key that a URL would rewrite, or no store has, is refused", async () => {
  await using own = await openOwn();
  const { bucket } = own;
  const upload = { uploadId: "u" };
  for (const key of ["a/../b", "..", "./a", "a/.", "", "a\0", "\ud800", "k".repeat(1025)]) {
    for (
      const action of [
        () => bucket.put(key, text("")),
        () => bucket.get(key),
        () => bucket.delete(key),
        () => bucket.createUpload(key),
        () => bucket.putPart({ ...upload, key }, 1, text("")),
      ]
    ) {
      assertEquals(
        (await assertRejects(async () => void await action(), InletError)).code,
        "bad-name",
      );
    }
  }
  assertEquals(await listed(bucket), []);
  await bucket.put("k".repeat(1024), text(""));
}, CEPH);

integration("lib/s3: a list has pages, levels, and a place to begin at", async () => {
  await using own = await openOwn();
  const { bucket } = own;
  for (const key of ["a", "b/1", "b/2", "c d", "é"]) await bucket.put(key, text(key));
  const pages: string[][] = [];
  for await (const { objects } of bucket.list({ prefix: "", limit: 2 })) {
    pages.push(objects.map(({ key }) => key));
  }
  assertEquals(pages, [["a", "b/1"], ["b/2", "c d", "é"]]);
  for await (const { objects, prefixes } of bucket.list({ prefix: "", delimiter: "/" })) {
    assertEquals([objects.map(({ key }) => key), prefixes], [["a", "c d", "é"], ["b/"]]);
  }
  for await (const { objects } of bucket.list({ prefix: "b/", after: "b/1" })) {
    assertEquals(objects.map(({ key, size }) => [key, size]), [["b/2", 3]]);
    const { etag, modified } = (await bucket.head("b/2"))!;
    assertEquals(objects[0]!.etag, etag);
    assertEquals(Math.floor(objects[0]!.modified.getTime() / 1000), modified.getTime() / 1000);
  }
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(
    async () => void await bucket.list({ prefix: "", signal })[Symbol.asyncIterator]().next(),
    Error,
    "enough",
  );
}, CEPH);

integration("lib/s3: an upload in parts becomes an object, or nothing", async () => {
  await using own = await openOwn();
  const { bucket } = own;
  const key = "a/é +'&<%20\u{1}\n\r.bin";
  const uploadId = await bucket.createUpload(key, { "inlet-id": "9" });
  const upload = { key, uploadId };
  const first = crypto.getRandomValues(new Uint8Array(65536));
  const part = concat(Array(80).fill(first));
  const etags = await Promise.all([
    bucket.putPart(upload, 1, part),
    bucket.putPart(upload, 2, text("end")),
  ]);
  assertEquals(await bucket.parts(upload), [
    { number: 1, size: part.length, etag: etags[0]! },
    { number: 2, size: 3, etag: etags[1]! },
  ]);
  const open = [];
  for await (const page of bucket.uploads("a/")) open.push(...page);
  assertEquals(open.map(({ key, uploadId }) => ({ key, uploadId })), [upload]);
  assert(!Number.isNaN(open[0]!.begun.getTime()));
  const parts = etags.map((etag, index) => ({ number: index + 1, etag: etag! }));
  assertEquals(await bucket.complete(upload, [parts[0]!, { ...parts[1]!, etag: "0" }]), "refused");
  assertEquals(await bucket.head(key), undefined);
  assertEquals(await bucket.complete(upload, parts), "done");
  const head = (await bucket.head(key))!;
  assertEquals([head.size, head.meta], [part.length + 3, { "inlet-id": "9" }]);
  assertEquals(await bodyOf(bucket, key), concat([part, text("end")]));
  assertEquals(await bucket.parts(upload), undefined);
  assertEquals(await bucket.putPart(upload, 3, text("late")), undefined);

  const other = { key: "b", uploadId: await bucket.createUpload("b") };
  await bucket.putPart(other, 1, text("part"));
  await bucket.abort(other);
  await bucket.abort(other);
  assertEquals(await bucket.parts(other), undefined);
  assertEquals(await bucket.putPart(other, 1, text("late")), undefined);
  for await (const page of bucket.uploads("")) assertEquals(page, []);
}, CEPH);

integration("lib/s3: checkBucket() takes a bucket of Ceph, and leaves nothing in it", async () => {
  await using own = await openOwn();
  await checkBucket(own.bucket, "in/", "in/.inlet/probe/");
  assertEquals([own.bucket.ifMatch, await listed(own.bucket)], ["bare", []]);
}, CEPH);

integration("lib/s3: checkBucket() refuses a bucket that keeps versions", async () => {
  await using own = await openOwn();
  const ceph = await sharedCeph();
  for (const status of ["Enabled", "Suspended"]) {
    const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
    const answer = await ceph.fetch(`${own.name}?versioning`, { method: "PUT", body });
    await answer.body?.cancel();
    for (const folder of ["probe/", undefined]) {
      const error = await assertRejects(() => checkBucket(own.bucket, "", folder), InletError);
      assertEquals(error.code, "usage");
      assert(error.message.includes(`is ${status.toLowerCase()}: `), error.message);
    }
  }
}, CEPH);

integration(
  "lib/s3: a bucket that is not there, and keys that are wrong, are told apart",
  async () => {
    await using own = await openOwn();
    const others = [
      [{ name: "no-such-bucket-0" }, "no bucket of that name"],
      [{ key: "nobody" }, "does not know the access key"],
      [{ secret: "hidden-wrong-one" }, "The secret access key is not the one"],
    ] as const;
    for (const [options, why] of others) {
      const bucket = await own.open(options);
      const error = await assertRejects(() => checkBucket(bucket, "", "probe/"), InletError, why);
      assertEquals(error.code, "denied");
      assert(!Deno.inspect(error, { depth: 10 }).includes("hidden"));
    }
    const bucket = await own.open({ secret: "hidden-wrong-one" });
    await assertRejects(() => bucket.head("a"), InletError, "secret access key");
  },
  CEPH,
);
