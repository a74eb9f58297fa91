/**
 * The second run of a command: `--skip-same`, `--checksum` and `--dry-run`, both ways.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { send, type SendOptions } from "../client.ts";
import { InletError } from "../lib/errors.ts";
import type { DiffAnswer, Diffed } from "../modes/files/diff.ts";
import { FolderDiffs } from "../modes/files/diff.ts";
import { integration, names, runClient, startServer, tempDir } from "./helpers.ts";
import { greetedBy } from "./greeted.ts";
import { serveHere } from "./in_process.ts";
import { makeTree, treeOf } from "./trees.ts";

/** A time with milliseconds: what is of such a time need not be read. */
const FINE = new Date("2026-01-02T03:04:05.678Z");

/** A folder `p` with files at several depths, empty folders, and odd permission bits. */
function makeFolder(directory: string): void {
  makeTree(directory, {
    "p/a.txt": "a",
    "p/b.txt": "bb",
    "p/run.sh": "#!/bin/sh\n",
    "p/inner/deep/c.txt": "ccc",
    "p/inner/d.txt": "dddd",
    "p/empty/": "",
  });
  for (const name of ["a.txt", "b.txt", "run.sh", "inner/deep/c.txt"]) {
    Deno.utimeSync(`${directory}/p/${name}`, FINE, FINE);
  }
  Deno.chmodSync(`${directory}/p/run.sh`, 0o750);
  Deno.symlinkSync("a.txt", `${directory}/p/link`);
}

/** How many of a run's files were there already, and the names of those that were sent. */
async function sentAgain(
  server: { port: number },
  path: string,
  options: SendOptions,
): Promise<{ same: number; sent: string[] }> {
  const results = await send({ hostname: "127.0.0.1", port: server.port }, [path], options);
  const sent = results.filter(({ same }) => !same).map(({ name }) => name ?? "");
  return { same: results.length - sent.length, sent: sent.sort() };
}

integration("a second run sends what has changed, and a third one nothing", async () => {
  await using local = await tempDir();
  makeFolder(local.path);
  await Deno.mkdir(`${local.path}/received`);
  await using server = await serveHere({ dir: `${local.path}/received` });
  const again = (options: SendOptions) => sentAgain(server, `${local.path}/p`, options);
  assertEquals((await again({})).sent.length, 7);
  assertEquals(await again({ skipSame: true }), { same: 7, sent: [] });
  const before = treeOf(`${local.path}/received`);
  assertEquals(await again({ resume: true }), { same: 7, sent: [] });
  assertEquals(await again({ retries: 1 }), { same: 7, sent: [] });
  assertEquals(treeOf(`${local.path}/received`), before);
  // Another size, another time, other permission bits, and a new file and folder.
  const later = new Date(FINE.getTime() + 1);
  makeTree(local.path, { "p/b.txt": "longer", "p/new/e.txt": "e", "p/hollow/": "" });
  Deno.utimeSync(`${local.path}/p/a.txt`, later, later);
  Deno.chmodSync(`${local.path}/p/run.sh`, 0o700);
  Deno.removeSync(`${local.path}/p/link`);
  Deno.symlinkSync("b.txt", `${local.path}/p/link`);
  const changed = ["p/a.txt", "p/b.txt", "p/hollow", "p/link", "p/new/e.txt", "p/run.sh"];
  assertEquals(await again({ skipSame: true }), { same: 3, sent: changed });
  assertEquals(await again({ skipSame: true }), { same: 9, sent: [] });
  assertEquals(names(`${local.path}/received/p`).filter((name) => name.includes("(2)")), [
    "a (2).txt",
    "b (2).txt",
    "link (2)",
    "run (2).sh",
  ]);
  assertEquals(Deno.statSync(`${local.path}/received/p/run (2).sh`).mode! & 0o777, 0o700);
});

