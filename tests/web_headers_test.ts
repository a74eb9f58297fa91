/**
 * What HTTP says of a file, and asks of it: ranges, conditions, digests, names and times.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeRange } from "../web/ranges.ts";
import { attachment } from "../web/disposition.ts";
import { encodePath } from "../web/target.ts";
import { bytes, integration, names, pure, startServer, type TestServer } from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";

const OLD = new Date("2015-10-21T07:28:00Z");

/** Asks for a file, with further fields. */
async function get(wire: HttpWire, fields: string, method = "GET"): Promise<Response> {
  return await wire.asks(`${method} /files/a.bin HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`);
}

/** A server with one file of 1,000 bytes that is long unchanged. */
async function serverWithFile(): Promise<TestServer> {
  const server = await startServer();
  Deno.mkdirSync(server.dir, { recursive: true });
  Deno.writeFileSync(`${server.dir}/a.bin`, bytes(1000));
  Deno.utimeSync(`${server.dir}/a.bin`, OLD, OLD);
  return server;
}

/** Each value of `Range`, and what it means for ten bytes. */
const RANGES: readonly [string, ReturnType<typeof decodeRange>][] = [
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=2-5", { start: 2, end: 6 }],
  ["bytes= 2-5 ", { start: 2, end: 6 }],
  ["Bytes=9-", { start: 9, end: 10 }],
  ["bytes=5-99999999999999999999", { start: 5, end: 10 }],
  ["bytes=-3", { start: 7, end: 10 }],
  ["bytes=-99", { start: 0, end: 10 }],
  ["bytes=10-", null],
  ["bytes=99999999999999999999-", null],
  ["bytes=-0", null],
  ["bytes=5-4", undefined],
  ["bytes=-", undefined],
  ["bytes=", undefined],
  ["bytes=0-1,3-4", undefined],
  ["bytes=a-b", undefined],
  ["lines=0-1", undefined],
  ["bytes=0x1-2", undefined],
  ["bytes=+1-2", undefined],
];

for (const [value, range] of RANGES) {
  pure(`decodeRange() takes ${value} of ten bytes for ${JSON.stringify(range)}`, () => {
    assertEquals(decodeRange(value, 10), range);
  });
}

pure("decodeRange() finds nothing in an empty file", () => {
  for (const value of ["bytes=0-", "bytes=0-0", "bytes=-1"]) {
    assertEquals(decodeRange(value, 0), null);
  }
});

