import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { DirectoryStore } from "../lib/store/directory.ts";
import { parseListEntry } from "../protocol.ts";
import {
  integration,
  PROC,
  PROMPT_GC,
  residentBytes,
  runClient,
  scriptPath,
  startServer,
  tempDir,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";
import { impostor, Wire } from "./wire.ts";

/** The lines of an answer, from `ok` to the one that ends it. */
async function linesOf(wire: Wire, request: string): Promise<string[]> {
  await wire.says(`${request}\n`);
  const lines = [await wire.line()];
  while (!/^(end|error) /.test(lines.at(-1)!)) lines.push(await wire.line());
  return lines;
}

function namesIn(lines: readonly string[]): string[] {
  return lines.slice(1, -1).map((line) => parseListEntry(line).name);
}

integration("list and tree give names by their UTF-8 bytes, folder by folder", async () => {
  await using server = await startServer();
  // U+FF5E sorts behind an emoji in UTF-16, and before it in UTF-8.
  const files = ["a b", "a.txt", "a/x", "a/y/z", "a0", "～", "😀", "é"];
  makeTree(server.dir, Object.fromEntries(files.map((name) => [name, ""])));
  using wire = await Wire.greet(server);
  const listed = ["a b", "a.txt", "a/x", "a/y/z", "a0", "é", "～", "😀"];
  assertEquals(namesIn(await linesOf(wire, "list")), listed);
  assertEquals(namesIn(await linesOf(wire, "tree a")), ["a", "a/x", "a/y", "a/y/z"]);
  const all = ["a b", "a.txt", "a", "a/x", "a/y", "a/y/z", "a0", "é", "～", "😀"];
  assertEquals(namesIn(await linesOf(wire, "tree /")), all);
});

/** More than one page of the server, and than one write. */
const MANY = 1234;

integration(
  "a list of many files has each once, in order, and their number at its end",
  async () => {
    await using server = await startServer();
    const files = Array.from({ length: MANY }, (_, index) => `${index % 7}/${index}.txt`);
    makeTree(server.dir, Object.fromEntries(files.map((name) => [name, "x"])));
    using wire = await Wire.greet(server);
    const lines = await linesOf(wire, "list");
    assertEquals(namesIn(lines), files.sort());
    assertEquals([lines[0], lines.at(-1)], ["ok", `end ${MANY}`]);
    const { code, stdout } = await runClient(server, ["--list"]);
    assertEquals(code, 0);
    assertEquals(stdout.trim().split("\n").map((line) => line.trim().split(/ {2,}/)[2]), files);
  },
);

/** Has a program run out of open files whenever it reads a folder called z. */
const OUT_OF_FILES = `
  for (const name of ["readDir", "readDirSync"]) {
    const read = Deno[name];
    Deno[name] = (path) => {
      if (!Deno.realPathSync(path).endsWith("/z")) return read(path);
      throw Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    };
  }`;

integration("a list that fails in the middle ends with an error, and exits with 3", async () => {
  await using temp = await tempDir();
  const dir = `${temp.path}/received`;
  const patch = await temp.write("patch.ts", OUT_OF_FILES);
  const script = `deno=$1; shift 3; exec "$deno" run -A --preload ${patch} "$@"`;
  await using server = await startServer({ dir, under: ["sh", "-c", script, "sh"] });
  const files = Array.from({ length: MANY }, (_, index) => `a/${index}.txt`);
  makeTree(dir, Object.fromEntries([...files, "z/secret.txt"].map((name) => [name, "x"])));
  using wire = await Wire.greet(server);
  const lines = await linesOf(wire, "list");
  assertMatch(lines.at(-1)!, /^error overloaded Cannot list the files: too many files are open$/);
  // What was found by then has left already, in whole pages.
  assertEquals(namesIn(lines), files.sort().slice(0, lines.length - 2));
  assertEquals(lines.length - 2, 1000);
  await wire.says("Hello\n");
  assertEquals(await wire.line(), "Hello ACK");
  const { code, stdout, stderr } = await runClient(server, ["--list"]);
  assertEquals([code, stdout.trim().split("\n").length], [3, 1000]);
  assertMatch(stderr, /^inlet: Cannot list the files: /);
});

integration("--list prints what has come before the rest has", async () => {
  using server = impostor();
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port), "--list"],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  await wire.says("ok\n6 2024-01-01T00:00:00Z first.txt\n");
  const output = client.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertMatch((await output.read()).value!, /first\.txt\n$/);
  await wire.says("7 2024-01-01T00:00:00Z second.txt\nend 2\n");
  assertMatch((await output.read()).value!, /second\.txt\n$/);
  await wire.line();
  await wire.says("ok bye\n");
  assertEquals((await client.status).code, 0);
});

