/**
 * Whole servers that store into a bucket: every wire, several servers at once, and one that is killed.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { lutimesSync } from "node:fs";
import { balance } from "./balancer.ts";
import { BucketScene } from "./bucket_scene.ts";
import {
  bytes,
  CEPH,
  exchange,
  integration,
  KEY,
  run,
  runClient,
  scriptPath,
  startClient,
  tempDir,
} from "./helpers.ts";
import { slowLinkTo } from "./slow_link.ts";
import { factsOf } from "./tree_facts.ts";

/** More than a part. */
const LARGE = bytes(20_000_000);
const SMALL = bytes(70_000);

/** What the client prints of a list, without sizes and times. */
async function listed(server: { port: number; key?: string | undefined }): Promise<string[]> {
  const { code, stdout, stderr } = await runClient(server, ["--list"]);
  assertEquals([code, stderr], [0, ""]);
  return stdout.trimEnd().split("\n").map((line) => line.replace(/^.*?\d{2}:\d{2}(:\d{2})? +/, ""));
}

integration("a bucket takes files by every wire, and gives them back", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  await using server = await scene.serve({ args: ["--fallback", "raw"] });
  const url = `http://127.0.0.1:${server.port}`;
  await local.write("small.bin", SMALL);
  const large = await local.write("large.bin", LARGE);

  const sent = await runClient(server, ["small.bin", "large.bin"], { cwd: local.path });
  assertEquals(sent.code, 0, sent.stderr);
  const upload = ["small.bin", "--as", "by upload", "--mode", "upload"];
  const uploaded = await runClient(server, upload, { cwd: local.path });
  assertEquals(uploaded.code, 0, uploaded.stderr);
  await exchange(server, SMALL);
  const put = await run("curl", ["-sS", "-T", large, `${url}/files/by%20curl`]);
  assertMatch(put.stdout, /"by curl"/, put.stderr);
  const form = ["-sS", "-F", `file=@${local.path}/small.bin;filename=by form`, `${url}/files/`];
  assertEquals((await run("curl", form)).code, 0);
  const message = await runClient(server, [], { stdin: "hello" });
  assertEquals(message.code, 0, message.stderr);

  const there = ["1.file", "by curl", "by form", "by upload", "large.bin", "small.bin"];
  assertEquals((await scene.names()).filter((name) => name !== "(own)"), there);
  assertEquals(await listed(server), there);
  for (const name of there) {
    const content = ["by curl", "large.bin"].includes(name) ? LARGE : SMALL;
    assertEquals(await scene.content(name), content, name);
    const out = `${local.path}/got ${name}`;
    const got = await runClient(server, ["--get", name, "--output", out]);
    assertEquals(got.code, 0, got.stderr);
    assertEquals(Deno.readFileSync(out), content, name);
  }
  const range = await fetch(`${url}/files/large.bin`, {
    headers: { Range: "bytes=9000000-9000999" },
  });
  assertEquals([range.status, await range.bytes()], [206, LARGE.slice(9_000_000, 9_001_000)]);
  const page = await fetch(`${url}/`, { headers: { Accept: "text/html" } });
  assertStringIncludes(await page.text(), "<!DOCTYPE html>");
}, { ...CEPH, programs: ["curl"] });

for (const chunks of ["in one request", "in small requests"]) {
  integration(`a bucket takes a file of tus-js-client ${chunks}`, async () => {
    await using scene = await BucketScene.make();
    await using local = await tempDir();
    const file = await local.write("a.bin", LARGE);
    await using server = await scene.serve();
    const endpoint = `http://127.0.0.1:${server.port}/uploads/`;
    const options = {
      metadata: { filename: "by tus" },
      ...chunks === "in small requests" && { chunkSize: 3_000_000 },
    };
    const args = ["-A", "tests/tus_client.ts", endpoint, file, JSON.stringify(options)];
    const ended = await run(Deno.execPath(), ["run", ...args]);
    assertMatch(ended.stderr, /^done by tus$/m);
    assertEquals(await scene.content("by tus"), LARGE);
  }, CEPH);
}

