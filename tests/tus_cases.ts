/**
 * What tus 1.0.0 asks of servers, each as a case that a server passes or not. docs/tus.md has the
 * results in a table.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Reachable } from "./helpers.ts";
import { HttpWire, type Response } from "./http_wire.ts";
import {
  ask,
  base64,
  begin,
  BYTES,
  type Fields,
  head,
  metadata,
  offsetOf,
  patch,
  pathIn,
  requestOf,
} from "./tus_wire.ts";

/** Most bytes of one upload at the servers that are tried. */
export const MAX_SIZE = 100_000;

/** A server that is tried. */
export interface Tried extends Reachable {
  /** The content of a complete upload: the response that told of its end, and its path. */
  content(end: Response, path: string): string;
  /** Waits until so many bytes of an upload are on its disk, where it does not keep all that has come. */
  arrival?(path: string, size: number): Promise<void>;
}

/** What a server has to do. */
export interface Case {
  /** The extension, or `core`. */
  readonly of: string;
  /** In the words of the protocol, shortened. */
  readonly says: string;
  try(server: Tried): Promise<void>;
}

const TEN: Fields = { "Upload-Length": 10 };
const DEFERRED: Fields = { "Upload-Defer-Length": 1 };
const PART: Fields = { ...TEN, "Upload-Concat": "partial" };

/** The algorithms of one hash in the form of `Upload-Checksum`. */
function sha1(body: string): Fields {
  return { "Upload-Checksum": `sha1 ${createHash("sha1").update(body).digest("base64")}` };
}

/** Two parts of five bytes each, and `Upload-Concat` of the whole. */
async function twoParts(server: Tried, fields: Fields = {}): Promise<[string, string, Fields]> {
  const part = async (body: string): Promise<string> => {
    const path = await begin(server, { ...PART, "Upload-Length": 5, ...fields });
    assertEquals((await patch(server, path, 0, body)).status, 204);
    return path;
  };
  const [one, two] = [await part("hello"), await part("world")];
  return [one, two, { "Upload-Concat": `final;${one} ${two}` }];
}

/** Fails unless an upload is as it was. */
async function isAt(server: Tried, path: string, offset: number): Promise<void> {
  assertEquals(await offsetOf(server, path), offset);
}

