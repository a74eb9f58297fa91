/**
 * A tree of all kinds is sent and got back, and is the same: names, contents, links, permission bits
 * and times.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { lutimesSync } from "node:fs";
import { integration, runClient, startServer, tempDir } from "./helpers.ts";
import { factsOf } from "./tree_facts.ts";

/** Names that some system refuses, or takes for something else. */
const ODD_NAMES = [
  ..."aux.c|CON|nul.txt|notes.temp|.temp|trailing.|space |...|. .| leading|back\\slash".split("|"),
  ...'a:b|*?<>"|~|-rf|$HOME|%2e%2e|#x|caf\u00e9|cafe\u0301|\u212b|\ufb01|\ud83d\udc69'.split("|"),
  ..."\u202eltr|\u200bhidden|\ufeffbom|\u00a0|\u3000|[a]|{b}|';'|\\".split("|"),
  "x".repeat(255),
  "☕".repeat(85),
];

/** Links that stay in the tree. */
const LINKS: Readonly<Record<string, string>> = {
  "latest": "deep/er/a",
  "deep/up": "../latest",
  "deep/er/top": "../..",
  "loop": "loop",
  "chain": "loop",
  "dangling": "no/where",
  "odd \u202e": "./back\\slash",
  "newline": "a\nb",
  "folder": "empty",
};

/** Makes the tree. */
function plant(top: string): void {
  const before = new Date("1961-04-12T06:07:08.009Z");
  const fine = new Date("2024-02-29T12:00:00.123Z");
  for (
    const folder of [
      "deep/er",
      "empty",
      "locked/in",
      ...ODD_NAMES.map((name) => `odd/${name}`),
    ]
  ) {
    Deno.mkdirSync(`${top}/${folder}`, { recursive: true });
  }
  const files = [
    "a",
    "deep/er/a",
    "locked/in/a",
    "big",
    ...ODD_NAMES.map((name) => `odd/${name}/${name}`),
  ];
  for (const [index, name] of files.entries()) {
    const path = `${top}/${name}`;
    Deno.writeTextFileSync(path, name === "big" ? "x".repeat(200_000) : name);
    Deno.chmodSync(path, [0o644, 0o755, 0o400, 0o640][index % 4]!);
    Deno.utimeSync(path, fine, index % 2 === 0 ? before : new Date(fine.getTime() + index));
  }
  for (const [name, to] of Object.entries(LINKS)) {
    Deno.symlinkSync(to, `${top}/${name}`);
    lutimesSync(`${top}/${name}`, 1, 1_000_000_000.1235);
  }
  Deno.utimeSync(`${top}/empty`, before, before);
  for (const folder of ["locked/in", "locked", "deep/er", "deep", ""]) {
    Deno.chmodSync(`${top}/${folder}`, folder.startsWith("locked") ? 0o555 : 0o750);
    Deno.utimeSync(`${top}/${folder}`, fine, folder === "deep" ? before : fine);
  }
}

/** Lets the temporary folder be removed. */
function unlock(...tops: string[]): void {
  for (const top of tops) {
    for (const folder of ["locked", "locked/in"]) Deno.chmodSync(`${top}/${folder}`, 0o755);
  }
}

integration("a tree of all kinds comes back as it was", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  plant(`${local.path}/tree`);
  const before = factsOf(`${local.path}/tree`);
  const sent = await runClient(server, ["tree"], { cwd: local.path });
  assertEquals([sent.code, sent.stderr.split("\n").length], [0, 2], sent.stderr);
  assertStringIncludes(sent.stderr, `, ${Object.keys(LINKS).length} symbolic links`);
  assertEquals(factsOf(`${server.dir}/tree`), before);

  Deno.mkdirSync(`${local.path}/back`);
  const got = await runClient(server, ["--get", "tree/", "--output", "back"], { cwd: local.path });
  assertEquals([got.code, got.stderr.split("\n").length], [0, 2], got.stderr);
  assertEquals(factsOf(`${local.path}/back/tree`), before);

  const diff = new Deno.Command("diff", {
    args: ["-r", "--no-dereference", "tree", "back/tree"],
    cwd: local.path,
  }).outputSync();
  assertEquals(new TextDecoder().decode(diff.stdout), "");
  assertEquals(diff.code, 0);

  // Again: the same files are not sent, the links are there, and no folder is touched.
  const again = await runClient(server, ["tree", "--skip-same"], { cwd: local.path });
  assertEquals(again.code, 0, again.stderr);
  assertEquals(factsOf(`${server.dir}/tree`), before);
  unlock(`${local.path}/tree`, `${local.path}/back/tree`, `${server.dir}/tree`);
});

integration(
  "names that cannot be stored have one line, and the rest of the tree goes on",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    for (const name of ["good", "line\nbreak", "esc\x1b[2J", "sep\u2028", "INLET~1", "also good"]) {
      Deno.mkdirSync(`${local.path}/t`, { recursive: true });
      Deno.writeTextFileSync(`${local.path}/t/${name}`, name);
    }
    const { code, stderr } = await runClient(server, ["t"], { cwd: local.path });
    assertEquals(code, 3, stderr);
    assertEquals(stderr.trim().split("\n").length, 5, stderr);
    assertEquals([...Deno.readDirSync(`${server.dir}/t`)].map(({ name }) => name).sort(), [
      "also good",
      "good",
    ]);
  },
);

integration("links that lead out are counted, and sent with --links all only", async () => {
  await using server = await startServer({ args: ["--links", "all"] });
  await using local = await tempDir();
  Deno.mkdirSync(`${local.path}/t/sub`, { recursive: true });
  Deno.writeTextFileSync(`${local.path}/t/a`, "a");
  const out = ["/etc/passwd", "..", "sub/../a", "../t/a", ".inlet"];
  out.forEach((to, index) => Deno.symlinkSync(to, `${local.path}/t/out${index}`));
  Deno.symlinkSync("../a", `${local.path}/t/sub/in`);
  const run = (...args: string[]) => runClient(server, args, { cwd: local.path });

  const some = await run("t");
  assertEquals(some.code, 0);
  assertStringIncludes(
    some.stderr,
    "5 symbolic links that lead out of the folder were not sent; --links all sends them\n",
  );
  assertMatch(some.stderr, /^t: 1 file, 1 B(?:, \S+ B\/s)?, 1 symbolic link$/m);
  assertEquals(Deno.readLinkSync(`${server.dir}/t/sub/in`), "../a");
  const none = await run("t", "--as", "none", "--links", "none");
  assertStringIncludes(none.stderr, "6 symbolic links were not sent: --links none\n");
  const all = await run("t", "--as", "all", "--links", "all");
  assertStringIncludes(all.stderr, "all: 1 file".replace("all", "t"));
  assertEquals(out.map((_, index) => Deno.readLinkSync(`${server.dir}/all/out${index}`)), out);

  Deno.mkdirSync(`${local.path}/back`);
  const got = await run("--get", "all/", "--output", "back");
  assertStringIncludes(
    got.stderr,
    "5 symbolic links that lead out of the folder were not made; --links all makes them\n",
  );
  assertEquals([...Deno.readDirSync(`${local.path}/back/all`)].map(({ name }) => name).sort(), [
    "a",
    "sub",
  ]);
  await run("--get", "all/", "--output", "back", "--links", "all", "--skip-same");
  assertEquals(Deno.readLinkSync(`${local.path}/back/all/out0`), "/etc/passwd");
});