/** A tree of folders, links, odd names, times and permission bits. */
function plant(top: string): void {
  const fine = new Date("2024-02-29T12:00:00.123Z");
  const odd = [
    "space ",
    "a:b",
    "café",
    "cafe\u0301",
    "\u202eltr",
    "%2e%2e",
    '*?<>"|',
    "x".repeat(200),
  ];
  for (const folder of ["deep/er", "empty", ...odd.map((name) => `odd/${name}`)]) {
    Deno.mkdirSync(`${top}/${folder}`, { recursive: true });
  }
  Deno.writeFileSync(`${top}/large`, LARGE, { mode: 0o640 });
  const files = ["a", "deep/er/a", "deep/empty", ...odd.map((name) => `odd/${name}/${name}`)];
  for (const [index, name] of files.entries()) {
    Deno.writeTextFileSync(`${top}/${name}`, name === "deep/empty" ? "" : name);
    Deno.chmodSync(`${top}/${name}`, [0o644, 0o755, 0o400][index % 3]!);
    Deno.utimeSync(`${top}/${name}`, fine, new Date(fine.getTime() + index));
  }
  for (
    const [name, to] of Object.entries({ latest: "deep/er/a", "deep/up": "../latest", to: "no" })
  ) {
    Deno.symlinkSync(to, `${top}/${name}`);
    lutimesSync(`${top}/${name}`, 1, 1_000_000_000.123);
  }
  for (const folder of ["empty", "deep/er", "deep", ""]) {
    Deno.chmodSync(`${top}/${folder}`, 0o750);
    Deno.utimeSync(`${top}/${folder}`, fine, fine);
  }
}

integration("a tree goes to a bucket by one server and comes back by another", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  plant(`${local.path}/tree`);
  const before = factsOf(`${local.path}/tree`);
  await using first = await scene.serve();
  await using second = await scene.serve();
  const sent = await runClient(first, ["tree"], { cwd: local.path });
  assertEquals([sent.code, sent.stderr.split("\n").length], [0, 2], sent.stderr);
  Deno.mkdirSync(`${local.path}/back`);
  const back = ["--get", "tree/", "--output", "back"];
  const got = await runClient(second, back, { cwd: local.path });
  assertEquals([got.code, got.stderr.split("\n").length], [0, 2], got.stderr);
  assertEquals(factsOf(`${local.path}/back/tree`), before);
  const diff = await run("diff", ["-r", "--no-dereference", "tree", "back/tree"], {
    cwd: local.path,
  });
  assertEquals([diff.code, diff.stdout], [0, ""]);
  // Again, by the other server: everything is there, and nothing is sent.
  const keys = await scene.names();
  const again = await runClient(second, ["tree", "--skip-same"], { cwd: local.path });
  assertEquals(again.code, 0, again.stderr);
  assertMatch(again.stderr, /^tree: 0 files, 0 B, 15 already there\n$/);
  assertEquals(await scene.names(), keys);
}, CEPH);

integration("a client goes on at another server when the first is killed", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  const content = bytes(60_000_000);
  await local.write("a.bin", content);
  await using first = await scene.serve();
  await using second = await scene.serve();
  // What passes is enough for some parts, and then the line stands still.
  using link = await slowLinkTo(first, 40_000_000);
  using balancer = await balance(link);
  await using client = startClient(balancer, ["a.bin", "--retry", "10"], { cwd: local.path });
  await scene.partsAreNoted(3);
  balancer.ports.clear();
  balancer.ports.add(second.port);
  await first.running.stop("SIGKILL");
  const [, kept] = await second.running.says(/resumes "a\.bin" at ([\d.]+) MiB/);
  assert(Number(kept) >= 8, kept);
  await client.says(/stored as "a\.bin"/);
  assertEquals((await scene.names()).filter((name) => name !== "(own)"), ["a.bin"]);
  assertEquals(await scene.content("a.bin"), content);
}, CEPH);

integration("eight clients at two servers with one name get eight names", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  await using first = await scene.serve();
  await using second = await scene.serve();
  const contents = Array.from(
    { length: 8 },
    (_, index) => index % 4 === 3 ? bytes(9_000_000 + index) : bytes(1000 + index),
  );
  const sending = contents.map(async (content, index) => {
    Deno.mkdirSync(`${local.path}/${index}`);
    Deno.writeFileSync(`${local.path}/${index}/a.bin`, content);
    return await runClient(index % 2 === 0 ? first : second, ["a.bin", "--json"], {
      cwd: `${local.path}/${index}`,
    });
  });
  const stored = (await Promise.all(sending)).map(({ code, stdout, stderr }) => {
    assertEquals(code, 0, stderr);
    return JSON.parse(stdout.split("\n")[0]!).file as string;
  });
  const expected = ["a.bin", ...Array.from({ length: 7 }, (_, index) => `a (${index + 2}).bin`)];
  assertEquals(stored.toSorted(), expected.toSorted());
  for (const [index, name] of stored.entries()) {
    assertEquals(await scene.content(name), contents[index], name);
  }
  assertEquals((await listed(second)).toSorted(), expected.toSorted());
}, CEPH);

