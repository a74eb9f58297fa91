import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  assertRefused,
  bytes,
  fixture,
  integration,
  names,
  run,
  runClient,
  runScript,
  startServer,
  tempDir,
} from "./helpers.ts";
import { serve } from "../server.ts";
import { send } from "../client.ts";
import { LONG_AGO, makeTree, treeOf } from "./trees.ts";
import { impostor } from "./wire.ts";

const DEEP = Array.from({ length: 50 }, (_, depth) => `${depth}`).join("/");

/** Names that are nothing special to a file system, and something to many a program. */
const ODD = {
  "with a space.txt": "a",
  "naïve ☕ 家族.txt": "b",
  "-rf": "c",
  "#1.txt": "d",
  'it\'s "quoted".txt': "e",
  "$(id);&|*?[a].txt": "f",
  "sub folder/--help": "g",
  ".hidden": "h",
  "empty.bin": "",
  "large.bin": bytes(700_000),
  [`${DEEP}/deep.txt`]: "i",
  "nothing here/": "",
  "nothing/at/all/": "",
};

integration("a folder is sent with its names, its empty folders and its times", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(`${local.path}/photos`, ODD);
  const { code, stdout, stderr } = await runClient(server, ["photos/"], { cwd: local.path });
  assertEquals([code, stdout], [0, ""], stderr);
  assertMatch(stderr, /^photos\/: 11 files, 684 KiB(?:, [\d.]+ [kMG]?B\/s)?\n$/);
  assertEquals(treeOf(server.dir), treeOf(local.path));
  assertStringIncludes(treeOf(server.dir).join(), LONG_AGO.toISOString().slice(0, 19));
});

integration("a folder and a file go together, and the file has a line of its own", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "photos/a.jpg": "a", "notes.txt": "n" });
  const args = [`${local.path}/photos`, `${local.path}/notes.txt`];
  const { code, stderr } = await runClient(server, args);
  assertEquals(code, 0, stderr);
  const [file, folder] = stderr.split("\n");
  assertStringIncludes(file!, 'notes.txt: stored as "notes.txt", 1 B, CRC-32');
  assertMatch(folder!, /photos: 1 file, 1 B\b/);
  assertEquals(treeOf(server.dir), treeOf(local.path));
});

for (
  const [path, cwd, expected] of [
    [".", "/photos", "photos"],
    ["..", "/photos/in", "photos"],
    ["./photos/", "", "photos"],
    ["photos/in/..", "", "photos"],
    ["photos/in", "", "in"],
  ] as const
) {
  integration(`a folder given as ${path} is called ${expected}`, async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(local.path, { "photos/in/a.jpg": "a" });
    const { code, stderr } = await runClient(server, [path], { cwd: local.path + cwd });
    assertEquals(code, 0, stderr);
    assertEquals(names(server.dir), [expected]);
  });
}

integration("client.ts says which of two things is wrong with a name", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "f/a\nb": "1", "f/c": "2" });
  const broken = await runClient(server, ["f"], { cwd: local.path });
  assertStringIncludes(broken.stderr, 'Cannot send "f/a\\u{a}b": its name contains a line break\n');
  const long = await runClient(server, ["f/c", "--as", "c".repeat(5000)], { cwd: local.path });
  assertRefused(long, 3, 'Cannot send "f/c": its name is too long');
});

integration("--as gives a folder another name, and the root of a disk needs one", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "photos/a.jpg": "a", "other/a.jpg": "a" });
  const args = [`${local.path}/photos`, "--as", "./2024/summer"];
  assertEquals((await runClient(server, args)).code, 0);
  assertEquals(treeOf(`${server.dir}/2024/summer`), treeOf(`${local.path}/photos`));
  // With a slash at its end it is a folder, for one or for many.
  const files = [`${local.path}/other/a.jpg`, ".", "--as", "in/box//"];
  const boxed = await runClient(server, files, { cwd: `${local.path}/photos` });
  assertStringIncludes(boxed.stderr, 'a.jpg: stored as "in/box/a.jpg", 1 B');
  const today = await runClient(server, ["photos/a.jpg", "--as", "to/day/"], { cwd: local.path });
  assertEquals([boxed.code, today.code], [0, 0]);
  assertEquals(treeOf(`${server.dir}/in/box`).map((line) => line.split(" ")[0]), [
    ...["a.jpg", "photos/", "photos/a.jpg"],
  ]);
  assertEquals(names(`${server.dir}/to/day`), ["a.jpg"]);
  // A path from the server's directory, as for --get.
  for (const as of ["/", "/in/", "/b.jpg", "in//./c.jpg"]) {
    const { code, stderr } = await runClient(server, [files[0]!, "--as", as]);
    assertEquals(code, 0, as + stderr);
  }
  assertEquals(names(server.dir), ["2024", "a.jpg", "b.jpg", "in", "to"]);
  assertEquals(names(`${server.dir}/in`), ["a.jpg", "box", "c.jpg"]);
  const { code, stderr } = await runClient(server, ["/", "--exclude", "*"]);
  assertEquals([code, stderr], [2, 'inlet: Cannot send "/" without a name: give --as NAME\n']);
});

