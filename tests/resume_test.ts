import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  freePort,
  integration,
  names,
  ownFiles,
  runClient,
  startClient,
  startServer,
  tempDir,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { relayTo } from "./relay.ts";
import { makeTree, treeOf } from "./trees.ts";
import { Wire } from "./wire.ts";

const SIZE = 3_000_000;

/** Bytes on the wire before the body of a file that nothing was kept of. */
const UP = [
  "hello 1 inlet\n",
  `diff 1 /\n${SIZE};mode=644 2026-11-21T08:38:00Z a.bin\n`,
  `reput ${"0".repeat(64)} ${SIZE} a.bin\n`,
].join("").length;

/** A time that is as long on the wire as the one above. */
const WHOLE_SECOND = new Date("2026-11-21T08:38:00Z");

function assertSame(path: string, content: Uint8Array): void {
  const stored = Deno.readFileSync(path);
  assertEquals(stored.length, content.length);
  assert(stored.every((byte, index) => byte === content[index]), "other bytes");
}

const BREAKS = [0, 1, SIZE / 2, SIZE - 1, SIZE];

for (const at of BREAKS) {
  integration(`--resume goes on with a put whose connection ended at ${at}`, async () => {
    await using server = await startServer();
    await using local = await tempDir();
    const content = bytes(SIZE);
    const file = await local.write("a.bin", content);
    Deno.utimeSync(file, WHOLE_SECOND, WHOLE_SECOND);
    using relay = await relayTo(server, { direction: "up", bytes: UP + at, way: "end" });
    const broken = await runClient(relay, [file, "--resume"]);
    assertEquals(broken.code, 4, broken.stderr);
    await server.running.says(/client 1: left/);
    assertEquals(names(server.dir), at === 0 ? [] : ["(partial)"]);
    const listed = await runClient(server, ["--list"]);
    assertEquals(listed.stdout, "");
    const { code, stderr } = await runClient(server, [file, "--resume"]);
    assertEquals(code, 0, stderr);
    const [first] = stderr.split("\n");
    if (at === 0) assertMatch(first!, /a\.bin: stored as "a\.bin"/);
    else assertMatch(first!, /a\.bin: resuming at [\d.]+ [kKM]?i?B of 2\.86 MiB$/);
    assertEquals(names(server.dir), ["a.bin"]);
    assertSame(`${server.dir}/a.bin`, content);
  });
}

for (const at of BREAKS) {
  integration(`--resume goes on with a get whose connection ended at ${at}`, async () => {
    await using server = await startServer();
    await using local = await tempDir();
    const content = bytes(SIZE);
    makeTree(server.dir, { "a.bin": content });
    // The frames of chunks stand between the bytes: where it breaks is near enough.
    const down = `welcome client 1 of 100\nok ${SIZE}\ndata 1048576\n`.length + at;
    using relay = await relayTo(server, { direction: "down", bytes: down, way: "end" });
    const args = ["--get", "a.bin", "--resume"];
    const broken = await runClient(relay, args, { cwd: local.path });
    assertEquals(broken.code, 4, broken.stderr);
    const kept = names(local.path);
    assert(kept.every((name) => name === "(partial)"));
    // A single byte can be lost within the read that the end of the connection cut short.
    if (at !== 1) assertEquals(kept.length, at === 0 ? 0 : 1);
    const { code, stderr } = await runClient(server, args, { cwd: local.path });
    assertEquals(code, 0, stderr);
    assertEquals(stderr.includes("resuming at"), kept.length > 0);
    assertEquals(treeOf(local.path), treeOf(server.dir));
  });
}

for (const direction of ["up", "down"] as const) {
  integration(`--resume goes on after a reset on the way ${direction}`, async () => {
    await using server = await startServer();
    await using local = await tempDir();
    const content = bytes(SIZE);
    await local.write("a.bin", content);
    makeTree(server.dir, { "b.bin": content });
    using relay = await relayTo(server, { direction, bytes: SIZE / 2, way: "reset" });
    const args = direction === "up" ? ["a.bin", "--resume"] : ["--get", "b.bin", "--resume"];
    assertEquals((await runClient(relay, args, { cwd: local.path })).code, 4);
    await server.running.says(/client 1: left/);
    assertEquals((await runClient(server, args, { cwd: local.path })).code, 0);
    const got = direction === "up" ? `${server.dir}/a.bin` : `${local.path}/b.bin`;
    assertSame(got, content);
    assertEquals(names(direction === "up" ? server.dir : local.path).length, 2);
  });
}