pure("attachment() has the name twice: in plain letters, and as it is", () => {
  const cases: [string, string, string][] = [
    ["a.txt", "a.txt", "a.txt"],
    ["folder/a b.txt", "a b.txt", "a%20b.txt"],
    ['"\\%\u00e9;\r\n.txt', "____;__.txt", "%22%5C%25%C3%A9%3B%0D%0A.txt"],
    ["it's (1)*!.txt", "it's (1)*!.txt", "it%27s%20%281%29%2A%21.txt"],
    ["\u{1f600}", "__", "%F0%9F%98%80"],
  ];
  for (const [name, plain, encoded] of cases) {
    const field = `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
    assertEquals(attachment(name), field);
    assert(/^[\x20-\x7e]*$/.test(field));
  }
});

integration("GET sends ranges, and HEAD what GET would", async () => {
  await using server = await serverWithFile();
  const content = bytes(1000);
  using wire = await HttpWire.dial(server);
  const whole = await get(wire, "");
  assertEquals([whole.status, whole.body], [200, content]);
  assertEquals(whole.headers["accept-ranges"], "bytes");
  const { date: _date, ...fields } = whole.headers;
  const head = await get(wire, "", "HEAD");
  assertEquals({ ...head.headers, date: undefined }, { ...fields, date: undefined });
  // RFC 9110, section 14.2: only GET has ranges.
  for (const range of ["bytes=10-19", "bytes=1000-"]) {
    const { status, headers } = await get(wire, `Range: ${range}\r\n`, "HEAD");
    assertEquals([status, headers["content-length"]], [200, "1000"]);
  }
  const part = await get(wire, "Range: bytes=10-19\r\n");
  assertEquals([part.status, part.body], [206, content.subarray(10, 20)]);
  assertEquals(part.headers["content-range"], "bytes 10-19/1000");
  const end = await get(wire, "Range: bytes=-10\r\n");
  assertEquals(end.body, content.subarray(990));
  const several = await get(wire, "Range: bytes=0-1,5-6\r\n");
  assertEquals([several.status, several.body], [200, content]);
  const beyond = await get(wire, "Range: bytes=1000-\r\n");
  assertEquals([beyond.status, beyond.headers["content-range"]], [416, "bytes */1000"]);
  assertEquals(problemIn(beyond).code, "bad-request");
});

integration("GET heeds conditions, in the order of the RFC", async () => {
  await using server = await serverWithFile();
  using wire = await HttpWire.dial(server);
  const { etag, "last-modified": time } = (await get(wire, "")).headers as Record<string, string>;
  assertMatch(etag!, /^"[^"]+"$/);
  assertEquals(time, OLD.toUTCString());
  const earlier = "Tue, 20 Oct 2015 07:28:00 GMT";
  const range = "Range: bytes=0-9\r\n";
  const cases: [string, number][] = [
    [`If-None-Match: ${etag}\r\n`, 304],
    [`If-None-Match: "x", W/${etag}\r\n`, 304],
    ["If-None-Match: *\r\n", 304],
    ['If-None-Match: "x"\r\n', 200],
    [`If-None-Match: "x"\r\nIf-Modified-Since: ${time}\r\n`, 200],
    [`If-Modified-Since: ${time}\r\n`, 304],
    [`If-Modified-Since: ${earlier}\r\n`, 200],
    ["If-Modified-Since: yesterday\r\n", 200],
    [`If-Match: ${etag}\r\n`, 200],
    ["If-Match: *\r\n", 200],
    ['If-Match: "x"\r\n', 412],
    [`If-Match: W/${etag}\r\n`, 412],
    [`If-Unmodified-Since: ${earlier}\r\n`, 412],
    [`If-Unmodified-Since: ${time}\r\n`, 200],
    [`${range}If-Range: ${etag}\r\n`, 206],
    [`${range}If-Range: ${time}\r\n`, 206],
    [`${range}If-Range: "x"\r\n`, 200],
    [`${range}If-Range: W/${etag}\r\n`, 200],
    [`${range}If-Range: ${earlier}\r\n`, 200],
  ];
  for (const [fields, status] of cases) {
    assertEquals((await get(wire, fields)).status, status, fields);
  }
});

integration("a file that was just changed has a weak tag, which joins no ranges", async () => {
  await using server = await serverWithFile();
  // By a clock that is ahead of this one.
  const soon = new Date(Date.now() + 3_600_000);
  Deno.utimeSync(`${server.dir}/a.bin`, soon, soon);
  using wire = await HttpWire.dial(server);
  const { etag } = (await get(wire, "")).headers as { etag: string };
  assertMatch(etag, /^W\/"/);
  const fields = `Range: bytes=0-9\r\nIf-Range: ${etag}\r\n`;
  assertEquals((await get(wire, fields)).status, 200);
});

integration("what is stored is saved by browsers, and never runs or is shown", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  const page = "<script>alert(1)</script>";
  const put = await wire.asks(
    `PUT /files/page.html HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/html\r\n` +
      `Content-Length: ${page.length}\r\n\r\n${page}`,
  );
  assertEquals(put.status, 201);
  const { headers } = await wire.asks("GET /files/page.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assertEquals(headers["content-type"], "application/octet-stream");
  assertEquals(headers["x-content-type-options"], "nosniff");
  assertEquals(headers["content-security-policy"], "sandbox; default-src 'none'");
  assertEquals(headers["cross-origin-resource-policy"], "same-origin");
  assertMatch(headers["content-disposition"]!, /^attachment; filename="page.html"/);
});

async function digestOf(content: Uint8Array<ArrayBuffer>, name: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest(name, content)).toBase64();
}

integration("PUT verifies digests, and GET tells the one that is wanted", async () => {
  await using server = await startServer();
  const content = bytes(100_000);
  const [sha256, sha512] = [await digestOf(content, "SHA-256"), await digestOf(content, "SHA-512")];
  const put = async (fields: string): Promise<Response> => {
    using wire = await HttpWire.dial(server);
    await wire.says(
      `PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n${fields}\r\n`,
    );
    await wire.says(content);
    return (await wire.response())!;
  };
  const wrong = `AAAA${sha256.slice(4)}`;
  const refusals = [
    [`Repr-Digest: sha-256=:${wrong}:\r\n`, "checksum"],
    [`Content-Digest: sha-256=:${sha256}:, sha-512=:${wrong}:\r\n`, "checksum"],
    ["Content-Digest: sha-256=abc\r\n", "bad-request"],
    // Short, of base64url, padded too much, half padded, and no bytes.
    ["Content-Digest: sha-256=:AAAA:\r\n", "checksum"],
    [`Content-Digest: sha-256=:${"_".repeat(43)}=:\r\n`, "bad-request"],
    [`Content-Digest: sha-256=:${sha256}=:\r\n`, "bad-request"],
    [`Content-Digest: sha-512=:${sha512.slice(0, -1)}:\r\n`, "bad-request"],
    ["Content-Digest: sha-256=:A:\r\n", "bad-request"],
  ] as const;
  for (const [fields, code] of refusals) {
    const refused = await put(fields);
    assertEquals([refused.status, problemIn(refused).code], [400, code], fields);
  }
  assertEquals(names(server.dir), []);
  const stored = await put(
    `Content-Digest: md5=:AAAA:, sha-256=:${sha256}:\r\nRepr-Digest: sha-512=:${sha512}:\r\n`,
  );
  assertEquals(stored.status, 201);
  // RFC 9651, section 4.2.7: padding that is missing is no failure.
  const bare = [sha256, sha512].map((digest) => digest.replace(/=+$/, ""));
  const fields = `Content-Digest: sha-256=:${bare[0]}:\r\nRepr-Digest: sha-512=:${bare[1]}:\r\n`;
  assertEquals((await put(fields)).status, 201);
  const other = await put(fields.replace(bare[1]!, `${bare[1]!.slice(4)}AAAA`));
  assertEquals([other.status, problemIn(other).code], [400, "checksum"]);
  using wire = await HttpWire.dial(server);
  const wants: Record<string, string | undefined> = {
    "sha-256=1": `sha-256=:${sha256}:`,
    "sha-256=2, sha-512=9": `sha-512=:${sha512}:`,
    "crc32c=9, sha-256=0": undefined,
  };
  for (const [want, digest] of Object.entries(wants)) {
    const request =
      `GET /files/a HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-4\r\nWant-Repr-Digest: ${want}\r\n\r\n`;
    assertEquals((await wire.asks(request)).headers["repr-digest"], digest, want);
  }
});

integration(
  "PUT heeds conditions, keeps the file's time, and refuses parts and codings",
  async () => {
    await using server = await startServer();
    const put = async (fields: string): Promise<number> => {
      using wire = await HttpWire.dial(server);
      const head = `PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n${fields}\r\n`;
      return (await wire.asks(`${head}hello`)).status;
    };
    assertEquals(await put(`If-None-Match: *\r\nLast-Modified: ${OLD.toUTCString()}\r\n`), 201);
    assertEquals(Deno.statSync(`${server.dir}/a`).mtime, OLD);
    assertEquals(await put("If-None-Match: *\r\n"), 412);
    assertEquals(await put("If-Match: *\r\n"), 412);
    assertEquals(await put("Content-Range: bytes 0-4/10\r\n"), 400);
    assertEquals(await put("Content-Encoding: gzip\r\n"), 415);
    assertEquals(await put("Content-Encoding: identity\r\nLast-Modified: soon\r\n"), 201);
    assertEquals(names(server.dir), ["a", "a (2)"]);
  },
);

integration("names of any characters are stored, listed and got", async () => {
  await using server = await startServer();
  using wire = await HttpWire.dial(server);
  const given = [
    "a b",
    "%41",
    "#?&;=+",
    "\u{1f600}/\u00e9",
    "e\u0301",
    '"<>|',
    "x".repeat(255),
    "~a",
  ];
  for (const name of given) {
    const path = `/files/${encodePath(name)}`;
    const put = await wire.asks(
      `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx`,
    );
    assertEquals([put.status, put.headers.location], [201, path]);
    assertEquals(
      (await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).body.length,
      1,
    );
  }
  const list = await wire.asks(
    "GET /files/ HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n",
  );
  const { files } = JSON.parse(new TextDecoder().decode(list.body));
  const expected = given.map((name) => name.split("/")[0]!).sort();
  assertEquals(files.map(({ name }: { name: string }) => name).sort(), expected);
  for (const { href } of files as { href: string }[]) {
    const path = new URL(href, "http://a/files/").pathname;
    assertEquals(
      (await wire.asks(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).status,
      200,
      href,
    );
  }
});
