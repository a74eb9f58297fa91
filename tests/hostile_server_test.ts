/**
 * Servers that mean no good, for every request of the client: numbers that lie, answers that do not
 * end, notes for ever, bytes that drip, and answers to something else.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { connect } from "../lib/net/connect.ts";
import { Progress } from "../lib/cli/progress.ts";
import type { Saving } from "../modes/files/answers.ts";
import { FilesClient } from "../modes/files/client.ts";
import { Comparison } from "../modes/files/compare.ts";
import { FileSource } from "../lib/body/sources.ts";
import {
  type Ended,
  fixture,
  integration,
  names,
  PROC,
  residentBytes,
  runClient,
  Running,
  scriptPath,
  startClient,
  tempDir,
} from "./helpers.ts";
import { type Impostor, impostor, type Wire } from "./wire.ts";

const WELCOME = "welcome client 1 of 9\n";
const MIB = 2 ** 20;

/** Sends a piece again and again, until the client has had enough or a limit is reached. */
async function pour(wire: Wire, piece: string | Uint8Array, most = Infinity): Promise<number> {
  const content = typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
  let poured = 0;
  try {
    for (; poured < most; poured += content.length) await wire.says(content);
  } catch {
    // It was cut.
  }
  return poured;
}

/** Answers a client's lines one after the other. Then, if a piece is given, that for ever. */
async function answer(
  server: Impostor,
  answers: readonly string[],
  endless?: string | Uint8Array,
): Promise<void> {
  using wire = await server.accept();
  for (const words of answers) {
    await wire.line();
    await wire.says(words);
  }
  if (endless !== undefined) await pour(wire, endless);
  // A client that has ended the conversation may still say so.
  await wire.rest();
}

/** Runs the client against answers, in a directory of its own that has to stay empty. */
async function runAgainst(
  args: readonly string[],
  answers: readonly string[],
  endless?: string | Uint8Array,
  stdin?: string,
): Promise<Ended> {
  using server = impostor();
  await using local = await tempDir();
  const running = runClient(server, args, {
    cwd: local.path,
    ...(stdin !== undefined && { stdin }),
  });
  const answering = answer(server, answers, endless);
  const ended = await running;
  await answering;
  assertEquals(names(local.path), []);
  return ended;
}

const GET = ["--get", "a.txt"];
const FOLDER = ["--get", "p/"];
const PUSH = [fixture("hello.txt")];
const SAY_PUT = ["--as", "a.txt"];
const SCRIPT = ["--session"];
const TIME = "2001-02-03T04:05:06Z";

/** A chunk of a body that never ends. */
const CHUNK = new TextEncoder().encode(`data ${MIB - 13}\n${"x".repeat(MIB - 13)}`);
const TOO_MUCH = /^inlet: Cannot get "a\.txt": the server sent more than the 5 bytes that it /;
const TOO_LONG = /^inlet: Cannot parse the input: the line is longer than 4096 bytes\n$/;

interface Trick {
  args: readonly string[];
  answers: readonly string[];
  endless?: string | Uint8Array;
  stdin?: string;
  /** How the client ends, and what it says. */
  code: number;
  says: RegExp;
}

