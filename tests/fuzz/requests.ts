/**
 * Arbitrary requests of HTTP: right ones, with something inserted, taken away or repeated anywhere.
 *
 * @module
 */

import fc from "fast-check";

/** Stands for the id of an upload by tus that has begun and has room for {@linkcode ROOM} bytes. */
export const ID = "{id}";

/** Bytes of that upload. */
export const ROOM = 12;

/** Requests of a connection, on average. */
export const REQUESTS_A_RUN = 3;

/** What one client sends, a character a byte, and then it closes its direction. */
export interface Sent {
  requests: readonly string[];
  /** Whether a proper request comes first. Without one, the first bytes may be of no wire at all. */
  opens: boolean;
  /** Where it breaks off instead, as a part of the whole. */
  cut: number | null;
  /** Where the bytes are split, as parts of the whole. */
  splits: readonly number[];
}

/** A change of a request: so many characters at a place, which is a part of the whole, for others. */
interface Change {
  at: number;
  removes: number;
  inserts: string;
}

const ANYWHERE = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

const path = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom("/files/a", "/files/b.txt", "/a", "/files/d/e") },
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      ..."/ /files /files/ /files/a/ /files/../a /files/%2e%2e/a /files/%2F /files/%00 /files/a%"
        .split(
          " ",
        ),
      ..."// //evil/files/a http://evil/files/a * /files/a#b /files/a?b=%zz /files/?archive=tar"
        .split(
          " ",
        ),
      ...[
        "/uploads/",
        `/uploads/${ID}`,
        "/uploads/x",
        "/files/.inlet/a",
        "/files/\xe9",
        "/files/a b",
      ],
      `/files/${"x".repeat(300)}`,
      `/files/${"d/".repeat(600)}e`,
    ),
  },
  fc.constant(`/${"x".repeat(17_000)}`),
);

/** Fields beside those that a request has for its body. */
const field = fc.constantFrom(
  ...["Host: localhost", "Host: evil.example", "Host:", "host : localhost", "Origin: null"],
  ...["Connection: close", "Connection: keep-alive, x", "Connection: upgrade", "Upgrade: h2c"],
  ...["Expect: 100-continue", "Expect: 200-ok", "Trailer: x", "TE: trailers", "Cookie: a=b"],
  ...["Content-Length: 0", "Content-Length: 5", "Content-Length: +5", "Content-Length: 5, 5"],
  ...["Content-Length: -1", "Content-Length: 9007199254740993", "Content-Length: 0x5"],
  ...[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: xchunked",
  ],
  ...["Transfer-Encoding:\x0bchunked", "Transfer-Encoding: chunked\r\n , identity"],
  ...["Range: bytes=0-1", "Range: bytes=9-1,-", "If-Range: x", "If-None-Match: *", "If-Match: a,"],
  ...["Accept: application/json", "Accept: */*;q=2", "Content-Range: bytes 0-1/2"],
  ...["Content-Encoding: gzip", "Content-Type: multipart/form-data", "Last-Modified: soon"],
  ...["Content-Digest: sha-256=:AAAA:", "Repr-Digest: x=1", "Want-Repr-Digest: sha-256=1"],
  ...["Authorization: Basic %%%", "Authorization: Bearer", "__proto__: x", "a\x00b: c", ": x"],
  ...["Tus-Resumable: 1.0.0", "Tus-Resumable: 2.0.0", "Upload-Length: 5", "Upload-Length: -1"],
  ...["Upload-Length: 99999999999999999999", "Upload-Defer-Length: 1", "Upload-Defer-Length: 2"],
  ...["Upload-Offset: 0", "Upload-Offset: 5", "Upload-Offset: x", "Upload-Concat: partial"],
  ...[`Upload-Concat: final;/uploads/${ID}`, "Upload-Concat: final;", "Upload-Metadata: filename"],
  ...["Upload-Metadata: filename Li4vYQ==", "Upload-Metadata: filename YQ==,relativePath Yi9h"],
  ...["Upload-Metadata: a b c,,", "Upload-Checksum: sha1 AAAA", "Upload-Checksum: crc32 NhCmhg=="],
  ...[
    "X-HTTP-Method-Override: PATCH",
    "X-HTTP-Method-Override: GET",
    `X-Long: ${"y".repeat(17_000)}`,
  ],
);

const body = fc.oneof(
  { weight: 20, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 20 }) },
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      "hello",
      "0\r\n\r\nGET /files/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "PUT /files/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nevil",
    ),
  },
  // More than is parsed at once.
  fc.constant("z".repeat(70_000)),
);

/** Lines of fields. */
const fields = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 2, arbitrary: field.map((line) => `${line}\r\n`) },
);

