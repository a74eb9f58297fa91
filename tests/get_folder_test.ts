import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  integration,
  names,
  onTmpfs,
  ownUmask,
  run,
  runClient,
  scriptPath,
  startClient,
  startServer,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { LONG_AGO, makeTree, treeOf } from "./trees.ts";
import { type Impostor, impostor, type Wire } from "./wire.ts";

const DEEP = Array.from({ length: 50 }, (_, depth) => `${depth}`).join("/");

integration("--get of a folder brings it back with its empty folders and its times", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, {
    "photos/with a space.txt": "a",
    "photos/naïve ☕.txt": "b",
    "photos/-rf": "c",
    "photos/#'\".txt": "d",
    "photos/empty.bin": "",
    "photos/large.bin": bytes(3_000_000),
    "photos/nothing/here/": "",
    [`photos/${DEEP}/deep.txt`]: "e",
    "photographs/not asked for.txt": "f",
    "photos.txt": "g",
  });
  const { code, stdout, stderr } = await runClient(server, ["--get", "photos/"], {
    cwd: local.path,
  });
  assertEquals([code, stdout], [0, ""], stderr);
  assertMatch(
    stderr,
    /^photos\/: 7 files into "\.\/photos", 2\.86 MiB(?:, [\d.]+ [kMG]?B\/s)?\n$/,
  );
  assertEquals(names(local.path), ["photos"]);
  assertEquals(treeOf(`${local.path}/photos`), treeOf(`${server.dir}/photos`));
  assertEquals(Deno.statSync(`${local.path}/photos/-rf`).mtime, LONG_AGO);
});

integration("--get of a folder within a folder, into a directory, under its own name", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "photos/2024/a.jpg": "a", "photos/b.jpg": "b" });
  makeTree(local.path, { "new/place/": "" });
  const args = ["--get", "photos/2024/", "--output", `${local.path}/new/place`];
  const { code, stderr } = await runClient(server, args);
  assertEquals(code, 0, stderr);
  assertEquals(treeOf(`${local.path}/new/place/2024`), treeOf(`${server.dir}/photos/2024`));
  assertEquals(names(`${local.path}/new/place`), ["2024"]);
});

integration("--get of 3,000 small files around large ones brings each back as it was", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files: Record<string, string | Uint8Array> = {};
  for (let index = 0; index < 3000; index++) files[`m/${index % 7}/${index}`] = `file ${index}\n`;
  for (const name of ["m/0/100 large", "m/3/large", "m/9"]) files[name] = bytes(524_289);
  makeTree(server.dir, files);
  const { code, stderr } = await runClient(server, ["--get", "m/"], { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^m\/: 3,003 files into "\.\/m", /);
  assertEquals(treeOf(local.path), treeOf(server.dir));
});

integration("--get of a folder overwrites nothing, and goes through no link", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "p/a.txt": "theirs", "p/out/b.txt": "b", "p/z.txt": "z" });
  makeTree(local.path, { "p/a.txt": "mine", "elsewhere/": "" });
  Deno.symlinkSync(`${local.path}/elsewhere`, `${local.path}/p/out`);
  const { code, stderr } = await runClient(server, ["--get", "p/"], { cwd: local.path });
  assertEquals(code, 6);
  assertEquals(
    stderr.split("\n")[0],
    'inlet: Cannot go through "p/out": it is a symbolic link (this machine\'s disk)',
  );
  assertMatch(
    stderr,
    /p\/: 2 files into "\.\/p", .*; 2 failed: "p\/out", and 1 more for the same reason\n$/,
  );
  assertEquals(stderr.trim().split("\n").length, 2, stderr);
  assertEquals(names(`${local.path}/elsewhere`), []);
  assertEquals(names(`${local.path}/p`), ["a (2).txt", "a.txt", "out", "z.txt"]);
  assertEquals(Deno.readTextFileSync(`${local.path}/p/a.txt`), "mine");
});

