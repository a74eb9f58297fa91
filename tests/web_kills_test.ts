/**
 * A server that is killed within requests that store something: at each kind of byte of a PUT, a PATCH
 * and a POST. Nothing that was not whole gets a name, and what tus had goes on.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import {
  anHourPasses,
  bytes,
  integration,
  names,
  ownFiles,
  startServer,
  tempDir,
  type TestServer,
  uploadFiles,
  uploadGrows,
  watchUntil,
} from "./helpers.ts";
import { HttpWire } from "./http_wire.ts";
import { offered } from "./resuming.ts";
import {
  begin,
  BYTES,
  type Fields,
  head,
  metadata,
  offsetOf,
  patch,
  requestOf,
} from "./tus_wire.ts";
import { Wire } from "./wire.ts";

const AT_0: Fields = { ...BYTES, "Upload-Offset": 0 };

/** What each request stores. */
const CONTENT = "hello\r\nworld";

/** Its size in bytes. */
const SIZE = CONTENT.length;

/** A form with one file. */
const FORM = '--x\r\nContent-Disposition: form-data; name="f"; filename="form"\r\n\r\n' +
  `${CONTENT}\r\n--x--\r\n`;

const CHUNKS = `3\r\n${CONTENT.slice(0, 3)}\r\n${(SIZE - 3).toString(16)}\r\n${
  CONTENT.slice(3)
}\r\n0\r\n\r\n`;

/** A request that stores something, with the parts of it. */
interface Storing {
  readonly text: string;
  /** Bytes of the file that are in the first bytes of the request. */
  readonly has: (cut: number) => number;
}

function storing(method: string, path: string, fields: Fields, body: string): Storing {
  const text = requestOf(method, path, fields) + body;
  const start = text.length - body.length + body.indexOf(CONTENT);
  return { text, has: (cut) => Math.min(Math.max(0, cut - start), SIZE) };
}

/** The same in chunks. */
function chunked(method: string, path: string, fields: Fields): Storing {
  const text = requestOf(method, path, { ...fields, "Transfer-Encoding": "chunked" }) + CHUNKS;
  const body = text.length - CHUNKS.length;
  const second = body + 3 + 3 + 2 + 3;
  const within = (cut: number, from: number, size: number): number =>
    Math.min(Math.max(0, cut - from), size);
  return { text, has: (cut) => within(cut, body + 3, 3) + within(cut, second, SIZE - 3) };
}

/** Where it is cut: each kind of byte once, and every byte of the body. */
function cutsOf({ text }: Storing): number[] {
  const head = text.indexOf("\r\n\r\n");
  const cuts = [1, text.indexOf(" ") + 3, text.indexOf("\r\n") + 1, head - 1, head + 2];
  for (let cut = head + 4; cut < text.length; cut++) cuts.push(cut);
  return cuts;
}

/** Waits until a store has so many bytes of uploads, or so many uploads of which anything is there. */
async function haveCome(
  { dir }: TestServer,
  what: { bytes: number } | { files: number },
): Promise<void> {
  await watchUntil(dir, () => {
    const sizes = uploadFiles(dir).map(({ size }) => size);
    return "bytes" in what
      ? sizes.reduce((sum, size) => sum + size, 0) === what.bytes
      : sizes.length === what.files;
  });
}

