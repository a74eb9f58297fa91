/**
 * `server.ts --json`, by real programs: what it prints of what is stored and said.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes/concat";
import {
  bytes,
  fixture,
  integration,
  KEY,
  ROOT,
  run,
  runClient,
  Running,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { objectsFrom, objectsIn, type Printed, withoutTimes } from "./json_lines.ts";
import { makeTree } from "./trees.ts";
import { Wire } from "./wire.ts";

/** The objects of a server, once it has stopped. */
async function objectsOf(server: TestServer): Promise<Printed[]> {
  await server.running.stop("SIGTERM");
  return objectsIn(await server.stdout, "server");
}

/** Starts a server with `--json`, for a test that reads its stdout as it comes. */
function spawnServer(args: readonly string[], env: Record<string, string> = {}): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "server.ts", "--json", ...args],
    ...{ cwd: ROOT, env, stdin: "null", stdout: "piped", stderr: "piped" },
  }).spawn();
}

/** The bytes of the messages in objects. */
function messagesIn(objects: readonly Printed[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  for (const { event, part, last, text, base64, bytes } of objects) {
    if (event !== "message") continue;
    if (part === 1) parts = [];
    parts.push(
      base64 === undefined ? new TextEncoder().encode(text) : Uint8Array.fromBase64(base64),
    );
    assertEquals([part, bytes], [parts.length, parts.at(-1)!.length]);
    if (last) messages.push(concat(parts));
  }
  return messages;
}

integration(
  "server.ts --json tells each file, folder and link that is stored, and by whom",
  async () => {
    await using server = await startServer({ args: ["--json"] });
    await using local = await tempDir();
    makeTree(`${local.path}/in`, { "bi\u202edi": "hello\n" });
    Deno.mkdirSync(`${local.path}/in/empty`);
    Deno.symlinkSync("empty", `${local.path}/in/link`);
    await runClient(server, ["in", "--name", "ben"], { cwd: local.path });
    const body = "hello\n";
    await (await fetch(`http://127.0.0.1:${server.port}/files/web.txt`, { method: "PUT", body }))
      .body?.cancel();
    const objects = withoutTimes(await objectsOf(server)).map((
      { level: _, message: __, ...facts },
    ) => facts);
    const listening = { hostname: "127.0.0.1", port: server.port, directory: server.dir };
    assertEquals(objects, [
      { event: "listening", ...listening, url: `http://127.0.0.1:${server.port}/` },
      { event: "folder", id: 1, client: "ben", file: "in" },
      ...[{
        event: "stored",
        id: 1,
        client: "ben",
        file: "in/bi\u202edi",
        bytes: 6,
        crc: "363a3020",
      }],
      { event: "folder", id: 1, client: "ben", file: "in/empty" },
      { event: "link", id: 1, client: "ben", file: "in/link" },
      { event: "stored", id: 2, file: "web.txt", bytes: 6, crc: "363a3020" },
    ]);
    assertMatch(server.running.log, /stored "web\.txt"/);
  },
);

for (const mode of ["files", "message"]) {
  integration(`server.ts --json has the bytes of each message in mode ${mode}`, async () => {
    const args = ["--mode", mode];
    await using server = await startServer({ args: [...args, "--json", "--quiet"] });
    const messages = [
      "hello\n",
      "bi\u202edi \u001b[2J\ufeff",
      "",
      bytes(100),
      "☕".repeat(70_000),
      concat([new TextEncoder().encode("☕".repeat(50_000)), bytes(70_000)]),
    ];
    for (const stdin of messages) {
      const from = mode === "files" ? args : [...args, "-"];
      const { code, stderr } = await runClient(server, from, { stdin });
      assertEquals(code, 0, stderr);
    }
    const objects = await objectsOf(server);
    assertEquals(
      messagesIn(objects),
      messages.map((one) => typeof one === "string" ? new TextEncoder().encode(one) : one),
    );
    const [, hello, hostile, , binary, ...long] = objects;
    assertEquals([hello!.text, hello!.part, hello!.last], ["hello\n", 1, true]);
    assertEquals([hostile!.text, typeof binary!.base64], [messages[1], "string"]);
    const spoken = long.slice(0, long.findIndex(({ last }) => last) + 1);
    assert(spoken.length > 1 && spoken.every(({ text }) => text !== undefined));
    for (const { bytes } of long) assert(bytes <= 64 * 1024 + 3, bytes);
    assert(long.some(({ part, last, text }) => part === 1 && !last && text !== undefined));
    assertEquals(server.running.log.split("\n").length, 1);
  });
}

integration("server.ts --json tells of files whatever --quiet leaves out of the log", async () => {
  await using server = await startServer({ args: ["--json", "--quiet"] });
  assertEquals((await runClient(server, [fixture("hello.txt")])).code, 0);
  const events = (await objectsOf(server)).map(({ event }) => event);
  assertEquals(events, ["listening", "stored"]);
  assertEquals(server.running.log.split("\n").length, 1);
});

integration("server.ts --json has no last piece of a message that breaks off", async () => {
  await using server = await startServer({ args: ["--json"] });
  using wire = await Wire.greet(server);
  await wire.says("say -\n");
  await wire.line();
  for (let pieces = 0; pieces < 4; pieces++) {
    await wire.says("data 50000\n");
    await wire.says("x".repeat(50_000));
  }
  await wire.says("abort no more\n");
  await wire.line();
  await wire.says("say 6\n");
  await wire.line();
  await wire.says("hello\nend 363a3020\n");
  await wire.line();
  const objects = (await objectsOf(server)).filter(({ event }) => event === "message");
  const [first, ...others] = objects.map(({ part, last }) => [part, last]);
  assertEquals(first, [1, false]);
  assertEquals(others.at(-1), [1, true]);
  assertEquals(others.filter(([part, last]) => part === 1 || last).length, 1);
  assertEquals(messagesIn(objects), [new TextEncoder().encode("hello\n")]);
});

integration(
  "server.ts --json tells every folder: the limit of the log is none of its own",
  async () => {
    await using server = await startServer({ args: ["--json"] });
    await using local = await tempDir();
    for (let number = 0; number < 150; number++) Deno.mkdirSync(`${local.path}/in/${number}`, MADE);
    assertEquals((await runClient(server, ["in"], { cwd: local.path })).code, 0);
    const folders = (await objectsOf(server)).filter(({ event }) => event === "folder");
    assertEquals(new Set(folders.map(({ file }) => file)).size, 151);
    assertMatch(server.running.log, /more lines about 127\.0\.0\.1 were left out/);
  },
);

const MADE = { recursive: true };

integration("server.ts --json begins with all that a script needs: port, pin, page", async () => {
  await using local = await tempDir();
  const where = ["--dir", `${local.path}/in`, "--host", "0.0.0.0", "--base-path", "/inlet"];
  const args = [...where, "--log", "json"];
  const process = spawnServer(["0", ...args], { INLET_TOKEN: KEY });
  await using running = new Running(process);
  const { value } = await objectsFrom(process.stdout, "server").next();
  const { event, hostname, port, pin, url } = value;
  assertEquals([event, hostname, url], [
    "listening",
    "0.0.0.0",
    `https://127.0.0.1:${port}/inlet/`,
  ]);
  const [line, pinned] = [await running.says(/"listening"/), await running.says(/"event":"pin"/)];
  const { version, ...logged } = JSON.parse(pinned.input);
  assertEquals([version, logged.pin], [undefined, pin]);
  assertEquals(JSON.parse(line.input).url, url);
});

integration(
  "server.ts --json tells the path of its Unix socket, and the clients of it",
  async () => {
    await using local = await tempDir();
    const path = `${local.path}/socket`;
    const process = spawnServer([`unix:${path}`, "--dir", `${local.path}/in`]);
    await using _ = new Running(process);
    const objects = objectsFrom(process.stdout, "server");
    const { value: listening } = await objects.next();
    assertEquals([listening.path, listening.port, listening.url], [path, undefined, undefined]);
    const client = async (...args: string[]) => {
      const line = ["run", "-A", "client.ts", `unix:${path}`, "--json", ...args];
      return objectsIn((await run(Deno.execPath(), line)).stdout);
    };
    const [sent] = await client("LICENSE", "--name", "ben");
    const { value: stored } = await objects.next();
    assertEquals([stored.file, stored.crc, stored.client], ["LICENSE", sent!.crc, "ben"]);
    const [ben] = await client("--status");
    assertEquals([ben!.client, ben!.address], ["ben", stored.address]);
  },
  { programs: Deno.build.os === "windows" ? ["Unix sockets"] : [] },
);

integration("server.ts --json tells an error that keeps it from starting", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const dir = ["--dir", `${local.path}/in`];
  const lines: [code: string, exitCode: number, line: string[]][] = [
    ["listen", 4, [String(server.port), ...dir, "--json"]],
    ["usage", 2, ["--json"]],
    ["usage", 2, ["0", "--jsno", "--json"]],
    ["usage", 2, ["0", "--json", "--max-size", "many"]],
    ["usage", 2, ["0", "--host", "0.0.0.0", "--json"]],
    ["usage", 2, ["--json", "--users", `${local.path}/users`, "--add-user", "ben"]],
    ["usage", 2, ["0", "--json", "--token-file", `${local.path}/nothing`]],
    ["usage", 2, ["0", "--json", "--dir", "README.md"]],
  ];
  for (const [code, exitCode, line] of lines) {
    const ended = await run(Deno.execPath(), ["run", "-A", "server.ts", ...line]);
    const [error, ...others] = objectsIn(ended.stdout, "server");
    const told = `${line.join(" ")}: ${ended.stdout}`;
    assertEquals([error!.event, error!.code, error!.exitCode], ["error", code, exitCode], told);
    assertEquals([ended.code, others, ended.stderr], [exitCode, [], ""], told);
  }
});

