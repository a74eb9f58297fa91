import { assert, assertEquals, assertMatch } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { LineWriter } from "../lib/body/stderr.ts";
import {
  bytes,
  integration,
  names,
  PYTHON,
  ROOT,
  run,
  startServer,
  type TempDir,
  tempDir,
} from "./helpers.ts";
import { Wire } from "./wire.ts";

/** A program whose stderr is a pipe that is read only when the test says so. */
class Stopped implements AsyncDisposable {
  readonly process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  constructor(args: readonly string[]) {
    this.process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...args],
      cwd: ROOT,
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#lines = this.process.stderr
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
  }

  /** The next line of its stderr, or `undefined` at the end. */
  async line(): Promise<string | undefined> {
    return (await this.#lines.read()).value;
  }

  /** Sends a signal, unless it has ended: that is known here before its status is told. */
  signal(signal: Deno.Signal): void {
    try {
      this.process.kill(signal);
    } catch {
      // It has ended.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#lines.cancel();
    await this.process.stdin.close().catch(() => {});
    await this.process.status;
  }
}

/** Starts a server, and reads no more of its log than the port. */
async function startStopped(
  dir: string,
  ...args: string[]
): Promise<Stopped & { readonly port: number }> {
  const server = new Stopped(["server.ts", "0", "--dir", dir, ...args]);
  const [, port] = /listening on \S+:(\d+)/.exec(await server.line() ?? "")!;
  return Object.assign(server, { port: Number(port) });
}

const FILES = 6000;

/** Long names fill the pipe and the backlog soon. */
const NAME = "n".repeat(190);

/** Stores many empty files over one connection, so that as many lines are logged. */
async function storeMany(server: { port: number }): Promise<void> {
  using wire = await Wire.greet(server);
  for (let stored = 0; stored < FILES;) {
    const names = Array.from({ length: 100 }, () => `${NAME}${stored++}`);
    await wire.says(names.map((name) => `push 0 ${name}\nend 00000000\n`).join(""));
    for (const name of names) assertEquals(await wire.line(), `ok 0 00000000 ${name}`);
  }
}

integration("a server whose log nobody reads serves on, and tells what it left out", async () => {
  await using dir = await tempDir();
  await using server = await startStopped(dir.path);
  await storeMany(server);
  using late = await Wire.greet(server);
  await late.says("Hello\n");
  assertEquals(await late.line(), "Hello ACK");
  let stored = 0;
  let leftOut: string | undefined;
  while (leftOut === undefined) {
    const line = await server.line();
    assert(line !== undefined, "the log ended");
    if (/: stored "n+\d+", 0 B/.test(line)) stored++;
    leftOut = /^[\d-]+ [\d:]+ ([\d,]+) lines were left out: stderr was not read$/.exec(line)?.[1];
  }
  // Besides the stored files, clients have connected, said something and left.
  const lines = stored + Number(leftOut.replaceAll(",", ""));
  assert(lines >= FILES && lines <= FILES + 5, `${stored} stored, ${leftOut} left out`);
  assert(stored >= 3000, `${stored} lines were kept`);
  await late.says("exit\n");
  let line: string | undefined;
  do line = await server.line(); while (line !== undefined && !/client 2: left/.test(line));
  assertMatch(line ?? "", /left/);
});

integration("a server whose log nobody reads tells it in JSON, too", async () => {
  await using dir = await tempDir();
  const log = ["--log", "json", "--host", "127.0.0.1"];
  await using server = new Stopped(["server.ts", "0", "--dir", dir.path, ...log]);
  const { port } = JSON.parse(await server.line() ?? "");
  await storeMany({ port });
  for (;;) {
    const { event, level, lines } = JSON.parse(await server.line() ?? "");
    if (event !== "left-out") continue;
    assertEquals([level, typeof lines], ["warn", "number"]);
    break;
  }
});

for (const signals of [1, 2]) {
  integration(`a server whose log nobody reads ends after ${signals} SIGTERM`, async () => {
    await using dir = await tempDir();
    await using server = await startStopped(dir.path);
    await storeMany(server);
    for (let sent = 0; sent < signals; sent++) server.process.kill("SIGTERM");
    assertEquals((await server.process.status).code, 0);
  });
}

integration("a server that is stopped has written its last lines", async () => {
  await using dir = await tempDir();
  await using server = await startStopped(dir.path);
  using wire = await Wire.greet(server);
  await wire.says("push 0 a.txt\nend 00000000\n");
  await wire.line();
  server.process.kill("SIGTERM");
  const lines: string[] = [];
  for (let line; (line = await server.line()) !== undefined;) lines.push(line);
  assertMatch(lines.at(-1)!, /client 1: left, 0 connected$/);
  assert(lines.some((line) => line.includes('stored "a.txt"')), lines.join("\n"));
});

/** Starts a client that sends many files, each of which gets a line, to a server. */
async function sendMany(
  server: { port: number },
  dir: TempDir,
  ...more: string[]
): Promise<Stopped> {
  const paths: string[] = [];
  for (let file = 0; file < 1000; file++) paths.push(await dir.write(`${file}${NAME}`, ""));
  return new Stopped(["client.ts", "127.0.0.1", String(server.port), ...paths, ...more]);
}

integration("a client whose stderr nobody reads sends everything, and tells it later", async () => {
  await using dir = await tempDir();
  await using server = await startServer();
  await using client = await sendMany(server, dir);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir).length, 1000);
  let lines = 0;
  while (await client.line() !== undefined) lines++;
  assertEquals(lines, 1000);
  assertEquals((await client.process.status).code, 0);
});

