/**
 * Programs that copy a whole tree by the links of its lists: wget -r, and rclone's http remote.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bytes, type Ended, integration, run, startServer, tempDir } from "./helpers.ts";
import { makeTree, treeOf } from "./trees.ts";

/** Files whose names a link or a page could mistake. */
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "a.bin": bytes(300_000),
  "photos/naïve café ☕ 🎈.txt": "hello\n",
  "photos/empty": "",
  "photos/q?x=1#f/100%.txt": "percent\n",
  "photos/sub dir/deeper/<b>&amp;'\".txt": "page\n",
  "photos/sub dir/a;b:c+d.txt": "link\n",
  "index.html/in a folder": "index\n",
};

/** What cannot be had by a list of links, and what must not be in a copy. */
function makeServed(dir: string): void {
  makeTree(dir, { ...FILES, "photos/no files/": "" });
  Deno.symlinkSync("a.bin", `${dir}/link`);
}

function filesIn(dir: string): string[] {
  return treeOf(dir).filter((line) => !line.endsWith("/") && !/^(\.inlet|link)/.test(line));
}

integration("rclone copies a tree by its http remote, and nothing of it again", async () => {
  await using local = await tempDir();
  await using server = await startServer();
  makeServed(server.dir);
  const copy = (): Promise<Ended> =>
    run("rclone", [
      ...["copy", ":http:", `${local.path}/copy`, "--config", "", "-v", "--stats", "0"],
      ...["--http-url", `http://127.0.0.1:${server.port}/files/`],
    ]);
  const first = await copy();
  assertEquals(first.code, 0, first.stderr);
  // With their sizes and times.
  assertEquals(filesIn(`${local.path}/copy`), filesIn(server.dir));
  const again = await copy();
  assertEquals(again.code, 0, again.stderr);
  assert(!again.stderr.includes("Copied"), again.stderr);
  await server.running.stop();
  const gets = server.running.log.match(/ got "/g) ?? [];
  assertEquals(gets.length, Object.keys(FILES).length, server.running.log);
}, { programs: ["rclone"] });

integration("wget -r gets a tree, and with -N nothing of it again", async () => {
  await using local = await tempDir();
  await using server = await startServer();
  makeServed(server.dir);
  // What wget calls a list in its copy.
  Deno.removeSync(`${server.dir}/index.html`, { recursive: true });
  const mirror = (): Promise<Ended> =>
    run("wget", [
      ...[
        "-r",
        "-N",
        "-np",
        "-nH",
        "--cut-dirs=1",
        "--no-proxy",
        "--restrict-file-names=nocontrol",
      ],
      `http://127.0.0.1:${server.port}/files/`,
    ], { cwd: local.path, env: { LC_ALL: "C.UTF-8" } });
  const copied = (): string[] =>
    filesIn(local.path).filter((line) => !/(^|\/)index\.html/.test(line));
  const first = await mirror();
  assertEquals(first.code, 0, first.stderr);
  assertEquals(copied(), filesIn(server.dir));
  const again = await mirror();
  assertEquals(again.code, 0, again.stderr);
  assertMatch(again.stderr, /not modified on server/);
  await server.running.stop();
  const gets = server.running.log.match(/ got "/g) ?? [];
  assertEquals(gets.length, Object.keys(FILES).length - 1, server.running.log);
}, { programs: ["wget"] });
