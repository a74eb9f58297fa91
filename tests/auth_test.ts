import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { credentialOf } from "../lib/auth/credential.ts";
import { makeNonce } from "../lib/auth/key.ts";
import { openKeyFile } from "../lib/auth/key_file.ts";
import { SharedKey } from "../lib/auth/shared_key.ts";
import { InletError } from "../lib/errors.ts";
import {
  fixture,
  integration,
  names,
  readAll,
  ROOT,
  run,
  runClient,
  runPeer,
  scriptPath,
  sendTo,
  startServer,
  tempDir,
} from "./helpers.ts";
import { dialWithKey, type SecureConn } from "./secure.ts";

const OTHER_KEY = "fedcba9876543210".repeat(4);

const KEY = "0123456789abcdef".repeat(4);

/** One that a person made up, which takes long to try. */
const WEAK_KEY = "correct horse battery staple";

/** What a client hears that is not encrypted. */
const PLAIN =
  "Cannot go on: this server requires a key and is encrypted: give --token-file FILE, or INLET_TOKEN and --allow-env=INLET_TOKEN";

const DENIED = /^error denied Cannot authenticate: the server does not accept this key; [^\n]*\n$/;

Deno.test("credentialOf() proves a key as SharedKey verifies it, to its own challenge alone", async () => {
  const { prove } = await credentialOf(KEY);
  const server = new SharedKey(() => KEY, () => {});
  const other = new SharedKey(() => OTHER_KEY, () => {});
  const nonce = makeNonce();
  const answer = { nonce, name: "", proof: await prove(nonce) };
  assert(await server.verify(answer));
  assert(!await server.verify({ ...answer, nonce: makeNonce() }));
  assert(!await other.verify(answer));
  assert(!await server.verify({ ...answer, proof: answer.proof.repeat(2) }));
});

integration("--token-file lets in who has the key, and nobody else", async () => {
  await using local = await tempDir();
  const key = await local.write("key", `${KEY}\n`);
  const wrong = await local.write("wrong", `${OTHER_KEY}\n`);
  await using server = await startServer({ args: ["--token-file", key] });
  const right = await runClient(server, [fixture("hello.txt"), "--token-file", key]);
  assertEquals(right.code, 0);
  assertEquals(names(server.dir), ["hello.txt"]);
  const denied = await runClient(server, [fixture("hello.txt"), "--token-file", wrong]);
  assertEquals(denied.code, 5);
  assertMatch(
    denied.stderr,
    /inlet: Cannot trust the server: it does not hold this key, so nothing was sent; [^\n]*\n$/,
  );
  const none = await runClient(server, [fixture("hello.txt")]);
  assertEquals(none.code, 3);
  assertEquals(
    none.stderr,
    `inlet: ${PLAIN}\n`,
  );
  assertEquals(names(server.dir), ["hello.txt"]);
  using stranger = await dialWithKey(server, KEY);
  await stranger.send("hello 1 eve\n");
  await stranger.challenge();
  const { stdout } = await runClient(server, ["--status", "--token-file", key]);
  assertEquals(stdout.match(/^client \d+/gm), ["client 1", "client 5"]);
  assert(!server.running.log.includes(KEY));
});

integration(
  "a key that a person made up is stretched, and both programs say what is better",
  async () => {
    await using local = await tempDir();
    const key = await local.write("key", `\uFEFF ${WEAK_KEY}\r\n`);
    await Deno.chmod(key, 0o600);
    await using server = await startServer({ args: ["--token-file", key] });
    const { code, stderr } = await runClient(server, [fixture("hello.txt"), "--token-file", key]);
    assertEquals(code, 0);
    const advice =
      /the key was not made by inlet, .*; server\.ts --generate-token makes a better one$/m;
    assertMatch(stderr, advice);
    await server.running.says(advice);
  },
);

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
  using first = await dialWithKey(server, KEY);
  await first.send("hello 1 ben\n");
  const nonce = await first.challenge();
  const proof = await first.credential.prove(nonce);
  await first.send(`answer ${proof}\nwhoami\nexit\n`);
  assertEquals(await first.rest(), "welcome client 1 of 100\nok ben\nok bye\n");
  using second = await dialWithKey(server, KEY);
  await second.send("hello 1 ben\n");
  assert(await second.challenge() !== nonce);
  await second.send(`answer ${proof}\nexit\n`);
  assertMatch(await second.rest(), DENIED);
});

integration("challenge lets nobody past who does not answer it", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  using conn = await dialWithKey(server, KEY);
  await conn.send("hello 1 ben\nlist\n");
  await conn.challenge();
  assertEquals(
    await conn.rest(),
    'error denied Cannot authenticate: send "answer PROOF" first\n',
  );
});

