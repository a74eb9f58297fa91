/** A client on a long wire: its first small file runs ahead of the welcome, and it waits for no bye. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { RateLimit, send, type SendOptions, type SendResult } from "../client.ts";
import {
  bytes,
  dial,
  fixture,
  integration,
  KEY,
  names,
  readAll,
  resultsOf,
  runClient,
  sendTo,
  startServer,
  type TempDir,
  tempDir,
} from "./helpers.ts";
import { FileSource } from "../lib/body/sources.ts";
import { Progress } from "../lib/cli/progress.ts";
import { InletError } from "../lib/errors.ts";
import { Connection } from "../lib/net/connection.ts";
import { FilesClient } from "../modes/files/client.ts";
import { acceptWithKey, dialWithKey } from "./secure.ts";
import { type Impostor, impostor } from "./wire.ts";

const WELCOME = "welcome client 1 of 9\n";
const OK = "ok 6 363a3020 hello.txt\n";
const HELLO = "hello\nend 363a3020\n";

/** Reads a push of the file hello.txt, without having said anything. */
async function pushed(wire: { line(): Promise<string> }): Promise<string> {
  const request = await wire.line();
  assertEquals(await wire.line(), "hello");
  assertMatch(await wire.line(), /^end\S* 363a3020 /);
  return request;
}

/** Sends files to a stranger's server, and gives the results. */
function sendAll(
  { port }: Impostor,
  files: readonly string[],
  options: SendOptions = {},
): Promise<readonly SendResult[]> {
  return resultsOf(send({ hostname: "127.0.0.1", port }, files, options));
}

function outcomes(results: readonly SendResult[]): string[] {
  return results.map(({ stored, error }) => stored?.name ?? error!.message);
}

integration("client.ts sends a small file ahead of the welcome, and waits for no bye", async () => {
  using server = impostor();
  const running = runClient(server, [fixture("hello.txt")]);
  using wire = await server.accept();
  assertEquals(await wire.line(), "hello 1 inlet");
  assertEquals(await pushed(wire), "push 6 hello.txt");
  await wire.says(WELCOME + OK);
  // It closes by itself: nothing has answered the exit.
  assertEquals(await wire.rest(), "exit\n");
  const { code, stderr } = await running;
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /hello\.txt: stored as "hello\.txt", 6 B, CRC-32 363a3020/);
});

integration("the request for a large file runs ahead too, and its bytes do not", async () => {
  using server = impostor();
  await using local = await tempDir();
  const sending = sendAll(server, [await local.write("large", bytes(600_000))]);
  using wire = await server.accept();
  assertEquals(await wire.line(), "hello 1 inlet");
  assertMatch(await wire.line(), /^put\S* 600000 large$/);
  await wire.says("error denied not today\n");
  await wire.closeWrite();
  assertEquals(await wire.rest(), "");
  assertEquals(outcomes(await sending), ["not today"]);
});

integration("client.ts ends with 0 at a server that answers all at once and closes", async () => {
  using server = impostor();
  const running = runClient(server, [fixture("hello.txt")]);
  using wire = await server.accept();
  await wire.line();
  await pushed(wire);
  await wire.says(WELCOME + OK);
  await wire.closeWrite();
  assertEquals((await running).code, 0);
});

integration("send() makes an empty folder, with what is in it, ahead of the welcome", async () => {
  using server = impostor();
  await using local = await tempDir();
  await Deno.mkdir(`${local.path}/p/empty`, { recursive: true });
  const sending = sendAll(server, [`${local.path}/p`]);
  using wire = await server.accept();
  await wire.line();
  assertMatch(await wire.line(), /^mkdir\S* p$/);
  assertMatch(await wire.line(), /^mkdir\S* p\/empty$/);
  await wire.says(`${WELCOME}ok p\nok p/empty\n`);
  assertMatch(await wire.line(), /^mkdir\S*;time=\S+ p$/);
  await wire.says("ok p\n");
  assertEquals(await wire.rest(), "exit\n");
  assertEquals(outcomes(await sending), ["p/empty"]);
});

