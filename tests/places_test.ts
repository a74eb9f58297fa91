/**
 * Who gets a place on a server that is full: a client that greets goes before connections that say
 * nothing, and nobody goes before a client that has greeted.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { serveAnyWire } from "../modes/wires.ts";
import {
  checkout,
  fixture,
  integration,
  KEY,
  PYTHON,
  run,
  runClient,
  startServer,
  tempDir,
  type TestServer,
  UNCOVERED,
} from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { dialWithKey } from "./secure.ts";
import { Wire } from "./wire.ts";

/** What a client is told first that greets with a name. */
async function greets(server: TestServer, name: string): Promise<{ wire: Wire; told: string }> {
  const wire = await Wire.dial(server);
  await wire.says(`hello 1 ${name}\n`);
  return { wire, told: await wire.line() };
}

integration(
  "three sessions of one machine keep their places, and the log names a fourth",
  async () => {
    await using server = await startServer({ args: ["--max-clients", "3"] });
    const three = await Promise.all(["ann", "ben", "cid"].map((name) => greets(server, name)));
    for (const { told } of three) assertMatch(told, /^welcome client [123] of 3$/);
    for (let attempt = 0; attempt < 3; attempt++) {
      const fourth = await greets(server, "dan");
      assertEquals(fourth.told, "busy 3 of 3");
      fourth.wire.close();
    }
    await server.running.says(/rejected "dan" at 127\.0\.0\.1:\d+: 3 of 3 clients connected/, 3);
    for (const { wire } of three) {
      await wire.says("Hello\n");
      assertEquals(await wire.line(), "Hello ACK");
      wire.close();
    }
  },
);

integration(
  "a client keeps its place from its welcome on, however busy the server is",
  async () => {
    await using local = await tempDir();
    const { subtle } = crypto;
    const busy = Promise.withResolvers<void>();
    /** Does nothing until a turn is due, which another thread is long in coming to. */
    const consent = (): Promise<void> => {
      for (const now = performance.now(); performance.now() - now < 10;);
      subtle.digest = async (...args) => {
        Reflect.deleteProperty(subtle, "digest");
        await busy.promise;
        return await subtle.digest(...args);
      };
      return Promise.resolve();
    };
    await using server = await serveHere({
      ...{ dir: local.path, maxClients: 1, limits: { greetingTimeoutMs: 60_000 } },
      serve: (connection, context) => serveAnyWire(connection, { ...context, consent }),
    });
    using _ = { [Symbol.dispose]: busy.resolve };
    using first = await Wire.dial(server);
    await first.says("hello 1 first\n");
    assertEquals(await first.line(), "welcome client 1 of 1");
    using next = await Wire.dial(server);
    await next.says("hello 1 next\n");
    assertEquals(await next.line(), "busy 1 of 1");
    busy.resolve();
    await first.says("whoami\n");
    assertEquals(await first.line(), "ok first");
  },
);

integration("a client without a name, or with a bad one, is told busy all the same", async () => {
  await using server = await startServer({ args: ["--max-clients", "1"] });
  using _first = await Wire.greet(server);
  for (const greeting of ["hello 1\n", `hello 1 ${"x".repeat(65)}\n`, "hello 9 ben\n"]) {
    using wire = await Wire.dial(server);
    await wire.says(greeting);
    assertEquals(await wire.rest(), "busy 1 of 1\n");
  }
  using web = await Wire.dial(server);
  await web.says("GET / HTTP/1.1\n");
  assertMatch(await web.rest(), /^HTTP\/1\.1 503 .*"code":"busy"\}\n$/s);
  await server.running.says(/rejected 127\.0\.0\.1:\d+: 1 of 1 clients connected/, 4);
});

integration("a full server makes way for an upload by the wire of other programs", async () => {
  await using server = await startServer({ args: ["--max-clients", "1"] });
  using silent = await Wire.dial(server);
  await server.running.says(/client 1: connected/);
  const { code, stderr } = await runClient(server, ["--mode", "upload", fixture("hello.txt")]);
  assertEquals(code, 0, stderr);
  assertMatch(await silent.rest(), /^error timeout Dropped to admit another client/);
});

integration(
  "a client has loaded its wire before it connects, and keeps no server waiting",
  async () => {
    await using clone = await checkout();
    const gate = `${clone.path}/gate`;
    await run("mkfifo", [gate]);
    const wire = `${clone.path}/modes/upload.ts`;
    await Deno.writeTextFile(wire, "\nDeno.readTextFileSync('gate');\n", { append: true });
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const args = ["run", "-A", "client.ts", "127.0.0.1", String(port), "README.md"];
    const client = run(Deno.execPath(), [...args, "--mode", "upload"], {
      cwd: clone.path,
      env: UNCOVERED,
    });
    // It opens once the client reads it, which loads its wire then.
    const opened = await Deno.open(gate, { write: true });
    using own = await Deno.connect({ hostname: "127.0.0.1", port });
    using first = await listener.accept();
    assertEquals(first.remoteAddr, own.localAddr);
    opened.close();
    (await listener.accept()).close();
    assertEquals((await client).code, 4);
  },
  { programs: ["mkfifo"] },
);