integration(
  "a link in a folder is not followed, a pipe not opened, and both are said",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(local.path, { "photos/a.jpg": "a", "photos/links/": "", "secret/key": "k" });
    Deno.symlinkSync(`${local.path}/secret/key`, `${local.path}/photos/links/key`);
    Deno.symlinkSync(`${local.path}/secret`, `${local.path}/photos/out`);
    await run("mkfifo", [`${local.path}/photos/pipe`]);
    const { code, stderr } = await runClient(server, ["photos"], { cwd: local.path });
    assertEquals(code, 0);
    assertEquals(stderr.split("\n").slice(0, 2), [
      'Skipped "photos/pipe": it is neither a file nor a folder',
      "2 symbolic links that lead out of the folder were not sent; --links all sends them",
    ]);
    assertEquals(treeOf(server.dir).map((line) => line.split(" ")[0]), [
      "photos/",
      "photos/a.jpg",
      "photos/links/",
    ]);
    const quiet = await runClient(server, ["photos", "--quiet"], { cwd: local.path });
    assertEquals([quiet.code, quiet.stderr], [0, ""]);
  },
  { programs: ["mkfifo"] },
);

integration("a link to a folder is followed where a person gives it", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "photos/a.jpg": "a" });
  Deno.symlinkSync(`${local.path}/photos`, `${local.path}/link`);
  assertEquals((await runClient(server, ["link"], { cwd: local.path })).code, 0);
  assertEquals(treeOf(`${server.dir}/link`), treeOf(`${local.path}/photos`));
});

integration("--exclude leaves out names, paths, and all that is in a folder", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, {
    "photos/a.jpg": "",
    "photos/a.tmp": "",
    "photos/in/b.tmp": "",
    "photos/.git/config": "",
    "photos/cache/c.jpg": "",
    "photos/in/cache/d.jpg": "",
    "photos/only.tmp/e.jpg": "",
  });
  const excludes = ["--exclude", "*.tmp", "--exclude=.git", "--exclude", "/cache"];
  const { code, stderr } = await runClient(server, ["photos", ...excludes], { cwd: local.path });
  assertEquals(code, 0);
  // A folder counts as one.
  assertMatch(stderr, /^photos: 2 files, 0 B, 5 left out\n$/);
  const sent = [
    "photos/",
    "photos/a.jpg",
    "photos/in/",
    "photos/in/cache/",
    "photos/in/cache/d.jpg",
  ];
  assertEquals(treeOf(server.dir).map((line) => line.split(" ")[0]), sent);
  makeTree(server.dir, { "photos/in/e.tmp": "" });
  const got = await runClient(server, ["--get", "photos/", ...excludes], { cwd: local.path });
  assertEquals(got.code, 0);
  assertEquals(
    got.stderr,
    '--exclude ".git" left nothing out\n--exclude "/cache" left nothing out\n' +
      'photos/: 2 files into "./photos", 0 B, 2 under another name, 1 left out\n',
  );
  assertEquals(names(`${local.path}/photos`).includes("a (2).jpg"), true);
  assertEquals(names(`${local.path}/photos/in`), ["b.tmp", "cache"]);
});