integration("send() with a key sends a small file right behind the proof", async () => {
  using server = impostor();
  const sending = sendAll(server, [fixture("hello.txt")], { key: KEY });
  using conn = await acceptWithKey(server, KEY);
  assertEquals(await conn.line(), "hello 1 inlet");
  await conn.send(`challenge ${"0".repeat(64)}\n`);
  assertMatch(await conn.line(), /^answer [0-9a-f]{64}$/);
  assertEquals(await pushed(conn), "push 6 hello.txt");
  await conn.send(WELCOME + OK);
  assertEquals(outcomes(await sending), ["hello.txt"]);
});

integration("send() with a key sends nothing ahead of the proof", async () => {
  using server = impostor();
  const options = { key: KEY, timeoutMs: 3000 };
  const sending = sendAll(server, [fixture("hello.txt")], options);
  using conn = await acceptWithKey(server, KEY);
  assertEquals(await conn.rest(), "hello 1 inlet\n");
  const late = "No answer to the greeting within 3 s: is it a server of another --mode?";
  assertEquals(outcomes(await sending), [late]);
});

integration("send() sends little to a server that has not said what it is", async () => {
  await using local = await tempDir();
  const files = await Promise.all(
    Array.from({ length: 20 }, (_, index) => local.write(`${index}`, bytes(60_000))),
  );
  using server = impostor();
  const sending = sendAll(server, files);
  using wire = await server.accept();
  await wire.line();
  assertEquals(await wire.line(), "push;total=1200000 60000 0");
  await wire.skip(60_000);
  assertMatch(await wire.line(), /^end/);
  await wire.says("error denied not today\n");
  await wire.closeWrite();
  // That is all it has sent by then.
  assertEquals(await wire.rest(), "");
  assertEquals(outcomes(await sending), Array(20).fill("not today"));
});

integration("send() with a limit of its own waits for the welcome", async () => {
  using server = impostor();
  const sending = sendAll(server, [fixture("hello.txt")], { rate: new RateLimit(600) });
  using wire = await server.accept();
  assertEquals(await wire.line(), "hello;limit=600 1 inlet");
  await wire.says("error denied not today\n");
  await wire.closeWrite();
  assertEquals(await wire.rest(), "");
  assertEquals(outcomes(await sending), ["not today"]);
});

/** How a server refuses a client, or is none of ours. An empty answer closes. */
const REFUSALS: Record<string, string> = {
  "is full": "busy 9 of 9\n",
  "has too many clients from there": "busy;limit=address 9 of 9\n",
  "denies": "error denied not today\n",
  "speaks another version": "error version Cannot speak version 1\n",
  "makes it wait": "error wait Too many wrong keys\n",
  "requires a key": `challenge ${"0".repeat(64)}\n`,
  "is a web server": "HTTP/1.1 400 Bad Request\r\n\r\n",
  "reverses lines": "telni 1 olleh\ntxt.olleh 6 hsup\n",
  "has a banner": "Welcome!\n",
  "closes within a line": "welcome cl",
  "closes without a word": "",
  "says nothing of use": "go 0\n",
};

/** What a client says that is refused so, of two files of a size. */
async function refused(answer: string, local: TempDir, size: number): Promise<string> {
  using server = impostor();
  const files = await Promise.all(["a", "b"].map((name) => local.write(name, bytes(size))));
  const running = runClient(server, files);
  const conn = await server.acceptConn();
  const byte = new Uint8Array(1);
  while (byte[0] !== 0x0a) await conn.read(byte);
  // Small files run ahead: once one byte of them is there, all are.
  if (size <= 6) await conn.read(byte);
  await sendTo(conn, answer);
  // With bytes that were not read, this resets the connection.
  conn.close();
  const { code, stderr } = await running;
  return `${code} ${stderr.replaceAll(local.path, "")}`;
}

for (const [what, answer] of Object.entries(REFUSALS)) {
  integration(`a client is told why files that ran ahead fail if a server ${what}`, async () => {
    await using local = await tempDir();
    const told = await refused(answer, local, 100_000);
    assertMatch(told, /^[345] inlet: [^\n]+\n2 files not sent: "\/a", "\/b"\n$/);
    const why = told.split("\n")[0]!;
    // What may have arrived is not called "not sent".
    const mayHaveArrived = what.startsWith("closes");
    assertEquals(
      await refused(answer, local, 6),
      mayHaveArrived ? `${why}\n${why.slice(2)}\n` : told,
    );
  });
}

