/**
 * The directory of received files as a person gives it: not made too early, removed meanwhile, full
 * of hidden files, or a home.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { looksLikeHome } from "../lib/store/home_directory.ts";
import { serve } from "../server.ts";
import {
  exchange,
  freePort,
  integration,
  names,
  runScript,
  startServer,
  tempDir,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";
import { Wire } from "./wire.ts";

const END = "hello\nend 363a3020\n";

integration(
  "server.ts that cannot listen leaves neither a directory nor a key behind",
  async () => {
    await using temp = await tempDir();
    await using other = await startServer();
    const dir = ["--dir", `${temp.path}/received`];
    const key = ["--token-file", `${temp.path}/key`, "--generate-token"];
    for (const options of [dir, [...dir, ...key]]) {
      const { code, stderr } = await runScript("server.ts", [String(other.port), ...options]);
      assertEquals(code, 4);
      assertStringIncludes(stderr, "the address is in use");
      assertEquals(names(temp.path), []);
    }
  },
);

integration("serve() that cannot use its directory closes the port again", async () => {
  await using temp = await tempDir();
  const directory = `${await temp.write("file", "")}/received`;
  const port = freePort();
  for (let times = 0; times < 2; times++) {
    await assertRejects(() => serve({ port, directory }), InletError, "Cannot store into");
  }
});

/** What makes a file in a directory that is there, and the name. */
const WAYS: Readonly<Record<string, readonly [request: string, name: string]>> = {
  push: [`push 6 a.txt\n${END}`, "a.txt"],
  put: [`put 6 a.txt\n${END}`, "a.txt"],
  reput: [`reput ${"0".repeat(64)} 6 a.txt\n${END}`, "a.txt"],
  mkdir: ["mkdir a\n", "a"],
  "mkdir of a folder with files": ["mkdir;files=9 a\n", "a"],
  "push into a folder": [`push 6 a/b.txt\n${END}`, "a"],
};

for (const [way, [request, name]] of Object.entries(WAYS)) {
  integration(
    `${way}: a directory that was removed is made again, and the log says so`,
    async () => {
      await using server = await startServer();
      using wire = await Wire.greet(server);
      for (let times = 1; times <= 2; times++) {
        Deno.removeSync(server.dir, { recursive: true });
        await wire.says("list\n");
        assertEquals(
          await wire.line(),
          "error not-found Cannot list the files: the directory was removed",
        );
        await wire.says(request);
        const answer = await wire.line();
        assertMatch(/^go[; ]/.test(answer) ? await wire.line() : answer, /^ok /);
        assertEquals(names(server.dir), [name]);
        await server.running.says(/Made the directory ".*" again: it had been removed$/, times);
      }
      assertNotMatch(server.running.log, /internal/);
    },
  );
}

integration("raw: a directory that was removed is made again", async () => {
  await using server = await startServer({ args: ["--mode", "raw"] });
  Deno.removeSync(server.dir, { recursive: true });
  assertEquals(await exchange(server, "hello\n"), "");
  assertEquals(names(server.dir), ["1.file"]);
});

integration("a directory whose parent was removed too is not made again", async () => {
  await using temp = await tempDir();
  await using server = await startServer({ dir: `${temp.path}/disk/received` });
  Deno.removeSync(`${temp.path}/disk`, { recursive: true });
  using wire = await Wire.greet(server);
  await wire.says(`push 6 a.txt\n${END}`);
  assertEquals(await wire.line(), 'error not-found Cannot store "a.txt": it does not exist');
  assertEquals(names(temp.path), []);
});

const HIDDEN = [".htaccess", ".ssh/authorized_keys", "photos/.hidden/a.jpg", "...a"];

integration("--no-dotfiles refuses and hides names with a dot in front", async () => {
  await using server = await startServer({ args: ["--no-dotfiles"] });
  makeTree(server.dir, Object.fromEntries([...HIDDEN, "photos/a.jpg"].map((name) => [name, "a"])));
  using wire = await Wire.greet(server);
  for (const name of HIDDEN) {
    const facts = "1 00000000 2020-02-29T12:00:00Z";
    for (
      const verb of [
        "put 6",
        `reput ${"0".repeat(64)} 6`,
        "get",
        "reget 0 00000000",
        `compare ${facts}`,
        "tree",
      ]
    ) {
      await wire.says(`${verb} ${name}\n`);
      const refused =
        `error bad-name Cannot take the name "${name}": a part of it begins with a dot`;
      assertEquals(await wire.line(), refused);
    }
    await wire.says(`mkdir ${name}\npush 6 ${name}\n${END}`);
    for (let times = 0; times < 2; times++) assertMatch(await wire.line(), /^error bad-name /);
  }
  await wire.says("list\ntree photos\nexit\n");
  const listed = (await wire.rest()).match(/\S+$/gm);
  assertEquals(listed, ["ok", "photos/a.jpg", "1", "ok", "photos", "photos/a.jpg", "2", "bye"]);
});

integration("without --no-dotfiles hidden files are files like any others", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  for (const name of HIDDEN) {
    await wire.says(`push 6 ${name}\n${END}`);
    assertEquals(await wire.line(), `ok 6 363a3020 ${name}`);
  }
});

integration("server.ts warns at its start of a home directory, and of no other", async () => {
  await using temp = await tempDir();
  makeTree(temp.path, { "home/.ssh/authorized_keys": "", "other/photos/a.jpg": "" });
  const table: [string, string[], boolean][] = [
    ["home", [], true],
    ["home", ["--no-dotfiles"], false],
    ["other", [], false],
  ];
  for (const [dir, args, warns] of table) {
    await using server = await startServer({ dir: `${temp.path}/${dir}`, args });
    const isWarning = /Warning: ".*" looks like a home directory, .*give --no-dotfiles$/m;
    assertEquals(isWarning.test(server.running.log), warns, server.running.log);
  }
  assert(looksLikeHome("/") && looksLikeHome("C:\\"));
});