integration(
  "server.ts --json stores on where nobody reads, and tells what it left out",
  async () => {
    await using local = await tempDir();
    const folder = `in/${"f".repeat(200)}/${Array(11).fill("f".repeat(220)).join("/")}`;
    const files = 7000;
    const tree = Object.fromEntries([...Array(files).keys()].map((at) => [`${folder}/${at}`, ""]));
    makeTree(local.path, tree);
    const process = spawnServer(["0", "--dir", `${local.path}/to`]);
    await using running = new Running(process);
    const [, port] = await running.says(/listening on \S+:(\d+)/);
    const { code, stderr } = await runClient({ port: Number(port) }, ["in"], { cwd: local.path });
    assertEquals(code, 0, stderr);
    const stdout = new Response(process.stdout).text();
    await running.stop("SIGTERM");
    const objects = objectsIn(await stdout, "server");
    const [leftOut, ...others] = objects.filter(({ event }) => event === "left-out");
    assertEquals(others, []);
    const told = objects.filter(({ event }) => event === "stored" || event === "folder").length;
    assertEquals(told + leftOut!.lines, files + 13);
  },
);

integration(
  "server.ts --json goes on when its reader has gone, until something is said",
  async () => {
    await using local = await tempDir();
    const process = spawnServer(["0", "--dir", local.path]);
    await using running = new Running(process);
    const objects = objectsFrom(process.stdout, "server");
    const { value } = await objects.next();
    await objects.return!();
    const server = { port: value.port };
    for (const file of ["README.md", "LICENSE", "deno.json"]) {
      assertEquals((await runClient(server, [file])).code, 0);
    }
    const said = await runClient(server, [], { stdin: "hello\n" });
    assertMatch(said.stderr, /Cannot write to the standard output: its reader has closed it/);
    assertEquals((await running.stop("SIGTERM")).code, 0);
  },
);