const CORE: Omit<Case, "of">[] = [
  {
    says: "Tus-Resumable MUST be in every response except to OPTIONS, also in a refusal",
    async try(server) {
      const created = await ask(server, "POST", "/uploads/", TEN);
      const path = pathIn(created);
      const responses = [
        created,
        await head(server, path),
        await patch(server, path, 0, "hello"),
        await patch(server, path, 3, "hello"),
        await head(server, "/uploads/0123456789abcdef0123456789abcdef"),
        await ask(server, "POST", "/uploads/"),
        await ask(server, "DELETE", path),
      ];
      const versions = responses.map(({ headers }) => headers["tus-resumable"]);
      assertEquals(versions, versions.map(() => "1.0.0"));
    },
  },
  {
    says: "Another version MUST get 412 with Tus-Version, and MUST NOT be processed",
    async try(server) {
      const path = await begin(server, TEN);
      const other = await patch(server, path, 0, "hello", { "Tus-Resumable": "0.2.2" });
      assertEquals([other.status, other.headers["tus-version"]], [412, "1.0.0"]);
      await isAt(server, path, 0);
    },
  },
  {
    says: "OPTIONS MUST be answered by 204 or 200 with Tus-Version",
    async try(server) {
      const { status, headers } = await ask(server, "OPTIONS", "/uploads/");
      assert(status === 204 || status === 200, `${status}`);
      assertMatch(headers["tus-version"]!, /^1\.0\.0(,|$)/);
    },
  },
  {
    says: "OPTIONS: Tus-Resumable in the request MUST be ignored",
    async try(server) {
      const fields = { "Tus-Resumable": "0.2.2" };
      const { status } = await ask(server, "OPTIONS", "/uploads/", fields);
      assert(status === 204 || status === 200, `${status}`);
    },
  },
  {
    says: "Tus-Extension MUST be a comma-separated list",
    async try(server) {
      const { headers } = await ask(server, "OPTIONS", "/uploads/");
      assertMatch(headers["tus-extension"]!, /^[a-z-]+(,[a-z-]+)*$/);
    },
  },
  {
    says: "Tus-Max-Size MUST be a number of bytes, and SHOULD be told",
    async try(server) {
      const { headers } = await ask(server, "OPTIONS", "/uploads/");
      assertEquals(headers["tus-max-size"], String(MAX_SIZE));
    },
  },
  {
    says: "X-HTTP-Method-Override MUST be taken for the method, and the method be ignored",
    async try(server) {
      const path = await begin(server, TEN);
      const fields = { ...BYTES, "Upload-Offset": 0, "X-HTTP-Method-Override": "PATCH" };
      const { status } = await ask(server, "POST", path, fields, "hello");
      assertEquals(status, 204);
      await isAt(server, path, 5);
    },
  },
  {
    says: "HEAD MUST tell Upload-Offset, also 0, and of a completed upload",
    async try(server) {
      const path = await begin(server, TEN);
      await isAt(server, path, 0);
      await patch(server, path, 0, "hello");
      await isAt(server, path, 5);
      await patch(server, path, 5, "world");
      await isAt(server, path, 10);
    },
  },
  {
    says: "HEAD MUST tell Upload-Length if it is known",
    async try(server) {
      const { headers } = await head(server, await begin(server, TEN));
      assertEquals(headers["upload-length"], "10");
    },
  },
  {
    says: "HEAD MUST be answered with Cache-Control: no-store",
    async try(server) {
      const { headers } = await head(server, await begin(server, TEN));
      assertMatch(headers["cache-control"]!, /no-store/);
    },
  },
  {
    says: "HEAD of what is not there SHOULD get 404, 410 or 403 without Upload-Offset",
    async try(server) {
      const { status, headers } = await head(server, `/uploads/${"0".repeat(32)}`);
      assert([403, 404, 410].includes(status), `${status}`);
      assertEquals(headers["upload-offset"], undefined);
    },
  },
  {
    says: "PATCH with another Content-Type SHOULD get 415",
    async try(server) {
      const path = await begin(server, TEN);
      const { status } = await patch(server, path, 0, "hello", { "Content-Type": "text/plain" });
      await isAt(server, path, 0);
      assertEquals(status, 415);
    },
  },
  {
    says: "PATCH at another offset MUST get 409, and MUST NOT change the upload",
    async try(server) {
      const path = await begin(server, TEN);
      await patch(server, path, 0, "hello");
      for (const offset of [0, 4, 6, 10]) {
        assertEquals((await patch(server, path, offset, "w")).status, 409);
      }
      await isAt(server, path, 5);
    },
  },
  {
    says: "Upload-Offset MUST be a non-negative integer",
    async try(server) {
      const path = await begin(server, TEN);
      for (const offset of ["-1", "0x0", "0.0", "zero", " "]) {
        const { status } = await patch(server, path, offset, "hello");
        assert(status >= 400 && status < 500, `${offset}: ${status}`);
      }
      await isAt(server, path, 0);
    },
  },
  {
    says: "PATCH MUST be answered by 204 with the offset before it and the bytes of it, added",
    async try(server) {
      const path = await begin(server, TEN);
      const first = await patch(server, path, 0, "hel");
      assertEquals([first.status, first.headers["upload-offset"]], [204, "3"]);
      const last = await patch(server, path, 3, "lo worl");
      assertEquals([last.status, last.headers["upload-offset"]], [204, "10"]);
      assertEquals(server.content(last, path), "hello worl");
    },
  },
  {
    says: "PATCH of what is not there SHOULD get 404",
    async try(server) {
      const { status } = await patch(server, `/uploads/${"0".repeat(32)}`, 0, "hello");
      assertEquals(status, 404);
    },
  },
  {
    says: "As much as possible of what was received SHOULD be stored",
    async try(server) {
      const path = await begin(server, TEN);
      {
        using wire = await HttpWire.dial(server);
        const fields = { ...BYTES, "Upload-Offset": 0, "Content-Length": 10 };
        await wire.says(`${requestOf("PATCH", path, fields)}hello`);
        await server.arrival?.(path, 5);
        await wire.closeWrite();
        await wire.response().catch(() => {});
      }
      await isAt(server, path, 5);
    },
  },
];