integration("a client that is asked for its key goes after one that has said nothing", async () => {
  await using server = await startServer({ args: ["--max-clients", "2"], key: KEY });
  using asked = await dialWithKey(server, KEY);
  await asked.send("hello 1 asked\n");
  await asked.challenge();
  using silent = await Wire.dial(server);
  await server.running.says(/client 2: connected/);
  const next = await runClient(server, [fixture("hello.txt")]);
  assertEquals(next.code, 0, next.stderr);
  // Nobody knows what a connection speaks that has said nothing.
  assertEquals(await silent.rest(), "");
  await server.running.says(/client 2: Dropped to admit another client: no greeting within/);
  await asked.send(`answer ${"0".repeat(64)}\n`);
  assertMatch(await asked.line(), /^error denied /);
});

integration(
  "silent connections on a server that is full of them do not keep the next one out",
  async () => {
    await using server = await startServer({ args: ["--backlog", "1024", "--timeout", "600"] });
    const silent: Wire[] = [];
    /** A flood of 150 connections a second that say nothing and stay. */
    const flood = setInterval(async () => {
      silent.push(await Wire.dial(server));
    }, 1000 / 150);
    try {
      await server.running.says(/rejected /);
      let served = 0;
      for (let client = 0; client < 100; client++) {
        const { wire, told } = await greets(server, `honest-${client}`);
        if (/^welcome /.test(told)) served++;
        wire.close();
      }
      assert(served >= 95, `${served} of 100 honest clients were served`);
    } finally {
      clearInterval(flood);
      silent.forEach((wire) => wire.close());
    }
  },
);

integration("one address cannot take all places with sessions that do nothing", async () => {
  const args = ["--max-clients", "20", "--max-per-address", "10"];
  await using server = await startServer({ args });
  const idle = await Promise.all(Array.from({ length: 10 }, () => Wire.greet(server)));
  const { code, stderr } = await runClient(server, [fixture("hello.txt")]);
  assertEquals(code, 3);
  assertEquals(
    stderr,
    "inlet: The server serves no more clients from this address: it has 10 of 10; " +
      "end one of them, or raise --max-per-address there if many share the address\n",
  );
  const elsewhere = ["-s", "127.0.0.2", "-N", "127.0.0.1", String(server.port)];
  const { stdout } = await run("nc", elsewhere, { stdin: "hello 1 other\nexit\n" });
  assertEquals(stdout, "welcome client 11 of 20\nok bye\n");
  idle.forEach((wire) => wire.close());
}, { programs: ["nc -s"] });

integration(
  "a crowded address makes way for its own client that greets, at its own cost",
  async () => {
    const args = ["--max-clients", "20", "--max-per-address", "2"];
    await using server = await startServer({ args });
    using greeted = await Wire.greet(server);
    using silent = await Wire.dial(server);
    await server.running.says(/client 2: connected/);
    const { wire: next, told } = await greets(server, "next");
    assertMatch(told, /^welcome /);
    assertMatch(await silent.rest(), /^error timeout Dropped to admit another client/);
    await greeted.says("Hello\n");
    assertEquals(await greeted.line(), "Hello ACK");
    next.close();
  },
);

/** Connects from another address of this machine, sends a byte, and holds the connection. */
const ELSEWHERE = `
import socket, sys
conn = socket.create_connection(("127.0.0.1", int(sys.argv[1])), source_address=("127.0.0.2", 0))
conn.sendall(b"x")
print(conn.recv(100))
`;

integration(
  "a crowded address gets the place of its own silent client, and of no other",
  async () => {
    const limits = ["--max-per-address", "1", "--timeout", "0.5"];
    await using server = await startServer({ args: ["--mode", "raw", ...limits] });
    const elsewhere = new Deno.Command("python3", {
      args: ["-c", ELSEWHERE, String(server.port)],
      stdout: "null",
    }).spawn();
    await server.running.says(/client 1: connected from 127\.0\.0\.2/);
    using own = await Wire.dial(server);
    await own.says("x");
    await server.running.says(/client 2: connected/);
    // Longer than the limit on silence.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    using next = await Wire.dial(server);
    await next.says("x");
    await server.running.says(/client 2: Dropped to admit another client: silent for/);
    await server.running.says(/client 3: connected/);
    assert(!/client 1: Dropped/.test(server.running.log));
    elsewhere.kill();
    await elsewhere.status;
  },
  // Linux alone gives each machine all of 127.0.0.0/8.
  { ...PYTHON, proc: true },
);