integration("--get of a folder gives it a number where a file has its name", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "s/p/a": "a", "s/p/in/b": bytes(700_000), "s/p/empty/": "" });
  makeTree(local.path, { "p": "mine" });
  const got = await runClient(server, ["--get", "s/p/"], { cwd: local.path });
  assertEquals(got.code, 0);
  assertMatch(
    got.stderr,
    /^s\/p\/: 2 files into "\.\/p \(2\)", [^,]+(?:, [^,]+)?\n$/,
  );
  const again = await runClient(server, ["--get", "s/p/", "--skip-same"], { cwd: local.path });
  assertEquals(again.code, 0);
  assertMatch(again.stderr, /: 0 files into "\.\/p \(2\)", 0 B, 2 already there\n$/);
  assertEquals(treeOf(`${local.path}/p (2)`), treeOf(`${server.dir}/s/p`));
  assertEquals(names(local.path), ["p", "p (2)"]);
});

integration("--get of a folder that is not there, or of none, exits with one line", async () => {
  await using server = await startServer();
  const missing = await runClient(server, ["--get", "photos/"]);
  assertEquals([missing.code, missing.stdout], [3, ""]);
  assertMatch(missing.stderr, /^inlet: Cannot get "photos": it does not exist\n$/);
  makeTree(server.dir, { "photos/a.jpg": "a" });
  const without = await runClient(server, ["--get", "photos"]);
  assertEquals(without.code, 3);
  assertMatch(without.stderr, /^inlet: Cannot get "photos": it is a folder, get "photos\/"\n$/);
});

integration("--get --skip-same gets what is new, and what changed in one byte", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "p/same.txt": "same", "p/changed.txt": "before" });
  const args = ["--get", "p/", "--skip-same"];
  assertEquals((await runClient(server, args, { cwd: local.path })).code, 0);
  makeTree(server.dir, { "p/changed.txt": "behind", "p/new.txt": "new" });
  Deno.utimeSync(`${server.dir}/p/changed.txt`, 1e9, 1e9);
  const again = await runClient(server, args, { cwd: local.path });
  assertMatch(
    again.stderr,
    /^p\/: 2 files into "\.\/p", 9 B, .*1 already there, 1 under another name\n$/,
  );
  assertEquals(names(`${local.path}/p`), [
    ...["changed (2).txt", "changed.txt", "new.txt", "same.txt"],
  ]);
});

/** Plays the server of a folder: greets, and gives what a tree is to be. */
async function giveTree(server: Impostor, lines: string[]): Promise<Wire> {
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertEquals(await wire.line(), "tree p");
  await wire.says(["ok", ...lines, `end ${lines.length}`, ""].join("\n"));
  return wire;
}

const OUTSIDE = [
  ["../evil.txt", "it leads out of the directory"],
  ["p/../../evil.txt", "it leads out of the directory"],
  ["/etc/evil.txt", "a part of it is empty"],
  ["other/evil.txt", 'it is not inside "p"'],
  ["pp/evil.txt", 'it is not inside "p"'],
  ["p/.INLET", ".inlet is reserved for uploads"],
  ["p/\x1b[31m", "it holds control characters"],
] as const;

integration("--get of a folder takes no name from outside it", async () => {
  using server = impostor();
  await using local = await tempDir();
  const client = runClient(server, ["--get", "p/"], { cwd: local.path });
  const time = "2001-02-03T04:05:06Z";
  using wire = await giveTree(server, [
    ...OUTSIDE.map(([name]) => `1 ${time} ${name}`),
    `- ${time} ../folder`,
    `1 ${time} p/good.txt`,
  ]);
  assertEquals(await wire.line(), "get p/good.txt");
  await wire.says(`ok 1\ndata 1\nxend 8cdc1683 ${time}\n`);
  assertEquals(await wire.line(), "exit");
  await wire.says("ok bye\n");
  const { code, stderr } = await client;
  assertEquals(code, 3);
  for (const [, reason] of OUTSIDE) assertStringIncludes(stderr, `: ${reason}\n`);
  assertMatch(stderr, /p\/: 1 file into "\.\/p", 1 B.*; 8 failed: /);
  assertEquals(treeOf(local.path).map((line) => line.split(" ")[0]), ["p/", "p/good.txt"]);
});