/** Sends a file to a server that takes the greeting, and does this with what runs ahead. */
async function sendsInto(
  { read, write }: { read(into: Uint8Array): number; write(bytes: Uint8Array): number },
): Promise<{ error: InletError; moved: number }> {
  const { promise: ahead, resolve: onAhead } = Promise.withResolvers<void>();
  let writes = 0;
  using connection = new Connection({
    remote: "127.0.0.1:1",
    read: async (into) => (await ahead, read(into)),
    write: async (bytes) => {
      if (writes++ === 0) return bytes.length;
      onAhead();
      return await write(bytes);
    },
    touch: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    close: () => {},
    reset: () => {},
  }, { idleTimeoutMs: 60_000 });
  const progress = new Progress();
  const context = { progress, output: () => Promise.resolve() };
  const client = await FilesClient.approach(connection, "", context);
  const sending = client.send([new FileSource(fixture("hello.txt"), "a")], (_, result) => {
    throw new Error(`there is a result: ${JSON.stringify(result)}`);
  });
  const error = await assertRejects(() => sending, InletError);
  return { error, moved: progress.moved };
}

integration(
  "a client is told of a server that closes, not of the reset by what ran ahead",
  async () => {
    const { error, moved } = await sendsInto({
      read: () => {
        throw Object.assign(new Deno.errors.ConnectionReset(), { code: "ECONNRESET" });
      },
      write: (bytes) => bytes.length,
    });
    assertEquals([error.code, error.message], ["lost", "The server closed the connection"]);
    assertEquals(moved, 0);
  },
);

integration(
  "a client is told the answer to its greeting if what ran ahead cannot be sent",
  async () => {
    const { error } = await sendsInto({
      read: (into) => new TextEncoder().encodeInto("busy 9 of 9\n", into).written,
      write: () => {
        throw Object.assign(new Deno.errors.BrokenPipe(), { code: "EPIPE" });
      },
    });
    assertEquals([error.code, error.message], ["busy", "The server is full: 9 of 9 clients"]);
  },
);

/** A stranger's server up to where a client with --retry has its first file to send once more. */
async function untilSentAgain(server: Impostor): Promise<void> {
  using wire = await server.accept();
  await wire.line();
  await wire.says(WELCOME);
  assertEquals(await wire.line(), "diff 1 /");
  assertMatch(await wire.line(), /^6;mode=\d+ \S+ hello\.txt$/);
  await wire.says("ok .\n");
  assertMatch(await pushed(wire), /^push;id=/);
  await wire.says("error overloaded not now\n");
  await wire.rest();
}

integration(
  "--retry sends what ran ahead to a full server once more, and reports it once",
  async () => {
    using server = impostor();
    const running = runClient(server, [fixture("hello.txt"), "--retry", "9"]);
    await untilSentAgain(server);
    using full = await server.accept();
    await full.line();
    const early = await pushed(full);
    await full.says("busy 9 of 9\n");
    await full.closeWrite();
    using wire = await server.accept();
    await wire.line();
    // Nothing was stored there, so it asks for nothing first. The id is the same.
    assertEquals(await pushed(wire), early);
    await wire.says(WELCOME + OK);
    const { code, stderr } = await running;
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /^The server is full: 9 of 9 clients; trying again in .* \(2 of 9\)$/m);
    assertEquals(stderr.match(/stored as/g)?.length, 1);
  },
);

integration("--retry asks a server for what ran ahead before the connection was lost", async () => {
  using server = impostor();
  const running = runClient(server, [fixture("hello.txt"), "--retry", "9"]);
  await untilSentAgain(server);
  using lost = await server.accept();
  await lost.line();
  await pushed(lost);
  // It may have stored the file.
  lost.close();
  using wire = await server.accept();
  await wire.line();
  await wire.says(WELCOME);
  assertMatch(await wire.line(), /^compare 6 - \S+ hello\.txt$/);
  await wire.says("ok hello.txt\n");
  assertEquals(await wire.rest(), "exit\n");
  assertEquals((await running).code, 0);
});

