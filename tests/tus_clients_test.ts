/**
 * The real tus-js-client at a server of ours: whole, stopped, cut, killed, in parts, and in Node.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import denoJson from "../deno.json" with { type: "json" };
import {
  anHourPasses,
  bytes,
  freePort,
  integration,
  names,
  ROOT,
  run,
  Running,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { slowLinkTo } from "./slow_link.ts";
import type { ClientOptions } from "./tus_client.ts";

/** Starts the client. */
function startTus(server: { port: number }, file: string, options: ClientOptions = {}): Running {
  const endpoint = `http://127.0.0.1:${server.port}/uploads/`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tests/tus_client.ts", endpoint, file, JSON.stringify(options)],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  return new Running(process.spawn());
}

/** What the client calls the file. */
const NAMED: ClientOptions = { metadata: { filename: "naïve café ☕.bin" } };

/** Fails unless the server has the file, once. */
function assertStored(
  server: TestServer,
  content: Uint8Array,
  isLeft: (name: string) => boolean = () => false,
) {
  const name = NAMED.metadata!.filename!;
  const there = names(server.dir).filter((name) => !name.startsWith(".inlet/") && !isLeft(name));
  assertEquals(there, [name]);
  assertEquals(Deno.readFileSync(`${server.dir}/${name}`), content);
}

const WAYS: Record<string, ClientOptions> = {
  "in one request": {},
  "in small requests": { chunkSize: 100_000 },
  "with its first bytes in the first request": { uploadDataDuringCreation: true },
  "with its length at the end": { uploadLengthDeferred: true, chunkSize: 400_000, isPipe: true },
  "in three parts beside each other": { parallelUploads: 3 },
};

for (const [way, options] of Object.entries(WAYS)) {
  integration(`tus-js-client stores a file ${way}`, async () => {
    await using local = await tempDir();
    const content = bytes(1_000_000);
    const file = await local.write("a.bin", content);
    await using server = await startServer();
    await using client = startTus(server, file, { ...NAMED, ...options });
    const [, name] = await client.says(/^done (.*)/);
    assertEquals(name, NAMED.metadata!.filename);
    assertStored(server, content);
  });
}

integration("tus-js-client stores an empty file", async () => {
  await using local = await tempDir();
  const file = await local.write("empty", "");
  await using server = await startServer();
  await using client = startTus(server, file, NAMED);
  await client.says(/^done naïve/);
  assertStored(server, new Uint8Array(0));
});

integration("tus-js-client that was stopped goes on where it was", async () => {
  await using local = await tempDir();
  const content = bytes(3_000_000);
  const file = await local.write("a.bin", content);
  await using server = await startServer();
  await using first = startTus(server, file, { ...NAMED, chunkSize: 400_000, stopAt: 1_000_000 });
  const [, uploadUrl] = await first.says(/^url (.*)/);
  await first.says(/^stopped/);
  await using second = startTus(server, file, { uploadUrl: uploadUrl! });
  const [, name] = await second.says(/^done (.*)/);
  assertEquals(name, NAMED.metadata!.filename);
  await server.running.says(/resumes "naïve café ☕\.bin" at 1\.14 MiB/);
  assertStored(server, content);
});

for (const way of ["in one request", "in three parts beside each other"]) {
  integration(`tus-js-client goes on when the server was killed, ${way}`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    const content = bytes(3_000_000);
    const file = await local.write("a.bin", content);
    const port = freePort();
    const killed = await startServer({ dir, port });
    using link = await slowLinkTo(killed, 1_500_000);
    const retryDelays = Array.from({ length: 100 }, () => 200);
    await using client = startTus(link, file, { ...NAMED, ...WAYS[way], retryDelays });
    await uploadGrows(dir, 100_000);
    await killed.running.stop("SIGKILL");
    // Another server could be writing what was written just now.
    anHourPasses(dir);
    link.open();
    await using server = await startServer({ dir, port });
    await client.says(/^done naïve/);
    await server.running.says(/resumes "(naïve café ☕\.bin|part)" at /);
    // The kill can come before the client is told of a part that was begun: that is swept later.
    assertStored(server, content, (name) => name === "(in flight)");
  });
}

integration("a tus client takes an upload over from one whose line is dead", async () => {
  await using local = await tempDir();
  const content = bytes(3_000_000);
  const file = await local.write("a.bin", content);
  await using server = await startServer();
  using link = await slowLinkTo(server, 1_500_000);
  await using first = startTus(link, file, { ...NAMED, retryDelays: [3000, 3000, 3000] });
  const [, url] = await first.says(/^url (.*)/);
  await uploadGrows(server.dir, 1_000_000);
  const uploadUrl = url!.replace(`${link.port}`, `${server.port}`);
  await using second = startTus(server, file, { uploadUrl });
  await second.says(/^done naïve/);
  link.open();
  // It finds out that all is there.
  await first.says(/^done naïve/);
  assertStored(server, content);
});

integration("the program of docs/tus.md goes on in Node when the server was killed", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  const content = bytes(3_000_000);
  await local.write("disk.img", content);
  const port = freePort();
  const killed = await startServer({ dir, port });
  using link = await slowLinkTo(killed, 1_500_000);
  const text = await Deno.readTextFile(new URL("docs/tus.md", ROOT));
  const [, program] = /^```js\n([^]*?)^```$/m.exec(text)!;
  await local.write("upload.mjs", program!.replace(":5000/", `:${link.port}/`));
  // What npm would install, of the version that the other tests have.
  await local.write("deno.json", '{ "nodeModulesDir": "manual" }');
  const installing = ["install", denoJson.scopes["./tests/"]["tus-js-client"]];
  const installed = await run(Deno.execPath(), installing, { cwd: local.path });
  assertEquals(installed.code, 0, installed.stderr);
  const uploading = run("node", ["upload.mjs"], { cwd: local.path });
  await uploadGrows(dir, 100_000);
  await killed.running.stop("SIGKILL");
  // Another server could be writing what was written just now.
  anHourPasses(dir);
  link.open();
  await using server = await startServer({ dir, port });
  const { code, stdout, stderr } = await uploading;
  assertEquals([code, stdout, stderr], [0, "stored\n", ""]);
  await server.running.says(/resumes "disk\.img" at /);
  assertEquals(names(dir).filter((name) => !name.startsWith(".inlet/")), ["disk.img"]);
  assertEquals(Deno.readFileSync(`${dir}/disk.img`), content);
}, { programs: ["node"] });