/** The files that clients see. */
function published(dir: string): string[] {
  return names(dir).filter((name) => !/^\(|^\.inlet/.test(name));
}

/** Room for all that is cut, and patience until the last of it has come. */
const ARGS = ["--max-clients", "1000", "--timeout", "600", "--min-rate", "0"];

integration(
  "a server that is killed at any byte of a PUT, PATCH or POST stores no part",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    await using killed = await startServer({ dir, args: ARGS });
    const length = { "Content-Length": SIZE };
    const created = { ...length, ...BYTES, "Upload-Length": SIZE };
    const form = {
      "Content-Type": "multipart/form-data; boundary=x",
      "Content-Length": FORM.length,
    };
    using wires = new DisposableStack();
    const cut = async (request: Storing, at: number): Promise<void> => {
      await wires.use(await HttpWire.dial(killed)).says(request.text.slice(0, at));
    };
    let [size, begun] = [0, 0];
    const counts = (has: number): void => {
      size += has;
      if (has > 0) begun++;
    };
    for (
      const request of [
        storing("PUT", "/files/put", length, CONTENT),
        chunked("PUT", "/files/put", {}),
        storing("POST", "/uploads/", created, CONTENT),
      ]
    ) {
      for (const at of cutsOf(request)) {
        await cut(request, at);
        counts(request.has(at));
      }
    }
    const uploads: { path: string; has: number }[] = [];
    const patches = [
      (path: string) => storing("PATCH", path, { ...AT_0, ...length }, CONTENT),
      (path: string) => chunked("PATCH", path, AT_0),
    ];
    const named = { "Upload-Length": SIZE, ...metadata({ filename: "patched" }) };
    for (const of of patches) {
      for (const at of cutsOf(of(`/uploads/${"0".repeat(32)}`))) {
        const path = await begin(killed, named);
        await cut(of(path), at);
        uploads.push({ path, has: of(path).has(at) });
        counts(uploads.at(-1)!.has);
      }
    }
    await haveCome(killed, { bytes: size });
    const posted = storing("POST", "/files/", form, FORM);
    for (const at of cutsOf(posted)) {
      await cut(posted, at);
      counts(posted.has(at));
    }
    // What could be the boundary is held back, so of these the files are counted.
    await haveCome(killed, { files: begun });
    await killed.running.stop("SIGKILL");
    assertEquals(published(dir), []);
    // Another server could be writing what was written just now.
    anHourPasses(dir);
    await using server = await startServer({ dir, args: ARGS });
    for (const { path, has } of uploads) {
      assertEquals(await offsetOf(server, path), has);
      // Of the others it is known by now.
      if (has < SIZE && has % 4 !== 0) continue;
      if (has < SIZE) {
        assertEquals(
          (await patch(server, path, has, CONTENT.slice(has))).status,
          204,
        );
      }
      const name = decodeURIComponent((await head(server, path)).headers["inlet-name"]!);
      assertEquals(Deno.readTextFileSync(`${dir}/${name}`), CONTENT);
    }
    assert(published(dir).every((name) => name.startsWith("patched")));
    // Of what cannot go on nothing is left.
    assertEquals(ownFiles(dir).filter((path) => /\/[0-9a-f]{32}\.temp$/.test(path)), []);
  },
);

integration(
  "tus and the native client go on with each other's after a server was killed",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const content = bytes(2_000_000);
    const fingerprint = createHash("sha256").update(content).digest("hex");
    const file = { id: fingerprint, size: content.length, name: "b.bin" };
    const text = String.fromCharCode;
    const part = (from: number, to: number): string =>
      Array.from(content.subarray(from, to), (byte) => text(byte)).join("");
    let path;
    {
      await using server = await startServer({ dir });
      path = await begin(server, {
        "Upload-Length": content.length,
        ...metadata({ filename: "a.bin", fingerprint }),
      });
      using wire = await HttpWire.dial(server);
      await wire.says(requestOf("PATCH", path, { ...AT_0, "Content-Length": content.length }));
      await wire.says(content.subarray(0, 500_000));
      await uploadGrows(dir, 500_000);
      await server.running.stop("SIGKILL");
      anHourPasses(dir);
    }
    {
      await using server = await startServer({ dir });
      using wire = await Wire.greet(server);
      assertEquals((await offered(wire, content, file)).offset, 500_000);
      await wire.says(content.subarray(500_000, 1_500_000));
      await uploadGrows(dir, 1_500_000);
      await server.running.stop("SIGKILL");
      anHourPasses(dir);
    }
    await using server = await startServer({ dir });
    assertEquals(await offsetOf(server, path), 1_500_000);
    const last = await patch(server, path, 1_500_000, part(1_500_000, content.length));
    assertEquals([last.status, last.headers["inlet-name"]], [204, "a.bin"]);
    assertEquals(Deno.readFileSync(`${dir}/a.bin`), content);
    assertEquals(published(dir), ["a.bin"]);
  },
);
