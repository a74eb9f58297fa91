/**
 * `--get` to a pipe, a device or a socket.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { PathOutput } from "../client/path_output.ts";
import { InletError } from "../lib/errors.ts";
import { serveTalk } from "../modes/talk.ts";
import {
  assertRefused,
  bytes,
  integration,
  names,
  run,
  runClient,
  scriptPath,
  startClient,
  tempDir,
} from "./helpers.ts";
import { type InProcessOptions, serveHere } from "./in_process.ts";
import { makeTree } from "./trees.ts";

const PIPES = { programs: ["mkfifo", "cat"] };

/** A server with files, and a folder with a pipe in it. */
interface SetUp extends AsyncDisposable {
  server: { port: number };
  local: string;
  pipe: string;
}

async function setUp(wire?: Pick<InProcessOptions, "serve" | "wire">): Promise<SetUp> {
  await using stack = new AsyncDisposableStack();
  const there = stack.use(await tempDir());
  const local = stack.use(await tempDir());
  makeTree(there.path, { "a.txt": "hello\n", "big.bin": bytes(4 * 2 ** 20), "pipe": "piped\n" });
  const pipe = `${local.path}/pipe`;
  assertEquals((await run("mkfifo", [pipe])).code, 0);
  const server = stack.use(await serveHere({ dir: there.path, ...wire }));
  const all = stack.move();
  return { server, local: local.path, pipe, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Reads a pipe to its end. */
async function textIn(pipe: string): Promise<string> {
  return (await run("cat", [pipe])).stdout;
}

integration(
  "--get to a pipe waits for its reader and writes to it, through a link too",
  async () => {
    await using it = await setUp();
    Deno.symlinkSync("pipe", `${it.local}/link`);
    await using client = startClient(it.server, ["--get", "a.txt", "--output", `${it.local}/link`]);
    await client.says(/^Waiting for a reader of ".*\/link"$/);
    assertEquals(await textIn(it.pipe), "hello\n");
    assertEquals((await client.ended()).code, 0);
    await client.says(/^a\.txt: written to ".*\/link", 6 B, CRC-32 363a3020/);
    assertEquals(names(it.local), ["link", "pipe"]);
  },
  PIPES,
);

integration("--get to a pipe ends on Ctrl-C, whether it waits for a reader or writes", async () => {
  await using it = await setUp();
  await using waiting = startClient(it.server, ["--get", "a.txt", "--output", it.pipe]);
  await waiting.says(/^Waiting for a reader/);
  assertEquals((await waiting.stop("SIGINT")).code, 130);
  await using writing = startClient(it.server, ["--get", "big.bin", "--output", it.pipe]);
  using reader = await Deno.open(it.pipe);
  await reader.read(new Uint8Array(1));
  assertEquals((await writing.stop("SIGINT")).code, 130);
  await writing.says(/^inlet: Interrupted$/);
}, PIPES);

integration("a file that another program puts in the place of a pipe stays as it is", async () => {
  await using local = await tempDir();
  const path = await local.write("pipe", "precious\n");
  const opening = PathOutput.open("a.txt", path, {});
  const { message } = await assertRejects(() => opening, InletError);
  assertEquals(message, `Cannot write to "${path}": another program put a file there`);
  assertEquals(Deno.readTextFileSync(path), "precious\n");
});

integration("--get to a pipe whose reader leaves exits with 6, in one line", async () => {
  await using it = await setUp();
  // Such a reader has not to wait for a writer, and so is there before the client.
  const reader = await Deno.open(it.pipe, { read: true, write: true });
  const getting = runClient(it.server, ["--get", "big.bin", "--output", it.pipe]);
  await reader.read(new Uint8Array(1));
  reader.close();
  assertRefused(await getting, 6, `Cannot write to "${it.pipe}": its reader has closed it`);
  assertEquals(names(it.local), ["pipe"]);
}, PIPES);

integration(
  "get of a file that is named like a pipe here writes to it, in every session",
  async () => {
    const talk = { serve: serveTalk, wire: { mode: "talk", args: [] } };
    for (const [wire, ...args] of [[{}, "--session"], [talk, "--mode", "talk"]] as const) {
      await using it = await setUp(wire);
      const session = runClient(it.server, args, { cwd: it.local, stdin: "get ./pipe\nexit\n" });
      assertEquals(await textIn(it.pipe), "piped\n");
      const { code, stderr } = await session;
      assertEquals(code, 0, stderr);
      assertMatch(stderr, /^pipe: written to "\.\/pipe", 6 B, /m);
      assertEquals(names(it.local), ["pipe"]);
    }
  },
  PIPES,
);

integration("--get to a device writes to it, and says what only --allow-all permits", async () => {
  await using it = await setUp();
  const get = async (permissions: string, ...args: string[]): ReturnType<typeof run> => {
    const client = [scriptPath("client.ts"), "127.0.0.1", `${it.server.port}`];
    const all = ["run", "--no-prompt", ...permissions.split(" "), ...client, "--get", ...args];
    return await run(Deno.execPath(), all, { cwd: it.local });
  };
  const some = "--allow-net --allow-read --allow-write";
  const nothing = await get(some, "a.txt", "--output", "/dev/null");
  assertMatch(nothing.stderr, /^a\.txt: written to "\/dev\/null", 6 B, .*\n$/);
  assertEquals(nothing.code, 0);
  const stdout = await get("--allow-net", "a.txt", "--output", "/dev/stdout");
  assertEquals([stdout.code, stdout.stdout, stdout.stderr], [0, "hello\n", ""]);
  const full = await get("-A", "a.txt", "--output", "/dev/full");
  assertRefused(full, 6, 'Cannot write to "/dev/full": the disk is full (this machine\'s disk)');
  const kept = await get(some, "a.txt", "--output", "/dev/full");
  assertEquals(kept.code, 2);
  const refused = 'inlet: Cannot save to "/dev/full": ' +
    "Deno opens files of /proc, /sys and /dev only with --allow-all; ";
  assertStringIncludes(kept.stderr, `${refused}run: deno run --allow-all `);
  const resumed = await get("-A", "a.txt", "--output", it.pipe, "--resume");
  const what = `--resume with "${it.pipe}", a pipe or a device`;
  assertRefused(resumed, 2, `Cannot use ${what}; try --help`);
  using _ = Deno.listen({ transport: "unix", path: `${it.local}/socket` });
  const socket = await get("-A", "a.txt", "--output", "socket");
  assertRefused(socket, 2, 'Cannot write to "socket": it is a socket');
}, PIPES);
