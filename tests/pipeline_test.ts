/** The client's small files: many to one write, each with its own result. */

import { assert, assertEquals } from "@std/assert";
import { send, type SendResult } from "../client.ts";
import { Connection } from "../lib/net/connection.ts";
import { Pipeline } from "../modes/files/pipeline.ts";
import { Requester } from "../modes/files/requester.ts";
import {
  bytes,
  integration,
  names,
  resultsOf,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { impostor, type Wire } from "./wire.ts";

/** Accepts a client, and greets it. */
async function greet(server: { accept(): Promise<Wire> }): Promise<Wire> {
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  return wire;
}

/** One line for each result: the name that a file got, or the code of its error. */
function outcomes(results: readonly SendResult[]): string[] {
  return results.map(({ stored, error }) => stored?.name ?? error!.code);
}

integration("send() reports each of many small files in order, refused ones too", async () => {
  await using server = await startServer({ args: ["--max-size", "600000"] });
  await using local = await tempDir();
  const files: string[] = [];
  const expected: string[] = [];
  for (let index = 0; index < 300; index++) {
    const refused = index % 100 === 50;
    const name = refused ? `${index}\x01` : `${index}.bin`;
    const size = index === 200 ? 600_000 : index === 220 ? 600_001 : index * 20;
    files.push(await local.write(name, bytes(size)));
    expected.push(refused ? "bad-name" : size > 600_000 ? "too-large" : name);
  }
  files.splice(120, 0, `${local.path}/10.bin`);
  expected.splice(120, 0, "10 (2).bin");
  const results = await resultsOf(
    send({ hostname: "127.0.0.1", port: server.port }, files),
  );
  assertEquals(outcomes(results), expected);
  assertEquals(results.map(({ label }) => label), files);
  for (const { label, stored } of results) {
    if (!stored) continue;
    assertEquals(Deno.readFileSync(`${server.dir}/${stored.name}`), Deno.readFileSync(label));
  }
  assertEquals(names(server.dir).length, results.filter(({ stored }) => stored).length);
});

integration(
  "send() reports a small file that is gone, and sends the others as they are at their turn",
  async () => {
    await using local = await tempDir();
    const files = await Promise.all(
      ["a", "b", "c", "d"].map((name) => local.write(name, bytes(60_000))),
    );
    files.push(await local.write("e", bytes(600_000)));
    const large = await local.write("large", bytes(600_000));
    using gate = impostor();
    const address = { hostname: "127.0.0.1", port: gate.port };
    const sending = resultsOf(send(address, [large, ...files]));
    const wire = await greet(gate);
    assertEquals(await wire.line(), "put;total=1440000 600000 large");
    // The files were measured already.
    await Deno.remove(files[1]!);
    await local.write("c", bytes(59_999));
    await wire.says("error denied not yet\n");
    assertEquals(await wire.line(), "push 60000 a");
    await wire.skip(60_000);
    const [, crc] = /^end\S* (\w+) /.exec(await wire.line())!;
    await wire.says(`ok 60000 ${crc} a\n`);
    assertEquals(await wire.line(), "push 59999 c");
    await wire.skip(59_999);
    const [, shorter] = /^end\S* (\w+) /.exec(await wire.line())!;
    await wire.says(`ok 59999 ${shorter} c\n`);
    assertEquals(await wire.line(), "push 60000 d");
    await wire.skip(60_000);
    await wire.line();
    await wire.says(`note by the way\nok 60000 ${crc} d\n`);
    assertEquals(await wire.line(), "put 600000 e");
    await wire.says("error denied not now\n");
    assertEquals(await wire.line(), "exit");
    await wire.says("ok bye\n");
    assertEquals(outcomes(await sending), ["denied", "a", "usage", "c", "d", "denied"]);
    wire.close();
  },
);

integration("send() reads answers while it sends, however long they are", async () => {
  using server = impostor();
  await using local = await tempDir();
  const file = await local.write("a", bytes(10));
  const count = 20_000;
  const files = Array(count).fill(file);
  const sending = resultsOf(send({ hostname: "127.0.0.1", port: server.port }, files));
  using wire = await greet(server);
  // More than sockets hold: a client that only wrote would wait for us, and we for it.
  const answer = `error denied ${"no ".repeat(300)}\n`;
  for (let index = 0; index < count; index++) {
    assertEquals(await wire.line(), index === 0 ? "push;total=200000 10 a" : "push 10 a");
    await wire.skip(10);
    await wire.line();
    await wire.says(answer);
  }
  assertEquals(await wire.line(), "exit");
  await wire.says("ok bye\n");
  const results = await sending;
  assertEquals(results.length, count);
  assert(results.every(({ error }) => error?.code === "denied"));
});

integration("send() tells what the server said of those before it was cut", async () => {
  using server = impostor();
  await using local = await tempDir();
  const files = await Promise.all(["a", "b", "c", "d"].map((name) => local.write(name, bytes(9))));
  const sending = resultsOf(send({ hostname: "127.0.0.1", port: server.port }, files));
  using wire = await greet(server);
  await wire.line();
  await wire.skip(9);
  const [, crc] = /^end\S* (\w+) /.exec(await wire.line())!;
  await wire.says(`ok 9 ${crc} a\nerror shutdown The server shut down\n`);
  await wire.closeWrite();
  assertEquals(outcomes(await sending), ["a", "shutdown", "lost", "lost"]);
});

integration("client.ts sends thousands of small files, each verified and reported", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files = await Promise.all(
    Array.from({ length: 2000 }, (_, index) => local.write(`${index}`, bytes(index))),
  );
  const { code, stderr } = await runClient(server, files);
  assertEquals([code, stderr.trimEnd().split("\n").length], [0, 2000]);
  assertEquals(names(server.dir).length, 2000);
  assertEquals(Deno.readFileSync(`${server.dir}/1999`), bytes(1999));
});

integration("what was sent counts as sent, also if more was to be sent after the end", async () => {
  using connection = new Connection({
    remote: "127.0.0.1:1",
    read: () => Promise.resolve(null),
    write: (bytes) => Promise.resolve(bytes.length),
    touch: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    close: () => {},
    reset: () => {},
  }, { idleTimeoutMs: 60_000 });
  const requester = new Requester(connection, {});
  requester.expectWelcome(Promise.resolve());
  await requester.welcomed;
  const pipeline = new Pipeline(requester);
  const unsent: boolean[] = [];
  const add = (whenFailed?: () => void): void => {
    pipeline.roomNow(10);
    pipeline.add(10, (_, isUnsent) => {
      whenFailed?.();
      unsent.push(isUnsent());
    });
  };
  // The connection has ended when the first answer is read, and a further batch is sent then.
  add(() => {
    add();
    add();
    pipeline.send();
  });
  add();
  await pipeline.settle();
  await pipeline.settle();
  assertEquals(unsent, [false, false, true, true]);
});