const CREATION: Omit<Case, "of">[] = [
  {
    says: "POST MUST be answered by 201 with the upload's address in Location",
    async try(server) {
      const created = await ask(server, "POST", "/uploads/", TEN);
      assertEquals(created.status, 201);
      await isAt(server, pathIn(created), 0);
    },
  },
  {
    says: "POST MUST have Upload-Length or Upload-Defer-Length",
    async try(server) {
      assertEquals((await ask(server, "POST", "/uploads/")).status, 400);
      assertEquals((await ask(server, "POST", "/uploads/", { ...TEN, ...DEFERRED })).status, 400);
    },
  },
  {
    says: "Upload-Length MUST be a non-negative integer",
    async try(server) {
      for (const length of ["-1", "0x0", "1.5", "ten", " "]) {
        const { status } = await ask(server, "POST", "/uploads/", { "Upload-Length": length });
        assertEquals(status, 400, length);
      }
    },
  },
  {
    says: "An Upload-Length beyond Tus-Max-Size MUST get 413",
    async try(server) {
      const fields = { "Upload-Length": MAX_SIZE + 1 };
      assertEquals((await ask(server, "POST", "/uploads/", fields)).status, 413);
    },
  },
  {
    says: "HEAD MUST tell Upload-Metadata as the client gave it",
    async try(server) {
      const value = `filename ${base64("naïve café ☕.txt")},secret`;
      const path = await begin(server, { ...TEN, "Upload-Metadata": value });
      assertEquals((await head(server, path)).headers["upload-metadata"], value);
    },
  },
  {
    says: "Upload-Metadata MUST be pairs of a key and Base64, with a space between",
    async try(server) {
      for (const value of ["a b c", "a !", "a YQ", ",", "a YQ==,,b YQ=="]) {
        const fields = { ...TEN, "Upload-Metadata": value };
        assertEquals((await ask(server, "POST", "/uploads/", fields)).status, 400, value);
      }
    },
  },
  {
    says: "All keys of Upload-Metadata MUST be unique",
    async try(server) {
      const fields = { ...TEN, "Upload-Metadata": "a YQ==,a Yg==" };
      assertEquals((await ask(server, "POST", "/uploads/", fields)).status, 400);
    },
  },
];

const DEFER_LENGTH: Omit<Case, "of">[] = [
  {
    says: "Upload-Defer-Length MUST be 1",
    async try(server) {
      for (const value of ["0", "true", "2"]) {
        const fields = { "Upload-Defer-Length": value };
        assertEquals((await ask(server, "POST", "/uploads/", fields)).status, 400, value);
      }
    },
  },
  {
    says: "HEAD MUST tell Upload-Defer-Length: 1 while the length is not known, and only then",
    async try(server) {
      const path = await begin(server, DEFERRED);
      await patch(server, path, 0, "hello");
      const before = (await head(server, path)).headers;
      assertEquals([before["upload-defer-length"], before["upload-length"]], ["1", undefined]);
      await patch(server, path, 5, "w", TEN);
      const after = (await head(server, path)).headers;
      assertEquals([after["upload-defer-length"], after["upload-length"]], [undefined, "10"]);
    },
  },
  {
    says: "The length that comes with a PATCH completes the upload",
    async try(server) {
      const path = await begin(server, DEFERRED);
      await patch(server, path, 0, "hello");
      const last = await patch(server, path, 5, "world", TEN);
      assertEquals(last.status, 204);
      assertEquals(server.content(last, path), "helloworld");
    },
  },
  {
    says: "Once set, the length MUST NOT be changed",
    async try(server) {
      const path = await begin(server, DEFERRED);
      await patch(server, path, 0, "hello", TEN);
      const { status } = await patch(server, path, 5, "w", { "Upload-Length": 20 });
      assert(status >= 400 && status < 500, `${status}`);
      assertEquals((await head(server, path)).headers["upload-length"], "10");
    },
  },
];