integration(
  "--get of a folder goes on behind a file that arrives damaged or not at all",
  async () => {
    using server = impostor();
    await using local = await tempDir();
    const client = runClient(server, ["--get", "p/"], { cwd: local.path });
    const time = "2001-02-03T04:05:06Z";
    using wire = await giveTree(server, ["a", "b", "c"].map((name) => `1 ${time} p/${name}`));
    for (const name of ["a", "b", "c"]) assertEquals(await wire.line(), `get p/${name}`);
    await wire.says(`ok 1\ndata 1\nxend 00000000 ${time}\nerror not-found it went\n`);
    await wire.says(`ok 1\ndata 1\nxend 8cdc1683 ${time}\n`);
    assertEquals(await wire.line(), "exit");
    await wire.says("ok bye\n");
    const { code, stderr } = await client;
    assertEquals(code, 5);
    assertMatch(stderr, /Cannot get "p\/a": it arrived with CRC-32 8cdc1683/);
    assertStringIncludes(stderr, "inlet: it went\n");
    assertEquals(names(`${local.path}/p`), ["c"]);
  },
);

integration("--get of a folder onto a full disk keeps nothing partial, and says so", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files: Record<string, Uint8Array> = { "p/large.bin": bytes(2 * 2 ** 20) };
  for (let index = 0; index < 40; index++) files[`p/${index}`] = bytes(60_000);
  makeTree(server.dir, files);
  const [command, ...args] = onTmpfs(local.path, "size=1m");
  const { code, stderr, stdout } = await run("sh", [
    "-c",
    `"$0" "$@"`,
    ...[command!, ...args.slice(0, -2), `${args.at(-2)}; code=$?; ls "$0/p"; exit $code`],
    ...[args.at(-1)!, Deno.execPath(), "run", "-A", scriptPath("client.ts"), "127.0.0.1"],
    ...[`${server.port}`, "--get", "p/", "--output", local.path],
  ]);
  assertEquals(code, 6, stderr);
  assertMatch(stderr, /Cannot store "p\/[^"]+": the disk is full \(this machine's disk\)\n/);
  assertEquals(stdout.includes("temp"), false);
}, { mounts: true });

integration(
  "--get of a folder ends on Ctrl-C with what is whole, and nothing partial",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(server.dir, { "p/a.txt": "a", "p/huge.bin": "" });
    Deno.truncateSync(`${server.dir}/p/huge.bin`, 8 * 2 ** 30);
    makeTree(local.path, { "p/": "" });
    await using client = startClient(server, ["--get", "p/"], { cwd: local.path });
    // More than there is of the small one.
    await uploadGrows(local.path, 2);
    const { code } = await client.stop("SIGINT");
    assertEquals(code, 130);
    assertEquals(names(`${local.path}/p`), ["a.txt"]);
    assertMatch(client.log, /^inlet: Interrupted\np\/: 1 file into "\.\/p", 1 B\b/);
  },
);

integration(
  "--get of a folder makes no link that leads out, and sends no file through one",
  async () => {
    using server = impostor();
    await using local = await tempDir();
    makeTree(local.path, { "elsewhere/": "" });
    const client = runClient(server, ["--get", "p/"], { cwd: local.path });
    const time = "2001-02-03T04:05:06Z";
    const out = ["/etc", "..", "../elsewhere", "x/../..", ".inlet/x", "../../elsewhere"];
    using wire = await giveTree(server, [
      ...out.map((to, index) => `@;to=${to} ${time} p/out${index}`),
      `@;to=../elsewhere ${time} elsewhere/l`,
      `@;to=../.. ${time} p/in/up`,
      `@;to=. ${time} p/here`,
      `@;to=../elsewhere ${time} p/in/f`,
      `1 ${time} p/here/f`,
      `1 ${time} p/in/f`,
    ]);
    for (const name of ["p/here/f", "p/in/f"]) assertEquals(await wire.line(), `get ${name}`);
    for (let count = 0; count < 2; count++) {
      await wire.says(`ok 1\ndata 1\nxend 8cdc1683 ${time}\n`);
    }
    assertEquals(await wire.line(), "exit");
    await wire.says("ok bye\n");
    const { code, stderr } = await client;
    assertEquals(code, 3, stderr);
    assertStringIncludes(stderr, "7 symbolic links that lead out of the folder were not made;");
    assertStringIncludes(stderr, 'it is not inside "p"');
    const made = ["here", "here (2)", "here/f", "in", "in/f"];
    assertEquals(namesBelow(`${local.path}/p`), made);
    assertEquals(Deno.readLinkSync(`${local.path}/p/here (2)`), ".");
    assertEquals(names(`${local.path}/elsewhere`), []);
  },
);

