/**
 * Files over HTTP, by programs that people have: curl, and wget.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { EventReader } from "./event_reader.ts";
import {
  bytes,
  type Ended,
  integration,
  KEY,
  names,
  run,
  runClient,
  runPeer,
  startServer,
  tempDir,
} from "./helpers.ts";
import { ROUTES } from "../web/routes.ts";
import { HttpWire } from "./http_wire.ts";
import { Wire } from "./wire.ts";

const CURL = { programs: ["curl"] };

async function curl(...args: readonly string[]): Promise<Ended> {
  return await run("curl", ["-sS", "--noproxy", "*", ...args]);
}

integration("curl -T stores a file at the root and below /files/, and gets it back", async () => {
  await using local = await tempDir();
  const content = bytes(3_000_000);
  const file = await local.write("a.bin", content);
  await using server = await startServer();
  const url = `http://127.0.0.1:${server.port}`;
  const root = await curl("-i", "-T", file, `${url}/`);
  assertMatch(root.stdout, /201 Created[^]*Location: \/files\/a\.bin\r[^]*"name":"a\.bin"/);
  const below = await curl("-T", file, `${url}/files/folder/`);
  assertEquals(JSON.parse(below.stdout), { name: "folder/a.bin", size: content.length });
  // Nothing is replaced.
  const again = await curl("-T", file, `${url}/files/a.bin`);
  assertEquals(JSON.parse(again.stdout).name, "a (2).bin");
  assertEquals(names(server.dir), ["a (2).bin", "a.bin", "folder"]);
  for (const path of ["a.bin", "folder/a.bin", "a%20(2).bin"]) {
    const got = await curl(`${url}/files/${path}`);
    assertEquals(got.stdoutBytes, content, path);
  }
  await server.running.stop();
  assertMatch(server.running.log, /stored "folder\/a\.bin", 2\.8[67] MiB, CRC-32 /);
  assertMatch(server.running.log, /got "folder\/a\.bin"/);
}, CURL);

integration("curl -T - stores a body in chunks, of any name", async () => {
  await using server = await startServer();
  const url = `http://127.0.0.1:${server.port}/files/`;
  const name = "na\u00efve caf\u00e9 \u2615 #1?.txt";
  const put = await run("curl", ["-sS", "-T", "-", url + encodeURIComponent(name)], {
    stdin: "hello\n",
  });
  assertEquals(JSON.parse(put.stdout), { name, size: 6 });
  assertEquals(Deno.readTextFileSync(`${server.dir}/${name}`), "hello\n");
}, CURL);

integration("the list is JSON for programs, and a page for everybody else", async () => {
  await using server = await startServer();
  Deno.mkdirSync(`${server.dir}/photos`, { recursive: true });
  Deno.writeTextFileSync(`${server.dir}/photos/<b>&.txt`, "hello\n");
  const url = `http://127.0.0.1:${server.port}/files/photos/`;
  const json = await curl("-H", "Accept: application/json", url);
  const { files } = JSON.parse(json.stdout);
  assertEquals(files.map(({ name, size, href }: Record<string, unknown>) => [name, size, href]), [
    ["photos/<b>&.txt", 6, "./%3Cb%3E%26.txt"],
  ]);
  const page = await curl(url);
  assertMatch(page.stdout, /<a href="\.\/%3Cb%3E%26\.txt">&#60;b&#62;&#38;\.txt<\/a>/);
  const moved = await curl("-L", "-H", "Accept: application/json", url.slice(0, -1));
  assertEquals(moved.stdout, json.stdout);
}, CURL);

integration("a request at a path that does not do it is told the path that does", async () => {
  await using server = await startServer();
  const url = `http://127.0.0.1:${server.port}`;
  const detail = async (...args: readonly string[]) =>
    JSON.parse((await run("curl", ["-sS", ...args], { stdin: "hello\n" })).stdout).detail;
  const nowhere = 'Cannot find "/a b.txt": files are below /files/';
  assertEquals(await detail(`${url}/a%20b.txt`), nowhere);
  await server.running.says(/Cannot find "\/a b\.txt": files are below/);
  const noName = "Cannot PUT here: use GET, HEAD, OPTIONS, or PUT /files/NAME";
  assertEquals(await detail("-T", "-", `${url}/`), noName);
  const noFolder = "Cannot POST here: use GET, HEAD, OPTIONS, or POST /files/";
  assertEquals(await detail("-F", "a=@-", `${url}/`), noFolder);
  assertEquals(
    await detail("-X", "DELETE", `${url}/`),
    "Cannot DELETE here: use GET, HEAD, OPTIONS",
  );
}, CURL);

integration("PUT stores nothing under a name before all of it has come", async () => {
  await using server = await startServer();
  const requests: Record<string, string> = {
    sized: "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    chunked:
      "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  };
  for (const request of Object.values(requests)) {
    for (let cut = request.indexOf("HTTP/") + 5; cut < request.length; cut++) {
      using wire = await HttpWire.dial(server);
      await wire.says(request.slice(0, cut));
      await wire.closeWrite();
      const response = await wire.response();
      assert(response === undefined || response.status >= 400, `${cut}: ${response?.status}`);
    }
    assertEquals(names(server.dir), []);
  }
  using wire = await HttpWire.dial(server);
  for (const request of Object.values(requests)) {
    assertEquals((await wire.asks(request)).status, 201);
  }
  assertEquals(names(server.dir), ["a", "a (2)"]);
});

integration("native, upload and web clients share one port", async () => {
  await using local = await tempDir();
  const file = await local.write("large.bin", bytes(8_000_000));
  await using server = await startServer({ args: ["--timeout", "600", "--min-rate", "0"] });
  const url = `http://127.0.0.1:${server.port}/`;
  // Held open meanwhile, before and within a request.
  using resting = await HttpWire.dial(server);
  await resting.asks("GET /files/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
  using within = await HttpWire.dial(server);
  await within.says(
    "PUT /files/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello",
  );
  using native = await Wire.greet(server);
  const ended = await Promise.all([
    curl("-T", file, url),
    runClient(server, [file]),
    runPeer("upload_client.py", ["127.0.0.1", String(server.port), file]),
  ]);
  assertEquals(ended.map(({ code }) => code), [0, 0, 0], ended.map((end) => end.stderr).join());
  await native.says("list\n");
  assertMatch(await native.line(), /^ok/);
  await within.says("there");
  assertEquals((await within.response())?.status, 201);
  assertEquals(names(server.dir), ["half", "large (2).bin", "large (3).bin", "large.bin"]);
}, { programs: ["curl", "python3"] });

for (const [manner, key] of Object.entries({ plain: undefined, encrypted: KEY })) {
  integration(`${manner}: every route works with net and the directory's permissions`, async () => {
    await using local = await tempDir();
    const paths = [`--allow-read=${local.path}`, `--allow-write=${local.path}`];
    const variable = key === undefined ? [] : ["--allow-env=INLET_TOKEN"];
    const permissions = ["--no-prompt", "--allow-net", ...paths, ...variable];
    await using server = await startServer({ dir: `${local.path}/in`, permissions, key });
    for (const { method, path } of ROUTES) {
      if (path === "/events") {
        // It has no end.
        using events = await EventReader.open(server);
        await events.until("welcome");
        continue;
      }
      using wire = await HttpWire.dial(server);
      const target = path.replace("{name}", "a");
      const fields = `${wire.fields}Content-Length: 0\r\nWant-Repr-Digest: sha-256=1\r\n`;
      const { status } = await wire.asks(`${method} ${target} HTTP/1.1\r\n${fields}\r\n`);
      assert(status >= 200 && status < 500, `${method} ${path}: ${status}`);
    }
    await server.running.stop();
    assertNotMatch(server.running.log, /permi/);
  });
}

integration("wget gets a file, and goes on with a part of it", async () => {
  await using local = await tempDir();
  await using server = await startServer();
  const content = bytes(1_000_000);
  Deno.writeFileSync(`${server.dir}/a b.bin`, content);
  await local.write("a b.bin", content.subarray(0, 400_000));
  const url = `http://127.0.0.1:${server.port}/files/a%20b.bin`;
  const { code, stderr } = await run("wget", ["-nv", "--no-proxy", "-c", url], { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertEquals(Deno.readFileSync(`${local.path}/a b.bin`), content);
  await server.running.says(/got "a b\.bin", 586 KiB/);
}, { programs: ["wget"] });