for (const victim of ["client", "server"] as const) {
  integration(`--resume goes on with a put after a kill -9 of the ${victim}`, async () => {
    await using local = await tempDir();
    const dir = `${local.path}/received`;
    Deno.mkdirSync(dir);
    const content = bytes(SIZE);
    const file = await local.write("a.bin", content);
    Deno.utimeSync(file, WHOLE_SECOND, WHOLE_SECOND);
    await using first = await startServer({ dir });
    using relay = await relayTo(first, { direction: "up", bytes: UP + SIZE / 2, way: "silence" });
    await using client = startClient(relay, [file, "--resume"]);
    await uploadGrows(dir, SIZE / 2);
    await (victim === "client" ? client : first.running).stop("SIGKILL");
    if (victim === "client") await first.running.says(/client 1: left/);
    else assertEquals((await client.ended()).code, 4);
    await using second = await startServer({ dir });
    const { code, stderr } = await runClient(second, [file, "--resume"]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "a.bin: resuming at 1.43 MiB of 2.86 MiB\n");
    assertEquals(names(dir), ["a.bin"]);
    assertSame(`${dir}/a.bin`, content);
  });

  integration(`--resume goes on with a get after a kill -9 of the ${victim}`, async () => {
    await using server = await startServer();
    await using local = await tempDir();
    const content = bytes(SIZE);
    makeTree(server.dir, { "a.bin": content });
    using relay = await relayTo(server, { direction: "down", bytes: SIZE / 2, way: "silence" });
    const args = ["--get", "a.bin", "--resume"];
    await using client = startClient(relay, args, { cwd: local.path });
    await uploadGrows(local.path, 1_000_000);
    await (victim === "client" ? client : server.running).stop("SIGKILL");
    if (victim === "server") assertEquals((await client.ended()).code, 4);
    // Sooner, the next one waits until it is sure that no other program writes it.
    const quiet = new Date(Date.now() - 20_000);
    for (const path of ownFiles(local.path)) Deno.utimeSync(path, quiet, quiet);
    await using second = await startServer({ dir: server.dir });
    const { code, stderr } = await runClient(second, args, { cwd: local.path });
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "a.bin: resuming at");
    assertEquals(treeOf(local.path), treeOf(server.dir));
  });
}

/** Sends half of a file, and breaks off: the server keeps it. */
async function breakOff(server: TestServer, file: string): Promise<void> {
  using relay = await relayTo(server, { direction: "up", bytes: UP + SIZE / 2, way: "end" });
  assertEquals((await runClient(relay, [file, "--resume"])).code, 4);
  await server.running.says(/client 1: left/);
}

integration("--resume starts over when the file here has changed", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const content = bytes(SIZE);
  const file = await local.write("a.bin", content);
  await breakOff(server, file);
  content[SIZE / 4]! ^= 1;
  await local.write("a.bin", content);
  const { code, stderr } = await runClient(server, [file, "--resume"]);
  assertEquals(code, 0, stderr);
  assert(!stderr.includes("resuming"), stderr);
  assertEquals(names(server.dir), ["(partial)", "a.bin"]);
  assertSame(`${server.dir}/a.bin`, content);
});

integration("--resume sends all of a file that only looked like the partial file's", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const content = bytes(SIZE);
  const file = await local.write("a.bin", content);
  const time = new Date("2020-02-29T12:00:00Z");
  Deno.utimeSync(file, time, time);
  await breakOff(server, file);
  // One byte, in a range that the server may not ask for, and with the old time: try until it did not.
  const at = SIZE / 2 - 100_000;
  content[at]! ^= 1;
  await local.write("a.bin", content);
  Deno.utimeSync(file, time, time);
  const { code, stderr } = await runClient(server, [file, "--resume"]);
  assertEquals(code, 0, stderr);
  const said = stderr.includes("resuming at");
  if (said) assertStringIncludes(stderr, "a.bin: starting over, the partial file does not match\n");
  assertEquals(names(server.dir), ["(partial)", "a.bin"]);
  assertSame(`${server.dir}/a.bin`, content);
});

integration("--resume goes on past what a stranger left under the same fingerprint", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const content = bytes(SIZE);
  const file = await local.write("a.bin", content);
  await breakOff(server, file);
  const [own] = ownFiles(server.dir);
  const [, hash] = /kept-([0-9a-f]{64})-/.exec(own!)!;
  // More than the whole file has, and other bytes.
  const theirs = own!.replace(/-[0-9a-f]{32}\.temp$/, `-${"0".repeat(32)}.temp`);
  Deno.writeFileSync(theirs, new Uint8Array(2 * SIZE));
  assert(theirs.includes(hash!));
  const { code, stderr } = await runClient(server, [file, "--resume"]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "a.bin: resuming at 1.43 MiB of 2.86 MiB\n");
  assertSame(`${server.dir}/a.bin`, content);
});

