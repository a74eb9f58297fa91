import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { TcpStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import { InletError } from "../lib/errors.ts";
import {
  bytes,
  dial,
  exchange,
  fileGrows,
  fixture,
  integration,
  PYTHON,
  readAll,
  resetHalfWay,
  ROOT,
  run,
  runClient,
  Running,
  runPeer,
  sendTo,
  startServer,
  tempDir,
  type TestServer,
  withStdoutTo,
} from "./helpers.ts";

function startMessages(args: readonly string[] = [], stdoutTo?: string): Promise<TestServer> {
  return startServer({
    args: ["--mode", "message", ...args],
    ...(stdoutTo !== undefined && { under: withStdoutTo(stdoutTo) }),
  });
}

/** What a server has written to stdout in all. Stops it. */
async function output(server: TestServer): Promise<Uint8Array> {
  await server.running.stop();
  return await server.stdoutBytes;
}

integration("message server writes what a Python client sends, and nothing else", async () => {
  await using server = await startMessages();
  const message = await Deno.readFile(fixture("every_byte.bin"));
  for (const args of [[], ["--byte-by-byte"]]) {
    const all = ["127.0.0.1", String(server.port), ...args];
    const { code, stderr } = await runPeer("message_client.py", all, { stdin: message });
    assertEquals(code, 0, stderr);
  }
  assertEquals(await output(server), new Uint8Array([...message, ...message]));
}, PYTHON);

integration("message server writes an empty message as nothing", async () => {
  await using server = await startMessages();
  assertEquals(await exchange(server, ""), "");
  assertEquals(await exchange(server, "no newline"), "");
  assertEquals(await exchange(server, "\n"), "");
  await server.running.stop();
  assertEquals(await server.stdout, "no newline\n");
});

integration("message server has written the message when it closes", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/out`;
  await using server = await startMessages([], file);
  const message = bytes(3_000_000);
  await exchange(server, message);
  assertEquals(await Deno.readFile(file), message);
});

integration(
  "message server writes simultaneous messages in the order in which they began",
  async () => {
    await using dir = await tempDir();
    await using server = await startMessages(["--timeout", "600"], `${dir.path}/out`);
    using silent = await dial(server);
    using first = await dial(server);
    await sendTo(first, "fir");
    await fileGrows(`${dir.path}/out`, 3);
    const second = exchange(server, "second");
    await server.running.says(/client 3: waits until/);
    const third = exchange(server, "third");
    await server.running.says(/client 4: waits until/);
    await sendTo(first, "st");
    await first.closeWrite();
    await Promise.all([readAll(first), second, third]);
    silent.close();
    await server.running.stop();
    assertEquals(await Deno.readTextFile(`${dir.path}/out`), "firstsecondthird");
  },
);

integration("message server writes eight large messages at once, each of them whole", async () => {
  await using server = await startMessages();
  await Promise.all(
    Array.from({ length: 8 }, (_, index) => exchange(server, String(index).repeat(1_000_000))),
  );
  await server.running.stop();
  const runs = (await server.stdout).match(/(.)\1*/g) ?? [];
  assertEquals(runs.length, 8);
  assert(runs.every((run) => run.length === 1_000_000));
});

integration("message server passes over a client that leaves while it waits", async () => {
  await using server = await startMessages();
  using first = await dial(server);
  await sendTo(first, "first");
  await server.running.says(/client 1: connected/);
  (await dial(server)).close();
  await server.running.says(/client 2: connected/);
  const third = exchange(server, "third");
  await server.running.says(/client 3: connected/);
  await first.closeWrite();
  await Promise.all([readAll(first), third]);
  await server.running.stop();
  assertEquals(await server.stdout, "firstthird");
});

integration("message server goes on after a message that is reset half-way", async () => {
  await using server = await startMessages();
  await resetHalfWay(server);
  await server.running.says(
    /client 1: The connection was cut|client 1: the other|client 1: Cannot/,
  );
  await exchange(server, "next");
  await server.running.stop();
  assertMatch(await server.stdout, /next$/);
}, PYTHON);

integration("message server cuts a client that stalls, and lets the next one speak", async () => {
  await using dir = await tempDir();
  const out = `${dir.path}/out`;
  await using server = await startMessages(["--timeout", "0.5"], out);
  using stalling = await dial(server);
  await sendTo(stalling, "half");
  await fileGrows(out, 4);
  assertEquals(await exchange(server, " whole"), "");
  assertMatch(await readAll(stalling), /^error timeout /);
  await server.running.stop();
  assertEquals(Deno.readTextFileSync(out), "half whole");
});

integration("message server ends with exit code 4 when nobody reads its stdout", async () => {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", "server.ts", "0", "--mode", "message"],
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await using running = new Running(process);
  const [, port] = await running.says(/listening on \S+:(\d+)/);
  await process.stdout.cancel();
  const { code, stderr } = await runClient({ port: Number(port) }, ["--mode", "message"], {
    stdin: "to nobody",
  });
  assertEquals(code, 3);
  assertMatch(stderr, /Cannot write to the standard output: its reader has closed it/);
  assertEquals((await process.status).code, 4);
  await running.says(/^inlet: Cannot write to the standard output: its reader has closed it$/);
});

integration(
  "message server refuses a message that its stdout has no space for, and lives",
  async () => {
    await using server = await startMessages([], "/dev/full");
    for (const _ of [1, 2]) {
      const { code, stderr } = await runClient(server, ["--mode", "message"], { stdin: "hello" });
      assertEquals(code, 3);
      assertEquals(stderr, "inlet: Cannot write to the standard output: the disk is full\n");
    }
    await server.running.says(/client 2: Cannot write to the standard output: the disk is full/);
  },
  { programs: ["sh"] },
);

integration("message client sends stdin, and files, exactly to a Python server", async () => {
  const process = new Deno.Command("python3", {
    args: [fixture("peers/message_server.py"), "0"],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const received = new Response(process.stdout).bytes();
  await using server = new Running(process);
  const port = Number((await server.says(/listening on \S+:(\d+)/))[1]);
  const message = bytes(5_000_000);
  const fromStdin = await runClient({ port }, ["--mode", "message"], { stdin: message });
  assertEquals(fromStdin.code, 0, fromStdin.stderr);
  const file = fixture("every_byte.bin");
  const fromFile = await runClient({ port }, [file, "--mode", "message", "--quiet"]);
  assertEquals([fromFile.code, fromFile.stderr], [0, ""]);
  await server.stop("SIGKILL");
  assertEquals(await received, new Uint8Array([...message, ...await Deno.readFile(file)]));
}, PYTHON);

integration("message client writes nothing to stdout, and one line to stderr", async () => {
  await using server = await startMessages();
  const { code, stdout, stderr } = await runClient(server, ["--mode", "message"], {
    stdin: "hello\n",
  });
  assertEquals([code, stdout], [0, ""]);
  assertMatch(stderr, /^standard input: 6 B, .*\n$/);
});

for (const mode of ["message", "files"]) {
  integration(`client.ts < in.txt in mode ${mode} leaves nothing for diff to say`, async () => {
    await using dir = await tempDir();
    const input = await dir.write("in.txt", bytes(2_500_000));
    const out = `${dir.path}/out.txt`;
    await using server = await startServer({ args: ["--mode", mode], under: withStdoutTo(out) });
    const command = `"$0" run -A client.ts 127.0.0.1 ${server.port} --mode ${mode} < ${input} &&
      diff ${input} ${out}`;
    const { code, stdout, stderr } = await run("sh", ["-c", command, Deno.execPath()]);
    assertEquals([code, stdout], [0, ""], stderr);
  });
}

integration("message works with the netcat commands of docs/modes.md", async () => {
  await using server = await startMessages();
  const command = `printf 'Hello\\n' | nc -N 127.0.0.1 ${server.port}`;
  assertEquals((await run("sh", ["-c", command])).code, 0);
  await server.running.stop();
  assertEquals(await server.stdout, "Hello\n");
}, { programs: ["nc -N"] });

integration(
  "Connection.unwatched() outlasts the timeout, and ends with the connection",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using client = await dial(listener.addr);
    using connection = new Connection(new TcpStream(await listener.accept()), {
      idleTimeoutMs: 100,
    });
    const slow = new Promise((resolve) => setTimeout(resolve, 400, "done"));
    assertEquals(await connection.unwatched(slow), "done");
    const endless = connection.unwatched(new Promise(() => {}));
    connection.abort(new InletError("shutdown", "stop"));
    await assertRejects(() => endless, InletError, "stop");
    assertEquals(await readAll(client), "");
  },
);
