/**
 * The server of mode talk, spoken to by plain sockets as other programs do: a `send` is a message.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { ByteStream } from "../lib/net/byte_stream.ts";
import { Connection } from "../lib/net/connection.ts";
import { Clients } from "../lib/server/clients.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { Log } from "../lib/server/log.ts";
import { wireOptionsOf, WIRES, wireSettings } from "../lib/server/wire_options.ts";
import { parseCommandLine } from "../lib/cli/command_line.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { serveTalk } from "../modes/talk.ts";
import {
  bytes,
  integration,
  PYTHON,
  run,
  runClient,
  runScript,
  startServer,
  type TempDir,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { type InProcessServer, serveHere } from "./in_process.ts";
import { makeTree } from "./trees.ts";
import { Wire } from "./wire.ts";

const WELCOME = "Connected to the server successfully.";
const TIME = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d";

/** Starts a server in a directory with these files. Its pause is short, unless another is given. */
async function startTalk(
  files: Readonly<Record<string, string | Uint8Array>> = {},
  ...given: string[]
): Promise<TestServer & { local: TempDir }> {
  const local = await tempDir();
  const dir = `${local.path}/received`;
  Deno.mkdirSync(dir);
  makeTree(dir, files);
  const args = given.includes("--line-gap") ? given : [...given, "--line-gap", "50"];
  const server = await startServer({ dir, args: ["--mode", "talk", ...args] });
  const stop = server[Symbol.asyncDispose].bind(server);
  return Object.assign(server, {
    local,
    async [Symbol.asyncDispose](): Promise<void> {
      await stop();
      await local[Symbol.asyncDispose]();
    },
  });
}

/** The same within this process, with options of the wire only: it takes no time to start. */
async function startHere(
  files: Readonly<Record<string, string | Uint8Array>> = {},
  ...given: string[]
): Promise<InProcessServer> {
  const local = await tempDir();
  makeTree(local.path, files);
  const args = given.includes("--line-gap") ? given : [...given, "--line-gap", "50"];
  const wire = { mode: "talk", args };
  const server = await serveHere({ dir: local.path, serve: serveTalk, wire });
  const stop = server[Symbol.asyncDispose].bind(server);
  return Object.assign(server, {
    async [Symbol.asyncDispose](): Promise<void> {
      await stop();
      await local[Symbol.asyncDispose]();
    },
  });
}

/** Connects, and says a name if there is one. */
async function enter(server: { port: number }, name = "Roger"): Promise<Wire> {
  const wire = await Wire.dial(server);
  await asks(wire, name, WELCOME);
  return wire;
}

/** Sends a message, and expects an answer of exactly these bytes; more would spoil the next answer. */
async function asks(wire: Wire, message: string | Uint8Array, answer: string): Promise<void> {
  await wire.says(message);
  const expected = new TextEncoder().encode(answer);
  assertEquals(new TextDecoder().decode(await wire.bytes(expected.length)), answer);
}

/** The same for an answer that differs from run to run. */
async function asksMatching(wire: Wire, message: string, answer: RegExp): Promise<void> {
  await wire.says(message);
  let text = "";
  while (!answer.test(text)) {
    const [byte] = await wire.bytes(1);
    assert(byte !== undefined, `the server ended after ${JSON.stringify(text)}`);
    text += String.fromCharCode(byte);
  }
}

integration("talk server answers messages without line endings in the same way", async () => {
  await using server = await startTalk({ "a.txt": "hello\n", "photos/b c.txt": "x" });
  using wire = await enter(server);
  await asks(wire, "Hello", "Hello ACK");
  await asks(wire, "list", "a.txt\nphotos/b c.txt");
  await asks(wire, "get a.txt", "hello\nEOF");
  await asks(wire, "get photos/b c.txt", "xEOF");
  await asks(wire, "get  \ta.txt ", "hello\nEOF");
  await asks(wire, "get\ta.txt", "hello\nEOF");
  await asks(wire, "listen", "listen ACK");
  await asks(wire, "get", "get ACK");
  const status = `^Client 1: Roger - Start: ${TIME}, End: Still Connected$`;
  await asksMatching(wire, "status", new RegExp(status));
  await wire.says("exit");
  assertEquals(await wire.rest(), "");
  await server.running.says(/client 1: is "Roger"/);
  await server.running.says(/client 1: says "Hello"/);
  await server.running.says(/client 1: got "a\.txt", 6 B/);
  await server.running.says(/client 1: left, 0 connected/);
});

