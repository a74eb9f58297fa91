/**
 * The ordinary things by real programs, over an encrypted connection: all that they do they do there
 * too.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  type Ended,
  integration,
  KEY,
  names,
  runClient,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { relayTo } from "./relay.ts";
import { dialWithKey, type SecureConn } from "./secure.ts";
import { makeTree, treeOf } from "./trees.ts";
import { Wire } from "./wire.ts";

const SIZE = 3_000_000;
/** Of a file that takes longer to read than a test lasts, and no space. */
const LARGE_BYTES = 64 * 1024 ** 3;

/**
 * Of a file that a limited client takes longer to move than a test lasts. The other side has to have
 * that much space, or nothing moves at all.
 */
const SLOW_BYTES = 1024 ** 3;
const SLOWLY = ["--limit", "4MiB"];
const TIME = "2026-01-01T00:00:00Z";

/** What a client does in a directory of its own. */
interface Deed {
  args: readonly string[];
  stdin?: string;
  /** What is in its directory, and in the server's, before. */
  local?: Record<string, string | Uint8Array>;
  there?: Record<string, string | Uint8Array>;
  /** What is true then. */
  then(ended: Ended, dirs: { local: string; there: string }): void;
}

const TREE = { "tree/a.txt": "hello\n", "tree/empty/": "", "tree/b/c.bin": bytes(300_000) };

const sameTrees: Deed["then"] = (_, { local, there }) => assertEquals(treeOf(there), treeOf(local));

const DEEDS: Readonly<Record<string, Deed>> = {
  "a put": { args: ["a.bin"], local: { "a.bin": bytes(SIZE) }, then: sameTrees },
  "an empty file": { args: ["a"], local: { "a": "" }, then: sameTrees },
  "a get": { args: ["--get", "a.bin"], there: { "a.bin": bytes(SIZE) }, then: sameTrees },
  "a get to stdout": {
    args: ["--get", "a.bin", "--output", "-"],
    there: { "a.bin": bytes(SIZE) },
    then: ({ stdoutBytes }) => assertEquals(stdoutBytes, bytes(SIZE)),
  },
  "a tree up": { args: ["tree"], local: TREE, then: sameTrees },
  "a tree down": { args: ["--get", "tree/"], there: TREE, then: sameTrees },
  "stdin": {
    args: ["--as", "a.txt"],
    stdin: "hello\n".repeat(100_000),
    then: (_, { there }) =>
      assertEquals(Deno.readTextFileSync(`${there}/a.txt`), "hello\n".repeat(100_000)),
  },
  "a file that is there": {
    args: ["a.txt", "--skip-same"],
    local: { "a.txt": "hello\n" },
    there: { "a.txt": "hello\n" },
    then: (_, { there }) => assertEquals(names(there), ["a.txt"]),
  },
  "a limit": {
    args: ["a.bin", "--limit", "100MiB"],
    local: { "a.bin": bytes(SIZE) },
    then: sameTrees,
  },
  "a list": {
    args: ["--list"],
    there: { "a.txt": "hello\n" },
    then: ({ stdout }) => assertMatch(stdout, /a\.txt/),
  },
  "a session": {
    args: ["--session"],
    stdin: "Hello\nput a.txt\nget a.txt\nstatus\nexit\n",
    local: { "a.txt": "hello\n" },
    then: ({ stdout }, { local, there }) => {
      assertStringIncludes(stdout, "Hello ACK");
      assertEquals([names(local), names(there)], [["a (2).txt", "a.txt"], ["a.txt"]]);
    },
  },
};

for (const [what, { args, stdin, local = {}, there = {}, then }] of Object.entries(DEEDS)) {
  integration(`encrypted: ${what}`, async () => {
    await using server = await startServer({ key: KEY });
    await using own = await tempDir();
    makeTree(own.path, local);
    makeTree(server.dir, there);
    const options = { cwd: own.path, ...stdin !== undefined && { stdin } };
    const ended = await runClient(server, args, options);
    assertEquals(ended.code, 0, ended.stderr);
    then(ended, { local: own.path, there: server.dir });
    assert(!names(server.dir).includes("(in flight)"));
  });
}

for (const direction of ["up", "down"] as const) {
  for (const way of ["end", "reset"] as const) {
    integration(`encrypted: --resume goes on after a ${way} on the way ${direction}`, async () => {
      await using server = await startServer({ key: KEY });
      await using local = await tempDir();
      makeTree(direction === "up" ? local.path : server.dir, { "a.bin": bytes(SIZE) });
      using relay = await relayTo(server, { direction, bytes: SIZE / 2, way });
      const args = direction === "up" ? ["a.bin", "--resume"] : ["--get", "a.bin", "--resume"];
      const broken = await runClient(relay, args, { cwd: local.path });
      assertEquals(broken.code, 4, broken.stderr);
      await server.running.says(/client 1: left/);
      const { code, stderr } = await runClient(server, args, { cwd: local.path });
      assertEquals(code, 0, stderr);
      assertStringIncludes(stderr, "resuming at");
      assertEquals(treeOf(local.path), treeOf(server.dir));
    });
  }
}

