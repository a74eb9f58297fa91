/** Small files that are got one after another: answered together, and stored together. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  integration,
  names,
  ROOT,
  run,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { makeTree, treeOf } from "./trees.ts";
import { impostor, Wire } from "./wire.ts";

/** Asks for files with one write, and gives the first line of each answer. */
async function ask(wire: Wire, asked: readonly string[]): Promise<string[]> {
  await wire.says(asked.map((name) => `get ${name}\n`).join(""));
  const lines: string[] = [];
  for (const _ of asked) {
    const line = await wire.line();
    lines.push(line);
    if (line.startsWith("error ")) continue;
    const size = Number(line.split(" ")[1]);
    for (let left = size; left > 0;) {
      const chunk = Number((await wire.line()).split(" ")[1]);
      await wire.skip(chunk);
      left -= chunk;
    }
    assertMatch(await wire.line(), /^end/);
  }
  return lines;
}

integration("files are answered in the order of the requests, whatever they are", async () => {
  await using server = await startServer();
  makeTree(server.dir, {
    "a/1": "1",
    "a/empty": "",
    "a/large": bytes(100_000),
    "a/b/2": "22",
    "a/64k": bytes(65_536),
    "a/512k": bytes(524_288),
    "a/more": bytes(524_289),
    "3": "333",
  });
  Deno.symlinkSync("1", `${server.dir}/a/link`);
  Deno.symlinkSync("a", `${server.dir}/linked`);
  using wire = await Wire.greet(server);
  const asked = [
    "a/1",
    "a/empty",
    "a/large",
    "a/none",
    "a/1",
    "a/b/2",
    "a/link",
    "linked/1",
    "a/b",
  ];
  const answers = await ask(wire, [...asked, "a/64k", "a/512k", "a/more", "3", ".inlet/x", "a/1"]);
  assertEquals(answers.map((line) => line.split(" ").slice(0, 2).join(" ")), [
    ...["ok 1", "ok 0", "ok 100000", "error not-found", "ok 1", "ok 2", "error not-found"],
    ...["error denied", "error not-found", "ok 65536"],
    ...["ok 524288", "ok 524289", "ok 3", "error bad-name", "ok 1"],
  ]);
});

integration("what was read while its folder was replaced is dropped", async () => {
  await using temp = await tempDir();
  makeTree(temp.path, { "outside/1": "secret", "inside/a/1": "1" });
  const store = await DirectoryStore.open(`${temp.path}/inside`);
  const folder = `${temp.path}/inside/a`;
  let dropped = 0;
  const room = new Uint8Array(100);
  const count = await store.readSmall(["a/1"], {
    room: () => {
      Deno.renameSync(folder, `${folder}-away`);
      Deno.symlinkSync("../outside", folder);
      return room;
    },
    add: () => {},
    drop: () => dropped++,
  });
  assertEquals([count, dropped], [0, 1]);
  store.close();
});

integration(
  "no file is read through a link that takes its place, whatever is permitted",
  async () => {
    const source = `
    import { DirectoryStore } from ${JSON.stringify(`${ROOT}lib/store/directory.ts`)};
    const dir = Deno.makeTempDirSync();
    Deno.writeTextFileSync(dir + "/outside", "secret");
    const store = await DirectoryStore.open(dir + "/inside");
    const path = dir + "/inside/a";
    Deno.writeTextFileSync(path, "shown!");
    const told = [];
    for (const swap of [() => {}, () => {
      Deno.removeSync(path);
      Deno.symlinkSync("../outside", path);
    }]) {
      const count = await store.readSmall(["a"], {
        room: (size) => (swap(), new Uint8Array(size + 1)),
        add: ({ content }) => told.push(new TextDecoder().decode(content)),
        drop: () => {},
      });
      told.push(count);
    }
    Deno.removeSync(dir, { recursive: true });
    console.log(JSON.stringify(told));`;
    await using temp = await tempDir();
    const script = await temp.write("script.ts", source);
    for (const permitted of [["-A"], ["--allow-read", "--allow-write", "--allow-net"]]) {
      const args = ["run", ...permitted, "--config", "deno.json", script];
      const { code, stdout, stderr } = await run(Deno.execPath(), args);
      assertEquals([code, stdout], [0, '["shown!",1,0]\n'], permitted.join(" ") + stderr);
    }
  },
);

