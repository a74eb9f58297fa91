/**
 * The same command once more: what is there already, whole and the same, is there once.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { send } from "../client.ts";
import { Dialer } from "../client/dialer.ts";
import { withoutRepeats } from "../client/repeated_paths.ts";
import type { SendResult } from "../client/result.ts";
import { sendFiles } from "../client/send.ts";
import { FileSource } from "../lib/body/sources.ts";
import { findMode } from "../modes/table.ts";
import {
  bytes,
  integration,
  names,
  run,
  runClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { relayTo } from "./relay.ts";
import { makeTree, treeOf } from "./trees.ts";

const SIZE = 3_000_000;

/** Five files that a connection breaks off in the third of. */
const FIVE = Object.fromEntries([1, 2, 3, 4, 5].map((name) => [`p/${name}.bin`, bytes(SIZE)]));
const IN_THE_THIRD = 2.5 * SIZE;

/** The command in the advice of a client whose transfer broke off. */
function adviceIn(stderr: string): string {
  const [, command] = /\ninlet: To [a-z ]+: (.+)\n/.exec(stderr) ?? [];
  return command ?? `no advice in ${stderr}`;
}

for (const what of ["p", "p/1.bin p/2.bin p/3.bin p/4.bin p/5.bin"]) {
  integration(`the command that the client advises sends the rest of ${what}, once`, async () => {
    await using server = await startServer();
    await using local = await tempDir();
    makeTree(local.path, FIVE);
    using relay = await relayTo(server, { direction: "up", bytes: IN_THE_THIRD, way: "end" });
    const broken = await runClient(relay, [...what.split(" "), "--resume"], { cwd: local.path });
    assertEquals(broken.code, 4, broken.stderr);
    await server.running.says(/client 1: left/);
    const again = await run("sh", ["-c", adviceIn(broken.stderr)], { cwd: local.path });
    assertEquals(again.code, 0, again.stderr);
    // The client has gone on behind the file that it lost.
    if (what === "p") assertMatch(again.stderr, /^p: 1 file, .*4 already there\n$/m);
    else assertEquals(again.stderr.match(/[1245]\.bin: already there\n/g)?.length, 4);
    assertEquals(treeOf(server.dir), treeOf(what === "p" ? local.path : `${local.path}/p`));
  });
}

integration("the command that the client advises gets the rest of a folder, once", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeTree(server.dir, FIVE);
  using relay = await relayTo(server, { direction: "down", bytes: IN_THE_THIRD, way: "end" });
  const broken = await runClient(relay, ["--get", "p/"], { cwd: local.path });
  assertEquals(broken.code, 4, broken.stderr);
  const again = await run("sh", ["-c", adviceIn(broken.stderr)], { cwd: local.path });
  assertEquals(again.code, 0, again.stderr);
  assertMatch(again.stderr, /^p\/: 3 files into "\.\/p", .*2 already there\n$/);
  assertEquals(treeOf(local.path), treeOf(server.dir));
  const third = await run("sh", ["-c", adviceIn(broken.stderr)], { cwd: local.path });
  assertEquals([third.code, third.stderr], [0, 'p/: 0 files into "./p", 0 B, 5 already there\n']);
  const one = ["--get", "p/1.bin", "--output", "p/1.bin", "--resume"];
  const file = await runClient(server, one, { cwd: local.path });
  assertEquals([file.code, file.stderr], [0, "p/1.bin: already there\n"]);
});

