/**
 * What `--get` and `--list` take: several names, folders, everything; and where files go.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { assertRefused, type Ended, integration, names, runClient, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { makeTree, treeOf } from "./trees.ts";

const FILES = {
  "a.txt": "hello\n",
  "my file.txt": "m",
  "photos/2024/b.jpg": "b",
  "photos/c.jpg": "c",
  "photos/empty/": "",
};

/** A server with files, and a folder to get them into. */
interface SetUp extends AsyncDisposable {
  local: string;
  dir: string;
  client(...args: string[]): Promise<Ended>;
  script(...lines: string[]): Promise<Ended>;
}

async function setUp(): Promise<SetUp> {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(await tempDir());
  const { path: local } = stack.use(await tempDir());
  makeTree(dir, FILES);
  const server = stack.use(await serveHere({ dir }));
  const all = stack.move();
  return {
    dir,
    local,
    client: (...args) => runClient(server, args, { cwd: local }),
    script: (...lines) =>
      runClient(server, ["--session"], { cwd: local, stdin: `${lines.join("\n")}\n` }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The last words of the lines of a list: the names. */
function listed({ stdout }: Ended): string[] {
  return stdout.trimEnd().split("\n").map((line) => line.trim().split(/ {2,}/)[2]!);
}

integration(
  "--get takes several names, gets each once, and goes on behind what fails",
  async () => {
    await using it = await setUp();
    makeTree(it.local, { "a.txt": "mine" });
    const ended = await it.client(
      "--get",
      "./a.txt",
      "none",
      "photos//2024/",
      "photos/empty/",
      "a.txt",
    );
    assertEquals(ended.code, 3);
    const lines = ended.stderr.trimEnd().split("\n");
    assertEquals(lines.length, 5, ended.stderr);
    assertEquals(lines[0], 'Skipped "a.txt": it is named twice');
    assertMatch(lines[1]!, /^a\.txt: saved as "\.\/a \(2\)\.txt", 6 B, CRC-32 363a3020/);
    assertEquals(lines[2], 'inlet: Cannot get "none": it does not exist');
    assertMatch(lines[3]!, /^photos\/2024\/: 1 file into "\.\/2024", 1 B/);
    assertEquals(lines[4], 'photos/empty/: 0 files into "./empty", 0 B');
    assertEquals(names(it.local), ["2024", "a (2).txt", "a.txt", "empty"]);
  },
);

integration("--get / gets everything, and what is named beside it once", async () => {
  await using it = await setUp();
  makeTree(it.local, { "new/": "" });
  const ended = await it.client("--get", "/", "photos/", "--output", "new", "--exclude", "m*");
  assertEquals(ended.code, 0, ended.stderr);
  assertMatch(
    ended.stderr,
    /^Skipped "photos\/": it comes with "\/"\n\/: 3 files into "new", 8 B.*\n$/,
  );
  const left = treeOf(it.dir).filter((line) => !line.startsWith("my file"));
  assertEquals(treeOf(`${it.local}/new`), left);
});

integration("--get makes no folder to save into, and tells which one is missing", async () => {
  await using it = await setUp();
  makeTree(it.local, { "file": "" });
  const missing = 'Cannot save into "no/dir": it does not exist; run: mkdir -p no/dir';
  const refusals: [string[], string][] = [
    [["a.txt", "--output", "no/dir/"], missing],
    [["a.txt", "--output", "no/dir/b.txt"], missing],
    [["photos/", "--output", "no/dir"], missing],
    [["a.txt", "photos/", "--output", "file"], 'Cannot save into "file": it is not a folder'],
  ];
  await Promise.all(refusals.map(async ([args, line]) => {
    assertRefused(await it.client("--get", ...args), 2, line);
  }));
  assertEquals(names(it.local), ["file"]);
});

integration(
  "--list lists folders and files that are named, and goes on behind others",
  async () => {
    await using it = await setUp();
    const some = await it.client("--list", "./photos/", "none", "a.txt", "photos");
    assertEquals(listed(some), ["photos/2024/b.jpg", "photos/c.jpg", "a.txt"]);
    assertEquals([some.code, some.stderr], [3, 'inlet: Cannot get "none": it does not exist\n']);
    const empty = await it.client("--list", "photos/empty");
    assertEquals([empty.code, empty.stdout, empty.stderr], [0, "", ""]);
  },
);

integration("a session lists a folder, and gets ./NAME, folders and everything", async () => {
  await using it = await setUp();
  makeTree(it.local, { "in/": "" });
  const ended = await it.script("list ./photos", "get ./my file.txt", "get photos/2024/", "get /");
  assertEquals(ended.code, 0, ended.stderr);
  assertEquals(listed(ended), ["photos/2024/b.jpg", "photos/c.jpg"]);
  const [file, folder, all] = ended.stderr.split("\n");
  assertMatch(file!, /^my file\.txt: saved as "\.\/my file\.txt", 1 B, /);
  assertMatch(folder!, /^photos\/2024\/: 1 file into "\.\/2024", 1 B/);
  assertMatch(all!, /^\/: 4 files into "\.", 9 B.*, 1 under another name$/);
  assertEquals(names(it.local), [
    ...["2024", "a.txt", "in", "my file (2).txt", "my file.txt", "photos"],
  ]);
});
