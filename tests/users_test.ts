import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname } from "@std/path/dirname";
import { identityOf, sign } from "../lib/auth/identity.ts";
import { parseToken } from "../lib/auth/user_token.ts";
import { proofText } from "../protocol.ts";
import {
  assertRefused,
  checkout,
  type Ended,
  fixture,
  integration,
  names,
  run,
  runClient,
  Running,
  runScript,
  scriptPath,
  startServer,
  tempDir,
  UNCOVERED,
} from "./helpers.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";
import { dialWithKey } from "./secure.ts";
import { openTerminal } from "./tmux.ts";
import { makeUsers } from "./user_files.ts";

const DENIED = "Cannot authenticate: the server does not accept this key; " +
  "it may have been replaced or revoked";

/** What a client hears that does not know the server's key. */
const UNTRUSTED = "Cannot trust the server: it does not hold this key, so nothing was sent; " +
  "check the address and the key";

/** An environment in which `deno` is the one that runs the tests. */
function environment(): Record<string, string> {
  return { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` };
}

const SERVER = scriptPath("server.ts");

/** Runs a command as it is typed, where there is no terminal. */
async function typed(command: string, cwd: string): Promise<Ended> {
  return await run("sh", ["-c", command], { cwd, env: environment() });
}

/** The command that a refusal for want of permissions says to run instead. */
function commandIn({ code, stderr }: Ended): string {
  assertEquals(code, 2);
  const [, command] = /^inlet: Cannot go on without .+; run: (.+)\n$/.exec(stderr) ?? [];
  return command ?? `no command in: ${stderr}`;
}

integration(
  "a user comes, sends a file and goes, by the commands that the programs name",
  async () => {
    await using local = await tempDir();
    const server = `deno run ${SERVER}`;
    const add = commandIn(await typed(`${server} --users users --add-user ben`, local.path));
    const added = await typed(add, local.path);
    assertEquals(
      [added.code, added.stdout, added.stderr],
      [
        0,
        "",
        'The token of the user "ben" is in "ben.token", for nobody else:\n' +
        "  deno run client.ts HOST PORT --token-file ben.token FILE\n" +
        "  curl -K ben.token -T FILE https://HOST:PORT/\n",
      ],
    );
    assertEquals(names(local.path), ["ben.token", "users", "users.identity"]);
    const start = commandIn(await typed(`${server} 0 --users users`, local.path));
    await using running = new Running(
      new Deno.Command("sh", {
        args: ["-c", `exec ${start}`],
        cwd: local.path,
        env: environment(),
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn(),
    );
    const [, port] = await running.says(
      /listening on 127\.0\.0\.1:(\d+) \(.*encrypted, key required\)/,
    );
    await local.write("file.txt", "hello\n");
    const send = added.stderr.split("\n")[1]!.trim()
      .replace("client.ts HOST PORT", `${scriptPath("client.ts")} 127.0.0.1 ${port}`)
      .replace("FILE", "file.txt");
    const sending = commandIn(await typed(send, local.path));
    assertEquals((await typed(sending, local.path)).code, 0);
    assertEquals(Deno.readTextFileSync(`${local.path}/received/file.txt`), "hello\n");
    await running.says(/client 1: is "ben"$/);
    const remove = commandIn(await typed(`${server} --users users --remove-user ben`, local.path));
    const removed = await typed(remove, local.path);
    assertEquals(
      [removed.code, removed.stderr],
      [0, 'The user "ben" is removed from "users"\n'],
    );
    const refused = await typed(sending, local.path);
    assertRefused(refused, 3, DENIED);
    await running.says(/read "users" again: removed "ben"$/);
  },
);

integration("--add-user asks twice in a terminal: to read its folder, and to write", async () => {
  await using project = await checkout();
  const add = "deno run server.ts --users users --add-user ben";
  await using terminal = Terminal.run(add, {
    cwd: project.path,
    env: { ...UNCOVERED, ...environment() },
  });
  const questions = await terminal.allowsUntil(/The token of the user "ben"/);
  assertEquals(questions, ['read access to "."', 'write access to "."']);
  assertEquals(await terminal.ended(), 0);
}, { programs: TERMINAL_PROGRAMS });

integration("--add-user while a server runs lets the new user in", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const add = await run(
    Deno.execPath(),
    ["run", "-A", SERVER, "--users", "users", "--add-user", "eve", "--rights", "read"],
    { cwd: users.path },
  );
  assertEquals(add.code, 0);
  const { code, stdout } = await runClient(server, [
    "--status",
    "--token-file",
    users.tokenFile("eve"),
  ]);
  assertEquals(code, 0);
  assertMatch(stdout, /^client 1 \| eve \| .*Still Connected\n$/);
  await server.running.says(/read ".*\/users" again: added "eve"$/);
});

integration("server.ts refuses options about users that make no sense", async () => {
  await using users = await makeUsers({ ben: "all" });
  const refused = async (args: readonly string[], line: string): Promise<void> =>
    assertRefused(await runScript("server.ts", args), 2, line);
  const file = ["--users", users.file];
  await refused(["--add-user", "eve"], "Cannot use --add-user without --users; try --help");
  await refused(
    ["0", ...file, "--add-user", "eve"],
    "Cannot use --add-user with a port: leave the port out",
  );
  await refused(
    [...file, "--add-user", "eve", "--remove-user", "ben"],
    "Cannot use --add-user together with --remove-user; try --help",
  );
  await refused(
    [...file, "--add-user", "eve", "--rights", "write"],
    'Cannot use "write" as the --rights: give one of all, read, drop',
  );
  await refused([...file, "--rights", "all"], "Cannot use --rights without --add-user; try --help");
  await refused(
    ["0", ...file, "--open"],
    "Cannot use --open together with --users; try --help",
  );
  await refused(
    ["0", ...file, "--mode", "upload"],
    "Cannot require a key in mode upload: its wire cannot carry one",
  );
  const token = users.tokenFile("ben");
  await refused(
    ["0", "--token-file", token],
    `Cannot use "${token}" as the key of a server: it is the token of a user, for client.ts`,
  );
});

integration(
  "a user who is there twice has two names, and the one of the other is nobody's",
  async () => {
    await using users = await makeUsers({ ben: "all", eve: "all" });
    await using server = await startServer({ args: ["--users", users.file] });
    using first = await dialWithKey(server, users.token("ben"));
    using second = await dialWithKey(server, users.token("ben"));
    for (const [conn, name] of [[first, "ben"], [second, "ben (2)"]] as const) {
      await conn.prove("ben");
      assertMatch(await conn.line(), /^welcome /);
      await conn.send("whoami\n");
      assertEquals(await conn.line(), `ok ${name}`);
    }
    await server.running.says(/client 2: is "ben \(2\)"$/);
    await second.send("status\nexit\n");
    assertMatch(
      await second.rest(),
      /^ok\nclient 1 \| ben \| .*\nclient 2 \| ben \(2\) \| .*\nend 2\nok bye\n$/,
    );
  },
);

integration("a user cannot be another one, and the server's identity is no user", async () => {
  await using users = await makeUsers({ ben: "all", eve: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const { server: spki } = parseToken(users.token("ben"));
  const secret = Deno.readTextFileSync(`${users.file}.identity`).trim();
  const identity = await identityOf(Uint8Array.fromHex(secret));
  assertEquals(identity.spki, spki);
  const stolen = await crypto.subtle.importKey(
    "pkcs8",
    Uint8Array.fromBase64(identity.privateKey.replace(/-----.*-----/g, "").replaceAll("\n", "")),
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
  const asIdentity = async (nonce: string, name: string): Promise<string> =>
    (await sign(stolen, proofText(identity.pin, nonce, name))).toHex();
  using conn = await dialWithKey(server, users.token("ben"));
  const asBen = (nonce: string): Promise<string> => conn.credential.prove(nonce);
  const claims: [name: string, prove: (nonce: string, name: string) => Promise<string>][] = [
    ["eve", asBen],
    ["", asBen],
    ["nobody", asBen],
    ["ben", asIdentity],
    ["nobody", asIdentity],
    ["", asIdentity],
    ["ben", () => Promise.resolve("0".repeat(128))],
    ["ben", () => Promise.resolve("0".repeat(64))],
  ];
  // At the same time, as each is refused late.
  await Promise.all(claims.map(async ([name, prove]) => {
    using other = await dialWithKey(server, users.token("ben"));
    await other.send(`hello 1 ${name}\n`);
    await other.send(`answer ${await prove(await other.challenge(), name)}\nlist\n`);
    assertEquals(await other.rest(), `error denied ${DENIED}\n`);
  }));
  await conn.prove("ben");
  assertMatch(await conn.line(), /^welcome /);
});

integration("client.ts has the name of its token, and takes no other", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const token = ["--token-file", users.tokenFile("ben")];
  const other = await runClient(server, ["--status", ...token, "--name", "eve"]);
  assertRefused(other, 2, 'Cannot be called "eve": the token is that of the user "ben"');
  assert(!server.running.log.includes("connected from"));
  assertEquals((await runClient(server, ["--status", ...token, "--name", "ben"])).code, 0);
  // Until then, the next one would be "ben (2)".
  await server.running.says(/client 1: left/);
  const env = { INLET_TOKEN: users.token("ben") };
  const { code, stdout } = await runClient(server, ["--status"], { env });
  assertEquals(code, 0);
  assertMatch(stdout, /^client 1 \| ben \|.*\nclient 2 \| ben \|/);
});

integration("a session with a token does not ask for a name", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const client = ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port)];
  await using terminal = await openTerminal(
    [Deno.execPath(), ...client, "--token-file", users.tokenFile("ben")],
    { cwd: users.path },
  );
  const screen = await terminal.shows(/^ben>/m);
  assertMatch(screen, /^Welcome, ben: you are client 1;/);
  assert(!screen.includes("Your name"));
  users.remove("ben");
  assertStringIncludes(
    await terminal.shows(/exit 3/),
    'inlet: Cannot go on: the key of the user "ben" was revoked',
  );
}, { programs: ["tmux"] });

integration("a token is worth nothing at another server", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using others = await makeUsers({ ben: "all" });
  const token = ["--token-file", users.tokenFile("ben")];
  await using other = await startServer({ args: ["--users", others.file] });
  assertRefused(await runClient(other, [fixture("hello.txt"), ...token]), 5, UNTRUSTED);
  await using plain = await startServer();
  const ended = await runClient(plain, [fixture("hello.txt"), ...token]);
  assertEquals([ended.code, ended.stdout], [5, ""]);
  assertMatch(ended.stderr, /^inlet: Cannot use the key: this inlet server has none, [^\n]+\n$/);
  assertEquals([...names(other.dir), ...names(plain.dir)], []);
});

integration("the files of a server, stolen, let nobody in", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const text = await Deno.readTextFile(users.file);
  assert(!text.includes(parseToken(users.token("ben")).secret.toHex()));
  const as = (file: string): Promise<Ended> => runClient(server, ["--list", "--token-file", file]);
  const whole = await as(users.file);
  assertEquals([whole.code, whole.stdout], [5, ""]);
  assertStringIncludes(whole.stderr, `inlet: ${UNTRUSTED}\n`);
  const [, key] = /^ben (\S+)/m.exec(text)!;
  const { server: spki } = parseToken(users.token("ben"));
  const made = [
    `inlet-user ben ${spki.toBase64()} ${key}`,
    `inlet-user ben ${spki.toBase64()} ${Uint8Array.fromBase64(key!).slice(27, 59).toHex()}`,
  ];
  assertEquals((await as(await users.write("first", made[0]!))).code, 2);
  assertEquals((await as(await users.write("second", made[1]!))).code, 3);
  assertRefused(await as(`${users.file}.identity`), 3, DENIED);
});

integration("the log shows neither a token nor the server's identity", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const token = users.tokenFile("ben");
  assertEquals((await runClient(server, ["--list", "--token-file", token])).code, 0);
  await server.running.stop();
  const secrets = [
    parseToken(users.token("ben")).secret.toHex(),
    Deno.readTextFileSync(`${users.file}.identity`).trim(),
  ];
  for (const secret of secrets) assert(!server.running.log.includes(secret));
});
