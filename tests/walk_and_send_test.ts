/** The client sends a folder while it is still looking through it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Items } from "../client/items.ts";
import { FileSource, type Item } from "../lib/body/sources.ts";
import { send, type SendResult } from "../client.ts";
import {
  bytes,
  integration,
  names,
  pure,
  resultsOf,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { makeTree, treeOf } from "./trees.ts";
import { type Impostor, impostor, type Wire } from "./wire.ts";

function addressOf({ port }: { port: number }): { hostname: string; port: number } {
  return { hostname: "127.0.0.1", port };
}

/** Accepts a client, and greets it. */
async function greet(server: Impostor): Promise<Wire> {
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  return wire;
}

/** Takes a push, and gives its request and the answer that says it is stored. */
async function push(wire: Wire): Promise<{ request: string; ok: string }> {
  const request = await wire.line();
  const [, size, name] = /^push\S* (\d+) (.*)$/.exec(request)!;
  await wire.skip(Number(size));
  const [, crc] = /^end\S* (\w+)/.exec(await wire.line())!;
  return { request, ok: `ok ${size} ${crc} ${name}\n` };
}

/** The next request that is no `diff`. Each of those is told that nothing is there. */
async function afterDiffs(wire: Wire): Promise<string> {
  for (;;) {
    const request = await wire.line();
    const [, count] = /^diff\S* (\d+) /.exec(request) ?? [];
    if (count === undefined) return request;
    for (let entry = 0; entry < Number(count); entry++) await wire.line();
    await wire.says(`ok ${".".repeat(Number(count))}\n`);
  }
}

/** Takes the last times and permission bits of these folders, and the end. */
async function finish(wire: Wire, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const request = await wire.line();
    assertMatch(request, /^mkdir;id=[^;]+;mode=\d+;time=\S+ /);
    assertEquals(request.slice(request.indexOf(" ") + 1), folder);
    await wire.says(`ok ${folder}\n`);
  }
  assertEquals(await wire.line(), "exit");
  wire.close();
}

/**
 * Has clients in this process look ahead for all, or for nothing, until that is disposed of. While they
 * wait they do so for a few milliseconds at a time, in which a busy machine may find anything.
 */
function lookingFor(what: "all" | "nothing"): Disposable {
  let now = performance.now();
  performance.now = () => now += what === "all" ? 0 : 10;
  return { [Symbol.dispose]: () => void Reflect.deleteProperty(performance, "now") };
}

function outcomes(results: readonly SendResult[]): string[] {
  return results.map(({ label, error, untried }) => {
    const name = label.split("/").slice(-2).join("/");
    return `${name} ${error ? error.code + (untried ? " untried" : "") : "sent"}`;
  });
}

function item(name: string, size: number): Item {
  return new FileSource(name, name, { size, mtime: null, mode: null });
}

pure("Items finds a page when it is asked for, and knows the sum once all are found", () => {
  let found = 0;
  const pages = function* (): Generator<Item[]> {
    for (const size of [10, 20]) {
      found++;
      yield [item(`a${found}`, size), item(`b${found}`, size)];
    }
  };
  const items = new Items(pages());
  assertEquals([found, items.count, items.bytesAhead], [0, null, null]);
  assertEquals([items.take()?.name, found, items.count], ["a1", 1, null]);
  while (items.look());
  // Without the one that was taken.
  assertEquals([found, items.count, items.bytesAhead], [2, 4, 50]);
  assertEquals([items.take()?.name, items.bytesAhead], ["b1", 40]);
  assertEquals([items.take()?.name, items.take()?.name, items.bytesAhead], ["a2", "b2", 0]);
  assertEquals([items.take(), items.isOver, items.count], [undefined, true, 4]);
});

pure("Items measures what was not taken, whatever was taken before", () => {
  const items = new Items([[item("a", 1)], [item("b", 2), item("c", 3)], [], [item("d", 4)]]);
  items.take();
  items.take();
  assertEquals(items.bytesAhead, null);
  while (items.look());
  assertEquals([items.count, items.bytesAhead], [4, 7]);
});

