import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { MAX_COMPONENTS, safeName } from "../lib/store/names.ts";
import { integration, pure, runClient, startServer, tempDir } from "./helpers.ts";
import { makeTree, treeOf } from "./trees.ts";
import { impostor, Wire } from "./wire.ts";

/** A name of so many parts, the last of which is given. */
function deep(parts: number, last: string): string {
  return ["top", ...Array(parts - 2).fill("d"), last].join("/");
}

pure(`safeName() takes ${MAX_COMPONENTS} parts, and says so of more`, () => {
  assertEquals(safeName(deep(MAX_COMPONENTS, "a.txt")), deep(MAX_COMPONENTS, "a.txt"));
  for (const parts of [MAX_COMPONENTS + 1, 500, 100_000]) {
    const error = assertThrows(() => safeName(deep(parts, "a.txt")), InletError);
    assertEquals(error.code, "bad-name");
    assertMatch(error.message, new RegExp(`: it has ${parts} parts, the limit is 128$`));
  }
});

integration("a tree of exactly 128 parts is sent, listed and got back", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files = { [deep(128, "a.txt")]: "a", [deep(127, "empty/x/")]: "", "top/b.txt": "b" };
  makeTree(local.path, files);
  const sent = await runClient(server, [`${local.path}/top`]);
  assertEquals(sent.code, 0, sent.stderr);
  assertEquals(treeOf(server.dir), treeOf(local.path));
  const list = await runClient(server, ["--list"]);
  assertEquals([list.code, list.stdout.trim().split("\n").length], [0, 2]);
  await using back = await tempDir();
  const got = await runClient(server, ["--get", "top/", "--output", back.path]);
  assertEquals(got.code, 0, got.stderr);
  assertEquals(treeOf(back.path), treeOf(local.path));
});

integration("what is deeper than 128 parts is said, and the rest is sent", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(local.path, { [deep(129, "a.txt")]: "a", [deep(600, "b.txt")]: "", "top/b.txt": "b" });
  const { code, stderr } = await runClient(server, [`${local.path}/top`]);
  assertEquals(code, 3);
  assertMatch(stderr, /Cannot send what is in ".*: names have at most 128 parts/);
  assertEquals(treeOf(server.dir).map((line) => line.split(" ")[0]), ["top/", "top/b.txt"]);
});

integration(
  "server.ts refuses what is deeper than 128 parts, and leaves it out of lists",
  async () => {
    await using server = await startServer();
    makeTree(server.dir, { [deep(200, "hidden.txt")]: "a", [deep(128, "a.txt")]: "b" });
    using wire = await Wire.greet(server);
    const refused = /^error bad-name Cannot take the name ".*: it has 129 parts, the limit is 128$/;
    for (const request of ["put 1", `reput ${"0".repeat(64)} 1`, "get", "tree", "mkdir"]) {
      await wire.says(`${request} ${deep(129, "x")}\n`);
      assertMatch(await wire.line(), refused);
    }
    await wire.says(`push 0 ${deep(129, "x")}\nend 00000000\n`);
    assertMatch(await wire.line(), refused);
    await wire.says("list\ntree top\nexit\n");
    const lines = (await wire.rest()).trimEnd().split("\n");
    assertEquals(lines.filter((line) => line.includes("hidden")), []);
    assertEquals(lines.filter((line) => /^(end|error) /.test(line)), ["end 1", "end 129"]);
  },
);

integration("--get of a tree that is deeper says which names, and gets the rest", async () => {
  using server = impostor();
  await using local = await tempDir();
  const getting = runClient(server, ["--get", "top/", "--output", local.path]);
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  const time = "2020-02-29T12:00:00Z";
  const tree = [`- ${time} top`, `6 ${time} top/a.txt`, `6 ${time} ${deep(129, "b.txt")}`];
  await wire.says(`ok\n${tree.join("\n")}\nend 3\n`);
  assertEquals(await wire.line(), "get top/a.txt");
  await wire.says(`ok 6\ndata 6\nhello\nend 363a3020 ${time}\n`);
  await wire.line();
  await wire.says("ok bye\n");
  const { code, stderr } = await getting;
  assertEquals(code, 3);
  assertMatch(stderr, /Cannot take the name ".*: it has 129 parts, the limit is 128$/m);
  assertEquals(treeOf(local.path).map((line) => line.split(" ")[0]), ["top/", "top/a.txt"]);
});