/** A handshake, a greeting and a proof, and the welcome. */
async function admitted(server: TestServer): Promise<SecureConn> {
  const conn = await dialWithKey(server, KEY);
  await conn.prove("test");
  assertMatch(await conn.line(), /^welcome /);
  return conn;
}

function makeSparse(path: string, bytes: number): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  file.truncateSync(bytes);
  file.utimeSync(new Date(TIME), new Date(TIME));
}

/** What a client says that has been admitted, and what it hears then, without notes. */
const LIMITS: Record<string, { args: string[]; says: string; hears: RegExp }> = {
  "--timeout": {
    args: ["--timeout", "0.5"],
    says: "put 10 a.txt\nhel",
    hears: /^go 0\nerror timeout No data in either direction for 0\.5 s\n$/,
  },
  "--session-timeout": {
    args: ["--session-timeout", "0.5"],
    says: "",
    hears: /^error;unread=yes timeout No data in either direction for 0\.5 s\n$/,
  },
  "--max-size": {
    args: ["--max-size", "5"],
    says: "push 6 a.txt\nhello\nend 363a3020\nexit\n",
    hears: /^error too-large .*\nok bye\n$/,
  },
};

for (const [what, { args, says, hears }] of Object.entries(LIMITS)) {
  integration(`encrypted: ${what}`, async () => {
    await using server = await startServer({ key: KEY, args });
    using conn = await admitted(server);
    await conn.send(says);
    assertMatch((await conn.rest()).replace(/^note .*\n/gm, ""), hears);
    await server.running.says(/client 1: left/);
    assertEquals(names(server.dir), []);
  });
}

integration("encrypted: --max-clients turns away one more, by name", async () => {
  await using server = await startServer({ key: KEY, args: ["--max-clients", "1"] });
  using _first = await admitted(server);
  using second = await dialWithKey(server, KEY);
  await second.send("hello 1 ben\n");
  assertEquals(await second.rest(), "busy 1 of 1\n");
  await server.running.says(/rejected "ben" at /);
});

integration("encrypted: who does not encrypt is told so", async () => {
  await using server = await startServer({ key: KEY });
  using wire = await Wire.dial(server);
  await wire.says("hello 1 ben\n");
  assertMatch(await wire.rest(), /^error denied Cannot go on: this server requires a key/);
});

for (
  const [what, request] of [["compare", `compare ${LARGE_BYTES} 00000001 ${TIME} huge\n`], [
    "get",
    "get huge\n",
  ]] as const
) {
  integration(`encrypted: a client that leaves a ${what} frees its place`, async () => {
    await using server = await startServer({ key: KEY, args: ["--max-clients", "1"] });
    makeSparse(`${server.dir}/huge`, LARGE_BYTES);
    const conn = await admitted(server);
    await conn.send(request);
    assertMatch(await conn.line(), /^(note|ok) /);
    conn[Symbol.dispose]();
    await server.running.says(/client 1: left/);
    using _next = await admitted(server);
  });
}

for (const [what, args] of [["put", ["huge"]], ["get", ["--get", "huge"]]] as const) {
  integration(`encrypted: Ctrl-C within a ${what} leaves nothing on either side`, async () => {
    await using server = await startServer({ key: KEY });
    await using local = await tempDir();
    const [from, to] = what === "put" ? [local.path, server.dir] : [server.dir, local.path];
    makeSparse(`${from}/huge`, SLOW_BYTES);
    await using client = startClient(server, [...args, ...SLOWLY], { cwd: local.path });
    await uploadGrows(to, 1);
    assertEquals((await client.stop("SIGINT")).code, 130);
    await server.running.says(/client 1: left/);
    assertEquals([names(from), names(to)], [["huge"], []]);
  });
}

integration("encrypted: a server that is stopped lets a transfer in flight finish", async () => {
  await using server = await startServer({ key: KEY });
  using conn = await admitted(server);
  await conn.send("put 6 a.txt\n");
  assertEquals(await conn.line(), "go 0");
  await conn.send("hel");
  await uploadGrows(server.dir, 3);
  server.running.process.kill("SIGTERM");
  await server.running.says(/stopping: 1 transfer has/);
  await conn.send("lo\nend 363a3020\n");
  assertEquals(await conn.line(), "ok 6 363a3020 a.txt");
  assertEquals((await server.running.ended()).code, 0);
});

integration("encrypted: a server that is interrupted within a get tells the client", async () => {
  await using server = await startServer({ key: KEY });
  await using local = await tempDir();
  makeSparse(`${server.dir}/huge`, SLOW_BYTES);
  await using client = startClient(server, ["--get", "huge", ...SLOWLY], { cwd: local.path });
  await uploadGrows(local.path, 1);
  await server.running.stopInsistently("SIGINT");
  assertEquals((await client.ended()).code, 4, client.log);
  assertEquals(names(local.path), []);
});