pure("Items knows the bytes of all, that of the item under way and of a lost attempt too", () => {
  const later = { name: "c", size: 4 } as Item & { size: number };
  const unknown = { name: "d", size: null } as Item;
  const items = new Items([[item("a", 1), item("b", 2), later]]);
  while (items.look());
  assertEquals(items.bytes, 7);
  for (const { name } of items.remaining()) {
    assertEquals(items.bytes, 7);
    if (name === "c") break;
  }
  // It is measured again when it is sent.
  assertEquals([items.bytes, items.count], [7, 3]);
  const grown = new Items([[item("a", 1), later]]);
  while (grown.look());
  for (const { name } of grown.remaining()) {
    if (name === "c") later.size = 40;
  }
  assertEquals(grown.bytes, 41);
  // What is not found and measured ahead, is while it is sent.
  const found = new Items([[item("a", 1)], [item("b", 2)]]);
  for (const { name } of found.remaining()) {
    if (name === "a") assertEquals(found.bytes, null);
  }
  assertEquals(found.bytes, 3);
  const pipe = new Items([[item("a", 1), unknown]]);
  while (pipe.look());
  assertEquals(pipe.bytes, null);
});

integration(
  "files go before those of subfolders, and of each folder the small ones first",
  async () => {
    using server = impostor();
    await using local = await tempDir();
    makeTree(local.path, {
      "a/b/in.txt": "b",
      "a/a-large.bin": bytes(600_000),
      "a/m.txt": "m",
      "a/z.txt": "z",
      "a/c/empty/": "",
    });
    using _ = lookingFor("nothing");
    const sending = resultsOf(send(addressOf(server), [`${local.path}/a`]));
    using wire = await greet(server);
    const said: string[] = [];
    const mkdir = async (): Promise<string> => {
      const request = await wire.line();
      said.push(request.replaceAll(/;(id|mode|time|total)=[^; ]+/g, ""));
      return `ok ${request.split(" ")[1]}\n`;
    };
    const pushed = async (): Promise<string> => {
      const { request, ok } = await push(wire);
      said.push(request);
      return ok;
    };
    const answers = [await mkdir(), await pushed(), await pushed()];
    // It comes before those are answered: a server that waits for all of a folder waits no longer.
    said.push(await wire.line());
    for (const answer of answers) await wire.says(answer);
    await wire.says("go 0\n");
    await wire.skip(600_000);
    const [, crc] = /^end\S* (\w+)/.exec(await wire.line())!;
    await wire.says(`ok 600000 ${crc} a/a-large.bin\n`);
    for (const request of [mkdir, pushed, mkdir, mkdir]) await wire.says(await request());
    assertEquals(said, [
      "mkdir;files=3 a",
      "push 1 a/m.txt",
      "push 1 a/z.txt",
      "put 600000 a/a-large.bin",
      "mkdir;files=1 a/b",
      "push 1 a/b/in.txt",
      "mkdir a/c",
      "mkdir a/c/empty",
    ]);
    await finish(wire, ["a/b", "a/c", "a"]);
    assertEquals((await sending).length, 5);
  },
);

integration("a folder has its time told again, unless the server says that it has it", async () => {
  using server = impostor();
  await using local = await tempDir();
  makeTree(local.path, {
    "a/1-done/x": "x",
    "a/2-large/large.bin": bytes(600_000),
    "a/2-large/x": "x",
    "a/3-refused/large.bin": bytes(600_000),
    "a/3-refused/x": "x",
    "a/4-not/x": "x",
  });
  Deno.symlinkSync("x", `${local.path}/a/4-not/y`);
  using _ = lookingFor("nothing");
  const sending = resultsOf(send(addressOf(server), [`${local.path}/a`]));
  using wire = await greet(server);
  const mkdir = async (folder: string, told: RegExp, field = ""): Promise<void> => {
    const request = await wire.line();
    assertMatch(request.slice(0, -folder.length), told);
    await wire.says(`ok${field} ${folder}\n`);
  };
  const bare = /^mkdir;id=[^;]+;mode=\d+(;files=1)? $/;
  const timed = /^mkdir;id=[^;]+;mode=\d+;time=[^;]+;files=[12] $/;
  await mkdir("a", bare);
  await mkdir("a/1-done", timed, ";time=set");
  await wire.says((await push(wire)).ok);
  // It says so too early: a file that is too large for a push changes the time of its folder.
  await mkdir("a/2-large", timed, ";time=set");
  await wire.says((await push(wire)).ok);
  assertEquals(await wire.line(), "put 600000 a/2-large/large.bin");
  await wire.says("go 0\n");
  await wire.skip(600_000);
  const [, crc] = /^end\S* (\w+)/.exec(await wire.line())!;
  await wire.says(`ok 600000 ${crc} a/2-large/large.bin\n`);
  await mkdir("a/3-refused", timed, ";time=set");
  await wire.says((await push(wire)).ok);
  assertEquals(await wire.line(), "put 600000 a/3-refused/large.bin");
  await wire.says("error denied not now\n");
  await mkdir("a/4-not", bare);
  await wire.says((await push(wire)).ok);
  assertMatch(await wire.line(), /^symlink;to=x\S* a\/4-not\/y$/);
  await wire.says("ok a/4-not/y\n");
  await finish(wire, ["a/2-large", "a/3-refused", "a/4-not", "a"]);
  assertEquals((await sending).length, 7);
});

