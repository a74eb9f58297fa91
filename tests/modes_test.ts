import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  dial,
  exchange,
  fixture,
  integration,
  names,
  run,
  runClient,
  sendTo,
  startServer,
} from "./helpers.ts";

/** Bytes of a client that has begun, by the mode. */
const BEGINNINGS = {
  raw: "a",
  message: "a",
  reverse: "a",
  upload: "\0\0\0\0\0\0\0\x06a.txt",
};

for (const [mode, beginning] of Object.entries(BEGINNINGS)) {
  integration(`${mode} server that is full says busy, in one line, and keeps nothing`, async () => {
    await using server = await startServer({ args: ["--mode", mode, "--max-clients", "1"] });
    using first = await dial(server);
    await server.running.says(/client 1: connected/);
    await sendTo(first, beginning);
    if (mode === "upload") await first.read(new Uint8Array(8));
    assertEquals(await exchange(server, ""), "busy 1 of 1\n");
    const { code, stdout, stderr } = await runClient(server, [
      fixture("1MiB.txt"),
      "--mode",
      mode,
    ]);
    assertEquals([code, stdout], [3, ""]);
    assertEquals(stderr, "inlet: The server is full: 1 of 1 clients\n");
    first.close();
    await server.running.says(/client 1: left/);
    const next = await runClient(server, [fixture("hello.txt"), "--mode", mode]);
    assertEquals(next.code, 0, next.stderr);
    await server.running.stop();
    const stored = { raw: ["1.file", "2.file"], upload: ["hello.txt"] }[mode];
    if (stored) assertEquals(names(server.dir), stored);
    const both = beginning + await Deno.readTextFile(fixture("hello.txt"));
    const text = mode === "message" ? both : "";
    assertEquals(await server.stdout, text);
  });

  integration(`${mode} client refuses what its wire cannot do`, async () => {
    const nowhere = { port: 1 };
    for (const option of [["--list"], ["--status"], ["--get", "a.txt"]]) {
      const { code, stderr } = await runClient(nowhere, [...option, "--mode", mode]);
      assertEquals(code, 2);
      assertStringIncludes(stderr, `Cannot use ${option[0]} in mode ${mode}`);
    }
    if (mode === "upload") return;
    const args = [fixture("hello.txt"), "--as", "b.txt", "--mode", mode];
    const { code, stderr } = await runClient(nowhere, args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `Cannot use --as in mode ${mode}`);
  });
}

integration("--mode refuses a name that it does not know, on both sides", async () => {
  for (const args of [["server.ts", "0"], ["client.ts", "127.0.0.1", "1", "a.txt"]]) {
    const command = ["run", "-A", ...args, "--mode", "rwa"];
    const { code, stderr } = await run(Deno.execPath(), command);
    assertEquals(code, 2);
    assertMatch(
      stderr,
      /^inlet: Cannot use the mode "rwa": the nearest is raw, give one of files, upload, raw, .*\n$/,
    );
  }
});