integration(
  "a client that finds a full server is logged by its name, and stores nothing",
  async () => {
    await using server = await startServer({ args: ["--max-clients", "1"] });
    using _ = await heldPlace(server);
    await using local = await tempDir();
    const { code, stderr } = await runClient(server, [await local.write("a", bytes(65_536))]);
    assertEquals([code, stderr], [3, "inlet: The server is full: 1 of 1 clients\n"]);
    await server.running.says(/rejected "inlet" at \S+: 1 of 1 clients connected$/);
    assertEquals(names(server.dir), []);
  },
);

async function heldPlace(server: { port: number }): Promise<Deno.TcpConn> {
  const conn = await dial(server);
  await sendTo(conn, "hello 1 holder\n");
  await conn.read(new Uint8Array(100));
  return conn;
}

/** Servers, by their options, and all that they answer to a greeting, two pushes and an exit. */
const SERVERS: [string[], RegExp, string[]][] = [
  [[], /^welcome .*\nok 6 363a3020 a\nok 6 363a3020 b\nok bye\n$/, ["a", "b"]],
  [["--drop-only"], /^welcome .*\nok 6 363a3020 a\nok 6 363a3020 b\nok bye\n$/, ["a", "b"]],
  [["--read-only"], /^welcome .*\nerror denied .*"a".*\nerror denied .*"b".*\nok bye\n$/, []],
  [["--max-size", "5"], /^welcome .*\nerror too-large .*\nerror too-large .*\nok bye\n$/, []],
  [["--fallback", "raw"], /^welcome .*\nok 6 .* a\nok 6 .* b\nok bye\n$/, ["a", "b"]],
  [["--fallback", "talk"], /^welcome .*\nok 6 .* a\nok 6 .* b\nok bye\n$/, ["a", "b"]],
  [["--mode", "upload"], /^error bad-request Cannot serve a client of mode files: /, []],
];

/** All that a client can say that waits for nothing. */
const AHEAD = `hello 1 ben\npush 6 a\n${HELLO}push 6 b\n${HELLO}exit\n`;

integration("a server with a key stores nothing that runs ahead of the proof", async () => {
  await using server = await startServer({ key: KEY });
  using conn = await dialWithKey(server, KEY);
  await conn.send(AHEAD);
  await conn.challenge();
  assertMatch(await conn.rest(), /^error denied Cannot authenticate: send "answer PROOF" first\n$/);
  assertEquals(names(server.dir), []);
});

for (const [args, answers, stored] of SERVERS) {
  integration(`server.ts ${args.join(" ")} takes requests and exit behind hello`, async () => {
    await using server = await startServer({ args });
    using conn = await dial(server);
    await sendTo(conn, AHEAD);
    assertMatch(await readAll(conn), answers);
    assertEquals(names(server.dir), stored);
    await server.running.says(/client 1: left, 0 connected/);
  });
}

integration(
  "a server takes a close behind exit for leaving, before it has read either",
  async () => {
    await using server = await startServer();
    using wire = await heldPlace(server);
    const { process } = server.running;
    // With an answer that nobody has read, closing resets the connection.
    await sendTo(wire, "Hello\n");
    await server.running.says(/client 1: says/);
    process.kill("SIGSTOP");
    await sendTo(wire, "exit\n");
    wire.close();
    process.kill("SIGCONT");
    await server.running.says(/client 1: left, 0 connected/);
    assertEquals(server.running.log.split("\n").length, 5, server.running.log);
  },
);

integration("a server that is stopped right behind an exit logs that the client left", async () => {
  await using server = await startServer();
  const { process } = server.running;
  using wire = await heldPlace(server);
  process.kill("SIGSTOP");
  await sendTo(wire, "exit\n");
  process.kill("SIGTERM");
  process.kill("SIGCONT");
  assertEquals(await readAll(wire), "ok bye\n");
  await server.running.says(/client 1: left, 0 connected/);
  assert(!server.running.log.includes("client 1: The server is shutting down"));
});
