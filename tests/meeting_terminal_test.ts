/**
 * Two clients that meet by a code, at terminals: the code is asked for, and whether to receive what is
 * offered.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  bytes,
  integration,
  names,
  scriptPath,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { accept, startOffer } from "./meeting.ts";
import { openTerminal, type Terminal } from "./tmux.ts";

/** The command of a client, to which everything is permitted unless it is said what. */
function client({ port }: TestServer, permissions: readonly string[] = ["-A"]): string[] {
  return [
    ...[Deno.execPath(), "run", ...permissions],
    ...[scriptPath("client.ts"), "127.0.0.1", `${port}`],
  ];
}

/** Offers in a terminal. */
async function offerAt(
  server: TestServer,
  args: readonly string[],
  cwd: string,
  permissions?: readonly string[],
): Promise<{ readonly terminal: Terminal; readonly code: string }> {
  const command = [...client(server, permissions), "--offer", ...args];
  const terminal = await openTerminal(command, { cwd });
  const screen = await terminal.shows(/^waiting for the receiver$/m);
  return { terminal, code: /^\d{4}(-[a-z]+){5}$/m.exec(screen)?.[0] ?? "" };
}

/** Accepts in a terminal, and types the code. */
async function acceptAt(
  server: TestServer,
  code: string,
  cwd: string,
  permissions?: readonly string[],
): Promise<Terminal> {
  const terminal = await openTerminal([...client(server, permissions), "--accept"], { cwd });
  await terminal.shows(/^Code:/m);
  await terminal.type(code.replaceAll("-", " "));
  await terminal.press("Enter");
  return terminal;
}

const QUESTION = /^Receive "hello\.txt", 6 B\? \[y\/N\]$/m;

integration(
  "at a terminal the code is asked for, and what is offered is received after a yes",
  async () => {
    await using server = await startServer();
    await using from = await tempDir();
    await using to = await tempDir();
    await using offer = await startOffer(server, [await from.write("hello.txt", "hello\n")]);
    await using terminal = await acceptAt(server, offer.code, to.path);
    await terminal.shows(QUESTION);
    // Nothing is written before.
    assertEquals(names(to.path).filter((name) => !name.startsWith(".inlet/")), []);
    await terminal.type("y");
    await terminal.press("Enter");
    await terminal.shows(/^hello\.txt: saved as "\.\/hello\.txt", 6 B.*\nexit 0$/m);
    assertEquals([(await offer.ended()).code, names(to.path)], [0, ["hello.txt"]]);
  },
  { programs: ["tmux"] },
);

integration("at a terminal a no, and Ctrl-C, are told to the one who offers", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  await using to = await tempDir();
  const path = await dir.write("hello.txt", "hello\n");
  for (
    const [keys, own, said] of [
      [
        ["n", "Enter"],
        /^inlet: Declined: nothing was received\nexit 3$/m,
        "The receiver has declined",
      ],
      [["C-c"], /^inlet: Interrupted\nexit 130$/m, "The receiver has stopped"],
    ] as const
  ) {
    await using offer = await startOffer(server, [path]);
    await using terminal = await acceptAt(server, offer.code, to.path);
    await terminal.shows(QUESTION);
    await terminal.press(...keys);
    await terminal.shows(own);
    const { code, stderr } = await offer.ended();
    assertEquals([code, stderr.split("\n").at(-1), names(to.path)], [3, `inlet: ${said}`, []]);
  }
}, { programs: ["tmux"] });

integration("at a terminal a code that is none is asked for again", async () => {
  await using server = await startServer();
  await using from = await tempDir();
  await using to = await tempDir();
  await using offer = await startOffer(server, [await from.write("hello.txt", "hello\n")]);
  await using terminal = await acceptAt(server, "4713-mango-walnut-carbon-ladder-peble", to.path);
  await terminal.shows(/"peble" is no word[^]*"pebble"[^]*\nCode:$/m);
  await terminal.type(offer.code);
  await terminal.press("Enter");
  await terminal.shows(QUESTION);
  await terminal.press("y", "Enter");
  await terminal.shows(/\nexit 0$/m);
  assertEquals((await offer.ended()).code, 0);
}, { programs: ["tmux"] });

integration("at terminals both sides see how far it is", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  await using to = await tempDir();
  await Deno.truncate(await dir.write("film.bin", ""), 2 ** 30);
  const { terminal, code } = await offerAt(server, ["film.bin", "--limit", "1MB"], dir.path);
  await using offering = terminal;
  await using accepting = await acceptAt(server, code, to.path);
  await accepting.shows(/^Receive "film\.bin", 1 GiB\? \[y\/N\]$/m);
  await accepting.press("y", "Enter");
  for (const side of [offering, accepting]) {
    await side.shows(/^film\.bin +\d+ % +[\d.]+ MiB .* left$/m);
  }
}, { programs: ["tmux"] });

integration(
  "at terminals with permission for the server alone nobody is asked for more",
  async () => {
    await using server = await startServer();
    await using dir = await tempDir();
    await using to = await tempDir();
    // It is worth a direct way.
    await dir.write("film.bin", bytes(5_000_000));
    const permissions = [
      `--allow-net=127.0.0.1:${server.port}`,
      ...["--allow-read", "--allow-write", "--allow-env", "--allow-sys=statfs"],
    ];
    const { terminal, code } = await offerAt(server, ["film.bin"], dir.path, permissions);
    await using offering = terminal;
    await using accepting = await acceptAt(server, code, to.path, permissions);
    await accepting.shows(/^Receive "film\.bin", 4\.77 MiB\? \[y\/N\]$/m);
    await accepting.press("y", "Enter");
    for (const side of [accepting, offering]) {
      await side.shows(/^film\.bin: .*, relayed\nexit 0$/m);
    }
  },
  { programs: ["tmux"] },
);

integration("who offers in a terminal sees that it waits on after wrong words", async () => {
  await using server = await startServer();
  await using dir = await tempDir();
  await dir.write("hello.txt", "hello\n");
  const { terminal, code } = await offerAt(server, ["hello.txt"], dir.path);
  await using offering = terminal;
  const wrong = code.replace(/[a-z]+$/, (word) => word === "zebra" ? "pebble" : "zebra");
  assertEquals((await accept(server, wrong, ["--output", dir.path])).code, 3);
  await offering.shows(/\(1 of 10\)\nwaiting for the receiver$/m);
}, { programs: ["tmux"] });
