/**
 * Requests that a server must refuse: what another program on the way could read differently, and what
 * leads elsewhere. Plain and encrypted.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { integration, KEY, names, startServer, tempDir } from "./helpers.ts";
import { HttpWire, problemIn } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";

/** What is sent, and what comes back: the status, the code, and whether the connection stays usable. */
type Row = readonly [what: string, request: string, status: number, code: string, stays: boolean];

/** A GET of a path. */
function get(what: string, path: string, status: number, code: string, stays = true): Row {
  return [what, `GET ${path} HTTP/1.1\r\n@\r\n`, status, code, stays];
}

/** A GET with a further field, which no parser may take. */
function field(what: string, text: string): Row {
  return [what, `GET /files/ HTTP/1.1\r\n@${text}\r\n\r\n`, 400, "bad-request", false];
}

/** A PUT with fields and a body. */
function put(
  what: string,
  fields: string,
  body: string,
  ...answer: [number, string, boolean]
): Row {
  return [what, `PUT /files/a HTTP/1.1\r\n@${fields}\r\n\r\n${body}`, ...answer];
}

/** A PUT whose body is in chunks that no parser may take. */
function chunks(what: string, body: string): Row {
  return put(what, "Transfer-Encoding: chunked", body, 400, "bad-request", false);
}

const BAD = [400, "bad-request", false] as const;
const LARGE = [431, "too-large", false] as const;
const X = "x".repeat(100_000);
/** More fields than a parser might count, in few bytes. */
const FIELDS = "X:\r\n".repeat(2500);