integration("--get --resume starts over when the server's file is another one now", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const content = bytes(SIZE);
  makeTree(server.dir, { "a.bin": content });
  const args = ["--get", "a.bin", "--resume"];
  using relay = await relayTo(server, { direction: "down", bytes: SIZE / 2, way: "end" });
  assertEquals((await runClient(relay, args, { cwd: local.path })).code, 4);
  assertEquals(names(local.path), ["(partial)"]);
  content[1000]! ^= 1;
  makeTree(server.dir, { "a.bin": content });
  const { code, stderr } = await runClient(server, args, { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "a.bin: starting over, the partial file does not match\n");
  assertEquals(treeOf(local.path), treeOf(server.dir));
});

integration("without --resume nothing partial is kept on either side", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const file = await local.write("a.bin", bytes(SIZE));
  using up = await relayTo(server, { direction: "up", bytes: SIZE / 2, way: "end" });
  assertEquals((await runClient(up, [file])).code, 4);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
  makeTree(server.dir, { "b.bin": bytes(SIZE) });
  using down = await relayTo(server, { direction: "down", bytes: SIZE / 2, way: "end" });
  assertEquals((await runClient(down, ["--get", "b.bin"], { cwd: local.path })).code, 4);
  assertEquals(names(local.path), ["a.bin"]);
});

integration(
  "client.ts says what helps after a transfer broke off, and where it does not, nothing",
  async () => {
    // Else the refusal of mode raw could come before the line breaks.
    await using server = await startServer({ args: ["--fallback", "raw"] });
    await using local = await tempDir();
    await local.write("a.bin", bytes(SIZE));
    makeTree(server.dir, { "b.bin": bytes(SIZE) });
    const missing = /^To (?:send|get) what is missing: deno run .* --resume$/;
    const advice: [string[], RegExp | undefined][] = [
      [["a.bin"], missing],
      [["a.bin", "--resume"], /^To continue: deno run .* a\.bin --resume$/],
      [["--resume", "--", "a.bin"], /^To continue: deno run .* --resume -- a\.bin$/],
      [["--", "a.bin"], / --resume -- a\.bin$/],
      [["a.bin", "--quiet"], undefined],
      [["a.bin", "--mode", "raw"], undefined],
      [["--get", "b.bin"], missing],
      [
        ["--get", "b.bin", "--output", "-"],
        /^With --retry N the client reconnects and continues the transfer$/,
      ],
    ];
    for (const [args, expected] of advice) {
      const direction = args[0] === "--get" ? "down" : "up";
      using relay = await relayTo(server, { direction, bytes: SIZE / 2, way: "reset" });
      const { code, stderr } = await runClient(relay, args, { cwd: local.path });
      assertEquals(code, 4, stderr);
      const ours = stderr.split("\n").filter((line) => line.startsWith("inlet: "));
      const [failure, said] = ours;
      assertMatch(failure!, /^inlet: /);
      if (expected) assertMatch(said!.replace(/^inlet: /, ""), expected);
      else assertEquals(said, undefined, args.join(" "));
    }
  },
);

integration("two clients that resume one file at once both store it whole", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const content = bytes(20_000_000);
  const file = await local.write("a.bin", content);
  using relay = await relayTo(server, { direction: "up", bytes: 10_000_000, way: "end" });
  assertEquals((await runClient(relay, [file, "--resume"])).code, 4);
  await server.running.says(/client 1: left/);
  const both = await Promise.all([1, 2].map(() => runClient(server, [file, "--resume"])));
  assertEquals(both.map(({ code }) => code), [0, 0]);
  // One that asks when the other is done finds the file there.
  assert([1, 2].includes(names(server.dir).length));
  for (const name of names(server.dir)) assertSame(`${server.dir}/${name}`, content);
});

integration("--retry goes on in the same run, and sends nothing twice", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files: Record<string, string | Uint8Array> = { "a/y.bin": bytes(SIZE), "a/z.txt": "z" };
  for (let index = 0; index < 500; index++) files[`a/${index}.txt`] = `file ${index}\n`;
  makeTree(local.path, files);
  using relay = await relayTo(server, { direction: "up", bytes: SIZE / 2, way: "end" });
  const { code, stderr } = await runClient(relay, ["a", "--retry", "3"], { cwd: local.path });
  assertEquals(code, 0, stderr);
  const said = stderr.trim().split("\n");
  assertEquals(said.length, 3, stderr);
  assertMatch(said[0]!, /; trying again in (0\.[5-9]|1) s \(1 of 3\)$/);
  assertMatch(said[1]!, /a\/y\.bin: resuming at 1\.[34]\d* MiB of 2\.86 MiB$/);
  assertMatch(said[2]!, /^a: 502 files, 2\.87 MiB/);
  assertEquals(treeOf(server.dir), treeOf(local.path));
});