integration("keys, users and rights are over a bucket what they are over a directory", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  await local.write("a.txt", "hello\n");
  const open = { cwd: local.path };
  {
    await using server = await scene.serve({ key: KEY, args: ["--drop-only"] });
    assertEquals((await runClient(server, ["a.txt"], open)).code, 0);
    assertEquals((await runClient(server, ["a.txt"], open)).code, 0);
    const { code, stderr } = await runClient(server, ["--list"]);
    assertEquals(code, 3);
    assertMatch(stderr, /list/);
    const stranger = await runClient({ port: server.port, key: `${KEY}0` }, ["a.txt"], open);
    assertEquals(stranger.code, 5);
  }
  const { env, store } = scene;
  const users = `${local.path}/users`;
  for (const [name, rights] of [["ada", "read"], ["ben", "drop"]] as const) {
    const args = ["--users", users, "--add-user", name, "--rights", rights];
    const added = await run(Deno.execPath(), ["run", "-A", scriptPath("server.ts"), ...args], open);
    assertEquals(added.code, 0, added.stderr);
  }
  await using server = await scene.serve({ args: ["--users", users] });
  const as = (name: string, ...args: string[]) =>
    runClient(server, [...args, "--token-file", `${local.path}/${name}.token`], open);
  assertEquals((await as("ada", "--list")).stdout.trimEnd().split("\n").length, 2);
  assertEquals((await as("ada", "a.txt")).code, 3);
  assertEquals((await as("ben", "a.txt", "--as", "b.txt")).code, 0);
  assertEquals((await as("ben", "--get", "a.txt", "--output", "-")).code, 3);
  assertEquals(await scene.names(), ["a (2).txt", "a.txt", "b.txt"]);
  assert(store !== "" && env !== undefined);
}, CEPH);

integration("a server that is --read-only writes nothing into its bucket", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  await scene.bucket.put(scene.key("other's.txt"), new TextEncoder().encode("hello\n"));
  await using server = await scene.serve({ args: ["--read-only"] });
  assertEquals(await listed(server), ["other's.txt"]);
  const got = await runClient(server, ["--get", "other's.txt", "--output", "-"]);
  assertEquals([got.code, got.stdout], [0, "hello\n"]);
  const file = await local.write("a.txt", "hello\n");
  assertEquals((await runClient(server, [file])).code, 3);
  const keys = [];
  for await (const { objects } of scene.bucket.list({ prefix: "" })) keys.push(...objects);
  assertEquals(keys.map(({ key }) => key), [scene.key("other's.txt")]);
}, CEPH);

integration(
  "a partial file in a bucket goes after --keep-partials, by another server",
  async () => {
    await using scene = await BucketScene.make();
    await using local = await tempDir();
    await local.write("a.bin", bytes(30_000_000));
    {
      await using first = await scene.serve();
      using link = await slowLinkTo(first, 20_000_000);
      await using client = startClient(link, ["a.bin", "--resume"], { cwd: local.path });
      await scene.partsAreNoted(2);
      await first.running.stopInsistently("SIGTERM");
      await client.stop("SIGKILL");
    }
    const hasOwn = async () => (await scene.names()).includes("(own)");
    assert(await hasOwn());
    await using _ = await scene.serve({ args: ["--keep-partials", "1s"] });
    await scene.until(async () => !await hasOwn());
    for await (const uploads of scene.bucket.uploads(scene.key(""))) assertEquals(uploads, []);
    assertEquals(await scene.names(), []);
  },
  CEPH,
);

integration("--on-stored is given the address of a file in a bucket", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  const file = await local.write("a b.txt", "hello\n");
  const args = ["--on-stored", `sh -c 'echo "$INLET_FILE"'`];
  await using server = await scene.serve({ args });
  assertEquals((await runClient(server, [file])).code, 0);
  const [, address] = await server.running.says(/says: (.*)$/);
  assertEquals(address, `${scene.store}/a b.txt`);
}, CEPH);
