/**
 * Folders with entries that cannot be read, or whose name no program can give: the rest is served,
 * and the rest is sent.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  integration,
  names,
  type Requirements,
  ROOT,
  run,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { makeTree, treeOf } from "./trees.ts";
import { Wire } from "./wire.ts";

/** A command that runs another one without the right of root to read everything. */
function withoutRights(): string[] {
  return Deno.uid() === 0 ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : [];
}

/** File systems of Linux take any bytes for a name. */
const LINUX: Requirements = { proc: true, programs: ["setpriv"] };

/** Makes a file and a folder whose names are not UTF-8, beside one whose name looks the same. */
async function makeGarbled(directory: string): Promise<void> {
  const script =
    `cd "$0" && printf a > "$(printf 'x\\377.txt')" && printf b > "$(printf 'x\\376.txt')"
    mkdir "$(printf 'y\\377')" && printf c > "$(printf 'y\\377/in.txt')"`;
  const { code, stderr } = await run("sh", ["-c", script, directory]);
  assertEquals(code, 0, stderr);
}

async function answerTo(wire: Wire, request: string): Promise<string[]> {
  await wire.says(`${request}\n`);
  const lines = [await wire.line()];
  while (lines[0] === "ok" && !/^(end|error) /.test(lines.at(-1)!)) lines.push(await wire.line());
  return lines.map((line) => line.replace(/ \d{4}-\d\d-\d\dT[\d:.]+Z /, " "));
}

integration("a list leaves out a folder that it cannot read, and says so once", async () => {
  await using server = await startServer({ under: withoutRights() });
  makeTree(server.dir, { "a.txt": "a", "lost+found/b.txt": "b", "p/in/c.txt": "c", "z.txt": "z" });
  for (const folder of ["lost+found", "p/in"]) Deno.chmodSync(`${server.dir}/${folder}`, 0);
  using wire = await Wire.greet(server);
  for (let times = 0; times < 2; times++) {
    assertEquals(await answerTo(wire, "list"), ["ok", "1 a.txt", "1 z.txt", "end 2"]);
    assertEquals(await answerTo(wire, "tree p"), ["ok", "-;mode=755 p", "end 1"]);
  }
  // What was asked for by its name is not left out, but refused.
  assertMatch((await answerTo(wire, "tree lost+found"))[0]!, /^error denied /);
  assertMatch((await answerTo(wire, "get lost+found/b.txt"))[0]!, /^error denied /);
  await using back = await tempDir();
  assertEquals((await runClient(server, ["--get", "p/", "--output", back.path])).code, 0);
  await server.running.says(/out of lists/, 2);
  const said = server.running.log.split("\n").filter((line) => line.includes("out of lists"));
  assertEquals(said.length, 2, server.running.log);
  assertMatch(said[0]!, / Left "lost\+found\/" out of lists: the system does not permit it$/);
  for (const folder of ["lost+found", "p/in"]) Deno.chmodSync(`${server.dir}/${folder}`, 0o700);
}, LINUX);

integration("a list leaves out names that are not UTF-8, and says so once", async () => {
  await using server = await startServer();
  makeTree(server.dir, { "a.txt": "a", "p/b.txt": "b", "p/\ufffd.txt": "c" });
  await makeGarbled(server.dir);
  await makeGarbled(`${server.dir}/p`);
  using wire = await Wire.greet(server);
  for (let times = 0; times < 2; times++) {
    const listed = ["ok", "1 a.txt", "1 p/b.txt", "1 p/\ufffd.txt", "end 3"];
    assertEquals(await answerTo(wire, "list"), listed);
  }
  await server.running.says(/not valid UTF-8/, 4);
  const said = server.running.log.split("\n").filter((line) => line.includes("not valid UTF-8"));
  assertEquals(said.length, 4, server.running.log);
}, LINUX);

integration("a folder is sent without what cannot be read, each of which is said", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const top = `${local.path}/top`;
  makeTree(top, { "a.txt": "a", "lost+found/b.txt": "b", "c/d.txt": "d", "\ufffd.txt": "e" });
  await makeGarbled(top);
  Deno.chmodSync(`${top}/lost+found`, 0);
  const args = ["run", "-A", "client.ts", "127.0.0.1", `${server.port}`, top];
  const [command, ...rest] = [...withoutRights(), Deno.execPath(), ...args];
  const { code, stderr } = await run(command!, rest);
  Deno.chmodSync(`${top}/lost+found`, 0o700);
  assertEquals(code, 2, stderr);
  assertStringIncludes(stderr, `lost+found": the system does not permit it`);
  assertStringIncludes(stderr, `x\ufffd.txt": its name is not valid UTF-8`);
  assertStringIncludes(stderr, `y\ufffd": its name is not valid UTF-8`);
  assertMatch(stderr, /top: 3 files, .*; 4 failed/);
  assertEquals(names(`${server.dir}/top`), ["a.txt", "c", "\ufffd.txt"]);
  assertEquals(treeOf(`${server.dir}/top/c`).length, 1);
}, LINUX);

integration("--read-only serves a folder with another user's uploads in progress", async () => {
  await using local = await tempDir();
  makeTree(local.path, { "a.txt": "a", ".inlet/places": "mounted\n" });
  Deno.chmodSync(`${local.path}/.inlet`, 0);
  const under = withoutRights();
  await using server = await startServer({ dir: local.path, under, args: ["--read-only"] });
  using wire = await Wire.greet(server);
  assertEquals(await answerTo(wire, "list"), ["ok", "1 a.txt", "end 1"]);
}, LINUX);

integration("what a crash left with the mode of its file is removed, and resumed", async () => {
  await using temp = await tempDir();
  const left = `${temp.path}/.inlet/${"0".repeat(32)}.temp`;
  makeTree(temp.path, { [left.slice(temp.path.length + 1)]: "left" });
  Deno.chmodSync(`${temp.path}/.inlet`, 0o700);
  Deno.utimeSync(left, new Date(0), new Date(0));
  Deno.chmodSync(left, 0);
  const script = `
    import { DirectoryStore } from "${new URL("lib/store/directory.ts", ROOT).href}";
    const dir = ${JSON.stringify(temp.path)};
    const warn = (message) => console.log(message);
    const store = await DirectoryStore.open(dir, { warn });
    await store.prepare();
    const namesOf = () => [...Deno.readDirSync(dir + "/.inlet")].map(({ name }) => name);
    console.log(namesOf().length);
    const how = { fingerprint: "one" };
    {
      await using upload = await store.receiveResumable("a", null, how);
      await upload.write(new Uint8Array(1000));
    }
    Deno.chmodSync(dir + "/.inlet/" + namesOf()[0], 0o444);
    for await (const partial of store.findPartials("a", how)) {
      await using upload = await partial.take(how);
      console.log(upload.kept.bytes, await upload.publish({ mode: 0o440 }));
    }`;
  const command = [...withoutRights(), Deno.execPath(), "eval", script];
  const { code, stdout, stderr } = await run(command[0]!, command.slice(1));
  assertEquals([code, stdout], [0, "0\n1000 a\n"], stderr);
  assertEquals(Deno.lstatSync(`${temp.path}/a`).mode! & 0o777, 0o440);
}, LINUX);
