/**
 * The client of mode talk against servers as other people write them, with one `recv` for one message.
 * peers_test.ts has the other pairs.
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
  startPeer,
  tempDir,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";

const CONTENT = bytes(3000);

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
  const [{ code, stdout, stderr }, whole] = await Promise.all([
    askTheirs("talk_server.py", [], ["--name", "Ann"], lines),
    askTheirs("talk_server.py", [], []),
  ]);
  assertMatch(stdout, /^Hello ACK\nClient 1: Ann - Start: .*, End: Still Connected\n$/);
  assertEquals(code, 3);
  assertStringIncludes(stderr, 'inlet: Cannot get "nothing": the server says "No such file"\n');
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
      /^Connected to .*\na\.bin: saved as .* ended by the marker "EOF"\n$/,
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
    assertMatch(named.stderr, /^Client01\na\.bin: saved as .* it may be incomplete\n$/);
    assertEquals([polite.code, polite.stdout], [0, "Hello ACK\nFiles:\na.bin\nHello again ACK\n"]);
    assertMatch(polite.stderr, /\nGoodbye!\n$/);
    assertEquals([named.saved, polite.saved], [CONTENT, CONTENT]);
    assertEquals([asked.code, asked.stdout], [0, "Hello ACK\n"]);
    assertEquals(asked.stderr, "Please enter a name: Hello Ann\n");
  },
  PYTHON,
);