integration("a folder gets a number where a file has its name, and the same again", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files = { "p/a": "a", "p/in/b": bytes(700_000), "p/empty/": "", "p/n/x/c": "c" };
  makeTree(local.path, files);
  makeTree(server.dir, { "p": "theirs", "p (2)/n": "theirs" });
  const sent = await runClient(server, ["p"], { cwd: local.path });
  const renamed = '2 folders under another name: "p (2)", "p (2)/n (2)"';
  assertEquals(sent.code, 0);
  assertMatch(sent.stderr, /^p: 3 files, 684 KiB(?:, [^,]+)?, 2 folders under .*\n$/);
  assertStringIncludes(sent.stderr, renamed);
  const again = await runClient(server, ["p", "--skip-same"], { cwd: local.path });
  assertEquals([again.code, again.stderr], [0, "p: 0 files, 0 B, 3 already there\n"]);
  assertEquals(treeOf(server.dir).map((line) => line.replace(/ \d+ 2001.*/, "")).sort(), [
    ...["p", "p (2)/", "p (2)/a", "p (2)/empty/", "p (2)/in/", "p (2)/in/b"],
    ...["p (2)/n", "p (2)/n (2)/", "p (2)/n (2)/x/", "p (2)/n (2)/x/c"],
  ]);
});

integration(
  "what --exclude is given by its path is left out, and a vain pattern is told",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(local.path, {
      "p/.env": "",
      "p/a": "",
      "p/x/b": "",
      "q/c": "",
      "q/d": "",
      ".env": "",
    });
    const secrets = ["p/.env", "./p/x", `${local.path}/q/c`, "./.env", "none/", "~/d", "["];
    const args = ["p", "q/", ".env", ...secrets.map((glob) => `--exclude=${glob}`)];
    const refused = await runClient(server, args, { cwd: local.path });
    assertEquals([refused.code, names(server.dir)], [2, []]);
    assertMatch(refused.stderr, /^inlet: Cannot use --exclude "\[": it is not a glob: .*\n$/);
    const { code, stderr } = await runClient(server, args.slice(0, -1), { cwd: local.path });
    assertEquals([code, stderr.split("\n")], [0, [
      'Skipped ".env": --exclude leaves it out',
      '--exclude "none/" left nothing out',
      '--exclude "~/d" left nothing out',
      "p: 1 file, 0 B, 2 left out",
      "q/: 1 file, 0 B, 1 left out",
      "",
    ]]);
    assertEquals(treeOf(server.dir).map((line) => line.split(" ")[0]), ["p/", "p/a", "q/", "q/d"]);
    for (const all of [["p", "--exclude", "p"], ["--get", "p/", "--exclude", "./p/"]]) {
      const nothing = await runClient(server, all, { cwd: local.path });
      assertMatch(
        nothing.stderr,
        /inlet: Cannot transfer anything: --exclude leaves all of it out\n$/,
      );
      assertEquals(nothing.code, 2);
    }
  },
);

integration("a folder of which everything is left out is an empty folder", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "photos/in/a.tmp": "" });
  const args = ["photos", "--exclude", "*.tmp"];
  assertEquals((await runClient(server, args, { cwd: local.path })).code, 0);
  assertEquals(treeOf(server.dir), ["photos/", "photos/in/"]);
});

integration("10,000 files arrive around three that are refused, which are named", async () => {
  await using server = await startServer({ args: ["--max-size", "100000"] });
  await using local = await tempDir();
  const files: Record<string, string | Uint8Array> = {};
  for (let index = 0; index < 10_000; index++) {
    files[`many/${index % 10}/${index}.txt`] = `file ${index}\n`;
  }
  makeTree(local.path, files);
  const good = treeOf(local.path);
  // A name that is reserved, one over the limit, and one that is a folder on the other side.
  makeTree(local.path, { "many/5/inlet~1": "", "many/5/large.bin": bytes(100_001) });
  makeTree(local.path, { "many/5/taken": "not here" });
  makeTree(server.dir, { "many/5/taken/": "", "many/4/": "" });
  Deno.symlinkSync("../5", `${server.dir}/many/4/clash`);
  makeTree(local.path, { "many/4/clash/a.txt": "a folder" });
  const { code, stderr } = await runClient(server, ["many"], { cwd: local.path });
  assertEquals(code, 3);
  const said = stderr.trim().split("\n");
  assertEquals(said.length, 4, stderr);
  assertStringIncludes(stderr, "Cannot take the name");
  assertStringIncludes(stderr, "the limit is 100000 bytes");
  assertStringIncludes(stderr, 'Cannot go through "many/4/clash": it is a symbolic link');
  assertMatch(
    said[3]!,
    /^many: 10,001 files, .*; 3 failed: "many\/4\/clash\/a\.txt", "many\/5\/inlet~1", "many\/5\/large\.bin"$/,
  );
  assertEquals(names(`${server.dir}/many/5`).includes("taken (2)"), true);
  Deno.removeSync(`${server.dir}/many/5/taken`);
  Deno.removeSync(`${server.dir}/many/5/taken (2)`);
  Deno.removeSync(`${server.dir}/many/4/clash`);
  assertEquals(treeOf(server.dir), good);
});