integration(
  "server takes a new key from its file, and sessions that have begun go on",
  async () => {
    await using local = await tempDir();
    const file = await local.write("key", KEY);
    await using server = await startServer({ args: ["--token-file", file] });
    using before = await dialWithKey(server, KEY);
    await before.prove("ben");
    await server.running.says(/client 1: is "ben"/);
    await local.write("key", `${OTHER_KEY}\n`);
    using after = await dialWithKey(server, OTHER_KEY);
    await after.prove("eve");
    assertMatch(await after.line(), /^welcome /);
    await assertRejects(() => dialWithKey(server, KEY), InletError, "it does not hold this key");
    await server.running.says(/read ".*\/key" again: a new key$/);
    server.running.process.kill("SIGHUP");
    await server.running.says(/read ".*\/key" again: the same key$/);
    await before.send("whoami\nexit\n");
    assertMatch(await before.rest(), /^welcome client 1 of 100\nok ben\nok bye\n$/);
  },
);

integration(
  "openKeyFile() keeps the last key while its file is not one, and says so once",
  async () => {
    await using local = await tempDir();
    const path = await local.write("key", `${KEY}\n`);
    const notices: string[] = [];
    const file = await openKeyFile(path, (text) => notices.push(text.replaceAll(path, "key")));
    const turn = async (change: () => Promise<unknown>, key: string): Promise<void> => {
      await change();
      for (let time = 0; time < 2; time++) assertEquals(file.current(), key);
    };
    await turn(() => Promise.resolve(), KEY);
    await turn(() => local.write("key", ""), KEY);
    await turn(() => Deno.remove(path), KEY);
    await turn(() => Deno.mkdir(path), KEY);
    await Deno.remove(path);
    await turn(() => local.write("key", OTHER_KEY), OTHER_KEY);
    const failed = 'Cannot read the key file "key" again';
    assertEquals(notices, [
      'Cannot use the key in "key": it is empty; server.ts --generate-token makes one; the last key stays',
      `${failed}: it does not exist; the last key stays`,
      `${failed}: it is not a file; the last key stays`,
      'read "key" again: a new key',
    ]);
  },
);

integration(
  "openKeyFile() sees each change, whatever the size and the time of the file",
  async () => {
    await using local = await tempDir();
    const path = await local.write("key", `${KEY}\n`);
    const time = new Date(2001, 1, 1);
    await Deno.utime(path, time, time);
    const notices: string[] = [];
    const file = await openKeyFile(path, (text) => notices.push(text.replaceAll(path, "key")));
    const keys = Array.from(
      { length: 50 },
      (_, index) => String(index).padStart(KEY.length, "key "),
    );
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
  },
);

integration("a wrong answer is refused late, holds no place, and keeps nobody out", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key, "--max-clients", "1"] });
  const wrong: SecureConn[] = [];
  using _ = { [Symbol.dispose]: () => wrong.forEach((conn) => conn.stream.close()) };
  for (let count = 0; count < 5; count++) {
    const conn = await dialWithKey(server, KEY);
    wrong.push(conn);
    await conn.send("hello 1 eve\n");
    await conn.challenge();
    await conn.send(`answer ${"0".repeat(64)}\n`);
    // Its place is free as soon as the answer has been seen, and the refusal comes later.
    const { code } = await runClient(server, ["--status", "--token-file", key, "--retry", "3"]);
    assertEquals(code, 0);
  }
  for (const conn of wrong) assertMatch(await conn.rest(), DENIED);
});

integration("--retry tries again after a wait that the server asks for", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const serving = (async () => {
    using first = await listener.accept();
    await sendTo(first, "error wait Come back later\n");
    await first.closeWrite();
    await readAll(first);
    using second = await listener.accept();
    await sendTo(second, "welcome client 1 of 1\nok\nend 0\nok bye\n");
    await readAll(second);
  })();
  const { code, stderr } = await runClient({ port }, ["--list", "--retry", "1"]);
  assertMatch(stderr, /^Come back later; trying again in/);
  assertEquals(code, 0);
  await serving;
});

integration("server with a key serves no upload client", async () => {
  await using local = await tempDir();
  const key = await local.write("key", KEY);
  await using server = await startServer({ args: ["--token-file", key] });
  await runPeer("upload_client.py", ["127.0.0.1", String(server.port), fixture("hello.txt")]);
  await server.running.stop();
  assertStringIncludes(server.running.log, PLAIN);
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
        "give --generate-token to make a key, --token-file FILE to require the one that you have, " +
        "or --open to admit every client\n",
    );
  }
  assertStringIncludes(
    await serverRefusal(["0", "--host", "0.0.0.0", "--mode", "upload"]),
    "mode upload cannot require a key, give --open to admit every client",
  );
});

integration("server tells of a key in INLET_TOKEN that it does not use", async () => {
  await using local = await tempDir();
  const warning = /mode raw does not encrypt: the key in INLET_TOKEN is not used$/;
  await using server = await startServer({ args: ["--mode", "raw"], key: KEY });
  await server.running.says(warning);
  const users = `${local.path}/users`;
  const add = ["--users", users, "--add-user", "ben"];
  assertEquals(
    (await run(Deno.execPath(), ["run", "-A", scriptPath("server.ts"), ...add], {
      cwd: local.path,
    })).code,
    0,
  );
  await using closed = await startServer({ args: ["--users", users], key: KEY });
  await closed.running.says(/users count: the key in INLET_TOKEN is not used$/);
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