integration("what is put into a folder that was not looked at yet is sent too", async () => {
  using server = impostor();
  await using local = await tempDir();
  makeTree(local.path, { "a/1.bin": bytes(600_000), "a/b/": "" });
  using _ = lookingFor("nothing");
  const sending = resultsOf(send(addressOf(server), [`${local.path}/a`]));
  using wire = await greet(server);
  await wire.line();
  await wire.says("ok a\n");
  assertMatch(await wire.line(), /^put\S* 600000 a\/1\.bin$/);
  makeTree(local.path, { "a/b/late.txt": "late" });
  await wire.says("error denied not now\n");
  assertMatch(await wire.line(), /^mkdir\S* a\/b$/);
  await wire.says("ok a/b\n");
  const { request, ok } = await push(wire);
  assertEquals(request.split(" ").at(-1), "a/b/late.txt");
  await wire.says(ok);
  await finish(wire, ["a/b", "a"]);
  assertEquals(outcomes(await sending), ["a/1.bin denied", "b/late.txt sent"]);
});

integration(
  "a connection lost within a walk: the next one goes on, and each file arrives once",
  async () => {
    using server = impostor();
    await using local = await tempDir();
    makeTree(local.path, {
      "a/1.txt": "1",
      "a/2.txt": "2",
      "a/b/3.bin": bytes(600_000),
      "a/c/4": "4",
    });
    using _ = lookingFor("nothing");
    const sending = resultsOf(send(addressOf(server), [`${local.path}/a`], { retries: 1 }));
    const first = await greet(server);
    // Retries imply to ask what is there: nothing is.
    assertMatch(await afterDiffs(first), /^mkdir\S* a$/);
    await first.says("ok a\n");
    await first.says((await push(first)).ok);
    await push(first);
    first.close();
    using second = await greet(server);
    assertMatch(await afterDiffs(second), /^compare .* a\/2\.txt$/);
    await second.says("ok a/2.txt\n");
    assertMatch(await afterDiffs(second), /^mkdir\S* a$/);
    await second.says("ok a\n");
    assertMatch(await afterDiffs(second), /^mkdir\S* a\/b$/);
    await second.says("ok a/b\n");
    assertMatch(await afterDiffs(second), /^put\S* 600000 a\/b\/3\.bin$/);
    await second.says("error denied not now\n");
    assertMatch(await afterDiffs(second), /^mkdir\S* a\/c$/);
    await second.says("ok a/c\n");
    await second.says((await push(second)).ok);
    await finish(second, ["a/b", "a/c", "a"]);
    assertEquals(outcomes(await sending), [
      "a/1.txt sent",
      "a/2.txt sent",
      "b/3.bin denied",
      "c/4 sent",
    ]);
  },
);

integration("a lost connection is the result of what was not looked at yet, too", async () => {
  const server = impostor();
  await using local = await tempDir();
  makeTree(local.path, { "a/1.txt": "1", "a/2.bin": bytes(600_000), "a/b/3.txt": "3", "a/c/": "" });
  using _ = lookingFor("nothing");
  const sending = resultsOf(send(addressOf(server), [`${local.path}/a`]));
  const wire = await greet(server);
  await wire.line();
  await wire.says("ok a\n");
  await wire.says((await push(wire)).ok);
  await wire.line();
  // Nobody listens any more either.
  server[Symbol.dispose]();
  wire.close();
  const [first, second, ...others] = outcomes(await sending);
  assertEquals([first, second], ["a/1.txt sent", "a/2.bin lost"]);
  assertEquals(others.map((line) => line.replace(/ .* /, " ")), ["b/3.txt untried", "a/c untried"]);
});