integration("--checksum compares content, whatever the times say", async () => {
  await using local = await tempDir();
  makeFolder(local.path);
  await Deno.mkdir(`${local.path}/received`);
  await using server = await serveHere({ dir: `${local.path}/received` });
  const again = (options: SendOptions) => sentAgain(server, `${local.path}/p`, options);
  await again({});
  // Another time and the same content; the same size and time, and another content.
  Deno.utimeSync(`${local.path}/p/a.txt`, FINE, new Date());
  Deno.writeTextFileSync(`${local.path}/p/b.txt`, "BB");
  Deno.utimeSync(`${local.path}/p/b.txt`, FINE, FINE);
  assertEquals((await again({ checksum: true })).sent, ["p/b.txt"]);
  assertEquals((await again({ checksum: true })).sent, []);
  assertEquals((await again({ skipSame: true })).sent, ["p/a.txt"]);
});

/** What a directory and all below it look like: times too, of folders and of the directory itself. */
function traceOf(directory: string): string[] {
  const lines = [`${directory} ${Deno.statSync(directory).mtime?.getTime()}`];
  for (const { name } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    const { isDirectory, mtime } = Deno.lstatSync(path);
    lines.push(...isDirectory ? traceOf(path) : [`${path} ${mtime?.getTime()}`]);
  }
  return lines.sort();
}

integration("--dry-run lists what would be sent and why, and leaves no trace", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeFolder(local.path);
  const first = await runClient(server, ["p", "--dry-run"], { cwd: local.path });
  assertEquals(first.code, 0, first.stderr);
  assertEquals(first.stdout.split("\n").slice(0, -1).sort(), [
    "new\t-\tp/empty",
    "new\t-\tp/link",
    "new\t1\tp/a.txt",
    "new\t10\tp/run.sh",
    "new\t2\tp/b.txt",
    "new\t3\tp/inner/deep/c.txt",
    "new\t4\tp/inner/d.txt",
  ]);
  assertEquals(first.stderr, "dry run: 7 new; 20 B would be transferred\n");
  assertEquals(treeOf(server.dir), []);
  await runClient(server, ["p"], { cwd: local.path });
  makeTree(local.path, { "p/b.txt": "longer", "p/e.tmp": "e", "p/f.txt": "f" });
  const before = [...traceOf(server.dir), ...traceOf(local.path)];
  const args = ["p", "--dry-run", "--skip-same", "--exclude", "*.tmp", "--exclude", "deep/"];
  const { code, stdout, stderr } = await runClient(server, args, { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertEquals(
    stdout.split("\n").slice(0, -1).sort(),
    [
      "changed\t6\tp/b.txt",
      "excluded\t-\tp/e.tmp",
      "excluded\t-\tp/inner/deep",
      "new\t1\tp/f.txt",
      "same\t-\tp/empty",
      "same\t-\tp/link",
      "same\t1\tp/a.txt",
      "same\t10\tp/run.sh",
      "same\t4\tp/inner/d.txt",
    ].filter((line) => line !== "new\t-\tp/inner"),
  );
  assertEquals(stderr, "dry run: 1 new, 1 changed, 5 same, 2 excluded; 7 B would be transferred\n");
  assertEquals([...traceOf(server.dir), ...traceOf(local.path)], before);
  const quiet = await runClient(server, ["p/f.txt", "--dry-run", "--quiet"], { cwd: local.path });
  assertEquals([quiet.code, quiet.stdout, quiet.stderr], [0, "new\t1\tp/f.txt\n", ""]);
});

integration("--get --dry-run lists what would be saved, and makes nothing", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeFolder(server.dir);
  const into = ["--output", "not/there"];
  const { code, stderr } = await runClient(server, ["--get", "p/", ...into, "--dry-run"], {
    cwd: local.path,
  });
  assertEquals(code, 0, stderr);
  assertEquals(stderr, "dry run: 6 new; 20 B would be transferred\n");
  assertEquals(names(local.path), []);
  await runClient(server, ["--get", "p/"], { cwd: local.path });
  makeTree(server.dir, { "p/b.txt": "longer", "p/f.txt": "f", "p/e.tmp": "e" });
  const before = [...traceOf(server.dir), ...traceOf(local.path)];
  const args = ["--get", "p/", "--dry-run", "--skip-same", "--exclude", "*.tmp"];
  const folder = await runClient(server, args, { cwd: local.path });
  assertEquals(folder.code, 0, folder.stderr);
  assertEquals(folder.stdout.split("\n").slice(0, -1).sort(), [
    "changed\t6\tp/b.txt",
    "excluded\t1\tp/e.tmp",
    "new\t1\tp/f.txt",
    "same\t-\tp/link",
    "same\t1\tp/a.txt",
    "same\t10\tp/run.sh",
    "same\t3\tp/inner/deep/c.txt",
    "same\t4\tp/inner/d.txt",
  ]);
  const file = await runClient(server, ["--get", "p/a.txt", "--dry-run"], { cwd: local.path });
  assertEquals([file.code, file.stdout], [0, "new\t1\tp/a.txt\n"]);
  const missing = await runClient(server, ["--get", "p/x", "--dry-run"], { cwd: local.path });
  assertEquals(missing.code, 3);
  assertEquals([...traceOf(server.dir), ...traceOf(local.path)], before);
});

