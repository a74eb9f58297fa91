import { crc32 } from "node:zlib";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { TcpStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import { InletError } from "../lib/errors.ts";
import { MAX_HELD_BYTES, StdoutQueue } from "../lib/server/stdout_queue.ts";
import { serveMessage } from "../modes/message.ts";
import { serveHere } from "./in_process.ts";
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
  runSource,
  sendTo,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  withStdoutTo,
} from "./helpers.ts";
import { Wire } from "./wire.ts";

function startMessages(args: readonly string[] = [], stdoutTo?: string): Promise<TestServer> {
  return startServer({
    args: ["--mode", "message", ...args],
    ...(stdoutTo !== undefined && { under: withStdoutTo(stdoutTo) }),
  });
}

/** More bytes than the server holds of a message that is not whole. */
const LARGE = MAX_HELD_BYTES + 1;

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

integration("message server writes messages in the order in which they are whole", async () => {
  await using server = await startMessages();
  using slow = await dial(server);
  await sendTo(slow, "fir");
  assertEquals(await exchange(server, "second"), "");
  await sendTo(slow, "s");
  assertEquals(await exchange(server, "third"), "");
  await sendTo(slow, "t");
  await slow.closeWrite();
  assertEquals(await readAll(slow), "");
  assertEquals(await output(server), new TextEncoder().encode("secondthirdfirst"));
});

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

integration("message server lets others wait while a large message moves", async () => {
  await using dir = await tempDir();
  await using server = await startMessages([], `${dir.path}/out`);
  using large = await dial(server);
  await sendTo(large, "1".repeat(LARGE));
  await fileGrows(`${dir.path}/out`, LARGE);
  const second = exchange(server, "second");
  await server.running.says(/client 2: waits until/);
  await sendTo(large, "!");
  await large.closeWrite();
  await Promise.all([readAll(large), second]);
  assertEquals(await Deno.readTextFile(`${dir.path}/out`), `${"1".repeat(LARGE)}!second`);
});

/** A queue whose messages are kept, and what settles when a large one has its turn. */
function keptMessages(): { stdout: StdoutQueue; begun: Promise<void>; text(): string } {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  let text = "";
  const stdout = new StdoutQueue({
    write(chunk): Promise<void> {
      text += new TextDecoder().decode(chunk);
      if (text.length >= LARGE) resolve();
      return Promise.resolve();
    },
  });
  return { stdout, begun, text: () => text };
}

integration("message server takes the turn from a message that is too slow", async () => {
  await using dir = await tempDir();
  const { stdout, begun, text } = keptMessages();
  await using server = await serveHere({
    dir: dir.path,
    serve: serveMessage,
    stdout,
    minRate: { bytesPerSecond: 1e9, windowMs: 200 },
  });
  using slow = await dial(server);
  await sendTo(slow, "1".repeat(LARGE));
  await begun;
  const second = exchange(server, "second");
  const answer = readAll(slow);
  const dripping = setInterval(() => sendTo(slow, "1").catch(() => {}), 20);
  try {
    assertEquals(await second, "");
    assertMatch(await answer, /^error timeout Cannot continue at .*: the minimum is 954 MiB\/s\n$/);
  } finally {
    clearInterval(dripping);
  }
  assertMatch(text().slice(LARGE), /^1*second$/);
});

integration("message server goes on after a message that is reset half-way", async () => {
  await using server = await startMessages();
  await resetHalfWay(server);
  await server.running.says(/client 1: left/);
  await exchange(server, "next");
  await server.running.stop();
  assertMatch(await server.stdout, /next$/);
}, PYTHON);

integration("message server cuts a client that stalls, and lets the next one speak", async () => {
  await using dir = await tempDir();
  const { stdout, begun, text } = keptMessages();
  // In this process, so that a moment in which the machine is busy is nobody's silence.
  const here = { dir: dir.path, serve: serveMessage, stdout, idleTimeoutMs: 500 };
  await using server = await serveHere(here);
  using stalling = await dial(server);
  await sendTo(stalling, "1".repeat(LARGE));
  await begun;
  assertEquals(await exchange(server, " whole"), "");
  assertMatch(await readAll(stalling), /^error timeout /);
  assertEquals(text(), `${"1".repeat(LARGE)} whole`);
});

integration("message server writes nothing of a small message that is not whole", async () => {
  // All of it in one program, so that a moment in which the machine is busy is nobody's silence.
  const script = `
    import { serve } from "${new URL("server.ts", ROOT)}";
    import { dial, exchange, readAll, sendTo } from "${new URL("tests/helpers.ts", ROOT)}";
    const options = { mode: "message", sessionTimeoutMs: 500, log: { quiet: true } };
    await using server = await serve(options);
    using stalling = await dial(server.address);
    await sendTo(stalling, "half");
    console.error(await readAll(stalling), await exchange(server.address, "whole"), "over");`;
  const { code, stdout, stderr } = await runSource(script);
  assertEquals([code, stdout], [0, "whole"], stderr);
  assertMatch(stderr, /^error timeout .*\n {2}over$/m);
});

