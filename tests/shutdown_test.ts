import { assertEquals, assertMatch } from "@std/assert";
import {
  anHourPasses,
  bytes,
  fixture,
  freePort,
  integration,
  names,
  runClient,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { impostor, Wire } from "./wire.ts";

/** A put of which the first half is on the server's disk. */
async function halfPut(server: TestServer, name: string): Promise<Wire> {
  const wire = await Wire.greet(server);
  await wire.says(`put 6 ${name}\n`);
  assertEquals(await wire.line(), "go 0");
  await wire.says("hel");
  await uploadGrows(server.dir, 3);
  return wire;
}

const SECOND_HALF = "lo\nend 363a3020\n";

integration("server.ts keeps nothing of a client that closes within a body", async () => {
  await using server = await startServer();
  using wire = await halfPut(server, "a.txt");
  wire.close();
  await server.running.says(/client 1: .*ended 3 bytes before the end/);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration("server.ts keeps nothing of a client that resets within a body", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says("Hello\nput - a.txt\ndata 3\nhel");
  await uploadGrows(server.dir, 3);
  // Both answers are unread: closing now is a reset.
  wire.close();
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration("server.ts keeps nothing of a client that was killed", async () => {
  await using server = await startServer();
  await using client = startClient(server, ["--as", "a.bin"]);
  await client.process.stdin.getWriter().write(bytes(100_000));
  await uploadGrows(server.dir, 1);
  await client.stop("SIGKILL");
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration(
  "server.ts that was killed leaves what was in flight, and a start an hour later removes it",
  async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    await using killed = await startServer({ dir });
    using folder = await halfPut(killed, "photos.txt");
    await using client = startClient(killed, ["--as", "a.bin"]);
    await client.process.stdin.getWriter().write(bytes(100_000));
    await uploadGrows(dir, 1);
    await killed.running.stop("SIGKILL");
    assertEquals((await client.ended()).code, 4);
    await client.says(/^inlet: /);
    folder.close();
    const left = ["(in flight)", "(in flight)"];
    assertEquals(names(dir), left);
    {
      // Another server that is alive may not be known by its locks.
      await using _ = await startServer({ dir });
      assertEquals(names(dir), left);
    }
    anHourPasses(dir);
    await using _next = await startServer({ dir });
    assertEquals(names(dir), []);
  },
);

integration("server.ts that starts in the same directory leaves live transfers alone", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  await using first = await startServer({ dir });
  using wire = await halfPut(first, "a.txt");
  await using second = await startServer({ dir });
  assertEquals(names(dir), ["(in flight)"]);
  const { code } = await runClient(second, [fixture("hello.txt"), "--as", "a.txt"]);
  assertEquals(code, 0);
  await wire.says(SECOND_HALF);
  assertEquals(await wire.line(), "ok 6 363a3020 a (2).txt");
  assertEquals(names(dir), ["a (2).txt", "a.txt"]);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  integration(`server.ts after ${signal} closes who rests and lets a transfer end`, async () => {
    await using server = await startServer();
    using transfer = await halfPut(server, "a.txt");
    using idle = await Wire.greet(server);
    using silent = await Wire.dial(server);
    await server.running.says(/client 3: connected/);
    server.running.process.kill(signal);
    assertEquals(await idle.rest(), "error shutdown The server is shutting down\n");
    assertEquals(await silent.rest(), "error shutdown The server is shutting down\n");
    await server.running.says(/ stopping: 1 transfer has 5 s to finish$/m);
    await transfer.says(SECOND_HALF);
    assertEquals(await transfer.line(), "ok 6 363a3020 a.txt");
    assertEquals(await transfer.line(), "error shutdown The server is shutting down");
    transfer.close();
    assertEquals((await server.running.ended()).code, 0);
    assertEquals(Deno.readTextFileSync(`${server.dir}/a.txt`), "hello\n");
    assertEquals(names(server.dir), ["a.txt"]);
  });
}

/** Has a server stopped while it says that it listens: nobody can have read it sooner. */
const STOPPED_AT_ONCE = `
  const write = Deno.stderr.write.bind(Deno.stderr);
  Deno.stderr.write = (bytes) => {
    if (new TextDecoder().decode(bytes).includes("listening on")) Deno.kill(Deno.pid, "SIGTERM");
    return write(bytes);
  };`;

integration(
  "server.ts that is stopped as soon as it says that it listens exits with 0",
  async () => {
    await using temp = await tempDir();
    const patch = await temp.write("patch.ts", STOPPED_AT_ONCE);
    const script = `deno=$1; shift 3; exec "$deno" run -A --preload ${patch} "$@"`;
    await using server = await startServer({ under: ["sh", "-c", script, "sh"] });
    const { code, signal } = await server.running.ended();
    assertEquals([code, signal], [0, null]);
  },
);

integration("server.ts after SIGTERM cuts a transfer that does not end", async () => {
  await using server = await startServer();
  using wire = await halfPut(server, "a.txt");
  server.running.process.kill("SIGTERM");
  assertEquals(
    await wire.rest(),
    "error shutdown The server shut down before this was complete\n",
  );
  wire.close();
  assertEquals((await server.running.ended()).code, 0);
  assertEquals(names(server.dir), []);
});

integration("server.ts ends at once at a later signal, and leaves no partial", async () => {
  await using server = await startServer();
  using transfer = await halfPut(server, "a.txt");
  assertEquals((await server.running.stopInsistently("SIGINT")).code, 0);
  assertEquals(await transfer.rest(), "");
  assertEquals(names(server.dir), []);
});

integration("server.ts binds the port of one that has just stopped", async () => {
  await using first = await startServer({ port: freePort() });
  using _idle = await Wire.greet(first);
  await runClient(first, [fixture("hello.txt")]);
  const { code } = await first.running.stop("SIGTERM");
  assertEquals(code, 0);
  await using second = await startServer({ port: first.port });
  assertEquals(second.port, first.port);
  assertEquals((await runClient(second, [fixture("hello.txt")])).code, 0);
});

integration("client.ts exits 130 on Ctrl-C during --get, and leaves no partial", async () => {
  using server = impostor();
  await using local = await tempDir();
  await using client = startClient(server, ["--get", "a.txt"], { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  await wire.says("ok 6\ndata 6\nhel");
  await uploadGrows(local.path, 3);
  assertEquals((await client.stop("SIGINT")).code, 130);
  assertMatch(client.log, /^inlet: Interrupted\ninlet: To get what is missing: deno run .*$/);
  assertEquals(names(local.path), []);
});

integration("client.ts exits 130 on Ctrl-C while its pipe is stalled", async () => {
  await using server = await startServer();
  await using client = startClient(server, ["--as", "a.bin"]);
  await client.process.stdin.getWriter().write(bytes(1000));
  await uploadGrows(server.dir, 1000);
  assertEquals((await client.stop("SIGINT")).code, 130);
  assertMatch(client.log, /^inlet: Interrupted$/);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
});

integration("client.ts exits 130 on Ctrl-C while a server is silent", async () => {
  using server = impostor();
  await using client = startClient(server, ["--list"]);
  using wire = await server.accept();
  await wire.line();
  assertEquals((await client.stop("SIGINT")).code, 130);
  assertEquals(client.log, "inlet: Interrupted");
});