for (const what of ["ok 1 ", "ok 3000000 "]) {
  for (const access of ["", "--drop-only"]) {
    const how = access === "" ? what : `${what}${access}`;
    integration(`--retry stores once what was never answered (${how})`, async () => {
      await using server = await startServer({ args: access === "" ? [] : [access] });
      await using local = await tempDir();
      const size = Number(what.split(" ")[1]);
      makeTree(local.path, { "a.bin": bytes(size) });
      using wire = await Wire.greet(server);
      await wire.says(`compare ${size} - 2026-11-21T08:38:00Z a.bin\n`);
      const compared = await wire.line();
      // The server stores it, and its answer is lost.
      const ticket = access === "" ? `;ticket=${crypto.randomUUID()}` : "";
      const go = size > 1 ? `go${ticket} 0\n` : "";
      const down = `welcome client 2 of 100\n${compared}\n${go}`.length;
      using relay = await relayTo(server, { direction: "down", bytes: down + 1, way: "end" });
      const client = runClient(relay, ["a.bin", "--retry", "3"], { cwd: local.path });
      const { code, stderr } = await client;
      assertEquals(code, 0, stderr);
      assertMatch(stderr, /; trying again in .*\na\.bin: stored as "a\.bin"/);
      assertEquals(treeOf(server.dir), treeOf(local.path).filter((name) => name !== "received/"));
    });
  }
}

integration("--retry gets a folder that broke off, and nothing twice", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  const files: Record<string, string | Uint8Array> = { "a/m.bin": bytes(SIZE), "a/z/": "" };
  for (let index = 0; index < 500; index++) files[`a/${index}.txt`] = `file ${index}\n`;
  makeTree(server.dir, files);
  using relay = await relayTo(server, { direction: "down", bytes: SIZE / 2, way: "reset" });
  const args = ["--get", "a/", "--retry", "3"];
  const { code, stderr } = await runClient(relay, args, { cwd: local.path });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /; trying again in .* s \(1 of 3\)\n/);
  assertEquals(treeOf(local.path), treeOf(server.dir));
});

integration("--retry waits for a server that comes back later", async () => {
  await using local = await tempDir();
  const file = await local.write("a.txt", "hello\n");
  const dir = `${local.path}/received`;
  const port = freePort();
  const gone = await startServer({ dir, port });
  await gone[Symbol.asyncDispose]();
  await using client = startClient({ port }, [file, "--retry", "100"]);
  await client.says(/^Cannot connect to .*; trying again in [\d.]+ s \(2 of 100\)$/);
  await using _back = await startServer({ dir, port });
  assertEquals((await client.ended()).code, 0, client.log);
  assertEquals(names(dir), ["a.txt"]);
});

integration("--retry gives up after so many tries, with the exit code of the failure", async () => {
  const port = freePort();
  const { code, stderr } = await runClient({ port }, ["README.md", "--retry", "1"]);
  assertEquals(code, 4);
  const said = stderr.trim().split("\n");
  assertEquals(said.length, 2);
  assertMatch(said[1]!, /^inlet: Cannot connect to .*: connection refused/);
});

integration("--retry does not try again what the server refused", async () => {
  await using server = await startServer();
  const args = ["README.md", "--as", "inlet~1", "--retry", "5"];
  const { code, stderr } = await runClient(server, args);
  assertEquals(code, 3);
  assertStringIncludes(stderr, "inlet: Cannot take the name");
});

integration("--retry tries a full server again", async () => {
  await using server = await startServer({ args: ["--max-clients", "1"] });
  await using holder = startClient(server, ["--as", "held.txt"]);
  await server.running.says(/client 1: is/);
  await using client = startClient(server, ["README.md", "--retry", "100"]);
  await client.says(/^The server is full: 1 of 1 clients; trying again in .* \(1 of 100\)$/);
  await holder.process.stdin.close();
  assertEquals((await client.ended()).code, 0);
  assertEquals(names(server.dir), ["README.md", "held.txt"]);
});

integration("Ctrl-C ends a wait of --retry at once", async () => {
  const port = freePort();
  await using client = startClient({ port }, ["README.md", "--retry", "100"]);
  await client.says(/trying again in [\d.]+ s \(3 of 100\)/);
  assertEquals((await client.stop("SIGINT")).code, 130);
  assertMatch(client.log, /inlet: Interrupted$/);
});