integration("talk server answers lines with lines, many at once, LF and CR LF", async () => {
  await using server = await startHere({ "a.txt": "hello\n", "b.txt": "" });
  using wire = await Wire.dial(server);
  await wire.says("Roger\nHello\r\nget a.txt\nget b.txt\r\nlist\r\n\nexit\nnot read\n");
  const answers = [`${WELCOME}\n`, "Hello ACK\r\n", "hello\nEOF\n", "EOF\r\n"];
  assertEquals(await wire.rest(), `${answers.join("")}a.txt\r\nb.txt\r\n ACK\n`);
});

integration("talk server takes words in any case", async () => {
  await using server = await startHere({ "a.txt": "hello\n" });
  using wire = await enter(server);
  await asks(wire, "LIST\n", "a.txt\n");
  await asks(wire, "Get a.txt\n", "hello\nEOF\n");
  await asksMatching(wire, "STATUS\n", /Still Connected\n$/);
  await wire.says("EXIT");
  assertEquals(await wire.rest(), "");
});

integration("talk server takes a byte at a time for one message", async () => {
  await using server = await startHere({}, "--line-gap", "300");
  using wire = await Wire.dial(server);
  await wire.saysSlowly("Roger");
  assertEquals(await wire.bytes(WELCOME.length), new TextEncoder().encode(WELCOME));
  await wire.saysSlowly("a message in pieces");
  await asks(wire, "", "a message in pieces ACK");
});

integration("talk server gives back what is not UTF-8 byte by byte", async () => {
  await using server = await startHere();
  using wire = await Wire.dial(server);
  await asks(wire, Uint8Array.of(0xff, 0x52), WELCOME);
  const odd = Uint8Array.of(0xc3, 0x28, 0x00, 0xff, 0x1b);
  await wire.says(odd);
  assertEquals(await wire.bytes(odd.length), odd);
  await asks(wire, "", " ACK");
  await asksMatching(wire, "status", /^Client 1: .*R - Start: .*Still Connected$/);
});

integration("talk server refuses a message of 4,097 bytes, in one line, and ends", async () => {
  await using server = await startHere();
  using wire = await enter(server);
  const longest = "x".repeat(4096);
  await asks(wire, longest, `${longest} ACK`);
  await asks(wire, `${longest}\r\n`, `${longest} ACK\r\n`);
  await wire.says(`${longest}x`);
  const line = "error bad-request Cannot read the message: it is longer than 4,096 bytes\n";
  assertEquals(await wire.rest(), line);
  using named = await Wire.dial(server);
  await named.says("n".repeat(65));
  assertMatch(await named.rest(), /^error bad-name .* the limit is 64 bytes\n$/);
});

integration("talk server lists an empty directory as an empty line", async () => {
  await using server = await startHere();
  using wire = await enter(server);
  await asks(wire, "list", "\n");
  await asks(wire, "list\r\n", "\r\n");
  await asks(wire, "Hello", "Hello ACK");
});

integration(
  "talk server shows in status who has left, and calls a second Roger Roger-2",
  async () => {
    await using server = await startTalk();
    using first = await enter(server);
    using second = await enter(server);
    await second.says("exit");
    assertEquals(await second.rest(), "");
    await server.running.says(/client 2: left/);
    using third = await Wire.dial(server);
    await server.running.says(/client 3: connected/);
    const lines = [
      `Client 1: Roger - Start: ${TIME}, End: Still Connected`,
      `Client 2: Roger-2 - Start: ${TIME}, End: ${TIME}`,
      `Client 3: 127\\.0\\.0\\.1:\\d+ - Start: ${TIME}, End: Still Connected`,
    ];
    await asksMatching(first, "status\n", new RegExp(`^${lines.join("\n")}\n$`));
    await asks(third, "Roger-2", WELCOME);
  },
);