integration("--dry-run says of what it cannot be", async () => {
  await using local = await tempDir();
  for (const args of [["-", "--as", "x"], ["--list"], ["--get", "a", "--output", "-"]]) {
    const { code, stderr } = await runClient({ port: 1 }, [...args, "--dry-run"], {
      cwd: local.path,
    });
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, "--dry-run");
  }
});

integration("a second --get gets what has changed, and with --checksum what is other", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  makeFolder(server.dir);
  const get = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await runClient(server, ["--get", "p/", ...args], { cwd: local.path });
    assertEquals(code, 0, stderr);
    return stderr;
  };
  await get();
  assertMatch(await get("--skip-same"), /0 files .* 5 already there/);
  // Another time, and another content of the same size and time.
  Deno.utimeSync(`${server.dir}/p/a.txt`, FINE, new Date(FINE.getTime() + 1));
  Deno.writeTextFileSync(`${server.dir}/p/b.txt`, "BB");
  Deno.utimeSync(`${server.dir}/p/b.txt`, FINE, FINE);
  assertMatch(await get("--checksum"), /1 file .* 4 already there, 1 under another name/);
  assertMatch(await get("--checksum"), /0 files .* 5 already there/);
  assertMatch(await get("--skip-same"), /1 file .* 4 already there, 1 under another name/);
  assertEquals(names(`${local.path}/p`).filter((name) => name.includes("(2)")), [
    "a (2).txt",
    "b (2).txt",
  ]);
});

/** Compares two files with a server of a test's own, and gives what came of each. */
async function answersTo(replies: readonly string[]): Promise<(DiffAnswer | string)[]> {
  using scene = await greetedBy();
  const answers: (DiffAnswer | string)[] = [];
  const options = { byContent: false, onAnswer: (_: Diffed, it: DiffAnswer) => answers.push(it) };
  const diffs = new FolderDiffs<Diffed>(...scene.client.parts, options as never);
  const file = { label: "a", size: 1, modified: FINE, crc: () => Promise.resolve(7) };
  const asking = (async () => {
    await diffs.add({ ...file, name: "p/a" });
    await diffs.add({ ...file, name: "p/b" });
    await diffs.add({ ...file, name: "p/c" });
    await diffs.end();
  })().catch((error) => void answers.push(error.code));
  for (const reply of replies) {
    await scene.wire.line();
    await scene.wire.says(reply);
  }
  scene.wire.close();
  await asking;
  return answers.map((it) => it instanceof InletError ? it.code : it);
}

integration(
  "a server that answers with other flags than it was asked for is given up",
  async () => {
    for (const reply of ["ok\n", "ok ==\n", "ok x\n", "ok =;\n", "ok \u00e9\n"]) {
      const answers = await answersTo([reply]);
      assert(answers.every((answer) => answer !== "same"), `${reply}: ${answers}`);
      assertEquals(answers.at(-1), "bad-request");
    }
  },
);
