import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BruteForceGuard } from "../lib/auth/brute_force.ts";
import { answerChallenge, isAnswer, makeNonce } from "../lib/auth/key.ts";
import { KeyFile } from "../lib/auth/key_file.ts";
import {
  dial,
  fixture,
  integration,
  names,
  readAll,
  ROOT,
  run,
  runClient,
  runPeer,
  sendTo,
  startServer,
  tempDir,
} from "./helpers.ts";

const KEY = "correct horse battery staple";

Deno.test("answerChallenge() is the HMAC-SHA-256 that other programs compute", async () => {
  // printf 'inlet 1 client %064d' 0 | openssl dgst -sha256 -hmac 'correct horse battery staple'
  assertEquals(
    await answerChallenge(KEY, "0".repeat(64)),
    "0f0fd9120c77793f58b96fb1e91c65e857c550327b4530a5c42a6eb9819de55d",
  );
});

Deno.test("isAnswer() takes the one right answer to its own challenge", async () => {
  const nonce = makeNonce();
  const digest = await answerChallenge(KEY, nonce);
  assert(await isAnswer(KEY, nonce, digest));
  assert(!await isAnswer(KEY, makeNonce(), digest));
  assert(!await isAnswer("another key altogether", nonce, digest));
});

Deno.test("BruteForceGuard lets an address wait from the third wrong answer on, up to a minute", () => {
  const failures = new BruteForceGuard();
  const waits: number[] = [];
  let now = 0;
  for (let count = 0; count < 9; count++) {
    failures.add("10.0.0.1", now);
    const wait = failures.waitMs("10.0.0.1", now);
    waits.push(wait / 1000);
    now += wait;
  }
  assertEquals(waits, [0, 0, 5, 10, 20, 40, 60, 60, 60]);
  assertEquals(failures.waitMs("10.0.0.2", now), 0);
});

Deno.test("BruteForceGuard forgets after a minute without a wrong answer", () => {
  const failures = new BruteForceGuard();
  failures.add("10.0.0.1", 0);
  failures.add("10.0.0.1", 1);
  failures.add("10.0.0.1", 60_001);
  assertEquals(failures.waitMs("10.0.0.1", 60_001), 0);
  failures.add("10.0.0.1", 60_002);
  failures.add("10.0.0.1", 60_003);
  assertEquals(failures.waitMs("10.0.0.1", 60_003), 5000);
});

Deno.test("BruteForceGuard remembers no more than 10,000 addresses", () => {
  const failures = new BruteForceGuard();
  for (let count = 0; count < 3; count++) failures.add("first", 0);
  for (let number = 0; number < 10_000; number++) failures.add(`${number}`, 0);
  assertEquals(failures.waitMs("first", 0), 0);
});

integration("--token-file lets in who has the key, and nobody else", async () => {
  await using local = await tempDir();
  const key = await local.write("key", `${KEY}\n`);
  const wrong = await local.write("wrong", "not the key at all, by far\n");
  await using server = await startServer({ args: ["--token-file", key] });
  const right = await runClient(server, [fixture("hello.txt"), "--token-file", key]);
  assertEquals(right.code, 0);
  assertEquals(names(server.dir), ["hello.txt"]);
  const denied = await runClient(server, [fixture("hello.txt"), "--token-file", wrong]);
  assertEquals(denied.code, 3);
  assertEquals(denied.stderr, "inlet: Cannot authenticate: the key is wrong\n");
  const none = await runClient(server, [fixture("hello.txt")]);
  assertEquals(none.code, 3);
  assertEquals(
    none.stderr,
    "inlet: The server requires a key: give --token-file FILE\n",
  );
  assertEquals(names(server.dir), ["hello.txt"]);
  using stranger = await dial(server);
  await sendTo(stranger, "hello 1 eve\n");
  await readChallenge(stranger);
  const { stdout } = await runClient(server, ["--status", "--token-file", key]);
  assertEquals(stdout.match(/^client \d+/gm), ["client 1", "client 5"]);
  assert(!server.running.log.includes(KEY));
});

integration("INLET_TOKEN is the key where Deno may read it", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  const env = { INLET_TOKEN: KEY };
  const address = ["127.0.0.1", String(server.port), "--status"];
  const permitted = ["run", "--allow-net", "--allow-env=INLET_TOKEN", "client.ts", ...address];
  assertEquals((await run(Deno.execPath(), permitted, { env })).code, 0);
  const ended = await run(Deno.execPath(), ["run", "--allow-net", "client.ts", ...address], {
    env,
  });
  assertEquals(ended.code, 3);
});