integration("talk server answers a get that fails with one line, and goes on", async () => {
  await using server = await startHere({ "photos/a.txt": "" });
  using wire = await enter(server);
  await asks(wire, "get b.txt", 'error not-found Cannot get "b.txt": it does not exist');
  await asksMatching(wire, "get photos\n", /^error not-found Cannot get "photos": .*\n$/);
  await asksMatching(wire, "get ../a.txt\n", /^error bad-name .*leads out of the directory\n$/);
  await asks(wire, "Hello", "Hello ACK");
});

integration(
  "talk server sends a file in writes of 1,024 bytes, and the marker in one",
  async () => {
    await using local = await tempDir();
    const content = bytes(2500);
    await local.write("a.bin", content);
    const store = await DirectoryStore.open(local.path);
    const clients = new Clients(1);
    const { options } = parseCommandLine([], WIRES);
    const context = {
      store,
      clients,
      log: new Log({ quiet: true }),
      client: clients.admit("127.0.0.1:1")!,
      access: "all",
      sessionTimeoutMs: 1000,
      wire: wireSettings(wireOptionsOf(options), "talk"),
      signal: new AbortController().signal,
    } as unknown as ServerContext;
    const writes: Uint8Array[] = [];
    const input = new TextEncoder().encode("Roger\nget a.bin\nexit\n");
    let read: number | null = input.length;
    const stream: ByteStream = {
      remote: "127.0.0.1:1",
      read(into) {
        const count = read;
        if (count !== null) into.set(input);
        read = null;
        return Promise.resolve(count);
      },
      write(chunk) {
        writes.push(chunk.slice());
        return Promise.resolve(chunk.length);
      },
      touch: () => Promise.resolve(),
      closeWrite: () => Promise.resolve(),
      close() {},
      reset() {},
    };
    using connection = new Connection(stream, { idleTimeoutMs: 1000 });
    await serveTalk(connection, context);
    assertEquals(writes.map(({ length }) => length), [WELCOME.length + 1, 1024, 1024, 452, 4]);
    assertEquals(await new Blob(writes.slice(1, 4) as Uint8Array<ArrayBuffer>[]).bytes(), content);
  },
);

integration("talk server ends a file with --get-marker, or with nothing", async () => {
  {
    await using server = await startHere({ "a.txt": "hello\n" }, "--get-marker", "\\x00END");
    using wire = await enter(server);
    await asks(wire, "get a.txt\n", "hello\n\0END\n");
  }
  await using server = await startHere({ "a.txt": "hello\n" }, "--get-marker", "none");
  using wire = await enter(server);
  await asks(wire, "get a.txt\n", "hello\n");
  await asks(wire, "get a.txt", "hello\n");
  await asks(wire, "Hello", "Hello ACK");
});

integration("talk server takes the same get twice within the gap for one", async () => {
  await using server = await startHere(
    { "a.txt": "hello\n", "b.txt": "hey\n" },
    "--line-gap",
    "300",
  );
  using wire = await enter(server);
  await wire.says("get a.txt");
  await asks(wire, "get a.txt", "hello\nEOF");
  await wire.says("get a.txt\n");
  await asks(wire, "get a.txt\n", "hello\nEOF\n");
  // Not the same, and not twice.
  await asks(
    wire,
    "get a.txt\nget b.txt\nget a.txt\nHello\n",
    "hello\nEOF\nhey\nEOF\nhello\nEOF\n",
  );
  await asks(wire, "", "Hello ACK\n");
  await asks(wire, "get a.txt", "hello\nEOF");
  await wire.says("exit");
  assertEquals(await wire.rest(), "");
});

integration("talk server takes a bare name for a get with --bare-names only", async () => {
  const files = { "a.txt": "hello\n", "list": "a file called list" };
  {
    await using server = await startHere(files);
    using wire = await enter(server);
    await asks(wire, "a.txt", "a.txt ACK");
  }
  await using server = await startHere(files, "--bare-names");
  using wire = await enter(server);
  await asks(wire, "a.txt", "hello\nEOF");
  await asks(wire, "b.txt", "b.txt ACK");
  await asks(wire, "../a.txt", "../a.txt ACK");
  await asks(wire, "list", "a.txt\nlist");
});