const plain = fc.record({
  method: fc.constantFrom(..."GET GET HEAD OPTIONS DELETE TRACE CONNECT PROPFIND PRI".split(" ")),
  path,
  version: fc.constantFrom("1.1", "1.1", "1.1", "1.0", "2.0", "0.9"),
  fields,
}).map(({ method, path, version, fields }) =>
  `${method} ${path} HTTP/${version}\r\nHost: localhost\r\n${fields}\r\n`
);

const sized = fc.record({
  method: fc.constantFrom("PUT", "PUT", "POST", "PATCH"),
  path,
  fields,
  body,
})
  .map(({ method, path, fields, body }) =>
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );

const chunked = fc.record({
  path,
  fields,
  chunks: fc.array(body, { maxLength: 3 }),
  coding: fc.constantFrom(..."chunked chunked chunked Chunked identity gzip,chunked x".split(" ")),
  extension: fc.constantFrom("", "", ";a=b", " ", ";", "\n"),
  trailer: fc.constantFrom("", "", "X: y\r\n", "Content-Length: 1\r\n"),
}).map(({ path, fields, chunks, coding, extension, trailer }) =>
  `PUT ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}Transfer-Encoding: ${coding}\r\n\r\n` +
  chunks.filter((chunk) => chunk !== "")
    .map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`).join("") +
  `0\r\n${trailer}\r\n`
);

const form = fc.record({
  path: fc.constantFrom("/files/", "/files/in/"),
  fields,
  parts: fc.array(fc.record({ name: fc.constantFrom("a", "b.txt", "../c", "", "%0d"), body }), {
    maxLength: 3,
  }),
}).map(({ path, fields, parts }) => {
  const lines = parts.map(({ name, body }) =>
    `--B\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\n\r\n${body}\r\n`
  );
  const content = `${lines.join("")}--B--\r\n`;
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}` +
    `Content-Type: multipart/form-data; boundary=B\r\nContent-Length: ${content.length}\r\n\r\n` +
    content;
});

const TUS = "Host: localhost\r\nTus-Resumable: 1.0.0\r\n";
const BYTES = "Content-Type: application/offset+octet-stream\r\n";

const tus = fc.record({
  kind: fc.constantFrom("create", "create with", "append", "append", "look", "remove"),
  fields,
  body,
  offset: fc.constantFrom(0, 0, 0, 1, ROOM),
}).map(({ kind, fields, body, offset }) => {
  const [sent, length] = [
    `Content-Length: ${body.length}\r\n`,
    `Upload-Length: ${body.length}\r\n`,
  ];
  switch (kind) {
    case "create":
      return `POST /uploads/ HTTP/1.1\r\n${TUS}${length}${fields}\r\n`;
    case "create with":
      return `POST /uploads/ HTTP/1.1\r\n${TUS}${length}${BYTES}${sent}${fields}\r\n${body}`;
    case "append":
      return `PATCH /uploads/${ID} HTTP/1.1\r\n${TUS}${BYTES}Upload-Offset: ${offset}\r\n` +
        `${sent}${fields}\r\n${body}`;
    case "look":
      return `HEAD /uploads/${ID} HTTP/1.1\r\n${TUS}${fields}\r\n`;
    default:
      return `DELETE /uploads/${ID} HTTP/1.1\r\n${TUS}${fields}\r\n`;
  }
});

const change: fc.Arbitrary<Change> = fc.record({
  at: ANYWHERE,
  removes: fc.oneof(fc.nat(3), fc.nat(3), fc.nat(500)),
  inserts: fc.oneof(
    fc.string({ unit: fc.nat(255).map((byte) => String.fromCharCode(byte)), maxLength: 3 }),
    fc.constantFrom(..."\r\n \r \n \0 \x80 : ; , 0 f ffffffffffffffff %2e ../ chunked".split(" ")),
    fc.constantFrom("\r\n\r\n", " ", "\t", "0\r\n\r\n", "\r\n ", "\r\nTransfer-Encoding: chunked"),
    field,
  ),
});

const request = fc.record({
  text: fc.oneof(
    { weight: 2, arbitrary: plain },
    { weight: 3, arbitrary: sized },
    { weight: 2, arbitrary: chunked },
    form,
    { weight: 2, arbitrary: tus },
  ),
  changes: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Change[]>([]) },
    { weight: 2, arbitrary: fc.array(change, { minLength: 1, maxLength: 3 }) },
  ),
}).map(({ text, changes }) => changes.reduce(changed, text));

/** What a client sends over one connection. */
export const anySent: fc.Arbitrary<Sent> = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 2 * REQUESTS_A_RUN - 1, size: "max" }),
  opens: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
  cut: fc.option(ANYWHERE, { freq: 2 }),
  splits: fc.array(ANYWHERE, { maxLength: 2 }),
});

function changed(text: string, { at, removes, inserts }: Change): string {
  const place = Math.floor(at * text.length);
  return text.slice(0, place) + inserts + text.slice(place + removes);
}
