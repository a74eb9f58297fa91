/**
 * Two clients that meet by a code, at terminals: the code is asked for, and whether to receive what is
 * offered.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  integration,
  names,
  scriptPath,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { startOffer } from "./meeting.ts";
import { openTerminal, type Terminal } from "./tmux.ts";

/** Accepts in a terminal, and types the code. */
async function acceptAt({ port }: TestServer, code: string, cwd: string): Promise<Terminal> {
  const client = [Deno.execPath(), "run", "-A", scriptPath("client.ts"), "127.0.0.1", `${port}`];
  const terminal = await openTerminal([...client, "--accept"], { cwd });
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
    const [key, own, said] of [
      ["n", /^inlet: Declined: nothing was received\nexit 3$/m, "The receiver has declined"],
      ["C-c", /^inlet: Interrupted\nexit 130$/m, "The receiver has stopped"],
    ] as const
  ) {
    await using offer = await startOffer(server, [path]);
    await using terminal = await acceptAt(server, offer.code, to.path);
    await terminal.shows(QUESTION);
    await terminal.press(key, "Enter");
    await terminal.shows(own);
    const { code, stderr } = await offer.ended();
    assertEquals([code, stderr.split("\n").at(-1), names(to.path)], [3, `inlet: ${said}`, []]);
  }
}, { programs: ["tmux"] });