integration("talk server keeps --drop-only and --read-only", async () => {
  const droppingOnly = async (): Promise<void> => {
    const rights = ["--drop-only", "--bare-names"];
    await using server = await startTalk({ "a.txt": "hello\n" }, ...rights);
    using wire = await enter(server);
    const no = "this server only accepts uploads";
    await asks(wire, "list", `error denied Cannot list the files: ${no}`);
    await asks(wire, "status\n", `error denied Cannot list the clients: ${no}\n`);
    await asks(wire, "get a.txt", `error denied Cannot get "a.txt": ${no}`);
    await asks(wire, "a.txt", "a.txt ACK");
  };
  const readingOnly = async (): Promise<void> => {
    await using server = await startTalk({ "a.txt": "hello\n" }, "--read-only");
    using wire = await enter(server);
    await asks(wire, "get a.txt", "hello\nEOF");
  };
  await Promise.all([droppingOnly(), readingOnly()]);
});

integration("talk server turns a fourth of three away, by name, until one leaves", async () => {
  await using server = await startTalk();
  using first = await enter(server, "Ann");
  using _second = await enter(server, "Ben");
  using _third = await enter(server, "Cem");
  // The server waits a second for the name of whom it turns away: it is there once the server sees it.
  server.running.process.kill("SIGSTOP");
  using fourth = await Wire.dial(server);
  await fourth.says("Roger");
  server.running.process.kill("SIGCONT");
  assertEquals(await fourth.rest(), "busy 3 of 3\n");
  await server.running.says(/rejected "Roger" at 127\.0\.0\.1:\d+: 3 of 3 clients connected/);
  using silent = await Wire.dial(server);
  assertEquals(await silent.rest(), "busy 3 of 3\n");
  await first.says("exit");
  assertEquals(await first.rest(), "");
  await server.running.says(/client 1: left, 2 connected/);
  using _fifth = await enter(server, "Roger");
});

integration("talk server makes room for a client by dropping one that says nothing", async () => {
  await using server = await startTalk({}, "--max-clients", "1");
  using silent = await Wire.dial(server);
  await server.running.says(/client 1: connected/);
  using wire = await enter(server);
  assertMatch(await silent.rest(), /^error timeout Dropped to admit another client/);
  await asks(wire, "Hello", "Hello ACK");
});

integration("talk server with a banner speaks first and names its clients", async () => {
  await using server = await startTalk({}, "--banner", "Welcome Client{nn}!", "--max-clients", "2");
  using first = await Wire.dial(server);
  await asks(first, "", "Welcome Client01!");
  await asks(first, "ann", "ann ACK");
  using second = await Wire.dial(server);
  await asks(second, "", "Welcome Client02!");
  await asks(second, "Hello\n", "Hello ACK\n");
  using third = await Wire.dial(server);
  await third.says("no name");
  assertEquals(await third.rest(), "busy 2 of 2\n");
  await server.running.says(/rejected 127\.0\.0\.1:\d+: 2 of 2/);
  await asksMatching(
    second,
    "status",
    /^Client 1: Client01 - .*\nClient 2: Client02 - .*Connected$/,
  );
});

integration("talk server with {n} or neither in its banner counts without a zero", async () => {
  for (const [banner, words] of [["You are {n}\\n", "You are 1\n"], ["OK", "OK"]] as const) {
    await using server = await startHere({}, "--banner", banner);
    using wire = await Wire.dial(server);
    await asks(wire, "", words);
    await asksMatching(wire, "status", /^Client 1: Client1 - .*Connected$/);
  }
});

integration(
  "talk server lets a client be silent for --session-timeout, and warns of nothing",
  async () => {
    await using server = await startTalk({}, "--timeout", "1", "--session-timeout", "2");
    using wire = await enter(server);
    assertEquals(await wire.rest(), "error timeout No data in either direction for 2 s\n");
    await server.running.says(/left, 0 connected/);
  },
);

integration(
  "talk server drops a client that is silent for --timeout for one that comes",
  async () => {
    await using server = await startTalk({}, "--timeout", "1", "--max-clients", "1");
    using silent = await enter(server);
    // The first try comes too early.
    const args = ["--mode", "talk", "--status", "--name", "Ann", "--retry", "5"];
    const { code, stdout } = await runClient(server, args);
    assertEquals(code, 0);
    assertMatch(stdout, /^Client 1: Roger - Start: .*\nClient 2: Ann - .*Still Connected\n$/);
    assertMatch(await silent.rest(), /^error timeout Dropped to admit another client: silent for /);
  },
);