/** The paths of everything in a folder. */
function namesBelow(folder: string, below = ""): string[] {
  return [...Deno.readDirSync(`${folder}/${below}`)].flatMap(({ name, isDirectory }) => [
    below + name,
    ...isDirectory ? namesBelow(folder, `${below}${name}/`) : [],
  ]).sort();
}

integration("--get gives each folder its time, whatever goes into it", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const folders = ["p/leaf", "p/large", "p/outer/in", "p/outer", "p/linked", "p/empty", "p"];
  makeTree(server.dir, {
    ...{ "p/leaf/a": "a", "p/leaf/b": "b", "p/large/a": "a", "p/large/b": bytes(600_000) },
    ...{ "p/outer/a": "a", "p/outer/in/b": "b", "p/linked/a": "a", "p/empty/": "" },
  });
  Deno.symlinkSync("a", `${server.dir}/p/linked/l`);
  const factsOf = (top: string): unknown[] =>
    folders.map((folder) => {
      const { mode, mtime } = Deno.statSync(`${top}/${folder}`);
      return [folder, mode! & 0o777, mtime];
    });
  for (const [index, folder] of folders.entries()) {
    Deno.chmodSync(`${server.dir}/${folder}`, 0o700 + index);
    const time = new Date(LONG_AGO.getTime() + index * 60_000);
    Deno.utimeSync(`${server.dir}/${folder}`, time, time);
  }
  assertEquals((await runClient(server, ["--get", "p/"], { cwd: local.path })).code, 0);
  const umask = ownUmask();
  const expected = folders.map((folder, index) => [
    folder,
    (0o700 + index) & ~umask,
    new Date(LONG_AGO.getTime() + index * 60_000),
  ]);
  assertEquals(factsOf(local.path), expected);
});

integration("--get --retry fills a folder that its owner may not write to", async () => {
  using server = impostor();
  await using local = await tempDir();
  const time = "2001-02-03T04:05:06Z";
  const lines = [`-;mode=555 ${time} p`, ...[1, 2, 3].map((name) => `1 ${time} p/${name}`)];
  const args = ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port)];
  const command = [Deno.execPath(), ...args, "--get", "p/", "--retry", "1"];
  const dropped = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
  const [program, ...rest] = Deno.uid() === 0 ? [...dropped, ...command] : command;
  const getting = run(program!, rest, { cwd: local.path });
  const give = async (wire: Wire): Promise<void> =>
    await wire.says(`ok 1\ndata 1\nxend 8cdc1683 ${time}\n`);
  const first = await giveTree(server, lines);
  for (const name of [1, 2, 3]) assertEquals(await first.line(), `get p/${name}`);
  await give(first);
  first.close();
  using second = await giveTree(server, lines);
  for (const name of [2, 3]) assertEquals(await second.line(), `get p/${name}`);
  for (const _ of [2, 3]) await give(second);
  assertEquals(await second.line(), "exit");
  await second.says("ok bye\n");
  const { code, stderr } = await getting;
  assertEquals(code, 0, stderr);
  assertEquals(names(`${local.path}/p`), ["1", "2", "3"]);
  const { mode, mtime } = Deno.statSync(`${local.path}/p`);
  assertEquals([mode! & 0o777, mtime], [0o555 & ~ownUmask(), LONG_AGO]);
  Deno.chmodSync(`${local.path}/p`, 0o755);
}, { programs: Deno.build.os === "linux" ? ["setpriv"] : [] });

integration("--get gives the folders that it makes their facts, and others none", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, { "p/new/a": "a", "p/there/b": "b" });
  const time = new Date("1963-07-08T09:10:11.012Z");
  for (const folder of ["p/new", "p/there", "p"]) {
    Deno.chmodSync(`${server.dir}/${folder}`, 0o510);
    Deno.utimeSync(`${server.dir}/${folder}`, time, time);
  }
  makeTree(local.path, { "p/there/": "" });
  Deno.chmodSync(`${local.path}/p/there`, 0o755);
  assertEquals((await runClient(server, ["--get", "p/"], { cwd: local.path })).code, 0);
  const info = Deno.statSync(`${local.path}/p/new`);
  assertEquals([info.mode! & 0o777, info.mtime], [0o510, time]);
  assertEquals(Deno.statSync(`${local.path}/p/there`).mode! & 0o777, 0o755);
  for (const folder of [`${local.path}/p/new`, `${server.dir}/p`]) Deno.chmodSync(folder, 0o755);
});
