/**
 * What the client may have to wait for, and that a signal ends each wait.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  fixture,
  integration,
  names,
  run,
  type Running,
  startClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { openTerminal } from "./tmux.ts";
import { impostor } from "./wire.ts";

const PIPES = { programs: ["mkfifo"] };

/** Makes a pipe that nobody writes into. */
async function pipeIn(directory: string): Promise<string> {
  const pipe = `${directory}/pipe`;
  assertEquals((await run("mkfifo", [pipe])).code, 0);
  return pipe;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

integration("client.ts waits for a pipe's writer, and says so: a signal ends it", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const pipe = await pipeIn(local.path);
  await Promise.all(
    Object.entries(SIGNALS).map(async ([signal, exit]) => {
      await using client = startClient(server, [pipe]);
      await client.says(/^Waiting for a program that writes into ".*\/pipe"$/);
      assertEquals((await client.stop(signal as Deno.Signal)).code, exit);
      assertEquals(client.log.split("\n").slice(1), ["inlet: Interrupted"]);
    }),
  );
}, PIPES);

integration("client.ts sends what comes through a pipe, however late", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const pipe = await pipeIn(local.path);
  await using client = startClient(server, [pipe, fixture("hello.txt")]);
  await client.says(/^Waiting for /);
  await Deno.writeTextFile(pipe, "through the pipe");
  assertEquals((await client.ended()).code, 0);
  assertEquals(names(server.dir), ["hello.txt", "pipe"]);
  assertEquals(await Deno.readTextFile(`${server.dir}/pipe`), "through the pipe");
}, PIPES);

/** Whose signal ends a wait. */
async function ends(client: Running): Promise<void> {
  assertEquals((await client.stop("SIGTERM")).code, 143, client.log);
}

integration("client.ts: a signal ends the wait for a second pipe, a key, a server", async () => {
  await using local = await tempDir();
  const pipe = await pipeIn(local.path);
  const hello = fixture("hello.txt");
  using mute = impostor();
  await using raw = await startServer({ args: ["--mode", "raw"] });
  await using second = startClient(raw, ["--mode", "raw", hello, pipe]);
  await using keyless = startClient(mute, ["--token-file", pipe, hello]);
  await using unanswered = startClient(mute, [hello]);
  using _wire = await mute.accept();
  await ends(unanswered);
  await keyless.says(/^Waiting for /);
  await ends(keyless);
  await second.says(/^Waiting for /);
  await ends(second);
}, PIPES);

integration("session stops a put of a pipe on Ctrl-C, with a writer and without one", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const pipe = await pipeIn(local.path);
  const args = ["127.0.0.1", String(server.port), "--name", "ben"];
  await using terminal = await openTerminal(
    [Deno.execPath(), "run", "-A", `${import.meta.dirname}/../client.ts`, ...args],
    { cwd: local.path },
  );
  await terminal.shows(/^ben>$/m);
  await terminal.type("put pipe");
  await terminal.press("Enter");
  await terminal.shows(/^Waiting for a program that writes into "pipe"$/m);
  await terminal.press("C-c");
  await terminal.shows(/^inlet: Stopped$/m);
  using writer = await Deno.open(pipe, { read: true, write: true });
  await writer.write(new TextEncoder().encode("the beginning"));
  await terminal.type("put pipe");
  await terminal.press("Enter");
  await terminal.shows(/^pipe +13 B /m);
  await terminal.press("C-c");
  await terminal.shows(/Stopped[^]*Stopped$/m);
  await terminal.type("exit");
  await terminal.press("Enter");
  await terminal.shows(/^exit 0$/m);
  assertEquals(names(server.dir), []);
}, { programs: ["mkfifo", "tmux"] });