integration("a client whose stderr nobody reads ends on a signal", async () => {
  await using dir = await tempDir();
  await using server = await startServer();
  await using client = await sendMany(server, dir);
  await server.running.says(/client 1: left/);
  // Whichever comes first: its end, or the next signal.
  const timer = setInterval(() => client.signal("SIGINT"), 500);
  const { code } = await client.process.status.finally(() => clearInterval(timer));
  assert(code === 0 || code === 130, String(code));
});

integration("a client whose stderr nobody reads can be interrupted within a transfer", async () => {
  await using dir = await tempDir();
  await using server = await startServer();
  const last = await dir.write("last", bytes(5_000_000));
  await using client = await sendMany(server, dir, last, "--limit", "100kB");
  await server.running.says(/stored "999n/);
  client.process.kill("SIGINT");
  assertEquals((await client.process.status).code, 130);
});

integration("a get whose stdout nobody reads can be interrupted", async () => {
  await using server = await startServer();
  await Deno.writeFile(`${server.dir}/a.bin`, bytes(20_000_000));
  const args = ["127.0.0.1", String(server.port), "--get", "a.bin", "--output", "-"];
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = client.stdout.getReader();
  await reader.read();
  client.kill("SIGINT");
  assertEquals((await client.status).code, 130);
  await reader.cancel();
});

integration("a session whose stdout nobody reads can be interrupted", async () => {
  await using server = await startServer();
  const client = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(server.port), "--session"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const script = client.stdin.getWriter();
  script.write(new TextEncoder().encode(`${NAME.repeat(10)}\n`.repeat(2000))).catch(() => {});
  const reader = client.stdout.getReader();
  await reader.read();
  client.kill("SIGINT");
  assertEquals((await client.status).code, 130);
  await reader.cancel();
  await script.abort().catch(() => {});
});

integration(
  "lines reach a pipe that another program has made one that does not block",
  async () => {
    await using dir = await tempDir();
    const script = `import os, subprocess, sys
r, w = os.pipe()
os.set_blocking(w, False)
server = subprocess.Popen(sys.argv[1:], stderr=w, stdout=w)
os.close(w)
while data := os.read(r, 65536): os.write(1, data)
`;
    const path = await dir.write("nonblocking.py", script);
    const long = "x".repeat(200_000);
    const source = `
    import { stderr } from "${new URL("lib/body/stderr.ts", ROOT).href}";
    import { writeStdout } from "${new URL("lib/body/stdio.ts", ROOT).href}";
    stderr.add("${long}");
    await stderr.flush(60_000);
    await writeStdout(new TextEncoder().encode("${long}"));`;
    const program = await dir.write("lines.ts", source);
    const args = [path, Deno.execPath(), "run", "-A", "--config", "deno.json", program];
    const { code, stdout } = await run("python3", args);
    assertEquals([code, stdout.length], [0, 400_001]);
  },
  PYTHON,
);

integration(
  "LineWriter keeps lines in order, and tells what it left out where it was",
  async () => {
    const { promise, resolve: read } = Promise.withResolvers<void>();
    let text = "";
    const writer = new LineWriter(async (written) => {
      await promise;
      text += new TextDecoder().decode(written);
    });
    writer.add("first");
    for (let line = 0; line < 2000; line++) {
      writer.add("x".repeat(1023), (lines) => `${lines} gone`);
    }
    writer.add("short", (lines) => `${lines} gone`);
    assertEquals(await writer.flush(10), false);
    read();
    assertEquals(await writer.flush(60_000), true);
    writer.add("after");
    await writer.flush(60_000);
    assertMatch(text, /^first\n(?:x+\n)+/);
    const lines = text.replace(/^first\n(?:x{1023}\n)+/, "").split("\n");
    const [gone, ...after] = lines;
    assertMatch(gone!, /^\d+ gone$/);
    assertEquals(after, ["after", ""]);
    // `short` would have had room, but it belongs behind the gap.
    assertEquals(parseInt(gone!) + text.match(/x\n/g)!.length, 2001);
  },
);

integration("LineWriter gives its reader no less time for a pause of this process", async () => {
  using file = await Deno.open("/dev/null", { write: true });
  const writer = new LineWriter(async (bytes) => void await file.write(bytes));
  writer.add("last words");
  const flushing = writer.flush(100);
  // It begins to write, and then nothing runs for longer than it waits.
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  const start = performance.now();
  while (performance.now() - start < 200);
  assertEquals(await flushing, true);
});