integration("a server that only takes files is asked once, and gets all", async () => {
  await using server: TestServer = await startServer({ args: ["--drop-only"] });
  await using local = await tempDir();
  makeTree(local.path, { "p/1": "1", "p/2": "2", "p/3": "3" });
  const { code, stderr } = await runClient(server, ["p", "--resume"], { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^p: 3 files, 3 B(?:, \S+ B\/s)?\n$/);
  await server.running.stop();
  assertEquals(server.running.log.match(/Cannot compare/g)?.length, 1);
  assertStringIncludes(server.running.log, 'Cannot compare "p"');
});

integration("send() with resume leaves alone what is the same, by one rule", async () => {
  await using local = await tempDir();
  makeTree(local.path, { "received/": "", "a.txt": "first", "b.txt": "b", "c.txt": "c" });
  const dir = `${local.path}/received`;
  await using server = await serveHere({ dir });
  const address = { hostname: "127.0.0.1", port: server.port };
  const paths = ["a.txt", "b.txt", "c.txt"].map((name) => `${local.path}/${name}`);
  const again = async (options: object = { resume: true }): Promise<(true | undefined)[]> =>
    (await send(address, paths, options)).toSorted((a, b) => a.label < b.label ? -1 : 1)
      .map(({ same }) => same);
  assertEquals(await again(), [undefined, undefined, undefined]);
  assertEquals(await again({ retries: 1 }), [true, true, true]);
  // Another time and the same content; the same time and another size; the same time and size.
  Deno.utimeSync(paths[0]!, 1e9, 1e9);
  makeTree(local.path, { "b.txt": "longer", "c.txt": "d" });
  assertEquals(await again({ skipSame: true }), [undefined, undefined, true]);
  assertEquals(await again({ resume: true }), [true, true, true]);
  assertEquals(names(dir), ["a (2).txt", "a.txt", "b (2).txt", "b.txt", "c.txt"]);
});

integration("what changed within the second of its time is sent again", async () => {
  await using local = await tempDir();
  makeTree(local.path, { "received/": "" });
  await using server = await serveHere({ dir: `${local.path}/received` });
  const address = { hostname: "127.0.0.1", port: server.port };
  const now = new Date(Math.floor(Date.now() / 1000) * 1000);
  for (const [content, same] of [["1", undefined], ["1", true], ["2", undefined]] as const) {
    const path = await local.write("a.txt", content);
    Deno.utimeSync(path, now, now);
    const [result] = await send(address, [path], { resume: true });
    assertEquals(result!.same, same);
  }
});

/** What arrives of a command line, and what it says about repeats. */
async function sentOf(
  files: Record<string, string>,
  paths: readonly string[],
  links: Record<string, string> = {},
  exclude: readonly string[] = [],
): Promise<{ arrived: string[]; said: string[] }> {
  await using local = await tempDir();
  makeTree(local.path, { "received/": "", ...files });
  for (const [link, target] of Object.entries(links)) {
    const path = `${local.path}/${link}`;
    if (target.startsWith("=")) Deno.linkSync(`${local.path}/${target.slice(1)}`, path);
    else Deno.symlinkSync(`${local.path}/${target}`, path);
  }
  await using server = await serveHere({ dir: `${local.path}/received` });
  const said: string[] = [];
  const onNotice = (text: string): number => said.push(text.replaceAll(`${local.path}/`, ""));
  const options = { mode: findMode("files"), onNotice, exclude };
  const dialer = new Dialer({ hostname: "127.0.0.1", port: server.port }, options);
  const named = paths.map((path) => `${local.path}/${path}`);
  const failures: unknown[] = [];
  const onResult = ({ error }: SendResult): unknown => error && failures.push(error);
  await sendFiles(dialer, named, { ...options, onResult }, {
    as: undefined,
    onLeftOut: () => {},
  });
  assertEquals(failures, []);
  const arrived = treeOf(`${local.path}/received`).map((line) => line.replace(/ \d+ \S+$/, ""));
  return { arrived, said };
}

integration("what a command line names twice is sent once, with a line", async () => {
  const files = { "a.txt": "a", "p/x.txt": "x", "p/in/y.txt": "y", "q/a.txt": "other" };
  const same = (path: string, first: string): string[] => [
    `Skipped "${path}": ${path === first ? "it is named twice" : `it is the same as "${first}"`}`,
  ];
  const within = (path: string): string[] => [`Skipped "${path}": it is sent with "p"`];
  const p = ["p/", "p/in/", "p/in/y.txt", "p/x.txt"];
  const cases: [string[], string[], string[]][] = [
    [["a.txt", "a.txt"], ["a.txt"], same("a.txt", "a.txt")],
    [["p/../a.txt", "a.txt"], ["a.txt"], same("a.txt", "p/../a.txt")],
    [["p", "p/"], p, same("p/", "p")],
    [["p", "p/x.txt"], p, within("p/x.txt")],
    [["p/in", "p"], p, within("p/in")],
    [["link/a.txt", "a.txt"], ["a.txt"], same("a.txt", "link/a.txt")],
    [["hard/a.txt", "a.txt"], ["a.txt"], same("a.txt", "hard/a.txt")],
    // Two files, though both are called a.txt, and two names for one file.
    [["a.txt", "q/a.txt"], ["a (2).txt", "a.txt"], []],
    [["a.txt", "b.txt"], ["a.txt", "b.txt"], []],
  ];
  const links = { "link": ".", "hard/a.txt": "=a.txt", "b.txt": "a.txt" };
  for (const [paths, arrived, said] of cases) {
    const all = { ...files, "hard/": "" };
    assertEquals(await sentOf(all, paths, links), { arrived, said }, paths.join(" "));
  }
});

integration("the standard input that is named twice is sent once", async () => {
  await using server = await startServer({ args: ["--mode", "raw"] });
  const args = ["-", "-", "--mode", "raw"];
  const { code, stderr } = await runClient(server, args, { stdin: "hello\n" });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, 'Skipped "-": it is named twice\n');
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), ["1.file"]);
});

integration("what only looks like a repeat is sent", async () => {
  const files = { "p/x.txt": "x", "p/in/y.txt": "y", "q/": "" };
  // Names for one file within one folder, and in two folders of which neither is in the other.
  const links = { "p/z.txt": "=p/x.txt", "q/x.txt": "=p/x.txt" };
  const hard = await sentOf(files, ["p", "q"], links);
  const p = ["p/", "p/in/", "p/in/y.txt", "p/x.txt", "p/z.txt"];
  assertEquals(hard, { arrived: [...p, "q/", "q/x.txt"], said: [] });
  // A part of a folder that is left out of it.
  const left = await sentOf(files, ["p", "p/in/y.txt"], {}, ["in"]);
  assertEquals(left, { arrived: ["p/", "p/x.txt", "y.txt"], said: [] });
});

integration("files are not taken for one by an inode of which digits are lost", async () => {
  await using local = await tempDir();
  makeTree(local.path, { "p/x.txt": "1", "q/x.txt": "2" });
  const named = ["p", "q"].map((folder) => {
    const path = `${local.path}/${folder}/x.txt`;
    return { path, items: [new FileSource(path, "x.txt")] };
  });
  const { statSync } = Deno;
  // As those of network disks: 64 bits, of which a number has 53.
  using _ = { [Symbol.dispose]: () => void (Deno.statSync = statSync) };
  Deno.statSync = (path) => ({ ...statSync(path), dev: 1, ino: 2 ** 60 });
  assertEquals(withoutRepeats(named, () => {}).length, 2);
});