/** Each request by itself; `@` stands for the fields that every request has to have. */
const ROWS: readonly Row[] = [
  ["two Host fields", "GET /files/ HTTP/1.1\r\n@Host: b\r\n\r\n", 400, "bad-request", true],
  [
    "a second Host field far behind",
    `GET /files/ HTTP/1.1\r\n@${FIELDS}Host: b\r\n\r\n`,
    400,
    "bad-request",
    true,
  ],
  put(
    "two codings far behind",
    `${FIELDS}Transfer-Encoding: gzip, chunked`,
    "0\r\n\r\n",
    501,
    "bad-request",
    false,
  ),
  ["no Host field", "GET /files/ HTTP/1.1\r\n\r\n", 400, "bad-request", true],
  ["HTTP/2.0", "GET /files/ HTTP/2.0\r\n@\r\n", 505, "version", false],
  ["HTTP/1.9", "GET /files/ HTTP/1.9\r\n@\r\n", ...BAD],
  ["the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ...BAD],
  ["an unknown method", "PROPFIND /files/ HTTP/1.1\r\n@\r\n", 501, "bad-request", true],
  ["a method that no path has", "TRACE /files/ HTTP/1.1\r\n@\r\n", 405, "bad-request", true],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\n@\r\n", 405, "bad-request", false],
  get("a whole address", "http://localhost/files/", 400, "bad-request"),
  get("an address without a scheme", "//evil/files/", 400, "bad-name"),
  get("a fragment", "/files/#a", 400, "bad-request"),
  get("no path", "*", 400, "bad-request"),
  get("..", "/files/../a", 400, "bad-name"),
  get("encoded ..", "/files/%2e%2E/a", 400, "bad-name"),
  get("twice encoded ..", "/files/%252e%252e", 404, "not-found"),
  get(".. between backslashes", "/files/..%5c..%5ca", 404, "not-found"),
  get("an encoded slash", "/files/a%2Fb", 400, "bad-name"),
  get("an encoded NUL", "/files/a%00", 400, "bad-name"),
  get("no UTF-8", "/files/%ff", 400, "bad-name"),
  get("overlong UTF-8", "/files/%c0%ae%c0%ae", 400, "bad-name"),
  get("half of a pair of UTF-16", "/files/%ed%a0%80", 400, "bad-name"),
  get("half an escape", "/files/%f", 400, "bad-name"),
  get("the store's own folder", "/files/.inlet/a", 400, "bad-name"),
  get("the store's own folder in capitals", "/files/%2eINLET/a", 400, "bad-name"),
  get("raw UTF-8", "/files/\xc3\xa9", ...BAD),
  get("a control character", "/files/a\x01", ...BAD),
  get("a long path", `/${X}`, ...LARGE),
  ["bare LF", "GET /files/ HTTP/1.1\n@\n", ...BAD],
  field("bare LF within the fields", "X: a\nY: b"),
  field("bare CR", "X: a\rY: b"),
  field("a folded field", "X: a\r\n b"),
  field("a space before a colon", "X : a"),
  field("a field without a name", ": a"),
  field("a NUL in a field", "X: a\0"),
  ["a long field", `GET /files/ HTTP/1.1\r\n@X: ${X}\r\n\r\n`, ...LARGE],
  ["many fields", `GET /files/ HTTP/1.1\r\n@${"X: y\r\n".repeat(10_000)}\r\n`, ...LARGE],
  put("no length", "X: y", "", 411, "bad-request", true),
  put("both lengths", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", ...BAD),
  put("two lengths", "Content-Length: 5\r\nContent-Length: 6", "hello", ...BAD),
  put("the same length twice", "Content-Length: 5\r\nContent-Length: 5", "hello", ...BAD),
  put("a list of lengths", "Content-Length: 5, 5", "hello", ...BAD),
  put("a length with a sign", "Content-Length: +5", "hello", ...BAD),
  put("a length below zero", "Content-Length: -5", "hello", ...BAD),
  put("a length in base 16", "Content-Length: 0x5", "hello", ...BAD),
  put("a length of 2^53 + 1", "Content-Length: 9007199254740993", "x", 413, "too-large", false),
  put("a length of 20 digits", "Content-Length: 99999999999999999999", "x", ...BAD),
  put("two codings", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 501, "bad-request", false),
  put("no chunks", "Transfer-Encoding: identity", "hello", 501, "bad-request", false),
  put(
    "chunks twice",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "0\r\n\r\n",
    ...BAD,
  ),
  [
    "chunks in HTTP/1.0",
    "PUT /files/a HTTP/1.0\r\n@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ...BAD,
  ],
  put("another Expect", "Expect: 200-ok\r\nContent-Length: 1", "x", 417, "bad-request", true),
  chunks("a space behind the size of a chunk", "3 \r\nabc\r\n0\r\n\r\n"),
  chunks("bare LF between chunks", "3\nabc\n0\n\n"),
  chunks("a size of a chunk below zero", "-3\r\nabc\r\n0\r\n\r\n"),
  chunks("a size of a chunk with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
  chunks("a size of a chunk that is too large", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
  chunks("a chunk that is longer than its size", "3\r\nabcd\r\n0\r\n\r\n"),
  chunks("a length behind the chunks", "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n"),
  put(
    "long fields behind the chunks",
    "Transfer-Encoding: chunked",
    `0\r\nX: ${X}\r\n\r\n`,
    ...LARGE,
  ),
];

/** Requests behind another one, on a connection that is HTTP already. */
const SECOND: readonly Row[] = [
  ["RTSP", "GET /files/ RTSP/1.0\r\n@\r\n", 505, "version", false],
  ["HTTP/1.0", "GET /files/ HTTP/1.0\r\n@\r\n", 505, "version", false],
  ["HTTP/0.9", "GET /files/\r\n\r\n", 505, "version", false],
  ["a method in small letters", "get /files/ HTTP/1.1\r\n@\r\n", ...BAD],
  ["a method of another protocol", "SOURCE /files/ HTTP/1.1\r\n@\r\n", 501, "bad-request", true],
  ["no HTTP", "\0\x01\x02 junk\r\n\r\n", ...BAD],
  ["a greeting of the native wire", "hello 1 ben\nlist\n", ...BAD],
];

for (const [manner, key] of Object.entries({ plain: undefined, encrypted: KEY })) {
  integration(`${manner} requests that could be read differently are refused in HTTP`, async () => {
    await using server = await startServer({ key });
    const first = `GET /files/ HTTP/1.1\r\n@\r\n`;
    for (const [rows, before] of [[ROWS, ""], [SECOND, first]] as const) {
      for (const [what, request, status, code, stays] of rows) {
        using wire = await HttpWire.dial(server);
        const written = wire.says((before + request).replaceAll("@", wire.fields));
        if (before !== "") assertEquals(await wire.status(), 200, what);
        const response = (await wire.response())!;
        assertEquals([response.status, problemIn(response).code], [status, code], what);
        assertEquals(problemIn(response).status, status);
        // RFC 9110, sections 6.6.1 and 15.5.6.
        assertMatch(response.headers.date ?? "", / GMT$/, what);
        assertEquals(response.headers.allow !== undefined, status === 405, what);
        if (stays && response.headers.connection !== "close") {
          await wire.says(first.replace("@", wire.fields));
          assertEquals(await wire.status(), 200, what);
        } else {
          assertEquals(await wire.ends(), true, what);
          assertEquals(stays, false, what);
        }
        await written;
      }
    }
    assertEquals(names(server.dir), []);
  });
}

integration("nothing that came behind the last response of a connection is done", async () => {
  await using server = await startServer();
  const last: Record<string, number> = {
    "Transfer-Encoding: xchunked\r\nTransfer-Encoding: chunked": 501,
    "Transfer-Encoding: gzip, chunked": 501,
    "Content-Length: 5\r\nUpgrade: h2c\r\nConnection: upgrade": 201,
  };
  for (const [fields, status] of Object.entries(last)) {
    using wire = await HttpWire.dial(server);
    const body = status === 501 ? "0\r\n\r\n" : "hello";
    const requests = `PUT /files/a HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n${body}` +
      "PUT /files/behind HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    assertEquals([(await wire.asks(requests)).status, await wire.ends()], [status, true], fields);
  }
  assertEquals(names(server.dir), ["a"]);
});

for (const access of ["all", "drop-only"] as const) {
  integration(`${access}: what the disk has no room for is refused before it is sent`, async () => {
    await using local = await tempDir();
    const shortage = (bytes: number): string | undefined =>
      bytes > 50_000 ? "only 50 kB are free" : undefined;
    await using server = await serveHere({ dir: local.path, access, shortage });
    const large = "Content-Length: 60000\r\nExpect: 100-continue\r\n";
    const requests = [
      `PUT /files/a HTTP/1.1\r\n@${large}\r\n`,
      `POST /files/ HTTP/1.1\r\n@Content-Type: multipart/form-data; boundary=x\r\n${large}\r\n`,
      "POST /uploads/ HTTP/1.1\r\n@Tus-Resumable: 1.0.0\r\nUpload-Length: 60000\r\n\r\n",
    ];
    for (const request of requests) {
      using wire = await HttpWire.dial(server);
      const response = await wire.asks(request.replace("@", wire.fields));
      assertEquals([response.status, problemIn(response).code], [507, "no-space"], request);
      const isTold = new TextDecoder().decode(response.body).includes("50 kB");
      assertEquals(isTold, access === "all", request);
    }
  });
}