const WITH_UPLOAD: Omit<Case, "of">[] = [
  {
    says: "POST with bytes MUST be answered with Upload-Offset behind those that were accepted",
    async try(server) {
      const created = await ask(server, "POST", "/uploads/", { ...TEN, ...BYTES }, "hello");
      assertEquals([created.status, created.headers["upload-offset"]], [201, "5"]);
      const path = pathIn(created);
      const last = await patch(server, path, 5, "world");
      assertEquals(server.content(last, path), "helloworld");
    },
  },
  {
    says: "POST MAY have the whole upload",
    async try(server) {
      const created = await ask(server, "POST", "/uploads/", { ...TEN, ...BYTES }, "helloworld");
      assertEquals([created.status, created.headers["upload-offset"]], [201, "10"]);
      assertEquals(server.content(created, pathIn(created)), "helloworld");
    },
  },
  {
    says: "POST with bytes MUST have Content-Type: application/offset+octet-stream",
    async try(server) {
      const fields = { ...TEN, "Content-Type": "text/plain" };
      const created = await ask(server, "POST", "/uploads/", fields, "hello");
      // Without the type they are no bytes of the upload.
      if (created.status === 201) await isAt(server, pathIn(created), 0);
      else assert(created.status < 500, `${created.status}`);
    },
  },
];

const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

const EXPIRATION: Omit<Case, "of">[] = [
  {
    says:
      "PATCH of an upload that expires MUST be answered with Upload-Expires, a date of RFC 7231",
    async try(server) {
      const path = await begin(server, TEN);
      const { headers } = await patch(server, path, 0, "hello");
      assertMatch(headers["upload-expires"]!, HTTP_DATE);
      assert(Date.parse(headers["upload-expires"]!) > Date.now());
    },
  },
  {
    says: "POST MUST be answered with Upload-Expires if it is known then",
    async try(server) {
      const { headers } = await ask(server, "POST", "/uploads/", TEN);
      assertMatch(headers["upload-expires"]!, HTTP_DATE);
    },
  },
];

