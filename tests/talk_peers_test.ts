/**
 * Mode talk against programs as other people write them, with one `recv` for one message.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  type Ended,
  integration,
  names,
  PYTHON,
  runClient,
  runPeer,
  startPeer,
  startServer,
  tempDir,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";

const CONTENT = bytes(3000);

/** Runs talk_client.py against our server, which has `a.bin`, and gives what it said and saved. */
async function askOurs(
  serverArgs: readonly string[],
  peerArgs: readonly string[],
  stdin: string,
): Promise<Ended & { saved: Uint8Array }> {
  await using local = await tempDir();
  await using server = await startServer({ args: ["--mode", "talk", ...serverArgs] });
  makeTree(server.dir, { "a.bin": CONTENT, "b.txt": "hello\n" });
  const args = ["127.0.0.1", String(server.port), local.path, ...peerArgs];
  const ended = await runPeer("talk_client.py", args, { stdin });
  await server.running.says(/left, 0 connected/);
  const saved = names(local.path).map((name) => Deno.readFileSync(`${local.path}/${name}`));
  return { ...ended, saved: saved[0] ?? new Uint8Array() };
}

integration("talk server serves programs that name themselves, or wait for a name", async () => {
  const lines = "Hello\nlist\nget a.bin\nHello again\n";
  const [named, greeted] = await Promise.all([
    askOurs([], ["--name", "Roger"], lines),
    askOurs(["--banner", "Welcome Client{nn}!"], ["--greeted"], lines),
  ]);
  const answers = "Hello ACK\na.bin\nb.txt\nHello again ACK\n";
  assertEquals([named.code, named.stderr], [0, ""]);
  assertEquals(named.stdout, `Connected to the server successfully.\n${answers}`);
  assertEquals([greeted.code, greeted.stdout], [0, `Welcome Client01!\n${answers}`]);
  for (const { saved } of [named, greeted]) assertEquals(saved, CONTENT);
}, PYTHON);

integration(
  "talk server serves programs that ask by bare names, twice, or count bytes",
  async () => {
    const [bare, twice, short] = await Promise.all([
      askOurs(["--bare-names"], ["--name", "Ann", "--bare-names"], "get a.bin\nHello\n"),
      askOurs([], ["--name", "Ann", "--twice"], "get a.bin\nHello\n"),
      askOurs(["--get-marker", "none"], ["--name", "Ann", "--until-short"], "get b.txt\nHello\n"),
    ]);
    for (const { code, stdout, stderr } of [bare, twice, short]) {
      assertEquals([code, stderr], [0, ""]);
      assertMatch(stdout, /\nHello ACK\n$/);
    }
    assertEquals([bare.saved, twice.saved], [CONTENT, CONTENT]);
    assertEquals(new TextDecoder().decode(short.saved), "hello\n");
  },
  PYTHON,
);

/** Runs our client against a Python server with `a.bin`, and gives what it said and saved. */
async function askTheirs(
  program: string,
  peerArgs: readonly string[],
  clientArgs: readonly string[],
  stdin = "Hello\nlist\nget a.bin\nHello again\n",
): Promise<Ended & { saved: Uint8Array }> {
  await using local = await tempDir();
  makeTree(local.path, { "theirs/a.bin": CONTENT, "ours/": "" });
  await using server = await startPeer(program, [`${local.path}/theirs`, ...peerArgs]);
  const cwd = `${local.path}/ours`;
  const ended = await runClient(server, ["--mode", "talk", ...clientArgs], { stdin, cwd });
  const [saved] = names(cwd).map((name) => Deno.readFileSync(`${cwd}/${name}`));
  return { ...ended, saved: saved ?? new Uint8Array() };
}

integration("talk client holds a session with a server as it is described", async () => {
  const lines = "Hello\nSTATUS\nget nothing\n";
  const { code, stdout, stderr } = await askTheirs("talk_server.py", [], ["--name", "Ann"], lines);
  assertMatch(stdout, /^Hello ACK\nClient 1: Ann - Start: .*, End: Still Connected\n$/);
  assertEquals(code, 3);
  assertStringIncludes(stderr, 'inlet: Cannot get "nothing": the server says "No such file"\n');
  const whole = await askTheirs("talk_server.py", [], []);
  assertEquals([whole.code, whole.stdout], [0, "Hello ACK\na.bin\nHello again ACK\n"]);
  assertStringIncludes(whole.stderr, 'ended by the marker "EOF"\n');
  assertEquals(whole.saved, CONTENT);
}, PYTHON);

integration(
  "talk client ends its messages with --line-end for a server that reads lines",
  async () => {
    const args = ["--name", "Ann", "--line-end"];
    const ended = await askTheirs("talk_server.py", ["--lines"], args, undefined);
    assertEquals([ended.code, ended.stdout], [0, "Hello ACK\na.bin\nHello again ACK\n"]);
    assertMatch(
      ended.stderr,
      /^Connected to .*\na\.bin: stored as .* ended by the marker "EOF"\n$/,
    );
    assertEquals(ended.saved, CONTENT);
  },
  PYTHON,
);

integration(
  "talk client holds sessions with servers that name it, ask, and say goodbye",
  async () => {
    const program = "talk_naming_server.py";
    const [named, polite, asked] = await Promise.all([
      askTheirs(program, [], ["--accept-unproved", "--bare-names"]),
      askTheirs(program, ["--heading", "Files:\n", "--bye", "Goodbye!"], ["--accept-unproved"]),
      askTheirs(
        program,
        ["--greet", "Please enter a name: ", "--ask"],
        ["--name", "Ann"],
        "Hello\n",
      ),
    ]);
    assertEquals([named.code, named.stdout], [0, "Hello ACK\na.bin\nHello again ACK\n"]);
    assertMatch(named.stderr, /^Client01\na\.bin: stored as .* it may be incomplete\n$/);
    assertEquals([polite.code, polite.stdout], [0, "Hello ACK\nFiles:\na.bin\nHello again ACK\n"]);
    assertMatch(polite.stderr, /\nGoodbye!\n$/);
    assertEquals([named.saved, polite.saved], [CONTENT, CONTENT]);
    assertEquals([asked.code, asked.stdout], [0, "Hello ACK\n"]);
    assertEquals(asked.stderr, "Please enter a name: Hello Ann\n");
  },
  PYTHON,
);

integration("talk client gets a file in each way that a server sends one", async () => {
  const ways: [string, string[], string][] = [
    ["bare", ["--accept-unproved"], "a pause of 200 ms"],
    ["ack", ["--accept-unproved"], "a pause of 200 ms"],
    ["split", [], 'the marker "EOF"\n'],
    ["name", [], "the size in front of it, FILE\n"],
    ["size", [], "the size in front of it, FILESIZE\n"],
  ];
  await Promise.all(ways.map(async ([how, args, endedBy]) => {
    const ended = await askTheirs("talk_files_server.py", [how], args, "get a.bin\nHello\n");
    assertEquals([ended.code, ended.stdout], [0, "Hello ACK\n"], how);
    assertStringIncludes(ended.stderr, `ended by ${endedBy}`);
    assertEquals(ended.saved, CONTENT, how);
  }));
}, PYTHON);