integration("a link that takes the place of a file within a walk is not followed", async () => {
  using server = impostor();
  await using local = await tempDir();
  makeTree(local.path, { "a/1.bin": bytes(600_000), "a/b/": "", "secret": "secret" });
  // More than one page of files, the last of which is not measured before the first are sent.
  const files = Array.from({ length: 30 }, (_, at) => [`a/b/${10 + at}.txt`, bytes(60_000)]);
  makeTree(local.path, Object.fromEntries(files));
  using _ = lookingFor("nothing");
  const sending = resultsOf(send(addressOf(server), [`${local.path}/a/b`]));
  const wire = await server.accept();
  await wire.line();
  assertMatch(await wire.line(), /^mkdir\S* b$/);
  // Until the welcome little is sent, and no further file is measured.
  const last = `${local.path}/a/b/39.txt`;
  Deno.removeSync(last);
  Deno.symlinkSync(`${local.path}/secret`, last);
  await wire.says("welcome client 1 of 1\nok b\n");
  for (let count = 0; count < 29; count++) await wire.says((await push(wire)).ok);
  await finish(wire, ["b"]);
  assertEquals(outcomes(await sending).slice(28), ["b/38.txt sent", "b/39.txt changed"]);
});

integration("send() sends a deep and wide tree as it is", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files: Record<string, Uint8Array> = {};
  for (let index = 0; index < 2500; index++) files[`top/wide/${index}`] = bytes(index % 300);
  for (let depth = 1; depth < 40; depth++) {
    files[`top/${"d/".repeat(depth)}${depth}`] = bytes(depth % 7 === 0 ? 600_000 : depth);
  }
  makeTree(local.path, files);
  const results = await send(addressOf(server), [`${local.path}/top`]);
  assertEquals(results.length, Object.keys(files).length);
  assertEquals(treeOf(`${server.dir}/top`), treeOf(`${local.path}/top`));
  assert(names(server.dir).includes("top"));
});

integration("a folder with small files and files that are resumed is sent as it is", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files = Object.fromEntries([1, 2, 3].flatMap((number) => [
    // So large that the first are on their way before it is asked for the large one.
    [`top/${number}/a`, bytes(500_000 + number)],
    [`top/${number}/b`, bytes(500_000 - number)],
    [`top/${number}/large`, bytes(2 ** 20 + number)],
    [`top/${number}/z`, bytes(500_000)],
  ]));
  makeTree(local.path, files);
  const { code, stderr } = await runClient(server, [`${local.path}/top`, "--resume"]);
  assertEquals(code, 0, stderr);
  assertEquals(treeOf(`${server.dir}/top`), treeOf(`${local.path}/top`));
});

integration("the size of all that is left goes ahead of a file that takes long", async () => {
  using server = impostor();
  await using local = await tempDir();
  makeTree(local.path, { "a/1.txt": "1", "a/b/3.bin": bytes(600_000) });
  Deno.truncateSync(await local.write("a/2.bin", ""), 16 * 2 ** 20);
  using _ = lookingFor("all");
  const sending = resultsOf(send(addressOf(server), [`${local.path}/a`]));
  const wire = await greet(server);
  await wire.line();
  await wire.says("ok a\n");
  await wire.says((await push(wire)).ok);
  // Nobody has told yet that the first file has arrived.
  const total = 1 + 16 * 2 ** 20 + 600_000;
  assertEquals(await wire.line(), `put;total=${total} ${16 * 2 ** 20} a/2.bin`);
  await wire.says("error denied not now\n");
  await wire.line();
  await wire.says("ok a/b\n");
  assertEquals(await wire.line(), "put 600000 a/b/3.bin");
  await wire.says("error denied not now\n");
  await finish(wire, ["a/b", "a"]);
  assertEquals(outcomes(await sending), ["a/1.txt sent", "a/2.bin denied", "b/3.bin denied"]);
});
