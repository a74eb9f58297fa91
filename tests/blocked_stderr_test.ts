import { assert, assertEquals, assertMatch } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { integration, ROOT, tempDir } from "./helpers.ts";
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

  async [Symbol.asyncDispose](): Promise<void> {
    if (await Promise.race([this.process.status, undefined]) === undefined) {
      this.process.kill("SIGKILL");
    }
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
    assertEquals([level, typeof lines], ["error", "number"]);
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
