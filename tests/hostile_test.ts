/**
 * Peers that mean no good, or do not care: silent, slow, greedy, deaf, loud.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { serve, type ServeOptions } from "../server.ts";
import {
  busyMs,
  bytes,
  exchange,
  fixture,
  integration,
  KEY,
  names,
  openFiles,
  PROC,
  PROMPT_GC,
  PYTHON,
  residentBytes,
  run,
  runClient,
  runSource,
  scriptPath,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { dialWithKey } from "./secure.ts";
import { Wire } from "./wire.ts";

const HELLO = "hello 1 test\n";

/** Sends a text byte by byte, with pauses, until all is sent or nobody takes any more. */
async function drip(
  wire: Pick<Wire, "says">,
  text: string,
  pauseMs = 50,
): Promise<void> {
  try {
    for (const character of text) {
      await wire.says(character);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  } catch {
    // It was cut.
  }
}

/** Sends as much as the other side takes: it may well reset the connection. */
async function pour(wire: Wire, piece: string | Uint8Array, times: number): Promise<void> {
  const content = typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
  try {
    for (let count = 0; count < times; count++) await wire.says(content);
  } catch {
    // It was cut.
  }
}

async function assertServes(server: TestServer): Promise<void> {
  const { code, stderr } = await runClient(server, [fixture("hello.txt")]);
  assertEquals(code, 0, stderr);
}

/** Begins that never end: they would take far longer than the limit. */
const BEGINS = {
  files: ["", "hello 1 somebody who types slowly", "\0\0\0\0\0\0\0\x06a-long-name.txt"],
  upload: ["", "\0\0\0\0\0\0\0\x06a-long-name.txt"],
  raw: ["", "half a file"],
};

for (const [mode, begins] of Object.entries(BEGINS)) {
  integration(`who pauses in mode ${mode} stays until another client needs the place`, async () => {
    const limits = ["--greeting-timeout", "0.5", "--timeout", "0.5", "--min-rate", "0"];
    for (const begin of begins) {
      const places = ["--max-clients", "2"];
      await using server = await startServer({ args: ["--mode", mode, ...limits, ...places] });
      using first = await Wire.dial(server);
      await first.says(begin.slice(0, 9));
      using second = await Wire.dial(server);
      await second.says(begin.slice(0, 9));
      await server.running.says(/client 2: connected/);
      // Nobody needs a place, however long this takes.
      await new Promise((resolve) => setTimeout(resolve, 1200));
      await second.says(begin.slice(9, 10) || "h");
      // A stranger who says nothing does not, but a client does.
      assertEquals(await Wire.dial(server).then(restOf), "busy 2 of 2\n");
      using next = await Wire.dial(server);
      await next.says(mode === "files" ? "hello 1 x\n" : begin || "x");
      await server.running.says(
        /client 1: Dropped to admit another client: (silent for|no greeting within) \d/,
      );
      await server.running.says(/client 3: connected/);
      assertMatch(await first.rest(), /error timeout Dropped to admit another client/);
      assertEquals(names(server.dir).filter((name) => name !== "(in flight)"), []);
    }
  });
}

integration("--greeting-timeout counts until the key is proved", async () => {
  await using local = await tempDir();
  const file = await local.write("key", `${KEY}\n`);
  // Enough for the handshake on a busy machine, and less than the answer takes.
  const args = ["--greeting-timeout", "3", "--token-file", file];
  await using server = await startServer({ args });
  using conn = await dialWithKey(server, KEY);
  await conn.send(HELLO);
  await conn.challenge();
  const wire = { says: (text: string | Uint8Array) => conn.send(String(text)) };
  const [told] = await Promise.all([conn.rest(), drip(wire, `answer ${"0".repeat(64)}`)]);
  assertEquals(told, "error timeout No complete greeting within 3 s\n");
});

integration("--greeting-timeout is over for who has greeted, and where none is due", async () => {
  const args = ["--greeting-timeout", "0.5"];
  await using files = await startServer({ args });
  await using raw = await startServer({ args: [...args, "--mode", "raw"] });
  using greeted = await Wire.greet(files);
  using sender = await Wire.dial(raw);
  await Promise.all([drip(greeted, "How are you?\n"), drip(sender, "thirteen byte")]);
  assertEquals(await greeted.line(), "How are you? ACK");
  await sender.closeWrite();
  assertEquals(await sender.rest(), "");
  assertEquals(Deno.statSync(`${raw.dir}/1.file`).size, 13);
});

integration(
  "a full server makes way for a client that greets, not for one that is silent",
  async () => {
    await using server = await startServer({ args: ["--max-clients", "2"] });
    using greeted = await Wire.greet(server);
    using dripping = await Wire.dial(server);
    await dripping.says("hello 1 but slo");
    assertEquals(await Wire.dial(server).then(restOf), "busy 2 of 2\n");
    using next = await Wire.greet(server);
    assertMatch(
      await dripping.rest(),
      /^error timeout Dropped to admit another client: no greeting within \d(\.\d)? s\n$/,
    );
    await server.running.says(/client 2: Dropped to admit another client/);
    assertEquals(await turnedAway(server), "busy 2 of 2\n");
    for (const wire of [greeted, next]) {
      await wire.says("still here\n");
      assertEquals(await wire.line(), "still here ACK");
    }
  },
);

async function restOf(wire: Wire): Promise<string> {
  using _ = wire;
  return await wire.rest();
}

/** What a client is told that greets and finds no place. */
async function turnedAway(server: { port: number }): Promise<string> {
  using wire = await Wire.dial(server);
  await wire.says(HELLO);
  return await wire.rest();
}

integration(
  "a full server without greetings makes way at the cost of who sent nothing",
  async () => {
    await using server = await startServer({ args: ["--mode", "reverse", "--max-clients", "2"] });
    using begun = await Wire.dial(server);
    using silent = await Wire.dial(server);
    await begun.says("a slow sentence");
    using next = await Wire.dial(server);
    await next.says("\n");
    assertEquals(await silent.rest(), "");
    assertEquals(await next.line(), "");
    await begun.says("\n");
    assertEquals(await begun.line(), "ecnetnes wols a");
  },
);

/** Descriptors for that many connections, and for the programs themselves. */
const CROWD = 10_000;
const MANY = { ...PYTHON, ...PROC, descriptors: CROWD + 1000 };

/** Limits that cut none of them within a test. */
const PATIENCE = ["--greeting-timeout", "600", "--timeout", "600"];

/** Many connections that say nothing, from a program of their own. */
async function crowd(
  { port }: { port: number },
): Promise<{ leave(): Promise<string> } & AsyncDisposable> {
  const process = new Deno.Command("python3", {
    args: [fixture("peers/silent_clients.py"), "127.0.0.1", String(port), String(CROWD)],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = process.stdout
    .pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  assertEquals((await lines.read()).value, `holding ${CROWD}`);
  return {
    async leave(): Promise<string> {
      await process.stdin.close();
      return (await lines.read()).value!;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      process.kill("SIGKILL");
      await process.stdin.close().catch(() => {});
      await lines.cancel();
      await process.status;
    },
  };
}

/** Milliseconds after which an answer shows that a process did not run, or that the disk hung. */
const STALL_MS = 250;

/** A connection that has greeted. */
type Asked = Pick<Wire, "says" | "line"> & Disposable;

/**
 * A clock of the time in which a server answers a client that it has, and keeps another one waiting.
 * Behind a late answer it goes on by no more than the processor time that the server has used.
 */
class ServerClock implements AsyncDisposable {
  readonly #server: TestServer;
  readonly #asking: Promise<void>;
  #isOver = false;
  /** Milliseconds. */
  now = 0;

  private constructor(server: TestServer, wire: Asked) {
    this.#server = server;
    this.#asking = this.#ask(wire);
  }

  static async start(server: TestServer): Promise<ServerClock> {
    if (server.key === undefined) return new ServerClock(server, await Wire.greet(server));
    const conn = await dialWithKey(server, server.key);
    await conn.prove("test");
    await conn.line();
    return new ServerClock(server, {
      says: (text) => conn.send(String(text)),
      line: () => conn.line(),
      [Symbol.dispose]: () => conn[Symbol.dispose](),
    });
  }

  async #ask(wire: Asked): Promise<void> {
    using _ = wire;
    while (!this.#isOver) {
      const [asked, worked] = [performance.now(), busyMs(this.#server)];
      await wire.says("whoami\n");
      assertEquals(await wire.line(), "ok test");
      const tookMs = performance.now() - asked;
      this.now += tookMs < STALL_MS ? tookMs : busyMs(this.#server) - worked;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#asking;
  }
}

/**
 * The time in which 99 of 100 honest clients, one after the other, stored a file. One that is told
 * `busy` tries again, and its time goes on. Milliseconds.
 */
async function p99(server: TestServer, clock: ServerClock): Promise<number> {
  const times: number[] = [];
  for (let client = 0; client < 100; client++) {
    const started = clock.now;
    while (!await storesOneFile(server));
    times.push(clock.now - started);
  }
  return times.sort((a, b) => a - b)[98]!;
}

const ONE_FILE = "push 6 a.txt\nhello\nend 363a3020\nexit\n";

async function storesOneFile(server: TestServer): Promise<boolean> {
  const told = server.key === undefined
    ? await exchange(server, `${HELLO}${ONE_FILE}`)
    : await tellsInSecret(server, server.key);
  if (told.startsWith("busy ")) return false;
  assertMatch(told, /^welcome .*\nok 6 363a3020 a( \(\d+\))?\.txt\nok bye\n$/);
  return true;
}

async function tellsInSecret(server: TestServer, key: string): Promise<string> {
  using conn = await dialWithKey(server, key);
  await conn.send(HELLO);
  const first = await conn.line();
  const [, nonce] = /^challenge (\w+)$/.exec(first) ?? [];
  if (nonce === undefined) return first;
  await conn.send(`answer ${await conn.credential.prove(nonce)}\n${ONE_FILE}`);
  return await conn.rest();
}

for (const key of [undefined, KEY]) {
  const whose = key === undefined ? "" : " who has the key";
  integration(
    `10,000 who say nothing keep no honest client${whose} waiting for a second`,
    async () => {
      // They would be cut sooner or later: what is left is that they make way.
      await using server = await startServer({ args: ["--backlog", "4096", ...PATIENCE], key });
      await using clock = await ServerClock.start(server);
      await using _crowd = await crowd(server);
      assertLess(await p99(server, clock), 1000);
      // Those who were turned away and do not close hold nothing either.
      assertLess(openFiles(server.running.process), CROWD / 10);
    },
    MANY,
  );
}

integration("10,000 who say nothing, held all at once, leave honest clients served", async () => {
  await using server = await startServer({
    args: ["--max-clients", "20000", "--backlog", "4096", ...PATIENCE],
    env: PROMPT_GC,
  });
  const before = residentBytes(server.running.process);
  await using clock = await ServerClock.start(server);
  await using silent = await crowd(server);
  assertLess(await p99(server, clock), 1000);
  assertLess(residentBytes(server.running.process) - before, CROWD * 24_000);
  assert(openFiles(server.running.process) > CROWD);
  assertEquals(await silent.leave(), `open ${CROWD}`);
}, MANY);

/** A server within this process, with a floor that shows within a test's time. */
async function paced(
  options: ServeOptions,
): Promise<{ port: number; dir: string } & AsyncDisposable> {
  const local = await tempDir();
  const server = await serve({
    directory: local.path,
    minRateWindowMs: 500,
    log: { quiet: true },
    ...options,
  });
  return {
    port: server.address.port,
    dir: local.path,
    async [Symbol.asyncDispose](): Promise<void> {
      await server[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

const TOO_SLOW =
  /error timeout Cannot continue at \d+ B\/s over [\d.]+ s: the minimum is 1 KiB\/s\n$/;

/** What comes before the body on each wire, and what the server says to that. */
const BODIES: Record<string, [mode: string, before: string, go: string]> = {
  "a put": ["files", `${HELLO}put 1000 a.txt\n`, "welcome client 1 of 100\ngo 0\n"],
  "a put in chunks": [
    "files",
    `${HELLO}put - a.txt\ndata 1000\n`,
    "welcome client 1 of 100\ngo 0\n",
  ],
  "a push": ["files", `${HELLO}push 1000 a.txt\n`, "welcome client 1 of 100\n"],
};

for (const [what, [mode, before, go]] of Object.entries(BODIES)) {
  integration(`--min-rate cuts who sends ${what} too slowly, and stores nothing`, async () => {
    await using server = await paced({ mode });
    using wire = await Wire.dial(server);
    await wire.says(Uint8Array.from(before, (character) => character.charCodeAt(0)));
    assertEquals(new TextDecoder().decode(await wire.bytes(go.length)), go);
    const [told] = await Promise.all([wire.rest(), drip(wire, "x".repeat(100))]);
    assertMatch(told, TOO_SLOW);
    assertEquals(names(server.dir), []);
  });
}

/** Wires that people type on: only there the slow stay while there are places. */
const TYPED = {
  upload: ["\0\0\0\0\0\0\x03\xe8a.txt", "go ahead"],
  raw: ["", ""],
} as const;

for (const [mode, [before, go]] of Object.entries(TYPED)) {
  integration(
    `--min-rate cuts in mode ${mode} who is too slow where a place is needed`,
    async () => {
      await using server = await paced({ mode, maxClients: 1 });
      using wire = await Wire.dial(server);
      const header = Uint8Array.from(before, (character) => character.charCodeAt(0));
      await wire.says(header);
      assertEquals(new TextDecoder().decode(await wire.bytes(go.length)), go);
      let isOver = false;
      const told = wire.rest().finally(() => isOver = true);
      const dripping = drip(wire, "x".repeat(1000));
      // Nobody else: several windows pass.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assertEquals(isOver, false);
      while (!isOver) {
        using next = await Wire.dial(server);
        await next.says(header.length > 0 ? header : "x");
        await Promise.race([next.rest(), told]);
      }
      assertEquals(await told, "error timeout Dropped to admit another client: too slow\n");
      await dripping;
      assertEquals(names(server.dir).filter((name) => /^(1\.file|a\.txt)$/.test(name)), []);
    },
  );
}

integration("--min-rate leaves alone who is slow, but not that slow", async () => {
  // Of a byte in each window, however late the bytes are on a busy machine.
  await using server = await paced({ minRate: 1 });
  using wire = await Wire.greet(server);
  await wire.says("put 30 a.txt\n");
  assertEquals(await wire.line(), "go 0");
  await drip(wire, "x".repeat(30));
  await wire.says("end bd83f7a1\n");
  assertMatch(await wire.line(), /^(ok 30|error checksum)/);
});

integration("--min-rate 0 lets a body be as slow as it likes", async () => {
  await using server = await paced({ mode: "raw", minRate: 0 });
  using wire = await Wire.dial(server);
  await drip(wire, "x".repeat(30));
  await wire.closeWrite();
  assertEquals(await wire.rest(), "");
  assertEquals(Deno.statSync(`${server.dir}/1.file`).size, 30);
});

integration("--min-rate cuts who takes a file too slowly", async () => {
  const floor = 100 * 2 ** 20;
  await using server = await paced({ minRate: floor });
  Deno.writeFileSync(`${server.dir}/large.bin`, new Uint8Array(0));
  Deno.truncateSync(`${server.dir}/large.bin`, floor);
  using wire = await Wire.greet(server);
  await wire.says("get large.bin\n");
  assertEquals(await wire.line(), `ok ${floor}`);
  let taken = 0;
  for (let chunk; (chunk = await wire.bytes(64 * 1024)).length > 0;) {
    taken += chunk.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertLess(taken, floor);
});

integration("--min-rate is not for what people type: messages, and lines to reverse", async () => {
  const { code, stdout, stderr } = await runSource(`
    import { serve } from ${JSON.stringify(`file://${scriptPath("server.ts")}`)};
    const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
    async function type(mode, opening) {
      const directory = await Deno.makeTempDir();
      const options = { mode, directory, minRateWindowMs: 200, log: { quiet: true } };
      await using server = await serve(options);
      const { port } = server.address;
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      for (const piece of [opening, ...mode + " typed by hand\\n"]) {
        await conn.write(new TextEncoder().encode(piece));
        await pause();
      }
      if (mode === "files") await conn.write(new TextEncoder().encode("end e7fe2f69\\nexit\\n"));
      else await conn.closeWrite();
      const answer = new Uint8Array(1000);
      let text = "";
      for (let read; (read = await conn.read(answer)) !== null;) {
        text += new TextDecoder().decode(answer.subarray(0, read));
      }
      console.error(text.trimEnd());
      await Deno.remove(directory, { recursive: true });
    }
    await type("files", "hello 1 ben\\nsay 20\\n");
    await type("message", "");
    await type("reverse", "");
    Deno.exit(0);`);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "files typed by hand\nmessage typed by hand\n");
  assertMatch(stderr, /go 0\nok 20 e7fe2f69\nok bye\n/);
  assertMatch(stderr, /\ndnah yb depyt esrever\n/);
});

integration(
  "--max-per-address turns away one more from the same address, and no other",
  async () => {
    await using server = await startServer({ args: ["--max-per-address", "2"] });
    using _first = await Wire.greet(server);
    const second = await Wire.greet(server);
    assertEquals(await turnedAway(server), "busy;limit=address 2 of 2\n");
    await server.running.says(
      /rejected "test" at 127\.0\.0\.1:\d+: 2 of 2 clients from its address connected/,
    );
    const args = ["-s", "127.0.0.2", "-N", "127.0.0.1", String(server.port)];
    const { stdout } = await run("nc", args, { stdin: `${HELLO}exit\n` });
    assertEquals(stdout, "welcome client 3 of 100\nok bye\n");
    second.close();
    await server.running.says(/client 2: left/);
    using third = await Wire.dial(server);
    await third.says(HELLO);
    assertMatch(await third.line(), /^welcome/);
  },
  { programs: Deno.build.os === "linux" ? ["nc -N"] : ["linux"] },
);

/** Each is the whole of what a peer says, and what it is told. */
const HOSTILE: [string, string | Uint8Array, RegExp][] = [
  ["a size of 2^53", `${HELLO}put 9007199254740992 a\n`, /error bad-request .*2\^53 - 1\n$/],
  ["a size of 2^63", `${HELLO}push 9223372036854775808 a\n`, /error bad-request .*2\^53 - 1\n$/],
  ["a negative size", `${HELLO}put -1 a\n`, /error bad-request .*2\^53 - 1\n$/],
  ["a message of 2^53", `${HELLO}say 9007199254740992\n`, /error bad-request .*2\^53 - 1\n$/],
  ["a size of 4,000 digits", `${HELLO}put ${"9".repeat(4000)} a\n`, /error bad-request .*\n$/],
  ["a version of 2^63", "hello 9223372036854775808 a\n", /^error bad-request .*2\^53 - 1\n$/],
  ["the largest size", `${HELLO}put 9007199254740991 a\n`, /\n(?:go 0|error no-space .*)\n/],
  ["a name of 4,000 bytes", `${HELLO}get ${"x/".repeat(2000)}x\n`, /error bad-name/],
  ["a client's name of 4,000 bytes", `hello 1 ${"x".repeat(4000)}\n`, /^error bad-name/],
  ["4,097 bytes without a line end", "x".repeat(4097), /^error bad-request .*first bytes: .*\n$/],
  [
    "a hello of 4,097 bytes without end",
    `hello 1 ${"x".repeat(4089)}`,
    /^error bad-request .*4096 bytes\n$/,
  ],
  ["a line of 4,097 bytes", `${HELLO}${"x".repeat(4096)}\n`, /error bad-request .*4096 bytes\n$/],
  ["an empty chunk", `${HELLO}put - a\ndata 0\n`, /go 0\nerror bad-request .*16777216/],
  ["a chunk too large", `${HELLO}put - a\ndata 16777217\n`, /go 0\nerror bad-request .*16777216/],
  ["a chunk of 2^63", `${HELLO}put - a\ndata 9223372036854775808\n`, /go 0\nerror bad-request/],
  ["an upload of 2^63 bytes", Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0, 97), /^error bad-request/],
  ["an upload of 2^55 bytes", Uint8Array.of(0, 128, 0, 0, 0, 0, 0, 0, 97), /^error bad-request/],
  ["an upload's name of 1 MB", new Uint8Array(2 ** 20).fill(97).fill(0, 0, 8), /^error bad-name/],
];

integration(
  "no size, number, line or name that a peer makes up costs the server memory",
  async () => {
    await using server = await startServer();
    await using uploads = await startServer({ args: ["--mode", "upload"] });
    const before = residentBytes(server.running.process);
    for (let round = 0; round < 5; round++) {
      for (const [what, content, expected] of HOSTILE) {
        using wire = await Wire.dial(what.startsWith("an upload") ? uploads : server);
        await pour(wire, content, 1);
        await wire.closeWrite().catch(() => {});
        assertMatch(await wire.rest(), expected, what);
      }
    }
    // A number of a billion digits, a line without an end.
    for (const endless of ["put ", "x"]) {
      using wire = await Wire.greet(server);
      await wire.says(endless);
      const [told] = await Promise.all([wire.rest(), pour(wire, "9".repeat(2 ** 20), 1000)]);
      assertMatch(told, /^(error bad-request .*4096 bytes\n)?$/);
    }
    assertLess(residentBytes(server.running.process) - before, 64 * 2 ** 20);
    assertEquals(names(server.dir), []);
    await assertServes(server);
  },
  PROC,
);

integration("a body in thousands of chunks of a byte costs the server no memory", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  const resident: number[] = [];
  // What the first one leaves to the garbage collector is no more after the second.
  for (let round = 0; round < 2; round++) {
    await wire.says("put - a.txt\n");
    await wire.says("data 1\nx".repeat(50_000));
    await wire.says("abort enough\n");
    assertEquals(await wire.line(), "go 0");
    assertEquals(await wire.line(), 'error aborted Did not store "a.txt": enough');
    resident.push(residentBytes(server.running.process));
  }
  assertLess(resident[1]! - resident[0]!, 32 * 2 ** 20);
}, PROC);

/** Requests whose answers are far longer than they are, or as long. */
const UNREAD = {
  list: "list\n",
  status: "status\n",
  talk: `${"x".repeat(4000)}\n`,
  get: "get large.bin\n",
};

for (const [what, request] of Object.entries(UNREAD)) {
  integration(`who never reads the answers to ${what} costs no memory, and is cut`, async () => {
    await using server = await startServer({ args: ["--timeout", "1"] });
    for (let number = 0; number < 300; number++) {
      Deno.writeTextFileSync(`${server.dir}/${"long name ".repeat(20)}${number}`, "");
    }
    Deno.writeFileSync(`${server.dir}/large.bin`, bytes(2 ** 20));
    const before = residentBytes(server.running.process);
    using deaf = await Wire.dial(server);
    await deaf.says(HELLO);
    await pour(deaf, request.repeat(100), 1000);
    await server.running.says(/client 1: No data in either direction for 1 s/);
    assertLess(residentBytes(server.running.process) - before, 64 * 2 ** 20);
    await assertServes(server);
  }, PROC);
}

/** A server that may have few files open, and a client of it that has greeted. */
async function scarce(): Promise<TestServer> {
  const args = ["--max-clients", "1000", "--backlog", "1000"];
  return await startServer({ under: ["prlimit", "--nofile=48:48"], args });
}

const PRLIMIT = { programs: ["prlimit"] };

const NO_ACCEPT = /Cannot accept a client: too many files are open/;

integration("server.ts with too many open files pauses, says so once, and goes on", async () => {
  await using server = await scarce();
  const wires = await Promise.all(Array.from({ length: 40 }, () => Wire.dial(server)));
  await server.running.says(NO_ACCEPT);
  // The pause goes on for as long as it takes, and nothing more is said of it.
  const patient = runClient(server, [fixture("hello.txt")]);
  await Promise.all(wires.slice(0, 20).map((wire) => drip(wire, "hello 1 xxxx", 50)));
  assertEquals(server.running.log.match(new RegExp(NO_ACCEPT, "g"))!.length, 1);
  wires.forEach((wire) => wire.close());
  await server.running.says(/accepting clients again/);
  assertEquals((await patient).code, 0);
  assert(!server.running.log.includes("EMFILE"), "a fault that is known needs no stack");
}, PRLIMIT);

integration(
  "a request that finds too many files open is refused, and the next is not",
  async () => {
    await using server = await scarce();
    using wire = await Wire.greet(server);
    await wire.says("push 6 a.txt\nhello\nend 363a3020\n");
    assertEquals(await wire.line(), "ok 6 363a3020 a.txt");
    const wires = await Promise.all(Array.from({ length: 40 }, () => Wire.dial(server)));
    await server.running.says(NO_ACCEPT);
    const why = "too many files are open";
    await wire.says("put 6 b.txt\nget a.txt\nlist\nstill here\n");
    assertEquals(await wire.line(), `error overloaded Cannot store "b.txt": ${why}`);
    assertEquals(await wire.line(), `error overloaded Cannot get "a.txt": ${why}`);
    assertEquals(await wire.line(), `error overloaded Cannot list the files: ${why}`);
    assertEquals(await wire.line(), "still here ACK");
    wires.forEach((wire) => wire.close());
    await server.running.says(/left, /, wires.length);
    await wire.says("push 6 b.txt\nhello\nend 363a3020\n");
    assertEquals(await wire.line(), "ok 6 363a3020 b.txt");
  },
  PRLIMIT,
);

/** How many lines of a log say each of these things. */
function counted(log: string): { written: number; leftOut: number; stored: number } {
  const lines = log.split("\n").filter((line) => !line.includes("listening on"));
  const told = lines.map((line) => /(\d+) more lines about 127\.0\.0\.1 were left out$/.exec(line));
  return {
    written: lines.filter((line, index) => !told[index] && !line.includes(" stored ")).length,
    leftOut: told.reduce((sum, match) => sum + Number(match?.[1] ?? 0), 0),
    stored: lines.filter((line) => line.includes(" stored ")).length,
  };
}

/** What each makes the server log: so many lines, so many of them of stored files. */
const FLOODS: Record<
  string,
  [flood: (server: TestServer) => Promise<void>, lines: number, stored: number]
> = {
  "talk": [
    async (server) => {
      using wire = await Wire.greet(server);
      await wire.says("Hello\n".repeat(1000) + "exit\n");
      await wire.rest();
    },
    1003,
    0,
  ],
  "greetings that are none": [
    async (server) => {
      for (let count = 0; count < 300; count++) {
        using wire = await Wire.dial(server);
        await wire.says("nonsense\n");
        assertMatch(await wire.rest(), /^error bad-request/);
      }
    },
    900,
    0,
  ],
  "coming to a full house": [
    async (server) => {
      using first = await Wire.greet(server);
      // A full server takes a moment for each: one after the other would be no flood on a busy machine.
      await Promise.all(Array.from({ length: 20 }, async () => {
        for (let count = 0; count < 15; count++) {
          assertEquals(await turnedAway(server), "busy 1 of 1\n");
        }
      }));
      await first.says("exit\n");
      await first.rest();
    },
    303,
    0,
  ],
  "files, each of which is told": [
    async (server) => {
      using wire = await Wire.greet(server);
      await wire.says("push 0 a.txt\nend 00000000\n".repeat(300) + "whoami\nHello\n".repeat(300));
      await wire.says("exit\n");
      await wire.rest();
    },
    303,
    300,
  ],
};

for (const [what, [flood, lines, stored]] of Object.entries(FLOODS)) {
  integration(`a flood of ${what} does not flood the log`, async () => {
    await using server = await startServer({ args: ["--max-clients", "1"] });
    const started = performance.now();
    await flood(server);
    await server.running.stop();
    const seconds = (performance.now() - started) / 1000;
    const { log } = server.running;
    const count = counted(log);
    assertEquals([count.written + count.leftOut, count.stored], [lines, stored], log);
    assert(count.leftOut > 0, log);
    assert(count.written <= 100 + 20 * seconds + 1, log);
  });
}