integration("what cannot be read is said, and the rest of a folder goes on", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "photos/a.jpg": "a", "photos/b.jpg": "b", "photos/in/c.jpg": "c" });
  Deno.chmodSync(`${local.path}/photos/a.jpg`, 0);
  Deno.chmodSync(`${local.path}/photos/in`, 0);
  const args = ["run", "-A", "client.ts", "127.0.0.1", `${server.port}`, `${local.path}/photos`];
  const dropped = ["--bounding-set", "-dac_override,-dac_read_search", Deno.execPath(), ...args];
  const { code, stderr } =
    await (Deno.uid() === 0 ? run("setpriv", dropped) : run(Deno.execPath(), args));
  Deno.chmodSync(`${local.path}/photos/in`, 0o700);
  assertEquals(code, 2, stderr);
  assertStringIncludes(stderr, `Cannot send "${local.path}/photos/in": the system does not permit`);
  assertStringIncludes(stderr, `Cannot send "${local.path}/photos/a.jpg": the system does not`);
  assertMatch(stderr, /photos: 1 file, .*; 2 failed: /);
  assertEquals(names(`${server.dir}/photos`), ["b.jpg"]);
}, { programs: Deno.build.os === "linux" ? ["setpriv"] : [] });

integration("a file that changes or vanishes within a folder is said, and exits 5", async () => {
  using server = impostor();
  await using local = await tempDir();
  const large = bytes(600_000);
  makeTree(local.path, { "a/1.bin": large, "a/2.bin": large, "a/3.bin": large });
  const sending = runClient(server, ["a"], { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertMatch(await wire.line(), /^mkdir;id=\S+;mode=7\d\d;time=\S+;files=3 a$/);
  await wire.says("ok a\n");
  assertEquals(await wire.line(), "put 600000 a/1.bin");
  Deno.truncateSync(`${local.path}/a/1.bin`, 69_999);
  Deno.removeSync(`${local.path}/a/2.bin`);
  Deno.writeTextFileSync(`${local.path}/a/3.bin`, "newer");
  await wire.says("go 0\n");
  await wire.skip(600_000);
  assertMatch(await wire.line(), /^abort .*1\.bin": it changed while it was sent$/);
  await wire.says("error aborted as you wish\n");
  // What changed before its turn is sent as it is then.
  assertMatch(await wire.line(), /^put\S* 5 a\/3\.bin$/);
  await wire.says("go 0\n");
  const [, crc] = (await wire.line()).slice("newer".length).split(" ");
  await wire.says(`ok 5 ${crc} a/3.bin\n`);
  assertMatch(await wire.line(), /^mkdir;id=\S+;mode=7\d\d;time=\S+ a$/);
  await wire.says("ok a\n");
  assertEquals(await wire.line(), "exit");
  await wire.says("ok bye\n");
  const { code, stderr } = await sending;
  assertEquals(code, 5);
  assertStringIncludes(stderr, 'inlet: Cannot send "a/1.bin": it changed while it was sent\n');
  assertStringIncludes(stderr, 'inlet: Cannot send "a/2.bin": it does not exist\n');
  assertMatch(stderr, /a: 1 file, .*; 2 failed: "a\/1\.bin", "a\/2\.bin"\n$/);
});

integration("a name with a line break is refused on this side, and the rest goes on", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "a/1\n2.txt": "x", "a/3.txt": "y", "a/\r/": "" });
  const { code, stderr } = await runClient(server, ["a"], { cwd: local.path });
  assertEquals(code, 3);
  assertStringIncludes(stderr, String.raw`Cannot send "a/1\u{a}2.txt": its name contains a line`);
  assertStringIncludes(stderr, String.raw`Cannot send "a/\u{d}": its name contains a line break`);
  assertEquals(names(`${server.dir}/a`), ["3.txt"]);
});