integration("more small files than are read at once are all answered", async () => {
  await using server = await startServer();
  const files = Array.from(
    { length: 700 },
    (_, index) => [`m/${index}`, bytes(index * 5)] as const,
  );
  makeTree(server.dir, Object.fromEntries(files));
  using wire = await Wire.greet(server);
  const answers = await ask(wire, files.map(([name]) => name));
  assertEquals(answers, files.map((_, index) => `ok ${index * 5}`));
});

integration("a drop-only server answers none of them", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  makeTree(server.dir, { "a": "a", "b": "b" });
  using wire = await Wire.greet(server);
  const answers = await ask(wire, ["a", "b"]);
  assertEquals(answers.map((line) => line.split(" ").slice(0, 2).join(" ")), [
    "error denied",
    "error denied",
  ]);
});

integration("each file that was got is in the log of the server", async () => {
  await using server = await startServer();
  makeTree(server.dir, { "p/a": "a", "p/b": "bb" });
  await using local = await tempDir();
  assertEquals((await runClient(server, ["--get", "p/"], { cwd: local.path })).code, 0);
  await server.running.says(/ got "p\/a", 1 B$/m);
  await server.running.says(/ got "p\/b", 2 B$/m);
});

integration("a wrong byte of one file is told, and the others are stored", async () => {
  using server = impostor();
  await using local = await tempDir();
  const running = runClient(server, ["--get", "p/"], { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertEquals(await wire.line(), "tree p");
  const time = "2020-02-29T12:00:00Z";
  await wire.says(
    `ok\n-;mode=755 ${time} p\n6 ${time} p/a\n6 ${time} p/b\n6 ${time} p/c\nend 4\n`,
  );
  for (const name of ["a", "b", "c"]) assertEquals(await wire.line(), `get p/${name}`);
  const good = `ok 6\ndata 6\nhello\nend 363a3020 ${time}\n`;
  await wire.says(good + good.replace("hello", "hallo") + good);
  assertEquals(await wire.line(), "exit");
  wire.close();
  const { code, stderr } = await running;
  assertEquals(code, 5, stderr);
  assertStringIncludes(stderr, 'Cannot get "p/b": it arrived with CRC-32');
  assertEquals(names(`${local.path}/p`), ["a", "c"]);
  assertEquals(Deno.statSync(`${local.path}/p/a`).mtime, new Date(time));
});

integration("what arrived before the connection was lost is stored, and told", async () => {
  using server = impostor();
  await using local = await tempDir();
  const running = runClient(server, ["--get", "p/"], { cwd: local.path });
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  const time = "2020-02-29T12:00:00Z";
  await wire.says(`ok\n-;mode=755 ${time} p\n6 ${time} p/a\n6 ${time} p/b\nend 3\n`);
  await wire.line();
  await wire.line();
  await wire.says(`ok 6\ndata 6\nhello\nend 363a3020 ${time}\nok 6\ndata 6\nhel`);
  wire.close();
  const { code, stderr } = await running;
  assertEquals(code, 4, stderr);
  assertMatch(stderr, /p\/: 1 file into ".*p", 6 B.*; 1 not received\n/);
  assertEquals(names(`${local.path}/p`), ["a"]);
});

integration("a folder comes back in the order of its folders, each file once", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, {
    "p/z.txt": "z",
    "p/b/large.bin": bytes(70_000),
    "p/b/a.txt": "a",
    "p/b/c/d.txt": "d",
    "p/e/": "",
    "p/a large one": bytes(65_537),
  });
  const { code, stderr } = await runClient(server, ["--get", "p/"], { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertEquals(treeOf(local.path), treeOf(server.dir));
});