integration("--list ends quietly where nobody reads it to its end", async () => {
  await using server = await startServer();
  makeTree(server.dir, Object.fromEntries(Array.from({ length: MANY }, (_, n) => [`${n}`, ""])));
  const command = `"$0" run -A client.ts 127.0.0.1 ${server.port} --list | head -n 1`;
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `set -o pipefail; ${command}`, Deno.execPath()],
    cwd: new URL("../", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertMatch(new TextDecoder().decode(stdout), / 0\n$/);
});

integration("--list waits for a slow reader of its output, longer than its timeout", async () => {
  await using server = await startServer();
  const many = Array.from({ length: 5000 }, (_, index) => `${index} ${"x".repeat(100)}`);
  makeTree(server.dir, Object.fromEntries(many.map((name) => [name, ""])));
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(server.port), "--list", "--timeout", "5"],
    cwd: new URL("../", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // More is to come than a pipe holds, and nobody takes it for so long.
  await server.running.says(/client 1: asked to list/);
  await new Promise((resolve) => setTimeout(resolve, 7000));
  const { code, stdout, stderr } = await client.output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  assertEquals(new TextDecoder().decode(stdout).trim().split("\n").length, many.length);
});

integration("a script goes on after a list whose reader has closed the pipe", async () => {
  await using server = await startServer();
  makeTree(server.dir, Object.fromEntries(Array.from({ length: MANY }, (_, n) => [`${n}`, ""])));
  const session = `"$0" run -A client.ts 127.0.0.1 ${server.port} --session`;
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: [
      "-c",
      `printf 'list\nwhoami me\n' | ${session} | head -n 1; echo "\${PIPESTATUS[1]}"`,
      Deno.execPath(),
    ],
    cwd: new URL("../", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertMatch(new TextDecoder().decode(stdout), / 0\n0\n$/);
});

/** Reads one page of a tree, changes something, and returns the names of all the others. */
async function namesAfter(dir: string, change: () => void): Promise<string[]> {
  const store = await DirectoryStore.open(dir);
  const pages = store.tree("p")[Symbol.asyncIterator]();
  await pages.next();
  change();
  const names: string[] = [];
  for (let page; !(page = await pages.next()).done;) {
    names.push(...page.value.map(({ name }) => name));
  }
  return names;
}

integration("a list goes through no link that was put there meanwhile", async () => {
  await using temp = await tempDir();
  const files = Array.from({ length: MANY }, (_, index) => `received/p/${index}.txt`);
  makeTree(temp.path, Object.fromEntries([...files, "secret/z/secret.txt"].map((it) => [it, ""])));
  Deno.mkdirSync(`${temp.path}/received/p/z`);
  const names = await namesAfter(`${temp.path}/received`, () => {
    Deno.renameSync(`${temp.path}/received/p`, `${temp.path}/received/q`);
    Deno.symlinkSync(`${temp.path}/secret`, `${temp.path}/received/p`);
  });
  assertEquals(names, []);
});

integration("a list goes on where a folder has gone or become a file meanwhile", async () => {
  for (const become of ["nothing", "a file"]) {
    await using temp = await tempDir();
    const files = Array.from({ length: MANY }, (_, index) => `p/a/${index}.txt`);
    makeTree(temp.path, Object.fromEntries([...files, "p/b.txt"].map((it) => [it, ""])));
    const names = await namesAfter(temp.path, () => {
      Deno.renameSync(`${temp.path}/p/a`, `${temp.path}/q`);
      if (become === "a file") Deno.writeTextFileSync(`${temp.path}/p/a`, "");
    });
    assertEquals(names, ["p/b.txt"], become);
  }
});

/** Files of the largest list that is held to a limit of memory, and how many list it at once. */
const FILES = 100_000;
const CLIENTS = 6;
const MOST_BYTES = 280e6;

integration("six lists of 100,000 files at once leave the server under 280 MB", async () => {
  await using server = await startServer({ env: PROMPT_GC });
  Deno.mkdirSync(`${server.dir}/many`);
  const number = (index: number): string => String(index).padStart(6, "0");
  for (let index = 0; index < FILES; index++) {
    Deno.openSync(`${server.dir}/many/${number(index)}.txt`, { create: true, write: true }).close();
  }
  const counted = await Promise.all(Array.from({ length: CLIENTS }, async () => {
    using wire = await Wire.greet(server);
    await wire.says("list\nexit\n");
    const answer = (await wire.rest()).replaceAll(/^note .*\n/gm, "");
    return [answer.split("\n").length, answer.endsWith(`\nend ${FILES}\nok bye\n`)];
  }));
  assertEquals(counted, Array(CLIENTS).fill([FILES + 4, true]));
  assertLess(residentBytes(server), MOST_BYTES);
}, PROC);