integration("--skip-same sends what is new, and what changed in one byte", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const content = bytes(150_000);
  makeTree(local.path, { "a/same.txt": "same", "a/large.bin": content, "a/empty/": "" });
  const args = ["a", "--skip-same"];
  assertEquals((await runClient(server, args, { cwd: local.path })).code, 0);
  const again = await runClient(server, args, { cwd: local.path });
  assertEquals([again.code, again.stderr], [0, "a: 0 files, 0 B, 2 already there\n"]);
  content[75_000]! ^= 1;
  makeTree(local.path, { "a/large.bin": content, "a/new.txt": "new" });
  Deno.utimeSync(`${local.path}/a/large.bin`, 1e9, 1e9);
  const changed = await runClient(server, args, { cwd: local.path });
  assertMatch(changed.stderr, /^a: 2 files, 146 KiB, .*1 already there, 1 under another name\n$/);
  assertEquals(names(`${server.dir}/a`), [
    ...["empty", "large (2).bin", "large.bin", "new.txt", "same.txt"],
  ]);
  // Compared with the names that a taken one gave way to, too.
  const last = await runClient(server, args, { cwd: local.path });
  assertEquals(last.stderr, "a: 0 files, 0 B, 3 already there\n");
  const one = await runClient(server, ["a/new.txt", "--as", "a/new.txt", "--skip-same"], {
    cwd: local.path,
  });
  assertEquals([one.code, one.stderr], [0, "a/new.txt: already there\n"]);
});

integration("upload and raw have no folders", async () => {
  for (const mode of ["upload", "raw"]) {
    const { code, stderr } = await runScript("client.ts", [
      ...["127.0.0.1", "5000", "lib", "--mode", mode],
    ]);
    assertEquals([code, stderr], [2, 'inlet: Cannot send "lib": it is a folder, give files\n']);
  }
});

integration("send() takes folders, and gives a result for each file", async () => {
  await using local = await tempDir();
  makeTree(local.path, { "photos/a.jpg": "a", "photos/in/": "", "photos/b.tmp": "", "n.txt": "n" });
  const directory = `${local.path}/received`;
  await using server = await serve({ directory, log: { quiet: true } });
  const photos = `${local.path}/photos`;
  const options = { exclude: ["*.tmp"], skipSame: true };
  const results = await send(server.address, [photos, `${local.path}/n.txt`], options);
  assertEquals(
    results.map(({ label, folder, stored }) => [label, folder, stored?.name]),
    [
      [`${photos}/a.jpg`, photos, "photos/a.jpg"],
      [`${photos}/in`, photos, "photos/in"],
      [`${local.path}/n.txt`, undefined, "n.txt"],
    ],
  );
  const again = await send(server.address, [photos], options);
  assertEquals(again.map(({ same }) => same), [true, true]);
  assert(again.every(({ error }) => error === undefined));
});

integration("session puts a folder and gets it back", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { "photos/a.jpg": "a", "photos/in/": "" });
  const [file] = [fixture("hello.txt")];
  const stdin = `put photos\nget photos/\nput ${file}\n`;
  const { code, stderr } = await runClient(server, ["--session"], { cwd: local.path, stdin });
  assertEquals(code, 0, stderr);
  assertMatch(
    stderr,
    /^photos: 1 file, 1 B.*\nphotos\/: 1 file into "\.\/photos", 1 B.*\n.*hello\.txt: stored/,
  );
  assertEquals(names(`${local.path}/photos`), ["a (2).jpg", "a.jpg", "in"]);
  assertEquals(names(server.dir), ["hello.txt", "photos"]);
  makeTree(local.path, { "photos/inlet~1": "b" });
  const failing = await runClient(server, ["--session"], {
    cwd: local.path,
    stdin: "put photos\nput photos\n",
  });
  assertEquals(failing.code, 3);
  assertStringIncludes(failing.stderr, 'inlet: Did not put all of "photos"\n');
});