const CHECKSUM: Omit<Case, "of">[] = [
  {
    says: "OPTIONS MUST tell Tus-Checksum-Algorithm, in lower case, with sha1 among them",
    async try(server) {
      const { headers } = await ask(server, "OPTIONS", "/uploads/");
      assertMatch(headers["tus-checksum-algorithm"]!, /^([!-+\--@[-~]+,)*sha1(,[!-+\--@[-~]+)*$/);
    },
  },
  {
    says: "The bytes of a PATCH MUST be verified, and count if the checksum is right",
    async try(server) {
      const path = await begin(server, TEN);
      assertEquals((await patch(server, path, 0, "hello", sha1("hello"))).status, 204);
      const last = await patch(server, path, 5, "world", sha1("world"));
      assertEquals(server.content(last, path), "helloworld");
    },
  },
  {
    says: "Another checksum gets 460, the bytes MUST be discarded, and the offset MUST stay",
    async try(server) {
      const path = await begin(server, TEN);
      assertEquals((await patch(server, path, 0, "hello", sha1("hallo"))).status, 460);
      await isAt(server, path, 0);
      await patch(server, path, 0, "hello");
      for (let time = 0; time < 4; time++) {
        assertEquals((await patch(server, path, 5, "w", sha1("v"))).status, 460);
      }
      await isAt(server, path, 5);
      const last = await patch(server, path, 5, "world", sha1("world"));
      assertEquals(server.content(last, path), "helloworld");
    },
  },
  {
    says: "An unknown algorithm gets 400, and the offset MUST stay",
    async try(server) {
      const path = await begin(server, TEN);
      const fields = { "Upload-Checksum": "sha0 Kq5sNclPz7QV2+lfQIuc6R7oRu0=" };
      assertEquals((await patch(server, path, 0, "hello", fields)).status, 400);
      await isAt(server, path, 0);
    },
  },
];

const TERMINATION: Omit<Case, "of">[] = [
  {
    says: "DELETE MUST be answered by 204, and what follows SHOULD get 404 or 410",
    async try(server) {
      const path = await begin(server, TEN);
      await patch(server, path, 0, "hello");
      assertEquals((await ask(server, "DELETE", path)).status, 204);
      for (const method of ["HEAD", "DELETE"]) {
        const { status } = await ask(server, method, path);
        assert(status === 404 || status === 410, `${method}: ${status}`);
      }
      const { status } = await patch(server, path, 5, "world");
      assert(status === 404 || status === 410, `PATCH: ${status}`);
    },
  },
];

const CONCATENATION: Omit<Case, "of">[] = [
  {
    says: "The parts MUST be joined in their order, and the length MUST be their sum",
    async try(server) {
      const [, , final] = await twoParts(server);
      const created = await ask(server, "POST", "/uploads/", final);
      assertEquals(created.status, 201);
      const path = pathIn(created);
      assertEquals((await head(server, path)).headers["upload-length"], "10");
      assertEquals(server.content(created, path), "helloworld");
      const [one, two] = await twoParts(server);
      const turned = { "Upload-Concat": `final;${two} http://127.0.0.1${one}` };
      const second = await ask(server, "POST", "/uploads/", turned);
      assertEquals(server.content(second, pathIn(second)), "worldhello");
    },
  },
  {
    says: "HEAD of a partial upload MUST tell Upload-Concat and Upload-Offset",
    async try(server) {
      const path = await begin(server, PART);
      await patch(server, path, 0, "hello");
      const { headers } = await head(server, path);
      assertEquals([headers["upload-concat"], headers["upload-offset"]], ["partial", "5"]);
    },
  },
  {
    says: "HEAD of a joined upload MUST tell Upload-Concat as it came, and the same two lengths",
    async try(server) {
      const [, , final] = await twoParts(server);
      const path = pathIn(await ask(server, "POST", "/uploads/", final));
      const { headers } = await head(server, path);
      assertEquals(headers["upload-concat"], final["Upload-Concat"]);
      assertEquals([headers["upload-offset"], headers["upload-length"]], ["10", "10"]);
    },
  },
  {
    says: "PATCH of a joined upload MUST get 403, and MUST NOT change it or its parts",
    async try(server) {
      const [one, , final] = await twoParts(server);
      const path = pathIn(await ask(server, "POST", "/uploads/", final));
      assertEquals((await patch(server, path, 10, "more")).status, 403);
      await isAt(server, path, 10);
      await isAt(server, one, 5);
    },
  },
  {
    says: "The metadata of parts SHALL NOT become that of the whole",
    async try(server) {
      const [, , final] = await twoParts(server, metadata({ filename: "part.txt" }));
      const path = pathIn(await ask(server, "POST", "/uploads/", final));
      assertEquals((await head(server, path)).headers["upload-metadata"], undefined);
    },
  },
  {
    says: "Upload-Concat MUST be partial, or final; with addresses of uploads",
    async try(server) {
      for (const value of ["Partial", "final", "final;", "final;nowhere"]) {
        const fields = { ...TEN, "Upload-Concat": value };
        const { status } = await ask(server, "POST", "/uploads/", fields);
        assertEquals(status, 400, value);
      }
    },
  },
];

/** Every case. */
export const CASES: readonly Case[] = Object.entries({
  "core": CORE,
  "creation": CREATION,
  "creation-defer-length": DEFER_LENGTH,
  "creation-with-upload": WITH_UPLOAD,
  "expiration": EXPIRATION,
  "checksum": CHECKSUM,
  "termination": TERMINATION,
  "concatenation": CONCATENATION,
}).flatMap(([of, cases]) => cases.map((one) => ({ ...one, of })));

/** How a server does in a case. */
export type Result = "yes" | "no" | "not offered";

/** Tries a server in every case. */
export async function resultsOf(server: Tried): Promise<Result[]> {
  const { headers } = await ask(server, "OPTIONS", "/uploads/");
  const offered = ["core", ...headers["tus-extension"]!.split(",")];
  const results: Result[] = [];
  for (const one of CASES) {
    if (!offered.includes(one.of)) results.push("not offered");
    else results.push(await one.try(server).then(() => "yes" as const, () => "no" as const));
  }
  return results;
}