integration("say is answered while another client's message is under way", async () => {
  await using server = await startServer();
  using slow = await Wire.greet(server);
  await slow.says("say -\n");
  assertEquals(await slow.line(), "go 0");
  await slow.says("data 5\nslow,");
  for (const trailer of ["end 363a3020", "end 00000000", "abort no"]) {
    using wire = await Wire.greet(server);
    await wire.says(`say 6\nhello\n${trailer}\n`);
    assertEquals(await wire.line(), "go 0");
    const answer = trailer === "end 363a3020" ? /^ok 6 363a3020$/ : /^error (checksum|aborted) /;
    assertMatch(await wire.line(), answer);
  }
  await slow.says("data 1\n!end 2715a6f0\n");
  assertMatch(await slow.line(), /^ok 6 /);
  // Only what was verified is there.
  assertEquals(await output(server), new TextEncoder().encode("hello\nslow,!"));
});

/** A server on whose stdout a large message has its turn, and is not whole yet. */
async function beginLarge(out: string): Promise<{ server: TestServer; large: Wire }> {
  const server = await startServer({ under: withStdoutTo(out) });
  const large = await Wire.greet(server);
  await large.says(`say -\ndata ${LARGE}\n${"1".repeat(LARGE)}`);
  assertEquals(await large.line(), "go 0");
  await fileGrows(out, LARGE);
  return { server, large };
}

integration("say sends notes while it waits for its turn", async () => {
  await using dir = await tempDir();
  const begun = await beginLarge(`${dir.path}/out`);
  await using server = begun.server;
  using large = begun.large;
  using second = await Wire.greet(server);
  await second.says("say 6\nhello\nend 363a3020\n");
  assertEquals(await second.line(), "go 0");
  assertMatch(await second.anyLine(), /^note Please wait: /);
  large.close();
  assertEquals(await second.line(), "ok 6 363a3020");
});

/** Sends a message, and resets the connection when its stdin ends. */
const RESETTER = `import socket, struct, sys
conn = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
conn.sendall(sys.argv[2].encode() * int(sys.argv[3]))
if sys.argv[3] == "1": conn.shutdown(socket.SHUT_WR)
sys.stdin.read()
conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
conn.close()`;

for (const [what, times] of [["whole", 1], ["large", 2 * LARGE]] as const) {
  integration(`a ${what} message whose client resets while it waits is gone`, async () => {
    await using dir = await tempDir();
    await using server = await startMessages([], `${dir.path}/out`);
    using large = await dial(server);
    await sendTo(large, "1".repeat(LARGE));
    await fileGrows(`${dir.path}/out`, LARGE);
    const leaving = new Deno.Command("python3", {
      args: ["-c", RESETTER, String(server.port), "x", String(times)],
      stdin: "piped",
    }).spawn();
    await server.running.says(/client 2: waits until/);
    await leaving.stdin.close();
    await server.running.says(/client 2: left/);
    await leaving.status;
    await large.closeWrite();
    await readAll(large);
    assertEquals(await exchange(server, "next"), "");
    assertEquals(await Deno.readTextFile(`${dir.path}/out`), `${"1".repeat(LARGE)}next`);
  }, PYTHON);
}

for (const unread of [true, false]) {
  const how = unread ? "with" : "without";
  integration(`a say whose client closes ${how} something unread is gone`, async () => {
    await using dir = await tempDir();
    const out = `${dir.path}/out`;
    const begun = await beginLarge(out);
    await using server = begun.server;
    using large = begun.large;
    using leaving = await Wire.greet(server);
    await leaving.says("say 6\n");
    if (!unread) assertEquals(await leaving.line(), "go 0");
    await leaving.says("hello\nend 363a3020\n");
    await server.running.says(/client 2: waits until/);
    leaving.close();
    await server.running.says(/client 2: left/);
    const sum = crc32("1".repeat(LARGE)).toString(16).padStart(8, "0");
    await large.says(`end ${sum}\n`);
    assertEquals(await large.line(), `ok ${LARGE} ${sum}`);
    await server.running.stop();
    assertEquals(Deno.readTextFileSync(out), "1".repeat(LARGE));
  });
}

for (const mode of ["message", "files"]) {
  integration(`a server in mode ${mode} whose stdout nobody reads ends on SIGTERM`, async () => {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "server.ts", "0", "--mode", mode],
      cwd: ROOT,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await using running = new Running(process);
    const [, port] = await running.says(/listening on \S+:(\d+)/);
    const waiting = startClient({ port: Number(port) }, ["--mode", mode]);
    await using _ = waiting;
    const writer = waiting.process.stdin.getWriter();
    writer.write(bytes(20_000_000)).catch(() => {});
    const stdout = process.stdout.getReader();
    await stdout.read();
    process.kill("SIGTERM");
    assertEquals((await running.ended()).code, 0);
    await stdout.cancel();
  });
}

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
  assertEquals((await running.ended()).code, 4);
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
  assertMatch(stderr, /^standard input: 6 B(?:, .*)?\n$/);
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
