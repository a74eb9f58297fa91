/**
 * `--files-from`: what a list names is sent, and got, and nothing else.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { listedName } from "../client/listed.ts";
import {
  assertRefused,
  type Ended,
  integration,
  pure,
  run,
  runClient,
  type RunOptions,
  scriptPath,
  tempDir,
} from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { makeTree, treeOf } from "./trees.ts";

const FILES = {
  "a.txt": "a",
  "p/b.txt": "b",
  "p/q/c.txt": "c",
  "p/q/d.tmp": "d",
  "p/r/e.txt": "e",
  "unlisted.txt": "u",
};

/** A server, and a folder to send from or get into. */
interface SetUp extends AsyncDisposable {
  dir: string;
  local: string;
  port: number;
  client(args: string, options?: RunOptions): Promise<Ended>;
}

async function setUp(files: { here?: typeof FILES; there?: typeof FILES }): Promise<SetUp> {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(await tempDir());
  const { path: local } = stack.use(await tempDir());
  makeTree(dir, files.there ?? {});
  makeTree(local, files.here ?? {});
  const server = stack.use(await serveHere({ dir }));
  const all = stack.move();
  return {
    dir,
    local,
    port: server.port,
    client: (args, options) => runClient(server, args.split(" "), { cwd: local, ...options }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The names of the files in a directory. */
function filesOf(directory: string): string[] {
  return treeOf(directory).filter((line) => !line.startsWith(".inlet") && !line.endsWith("/"))
    .map((line) => line.split(/ \d+ /)[0]!);
}

pure("listedName() keeps the parts of a path, and none of what .. takes back", () => {
  for (
    const [path, name] of [
      ["a.txt", "a.txt"],
      ["./p//q/c.txt", "p/q/c.txt"],
      ["p/q/", "p/q"],
      ["/home/me/a.txt", "home/me/a.txt"],
      ["../x/a.txt", "x/a.txt"],
      ["p/../a.txt", "a.txt"],
      ["p/../../a.txt", "a.txt"],
      [".", ""],
      ["..", ""],
      ["/", ""],
    ] as const
  ) assertEquals(listedName(path), name, path);
});

integration(
  "--files-from sends what a list names, with its folders, in one connection",
  async () => {
    await using it = await setUp({ here: FILES });
    const list = "p/b.txt\r\n./a.txt\r\np/q\r\n";
    const ended = await it.client("--files-from -", { stdin: list });
    assertEquals(ended.code, 0, ended.stderr);
    const sent = ["a.txt", "p/b.txt", "p/q/c.txt", "p/q/d.tmp"];
    assertEquals(filesOf(it.dir), sent);
    makeTree(it.local, { "list": list });
    const again = await it.client("--files-from list --skip-same");
    assertEquals(again.code, 0, again.stderr);
    assertMatch(again.stderr, /^p\/b\.txt: already there$/m);
    assertMatch(again.stderr, /^p\/q: 0 files, 0 B, 2 already there$/m);
    assertEquals(filesOf(it.dir), sent);
  },
);

integration("--files-from puts all into the folder of --as, beside FILE", async () => {
  await using it = await setUp({ here: FILES });
  const how = "p/r/e.txt --files-from - --as in/";
  const ended = await it.client(how, { stdin: "a.txt\np/q/c.txt" });
  assertEquals(ended.code, 0, ended.stderr);
  assertEquals(filesOf(it.dir), ["in/a.txt", "in/e.txt", "in/p/q/c.txt"]);
  assertRefused(
    await it.client("--files-from - --as in", { stdin: "" }),
    2,
    "Cannot use --as in with --files-from: for a folder to put all in, give --as in/",
  );
});

integration("--files-from keeps the parts of absolute paths, and drops those above", async () => {
  await using it = await setUp({ here: FILES });
  const stdin = `${it.local}/a.txt\n../p/r/e.txt\n`;
  const ended = await it.client("--files-from -", { stdin, cwd: `${it.local}/p` });
  assertEquals(ended.code, 0, ended.stderr);
  assertEquals(filesOf(it.dir).sort(), [`${it.local.slice(1)}/a.txt`, "p/r/e.txt"].sort());
});

integration(
  "a list goes on behind what is missing, with the exit code of a missing FILE",
  async () => {
    await using it = await setUp({ here: FILES });
    const stdin = "none.txt\na.txt\n\np/none/x\n/dev/stdin\n";
    const ended = await it.client("--files-from -", { stdin });
    assertEquals(ended.code, 2);
    assertEquals(ended.stderr.split("\n").filter((line) => !line.startsWith("a.txt: ")), [
      "Skipped 1 empty line of the list on the standard input",
      'inlet: Cannot send "none.txt": it does not exist',
      'inlet: Cannot send "p/none/x": it does not exist',
      'inlet: Cannot send "/dev/stdin": a list cannot name the standard input',
      "",
    ]);
    assertEquals(filesOf(it.dir), ["a.txt"]);
    assertEquals((await it.client("none.txt")).code, 2);
  },
);

integration("what find writes of a whole folder is sent once", async () => {
  await using it = await setUp({ here: FILES });
  const { stdout } = await run("find", ["p", "-print0"], { cwd: it.local });
  const ended = await it.client("--files-from - -0", { stdin: stdout });
  assertEquals(ended.code, 0, ended.stderr);
  assertStringIncludes(ended.stderr, "Skipped 6 paths: named twice, or in a folder that is sent\n");
  assertEquals(filesOf(it.dir), ["p/b.txt", "p/q/c.txt", "p/q/d.tmp", "p/r/e.txt"]);
});

integration("two names of one file, in folders of a list, are two files", async () => {
  await using it = await setUp({ here: FILES });
  Deno.linkSync(`${it.local}/p/q/c.txt`, `${it.local}/p/r/c.txt`);
  for (const how of ["--files-from -", "p/q/c.txt a.txt --files-from - --as in/"]) {
    const ended = await it.client(how, { stdin: "p/q/c.txt\np/r/c.txt\n" });
    assertEquals(ended.code, 0, ended.stderr);
  }
  assertEquals(filesOf(it.dir).filter((name) => name.endsWith("c.txt")), [
    "in/c.txt",
    "in/p/q/c.txt",
    "in/p/r/c.txt",
    "p/q/c.txt",
    "p/r/c.txt",
  ]);
});

integration("a file in a folder that is named too is sent once, below --as too", async () => {
  await using it = await setUp({ here: FILES });
  for (const how of ["p p/q/c.txt", "p p/q/c.txt --as in/", "p --files-from - --as on/"]) {
    const ended = await it.client(how, { stdin: "p/q/c.txt\n" });
    assertEquals(ended.code, 0, ended.stderr);
  }
  assertEquals(
    filesOf(it.dir),
    ["", "in/", "on/"].flatMap((top) =>
      ["b.txt", "q/c.txt", "q/d.tmp", "r/e.txt"].map((name) => `${top}p/${name}`)
    ).sort(),
  );
});

integration("--null takes names with line breaks, which no server stores, and CR LF", async () => {
  await using it = await setUp({ here: FILES });
  makeTree(it.local, { "two\nlines": "2", "cr\r": "r" });
  const ended = await it.client("--files-from - --null", { stdin: "two\nlines\0cr\r\0\0a.txt" });
  assertEquals(ended.code, 3);
  const [first, second] = ended.stderr.split("\n").filter((line) => line.startsWith("inlet: "));
  assertMatch(first!, /"two\\u\{a\}lines": its name contains a line break$/);
  assertMatch(second!, /"cr\\u\{d\}"/);
  assertEquals(filesOf(it.dir), ["a.txt"]);
});

integration("a list that is none is refused in one line, before anything is sent", async () => {
  await using it = await setUp({ here: FILES });
  const list = "Cannot use the list on the standard input";
  for (
    const [args, stdin, line] of [
      ["--files-from -", "a.txt\0p/b.txt\0", `${list}: it has NULs; give --null (-0) too`],
      ["--files-from -", new Uint8Array([0x61, 10, 0xff]), `${list}: it is not text in UTF-8`],
      ["--files-from none", "", 'Cannot read the list "none": it does not exist'],
      ["--files-from p", "", 'Cannot read the list "p": it is a folder'],
      [
        "--files-from - -",
        "",
        "Cannot use --files-from with the standard input as FILE; try --help",
      ],
      [
        "--files-from - /dev/stdin",
        "",
        'Cannot use the standard input as "/dev/stdin" and for --files-from; try --help',
      ],
      [
        "--files-from - --token-file /dev/stdin",
        "",
        'Cannot use the standard input as "/dev/stdin" and for --files-from; try --help',
      ],
      [
        "--files-from - --session",
        "",
        "Cannot use --files-from together with --session; try --help",
      ],
      ["a.txt -0", "", "Cannot use --null without --files-from; try --help"],
      [
        "--files-from - --mode raw",
        "",
        "Cannot use --files-from in mode raw, it is for files; try --help",
      ],
      [
        "--get a.txt --files-from -",
        "",
        "Cannot use --files-from with --get of a file; for a folder, use --get NAME/; try --help",
      ],
      [
        "--get p/ q/ --files-from -",
        "",
        "Cannot use --files-from with several names; try --help",
      ],
    ] as const
  ) assertRefused(await it.client(args, { stdin }), 2, line);
  assertEquals(filesOf(it.dir), []);
});

integration("an empty list transfers nothing, asks no server, and is no failure", async () => {
  await using it = await setUp({ here: FILES });
  for (const how of ["--files-from -", "--get / --files-from -", "--files-from - --dry-run"]) {
    const nobody = { port: 1 };
    const ended = await runClient(nobody, how.split(" "), { cwd: it.local, stdin: "" });
    assertEquals(ended.stderr, "The list on the standard input is empty\n");
    assertEquals([ended.code, ended.stdout], [0, ""]);
  }
});

integration("--exclude leaves out what is in a list, also by the folders of a path", async () => {
  await using it = await setUp({ here: FILES });
  const stdin = "p/q/c.txt\np/q/d.tmp\np/r/e.txt\np/b.txt\n";
  const how = "--files-from - --exclude r --exclude *.tmp";
  const dry = await it.client(`${how} --dry-run`, { stdin });
  assertEquals(dry.code, 0, dry.stderr);
  assertEquals(dry.stdout, "new\t1\tp/q/c.txt\nnew\t1\tp/b.txt\n");
  assertEquals(filesOf(it.dir), []);
  const ended = await it.client(how, { stdin });
  assertEquals(ended.code, 0, ended.stderr);
  assertStringIncludes(ended.stderr, 'Skipped "p/q/d.tmp": --exclude leaves it out\n');
  assertStringIncludes(ended.stderr, 'Skipped "p/r/e.txt": --exclude leaves it out\n');
  assertEquals(filesOf(it.dir), ["p/b.txt", "p/q/c.txt"]);
});

integration(
  "--get NAME/ --files-from gets what the list names below NAME, and tells the rest",
  async () => {
    await using it = await setUp({ there: FILES });
    const stdin = "q/c.txt\nnone.txt\n/r/\n../a.txt\n./b.txt\n";
    const dry = await it.client("--get p/ --files-from - --dry-run", { stdin });
    assertEquals([dry.code, dry.stdout.split("\n").sort()], [3, [
      "",
      "new\t1\tp/b.txt",
      "new\t1\tp/q/c.txt",
      "new\t1\tp/r/e.txt",
    ]]);
    assertEquals(filesOf(it.local), []);
    for (const files of [3, 0]) {
      const ended = await it.client("--get p/ --files-from - --skip-same", { stdin });
      assertEquals(ended.code, 3, ended.stderr);
      const [above, none, sum] = ended.stderr.split("\n");
      assertEquals(above, 'inlet: Cannot take the name "../a.txt": it leads out of the directory');
      assertEquals(none, 'inlet: Cannot get "none.txt": no such file');
      assertMatch(sum!, new RegExp(`^p/: ${files} files? into "./p", `));
      assertEquals(filesOf(it.local), ["p/b.txt", "p/q/c.txt", "p/r/e.txt"]);
    }
  },
);

integration("--get / --files-from gets names of the server, less those of --exclude", async () => {
  await using it = await setUp({ there: FILES });
  const ended = await it.client("--get / --files-from - -0 --exclude *.tmp", {
    stdin: "p/q\0a.txt\0",
  });
  assertEquals(ended.code, 0, ended.stderr);
  assertMatch(ended.stderr, /, 1 left out$/m);
  assertEquals(filesOf(it.local), ["a.txt", "p/q/c.txt"]);
  assertEquals(treeOf(it.local).includes("p/r/"), false);
  const none = await it.client("--get / --files-from -", { stdin: "p/r/none\n" });
  assertEquals(none.code, 3, none.stderr);
  assertEquals(treeOf(it.local).includes("p/r/"), false);
});

integration("Deno is asked for what a list names, or for the folders of it", async () => {
  await using it = await setUp({ here: FILES });
  const client = async (read: string): Promise<Ended> => {
    const flags = ["run", "--no-prompt", "--allow-net", `--allow-read=${read}`];
    const args = ["127.0.0.1", String(it.port), "--files-from", "list"];
    return await run(Deno.execPath(), [...flags, scriptPath("client.ts"), ...args], {
      cwd: it.local,
    });
  };
  makeTree(it.local, { "list": "a.txt\np/b.txt\np/q/c.txt\n" });
  assertMatch((await client("p")).stderr, /permission to read list; run: .*--allow-read=list /);
  const refused = await client("list,p");
  assertEquals(refused.code, 2);
  assertMatch(refused.stderr, /permission to read \.; run: .*--allow-read=list,\. /);
  assertEquals(filesOf(it.dir), []);
  const ended = await client("list,a.txt,p");
  assertEquals(ended.code, 0, ended.stderr);
  assertEquals(filesOf(it.dir), ["a.txt", "p/b.txt", "p/q/c.txt"]);
});
