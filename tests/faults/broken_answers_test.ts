import { assert, assertEquals } from "@std/assert";
import { fixture, integration, names, runClient, startServer, tempDir } from "../helpers.ts";
import { relayTo } from "../relay.ts";
import { cutAnswersEverywhere } from "./broken_answers.ts";
import { WAYS } from "./peer.ts";
import { Trial } from "./trial.ts";

for (const way of WAYS) {
  integration(`Clients report a server's ${way} after any byte as what it is`, async () => {
    await using server = await startServer({
      args: ["--max-clients", "1000", "--backlog", "1000"],
    });
    await using local = await tempDir();
    assert(await cutAnswersEverywhere(server, new Trial(1), way, local.path) > 250);
  });

  integration(`client.ts exits 4 at a server's ${way}, and keeps nothing partial`, async () => {
    await using server = await startServer();
    assertEquals((await runClient(server, [fixture("every_byte.bin")])).code, 0);
    await using local = await tempDir();
    const asked = {
      put: [fixture("hello.txt"), "--as", "put.txt"],
      get: ["--get", "every_byte.bin", "--output", `${local.path}/every_byte.bin`],
      session: ["--session"],
    };
    const stdin = "list\nHello\nget every_byte.bin\nstatus\n";
    await Promise.all(
      Object.values(asked).flatMap((args) =>
        [3, 40].map(async (bytes) => {
          using relay = await relayTo(server, { direction: "down", bytes, way });
          const options = { stdin, cwd: local.path };
          const ended = await runClient(relay, [...args, "--timeout", "1", "--quiet"], options);
          assertEquals([ended.code, ended.stdout.includes("ACK")], [4, false], ended.stderr);
          assertEquals(ended.stderr.trim().split("\n").length, 1, ended.stderr);
        })
      ),
    );
    assertEquals(names(local.path), []);
  });

  integration(`client.ts exits 0 at a server's ${way} after all that was asked`, async () => {
    await using server = await startServer();
    assertEquals((await runClient(server, [fixture("hello.txt")])).code, 0);
    await using local = await tempDir();
    const asked = [["--get", "hello.txt", "--output", `${local.path}/hello.txt`], ["--list"]];
    for (const action of asked) {
      const whole = await answersTo(server, action);
      using relay = await relayTo(server, { direction: "down", bytes: whole + 3, way });
      assertEquals((await runClient(relay, action)).code, 0);
    }
    assertEquals(names(local.path), ["hello (2).txt", "hello.txt"]);
  });
}

/** How many bytes a server answers to what is asked. The client does not wait for the last line. */
async function answersTo(server: { port: number }, args: string[]): Promise<number> {
  using relay = await relayTo(server, { direction: "down", bytes: Infinity, way: "end" });
  assertEquals((await runClient(relay, args)).code, 0);
  return relay.passed.replace(/ok bye\n$/, "").length;
}