integration(
  "talk server takes the steps of --dialogue before a name, and before its banner",
  async () => {
    const steps = ["--dialogue", "send:Who?", "--dialogue", "expect:me", "--dialogue", "send:OK"];
    {
      await using server = await startHere({}, ...steps);
      using wire = await Wire.dial(server);
      await asks(wire, "", "Who?");
      await asks(wire, "me", "OK");
      await asks(wire, "Roger", WELCOME);
    }
    await using server = await startHere({}, ...steps, "--banner", "Client{n}");
    using wire = await Wire.dial(server);
    await asks(wire, "", "Who?");
    await asks(wire, "me", "OKClient1");
    await asks(wire, "Hello", "Hello ACK");
  },
);

integration("talk server lets go of a client that leaves within a get", async () => {
  await using server = await startTalk({ "huge.bin": "" }, "--max-clients", "1");
  await Deno.truncate(`${server.dir}/huge.bin`, 4 * 2 ** 30);
  {
    using wire = await enter(server);
    await wire.says("get huge.bin");
    await wire.skip(1_000_000);
  }
  await server.running.says(/client 1: left, 0 connected/);
  using _next = await enter(server);
});

integration("talk server sends no marker behind a file that changes meanwhile", async () => {
  await using server = await startTalk({ "huge.bin": "" });
  await Deno.truncate(`${server.dir}/huge.bin`, 64 * 2 ** 20);
  using wire = await enter(server);
  await wire.says("get huge.bin\n");
  await wire.skip(1_000_000);
  await Deno.truncate(`${server.dir}/huge.bin`, 2 ** 20);
  const rest = await wire.rest();
  assert(!rest.endsWith("EOF\n"));
  await server.running.says(/"huge\.bin" changed while it was sent/);
});

integration("talk server tells its clients when it shuts down", async () => {
  await using server = await startTalk();
  using wire = await enter(server);
  await server.running.stop();
  assertEquals(await wire.rest(), "error shutdown The server is shutting down\n");
});

integration("talk server takes --line-gap", async () => {
  // So long that only a line ending or the end can end a message.
  await using server = await startHere({}, "--line-gap", "60000");
  using wire = await Wire.dial(server);
  await asks(wire, "Roger\n", `${WELCOME}\n`);
  await wire.says("Hel");
  await wire.says("lo\n");
  await asks(wire, "", "Hello ACK\n");
  await wire.says("last");
  await wire.closeWrite();
  assertEquals(await wire.rest(), "last ACK");
});

integration(
  "talk server answers a program that calls send and recv, and nothing else",
  async () => {
    await using server = await startTalk({ "b.bin": bytes(5000) });
    const script = `
import socket
c = socket.create_connection(("127.0.0.1", ${server.port}))
def ask(text):
    c.send(text.encode())
    return c.recv(1024).decode()
print(ask("Roger"), ask("Hello"), ask("list"), sep="|")
c.send(b"get b.bin")
data = b""
while not data.endswith(b"EOF"):
    data += c.recv(1024)
print(len(data) - 3)
c.send(b"exit")
print(c.recv(1024))
`;
    const { code, stdout, stderr } = await run("python3", ["-c", script]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout, `${WELCOME}|Hello ACK|b.bin\n5000\nb''\n`);
  },
  PYTHON,
);

integration("talk server answers a person with netcat", async () => {
  await using server = await startTalk({ "a.txt": "hello\n" });
  const stdin = "Roger\nHello\nlist\nget a.txt\nexit\n";
  const { stdout } = await run("nc", ["127.0.0.1", String(server.port)], { stdin });
  assertEquals(stdout, `${WELCOME}\nHello ACK\na.txt\nhello\nEOF\n`);
}, { programs: ["nc"] });

integration("server.ts refuses the options of talk in another mode", async () => {
  const other = await runScript("server.ts", ["0", "--mode", "raw", "--bare-names"]);
  assertEquals(other.code, 2);
  assertStringIncludes(other.stderr, "Cannot use --bare-names in mode raw, it is for talk");
});