integration("challenge is another one each time, and takes no answer twice", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  using first = await dial(server);
  await sendTo(first, "hello 1 ben\n");
  const nonce = await readChallenge(first);
  const digest = await answerChallenge(KEY, nonce);
  await sendTo(first, `answer ${digest}\nwhoami\nexit\n`);
  assertEquals(await readAll(first), "welcome client 1 of 100\nok ben\nok bye\n");
  using second = await dial(server);
  await sendTo(second, "hello 1 ben\n");
  assert(await readChallenge(second) !== nonce);
  await sendTo(second, `answer ${digest}\nexit\n`);
  assertEquals(await readAll(second), "error denied Cannot authenticate: the key is wrong\n");
});

integration("challenge lets nobody past who does not answer it", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\nlist\n");
  await readChallenge(conn);
  assertEquals(
    await readAll(conn),
    'error denied Cannot authenticate: send "answer DIGEST" first\n',
  );
});

/** Says hello with a key, and returns what comes after the challenge. */
async function greetWith(server: { port: number }, key: string): Promise<string> {
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\n");
  await sendTo(conn, `answer ${await answerChallenge(key, await readChallenge(conn))}\nexit\n`);
  return await readAll(conn);
}

integration(
  "server takes a new key from its file, and sessions that have begun go on",
  async () => {
    await using local = await tempDir();
    const file = await local.write("key", KEY);
    await using server = await startServer({ args: ["--token-file", file] });
    using before = await dial(server);
    await sendTo(before, "hello 1 ben\n");
    await sendTo(before, `answer ${await answerChallenge(KEY, await readChallenge(before))}\n`);
    await server.running.says(/client 1: is "ben"/);
    await local.write("key", "another key altogether\n");
    assertMatch(await greetWith(server, "another key altogether"), /^welcome /);
    assertMatch(await greetWith(server, KEY), /^error denied /);
    await server.running.says(/read ".*\/key" again: a new key$/);
    server.running.process.kill("SIGHUP");
    await server.running.says(/read ".*\/key" again: the same key$/);
    await sendTo(before, "whoami\nexit\n");
    assertMatch(await readAll(before), /^welcome client 1 of 100\nok ben\nok bye\n$/);
  },
);

integration("KeyFile keeps the last key while its file is not one, and says so once", async () => {
  await using local = await tempDir();
  const path = await local.write("key", `${KEY}\n`);
  const notices: string[] = [];
  const file = await KeyFile.open(path, (text) => notices.push(text.replaceAll(path, "key")));
  const turn = async (change: () => Promise<unknown>, key: string): Promise<void> => {
    await change();
    for (let time = 0; time < 2; time++) assertEquals(file.current(), key);
  };
  await turn(() => Promise.resolve(), KEY);
  await turn(() => local.write("key", ""), KEY);
  await turn(() => Deno.remove(path), KEY);
  await turn(() => Deno.mkdir(path), KEY);
  await Deno.remove(path);
  await turn(() => local.write("key", "another key altogether"), "another key altogether");
  const failed = 'Cannot read the key file "key" again';
  assertEquals(notices, [
    'Cannot use the key in "key": it is shorter than 16 characters; the last key stays',
    `${failed}: it does not exist; the last key stays`,
    `${failed}: it is not a file; the last key stays`,
    'read "key" again: a new key',
  ]);
});

integration("KeyFile sees each change, whatever the size and the time of the file", async () => {
  await using local = await tempDir();
  const path = await local.write("key", `${KEY}\n`);
  const time = new Date(2001, 1, 1);
  await Deno.utime(path, time, time);
  const notices: string[] = [];
  const file = await KeyFile.open(path, (text) => notices.push(text.replaceAll(path, "key")));
  const keys = Array.from({ length: 50 }, (_, index) => String(index).padStart(KEY.length, "0"));
  for (const [index, key] of keys.entries()) {
    Deno.writeTextFileSync(path, `${key}\n`);
    // As tools do that keep the times of what they copy.
    if (index % 2 === 0) Deno.utimeSync(path, time, time);
    assertEquals([file.current(), file.current()], [key, key]);
  }
  assertEquals(notices, keys.map(() => 'read "key" again: a new key'));
  const [last] = keys.slice(-1);
  await Deno.truncate(path, 3_000_000_000);
  assertEquals([file.current(), file.current()], [last, last]);
  assertEquals(notices.slice(keys.length), [
    'Cannot read the key file "key" again: it is too large; the last key stays',
  ]);
});

