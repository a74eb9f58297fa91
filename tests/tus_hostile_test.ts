/**
 * tus from hostile hands: requests that meet where they can do harm, and fields as large as they get.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { OngoingBody } from "../lib/store/ongoing.ts";
import {
  integration,
  names,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { HttpWire } from "./http_wire.ts";
import { serveHere } from "./in_process.ts";
import {
  ask,
  base64,
  begin,
  BYTES,
  type Fields,
  head,
  metadata,
  patch,
  pathIn,
  requestOf,
} from "./tus_wire.ts";

const PART: Fields = { "Upload-Length": 10, "Upload-Concat": "partial" };

/** A `PATCH` that has sent a chunk of ten bytes, and not the end of its body. */
async function sending(
  server: Pick<TestServer, "port" | "dir" | "key">,
  path: string,
  fields: Fields = {},
): Promise<HttpWire> {
  const wire = await HttpWire.dial(server);
  const all = { ...BYTES, "Upload-Offset": 0, "Transfer-Encoding": "chunked", ...fields };
  await wire.says(`${requestOf("PATCH", path, all)}a\r\nhelloworld\r\n`);
  await uploadGrows(server.dir, 10);
  return wire;
}

integration("tus: what is being sent is not joined, as its checksum may be wrong", async () => {
  await using server = await startServer();
  const part = await begin(server, PART);
  using wire = await sending(server, part, { "Upload-Checksum": `crc32 ${base64("junk")}` });
  const joined = { "Upload-Concat": `final;${part}`, ...metadata({ filename: "a" }) };
  assertEquals((await ask(server, "POST", "/uploads/", joined)).status, 423);
  await wire.says("0\r\n\r\n");
  assertEquals(await wire.status(), 460);
  assertEquals((await ask(server, "POST", "/uploads/", joined)).status, 400);
  assertEquals((await patch(server, part, 0, "HELLOWORLD")).status, 204);
  assertEquals((await ask(server, "POST", "/uploads/", joined)).status, 201);
  assertEquals(await Deno.readTextFile(`${server.dir}/a`), "HELLOWORLD");
});

integration("tus: a refused request tells no length of what another one is sending", async () => {
  await using local = await tempDir();
  // In this process: when it does not run, neither the bytes nor the server's clock go on.
  await using server = await serveHere({ dir: local.path });
  const path = await begin(server, { "Upload-Defer-Length": 1, ...metadata({ filename: "a" }) });
  using wire = await sending({ ...server, dir: local.path }, path);
  let sent = 10;
  const dripping = setInterval(() => {
    sent++;
    wire.says("1\r\n!\r\n");
  }, 20);
  const { status } = await patch(server, path, 0, "hello", { "Upload-Length": 12 })
    .finally(() => clearInterval(dripping));
  assertEquals(status, 423);
  await wire.says("0\r\n\r\n");
  assertEquals((await wire.response())!.headers["upload-offset"], String(sent));
  const { headers } = await head(server, path);
  assertEquals([headers["upload-length"], headers["upload-defer-length"]], [undefined, "1"]);
  const last = { "Upload-Length": sent + 1 };
  assertEquals((await patch(server, path, sent, "!", last)).status, 204);
  assertEquals(names(local.path).includes("a"), true);
});

integration("tus: a part with the largest fields is found again after it was joined", async () => {
  await using server = await startServer();
  // Each character is escaped twice on the disk.
  const key = { "Upload-Metadata": "\\".repeat(16_000) };
  const part = await begin(server, { ...PART, "Upload-Length": 0, ...key });
  const others: string[] = [];
  for (let count = 1; count < 30; count++) {
    others.push(await begin(server, { ...PART, "Upload-Length": 0 }));
  }
  const list = [part, ...others].map((path) => `${"\\".repeat(470)}${path}`).join(" ");
  const joined = { "Upload-Concat": `final;${list}` };
  for (let times = 0; times < 2; times++) {
    const response = await ask(server, "POST", "/uploads/", joined);
    assertEquals([response.status, response.headers["inlet-name"]], [201, "upload"]);
    assertEquals((await head(server, pathIn(response))).headers["upload-length"], "0");
  }
  assertEquals((await head(server, part)).headers["upload-metadata"], key["Upload-Metadata"]);
});

integration("tus: who may only upload is not told how much of the disk is free", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  const huge = "9".repeat(15);
  const create = await ask(server, "POST", "/uploads/", { "Upload-Length": huge });
  const path = await begin(server, { "Upload-Defer-Length": 1 });
  for (const response of [create, await patch(server, path, 0, "a", { "Upload-Length": huge })]) {
    assertEquals(response.status, 507);
    assertMatch(new TextDecoder().decode(response.body), /the disk has no room for it"/);
  }
});

integration(
  "tus: who asks for a file while its parts are joined gets it, and all get one",
  async () => {
    await using server = await startServer();
    for (let round = 0; round < 8; round++) {
      const fields = { ...PART, ...BYTES };
      const parts: string[] = [];
      for (let part = 0; part < 6; part++) {
        parts.push(pathIn(await ask(server, "POST", "/uploads/", fields, "helloworld")));
      }
      const joined = { "Upload-Concat": `final;${parts.join(" ")}` };
      // Each comes while an earlier one is somewhere else in its work.
      const asking = parts.map(async (_, index) => {
        for (let turns = 0; turns < 2 * index; turns++) await new Promise((go) => setTimeout(go));
        return (await ask(server, "POST", "/uploads/", joined)).status;
      });
      assertEquals(new Set(await Promise.all(asking)), new Set([201]));
    }
    assertEquals(names(server.dir).filter((name) => name.startsWith("upload")).length, 8);
  },
);

integration("tus: a disk that fails for a client that was cut ends no server", async () => {
  await using local = await tempDir();
  const store = await DirectoryStore.open(local.path);
  const { ongoing } = store;
  const taking = Promise.withResolvers<void>();
  const taken = Promise.withResolvers<void>();
  const closing = Promise.withResolvers<void>();
  const find = ongoing.find.bind(ongoing);
  ongoing.find = async (id) => {
    const found = (await find(id))!;
    found.take = async () => {
      taking.resolve();
      await taken.promise;
      const fail = (): Promise<void> => {
        closing.resolve();
        return Promise.reject(new Error("the disk failed"));
      };
      return { [Symbol.asyncDispose]: fail } as unknown as OngoingBody;
    };
    return found;
  };
  {
    await using server = await serveHere({ dir: local.path, store });
    const path = await begin(server, { "Upload-Length": 5 });
    using wire = await HttpWire.dial(server);
    const fields = { ...BYTES, "Upload-Offset": 0, "Content-Length": 5 };
    await wire.says(requestOf("PATCH", path, fields));
    await taking.promise;
  }
  taken.resolve();
  await closing.promise;
  // A rejection that nobody handles is told before the next timer.
  await new Promise((resolve) => setTimeout(resolve, 0));
});