const TRICKS: Record<string, Trick> = {
  "a get of 5 bytes that does not end": {
    ...{ args: GET, answers: [WELCOME, "ok 5\n"], endless: CHUNK },
    ...{ code: 5, says: TOO_MUCH },
  },
  "a get of 5 bytes in one chunk of 16 MiB": {
    ...{ args: GET, answers: [WELCOME, `ok 5\ndata ${16 * MIB}\n`], endless: CHUNK },
    ...{ code: 5, says: TOO_MUCH },
  },
  "a get with --resume, of 5 bytes, that does not end": {
    ...{ args: [...GET, "--resume"], answers: [WELCOME, "ok 5\n"], endless: CHUNK },
    ...{ code: 5, says: TOO_MUCH },
  },
  "a get to stdout of 5 bytes that does not end": {
    ...{ args: [...GET, "--output", "-"], answers: [WELCOME, "ok 5\n"], endless: CHUNK },
    ...{ code: 5, says: TOO_MUCH },
  },
  "a small file of a folder that does not end": {
    args: FOLDER,
    answers: [
      WELCOME,
      `ok\n5 ${TIME} p/a.txt\n5 ${TIME} p/b.txt\nend 2\n`,
      "ok 999999999999999\n",
    ],
    endless: CHUNK,
    code: 5,
    says:
      /^inlet: Cannot get "p\/a\.txt": it grew during the transfer\np\/: 0 files into "\.\/p", 0 B; 2 not received\n$/,
  },
  "a get whose size is no size": {
    ...{ args: GET, answers: [WELCOME, "ok five\n"], code: 3 },
    says: /^inlet: Cannot parse the input: .*size/,
  },
  "a get answered as another request": {
    ...{ args: GET, answers: [WELCOME, "ok 5 5\n"], code: 3 },
    says: /^inlet: The server answered a request for a whole file with "ok 5 5"\n$/,
  },
  "a get answered with go": {
    ...{ args: GET, answers: [WELCOME, "go 0\n"], code: 3 },
    says: /^inlet: The server sent an unexpected reply: go\n$/,
  },
  "a get answered with a line that does not end": {
    ...{ args: GET, answers: [WELCOME], endless: "ok 1", code: 3, says: TOO_LONG },
  },
  "an abort that writes to the terminal": {
    ...{ args: GET, answers: [WELCOME, "ok 5\nabort \x1b[2J\x07\u202e\n"], code: 5 },
    says: /^inlet: Cannot get "a\.txt": \\u\{1b\}\[2J\\u\{7\}\\u\{202e\}\n$/,
  },
  "a greeting that does not end": {
    ...{ args: ["--list"], answers: [], endless: "welcome ", code: 3, says: TOO_LONG },
  },
  "a list answered as a get": {
    ...{ args: ["--list"], answers: [WELCOME, "ok 999999999999999\n"], endless: CHUNK, code: 3 },
    says: /^inlet: The server answered a list with "ok 999999999999999"\n$/,
  },
  "a list with a line that does not end": {
    ...{ args: ["--list"], answers: [WELCOME, "ok\n"], endless: "1 2", code: 3, says: TOO_LONG },
  },
  "a list with a size beyond all numbers": {
    args: ["--list"],
    answers: [WELCOME, `ok\n99999999999999999999 ${TIME} a\nend 1\n`],
    ...{ code: 3, says: /^inlet: Cannot parse the input: .*2\^53 - 1\n$/ },
  },
  "a status that ends with another count": {
    args: ["--status"],
    answers: [WELCOME, "ok\nclient 1\nend 9007199254740991\n"],
    code: 3,
    says: /^inlet: The server announced 9007199254740991 lines but sent 1\n$/,
  },
  "a push answered with go": {
    ...{ args: PUSH, answers: [WELCOME, "go 0\n", "", "", "ok bye\n"], code: 3 },
    says: /^inlet: The server sent an unexpected reply: go\n$/,
  },
  "a put that is asked for the rest of a longer file": {
    ...{ args: SAY_PUT, stdin: "hello\n", answers: [WELCOME, "go 7\n"], code: 3 },
    says: /^inlet: The server sent an unexpected reply: go\n$/,
  },
  "a put that is acknowledged before its body": {
    ...{ args: SAY_PUT, stdin: "hello\n", answers: [WELCOME, "ok 6 363a3020 a.txt\n"], code: 3 },
    says: /^inlet: The server sent an unexpected reply: ok\n$/,
  },
  "a push that is acknowledged with other bytes": {
    args: PUSH,
    answers: [WELCOME, "ok 6 00000000 a\n", "", "", "ok bye\n"],
    code: 5,
    says: /^inlet: Cannot verify ".*hello\.txt": the server has 6 bytes with CRC-32 00000000/,
  },
  "a push that is acknowledged with nothing": {
    ...{ args: PUSH, answers: [WELCOME, "ok\n", "", "", "ok bye\n"], code: 3 },
    says: /^inlet: Cannot parse the input: /,
  },
  "a message that is acknowledged with more": {
    ...{ args: [], stdin: "hello\n" },
    answers: [WELCOME, "go 0\n", "", "", "ok 9007199254740991 363a3020\n"],
    ...{
      code: 5,
      says: /^inlet: Cannot verify "standard input": the server has 9,007,199,254,740,991 /,
    },
  },
  "talk that is answered with something else": {
    ...{ args: SCRIPT, stdin: "Hello\n", answers: [WELCOME, "ok ben\n", "Hallo ACK\n"], code: 3 },
    says: /^inlet: Cannot parse the input: "Hallo ACK" is not a reply of an inlet server\n$/,
  },
  "talk that is answered with a line that does not end": {
    ...{ args: SCRIPT, stdin: "Hello\n", answers: [WELCOME, "ok ben\n"], endless: "Hello ACK" },
    ...{ code: 3, says: TOO_LONG },
  },
  "an upload that is answered without end": {
    args: [fixture("hello.txt"), "--mode", "upload"],
    answers: [],
    endless: "go along ",
    ...{ code: 3, says: /^inlet: The server said "go along .*" and not "go ahead"; .*\n$/ },
  },
};

for (const [what, { args, answers, endless, stdin, code, says }] of Object.entries(TRICKS)) {
  integration(`client.ts ends at a hostile server: ${what}`, async () => {
    const ended = await runAgainst(args, answers, endless, stdin);
    assertMatch(ended.stderr, says);
    assertEquals(ended.code, code);
  });
}

integration("client.ts shows the name of an acknowledgement escaped", async () => {
  const answers = [WELCOME, "ok 6 363a3020 \x1b[2Ja\u202eb\n", "", "", "ok bye\n"];
  const { code, stderr } = await runAgainst([fixture("hello.txt")], answers);
  assertEquals(code, 0);
  assertMatch(stderr, /stored as "\\u\{1b\}\[2Ja\\u\{202e\}b"/);
});

integration("client.ts --mode reverse ends when more comes back than it sent", async () => {
  using server = impostor();
  const running = runClient(server, ["--mode", "reverse"], { stdin: "Hello\n" });
  using wire = await server.accept();
  await wire.line();
  await pour(wire, "olleH\n");
  const { code, stderr } = await running;
  assertEquals([code, stderr], [
    5,
    'inlet: The server sent "olleH" after the answer to line 1; for a greeting, see --dialogue; ' +
    "for lines without line ends, --lock-step\n",
  ]);
});

/** A refusal that takes long to arrive. */
const REFUSAL = `error denied ${"no ".repeat(100)}`;

/** A note before the welcome that takes as long. */
const NOTE = `note ${"so ".repeat(100)}`;

/** Bytes that arrive one by one, in place of a line. */
const DRIPS: Record<string, [args: readonly string[], answers: readonly string[]]> = {
  "a greeting": [["--list"], []],
  "the answer to a get": [GET, [WELCOME]],
  "an acknowledgement": [[fixture("hello.txt")], [WELCOME]],
  "a list": [["--list"], [WELCOME, "ok\n"]],
  "the refusal of a file in mode raw": [[fixture("hello.txt"), "--mode", "raw"], []],
};

for (const [what, [args, answers]] of Object.entries(DRIPS)) {
  integration(`client.ts --timeout gives up a server that drips ${what}`, async () => {
    using server = impostor();
    const running = runClient(server, [...args, "--timeout", "1"]);
    using wire = await server.accept();
    for (const words of answers) {
      await wire.line();
      await wire.says(words);
    }
    let at = 0;
    const drip = (): string =>
      what === "a greeting" ? NOTE[at++]! : what.startsWith("the refusal") ? REFUSAL[at++]! : "1";
    const dripping = setInterval(() => wire.says(drip()).catch(() => {}), 100);
    const { code, stderr } = await running.finally(() => clearInterval(dripping));
    assertEquals(code, 4, stderr);
    // In mode raw no line is due: there the time to close may be over first.
    const late = "No (?:complete line|answer to the greeting) within " +
      (args.includes("raw") ? "|6 bytes sent; the server has not " : "");
    assertMatch(
      stderr,
      new RegExp(
        `^(?:the (?:other side says nothing|server does not answer the greeting): .*\\n)?inlet: (?:${late})`,
      ),
    );
  });
}

/** A client in this process that is patient for two seconds, on a connection that waits longer. */
async function greeted(
  server: Impostor,
): Promise<{ client: FilesClient; wire: Wire } & Disposable> {
  const { signal } = new AbortController();
  const connecting = connect({ hostname: "127.0.0.1", port: server.port }, {
    timeoutMs: 60_000,
    signal,
  });
  const wire = await server.accept();
  await wire.says(WELCOME);
  const connection = await connecting;
  const client = await FilesClient.greet(connection, "test", {
    progress: new Progress(),
    output: () => Promise.resolve(),
    timeoutMs: 20,
    resume: true,
  });
  await wire.line();
  const close = (): void => {
    connection[Symbol.dispose]();
    wire.close();
  };
  return { client, wire, [Symbol.dispose]: close };
}

const ENTRY = {
  label: "a",
  name: "a",
  size: 6,
  modified: new Date(0),
  crc: () => Promise.resolve(0),
};
const NOWHERE: Saving = { write: () => {} };

/** Every request that a server can answer with notes. */
const REQUESTS: Record<string, (client: FilesClient) => Promise<unknown>> = {
  get: (client) => client.get("a", NOWHERE),
  reget: (client) => client.get("a", { ...NOWHERE, kept: { bytes: 6, crc: () => 0 } }),
  list: (client) => Array.fromAsync(client.list()),
  tree: (client) => Array.fromAsync(client.tree("p")),
  status: (client) => Array.fromAsync(client.status()),
  whoami: (client) => client.whoami(),
  chat: (client) => client.chat("Hello"),
  say: (client) => client.say(new FileSource(fixture("hello.txt"), "")),
  put: (client) =>
    client.put(new FileSource(fixture("hello.txt"), "a"), new AbortController().signal),
  reput: (client) => client.put(new FileSource(fixture("hello.txt"), "a")),
  async compare(client) {
    await new Comparison(...client.parts).run([ENTRY], (_, name) => {
      if (name instanceof InletError) throw name;
    });
  },
  async push(client) {
    await client.send([new FileSource(fixture("hello.txt"), "a")], (_, result) => {
      if ("error" in result) throw result.error;
    });
  },
};

integration(
  "a client waits for each reply a hundred times its --timeout while notes come",
  async () => {
    await Promise.all(
      Object.entries(REQUESTS).map(async ([request, ask]) => {
        using server = impostor();
        using session = await greeted(server);
        const noting = setInterval(() => session.wire.says("note wait\n").catch(() => {}), 50);
        const error = await assertRejects(() => ask(session.client), InletError)
          .finally(() => clearInterval(noting));
        const told = [request, error.code, error.message];
        assertEquals(told, [request, "timeout", "Only notes and no reply for 2 s"]);
        assert(session.client.ended, request);
      }),
    );
  },
);

integration("a client waits longer where the server has to read much, and notes come", async () => {
  await using local = await tempDir();
  const path = await local.write("large.bin", "");
  await Deno.truncate(path, 100 * MIB);
  using server = impostor();
  using session = await greeted(server);
  const started = performance.now();
  const putting = session.client.put(new FileSource(path, "a"));
  // Twice as long as for a request that the server can answer at once; 12 s would be the limit.
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const noting = setInterval(() => {
    session.wire.says("note wait\n");
    if (performance.now() - started > 4000) resolve();
  }, 50);
  await enough.finally(() => clearInterval(noting));
  assertMatch(await session.wire.line(), /^reput [0-9a-f]{64} 104857600 a$/);
  await session.wire.says("go 0\n");
  assertEquals((await session.wire.bytes(1000)).length, 1000);
  session.wire.close();
  await assertRejects(() => putting, InletError);
});

integration("a reget that is answered with numbers of nobody's ends the session", async () => {
  for (const detail of ["20", "20 11", "5 10", "20 10 10", "20 -", "", "20 9007199254740992"]) {
    using server = impostor();
    using session = await greeted(server);
    const getting = session.client.get("a", { ...NOWHERE, kept: { bytes: 10, crc: () => 0 } });
    await session.wire.says(`ok ${detail}\n`);
    const error = await assertRejects(() => getting, InletError);
    assertEquals(error.code, "bad-request");
    assert(session.client.ended, detail);
  }
});

integration("--get of a folder has a limit of its own, and says so", async () => {
  using server = impostor();
  await using local = await tempDir();
  await using client = startClient(server, FOLDER, { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says(WELCOME);
  await wire.line();
  await wire.says("ok\n");
  const name = "n".repeat(200);
  const lines = `1 ${TIME} p/${`${name}/`.repeat(4)}a\n`.repeat(1000);
  let most = 0;
  for (;;) {
    if (await pour(wire, lines, 1) === 0) break;
    most = Math.max(most, memoryOf(client));
  }
  assertEquals((await client.ended()).code, 3);
  await client.says(
    /^inlet: Cannot get "p\/" in one piece: the limit is 1,000,000 entries and 128 MiB of names; get/,
  );
  assertEquals(names(local.path), []);
  assertLess(most, 800 * MIB);
}, PROC);

/** Most memory of a program so far; 0 once it has ended. */
function memoryOf({ process }: Running): number {
  try {
    return residentBytes(process);
  } catch {
    return 0;
  }
}

integration("a list that nobody reads takes 64 MiB and no more", async () => {
  await using local = await tempDir();
  const script = await local.write(
    "list.ts",
    `import { printPages } from "file://${scriptPath("client/print_pages.ts")}";
    let printed = 0;
    async function* pages() {
      for (; printed < 200; printed++) yield ["x".repeat(${MIB})];
    }
    const pause = (until) => {
      console.error(\`paused at \${printed}\`);
      return until;
    };
    await printPages({ pause, rest: (until) => until }, pages());
    console.error("all printed");`,
  );
  await using client = new Running(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", scriptPath("deno.json"), script],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
  const [, paused] = await client.says(/paused at (\d+)/);
  assertLess(Number(paused), 65);
  const printed = await new Response(client.process.stdout).bytes();
  assertEquals(printed.length, 200 * (MIB + 1));
  await client.says(/all printed/);
});