integration("server lets an address wait after three wrong answers, right ones too", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  using asked = await dial(server);
  await sendTo(asked, "hello 1 ben\n");
  const nonce = await readChallenge(asked);
  for (let count = 0; count < 3; count++) {
    using conn = await dial(server);
    await sendTo(conn, `hello 1 ben\nanswer ${"0".repeat(64)}\nexit\n`);
    await readChallenge(conn);
    assertEquals(await readAll(conn), "error denied Cannot authenticate: the key is wrong\n");
  }
  const refusal = /^error wait Cannot authenticate for [1-5] s: too many wrong keys from/;
  await sendTo(asked, `answer ${await answerChallenge(KEY, nonce)}\nexit\n`);
  assertMatch(await readAll(asked), refusal);
  using unasked = await dial(server);
  await sendTo(unasked, "hello 1 ben\n");
  await unasked.closeWrite();
  assertMatch(await readAll(unasked), refusal);
  const { code, stderr } = await runClient(server, ["--status", "--token-file", key]);
  assertEquals(code, 3);
  assertMatch(stderr, /^inlet: Cannot authenticate for \d s: too many wrong keys/);
});

integration("server with a key serves no upload client", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  await runPeer("upload_client.py", ["127.0.0.1", String(server.port), fixture("hello.txt")]);
  await server.running.stop();
  assertStringIncludes(server.running.log, "Cannot take uploads: this server requires a key");
  assertEquals(names(server.dir), []);
});

integration(
  "--generate-token makes a key that nobody else can read, and says what to do",
  async () => {
    await using local = await tempDir();
    const key = `${local.path}/inlet.token`;
    await using server = await startServer({ args: ["--generate-token", "--token-file", key] });
    await server.running.says(
      new RegExp(`deno run client\\.ts HOST ${server.port} --token-file ${key} FILE`),
    );
    assertMatch(await Deno.readTextFile(key), /^[0-9a-f]{64}\n$/);
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(key)).mode! & 0o777, 0o600);
    assertEquals((await runClient(server, ["--status", "--token-file", key])).code, 0);
    const again = await serverRefusal(["0", "--generate-token", "--token-file", key]);
    assertStringIncludes(again, "it exists already, use it with --token-file");
    const other = `${local.path}/other`;
    const { code } = await runServer(["--generate-token", "--token-file", other]);
    assertEquals(code, 0);
    assertMatch(await Deno.readTextFile(other), /^[0-9a-f]{64}\n$/);
  },
);

integration("--host refuses the network without a key or --open, and names both ways", async () => {
  for (const host of ["0.0.0.0", "::", "127.0.0.1.example"]) {
    assertEquals(
      await serverRefusal(["0", "--host", host]),
      `inlet: Cannot listen on ${host} without a key: ` +
        "give --token-file FILE to require a key, or --open to admit every client\n",
    );
  }
  assertStringIncludes(
    await serverRefusal(["0", "--host", "0.0.0.0", "--mode", "upload"]),
    "mode upload cannot require a key, give --open to admit every client",
  );
});

integration("server refuses options about keys that contradict each other", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  const short = await local.write("short", "0123456789abcde\n");
  assertStringIncludes(
    await serverRefusal(["0", "--token-file", key, "--open"]),
    "Cannot use --open together with --token-file; try --help",
  );
  const env = { INLET_TOKEN: KEY };
  const open = ["run", "-A", "server.ts", "0", "--open", "--dir", `${local.path}/received`];
  const both = await run(Deno.execPath(), open, { cwd: ROOT, env });
  assertEquals(both.code, 2);
  assertStringIncludes(both.stderr, "Cannot require a key and also admit every client");
  assertStringIncludes(
    await serverRefusal(["0", "--token-file", key, "--mode", "upload"]),
    "Cannot require a key in mode upload: its wire cannot carry one",
  );
  assertStringIncludes(
    await serverRefusal(["0", "--token-file", short]),
    "it is shorter than 16 characters",
  );
  assertStringIncludes(
    await serverRefusal(["0", "--token-file", `${local.path}/none`]),
    "Cannot read the key file",
  );
});

async function runServer(args: readonly string[]) {
  return await run(Deno.execPath(), ["run", "-A", "server.ts", ...args], { cwd: ROOT });
}

/** What a server says that refuses to start. */
async function serverRefusal(args: readonly string[]): Promise<string> {
  await using dir = await tempDir();
  const { code, stderr } = await runServer([...args, "--dir", dir.path]);
  assertEquals(code, 2);
  return stderr;
}

/** Reads a challenge, byte by byte so as to take nothing of what follows. */
async function readChallenge(conn: Deno.TcpConn): Promise<string> {
  const byte = new Uint8Array(1);
  let line = "";
  while (!line.endsWith("\n")) {
    assert(await conn.read(byte) !== null);
    line += String.fromCharCode(byte[0]!);
  }
  const [, nonce] = /^challenge ([0-9a-f]{64})\n$/.exec(line)!;
  return nonce!;
}
