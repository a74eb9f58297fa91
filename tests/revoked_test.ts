import { assertEquals, assertMatch } from "@std/assert";
import {
  bytes,
  integration,
  names,
  scriptPath,
  startServer,
  type TestServer,
  uploadGrows,
} from "./helpers.ts";
import { dialWithKey, type SecureConn } from "./secure.ts";
import { makeUsers, type TestUsers } from "./user_files.ts";

const REVOKED = 'error denied Cannot go on: the key of the user "ben" was revoked\n';
const DENIED = /^error denied Cannot authenticate: the server does not accept this key; /;

/** A user that is connected. */
async function greeted(
  server: { port: number },
  users: TestUsers,
  name: string,
): Promise<SecureConn> {
  const conn = await dialWithKey(server, users.token(name));
  await conn.prove(name);
  assertMatch(await conn.line(), /^welcome /);
  return conn;
}

async function serveUsers(users: TestUsers): Promise<TestServer> {
  return await startServer({ args: ["--users", users.file] });
}

/** Fails unless a session goes on. */
async function goesOn(conn: SecureConn, name: string): Promise<void> {
  await conn.send("whoami\n");
  assertEquals(await conn.line(), `ok ${name}`);
}

/** Puts another text in the place of the users file, at once. */
async function replace(users: TestUsers, text: string): Promise<void> {
  await Deno.rename(await users.write("next", text), users.file);
}

integration(
  "a user who is removed is told so and gone, within a put too; others stay",
  async () => {
    await using users = await makeUsers({ ben: "all", eve: "all" });
    await using server = await serveUsers(users);
    using idle = await greeted(server, users, "ben");
    using putting = await greeted(server, users, "ben");
    using eve = await greeted(server, users, "eve");
    await putting.send("put 3000000 cut.bin\n");
    assertEquals(await putting.line(), "go 0");
    await putting.stream.write(bytes(1_000_000));
    await uploadGrows(server.dir, 500_000);
    const token = users.token("ben");
    users.remove("ben");
    assertEquals(await idle.rest(), REVOKED);
    assertEquals(await putting.rest(), REVOKED);
    await server.running.says(/read ".*\/users" again: removed "ben"$/);
    for (const number of [1, 2]) {
      await server.running.says(
        new RegExp(`client ${number}: Cannot go on: the key of the user "ben" was revoked$`),
      );
      await server.running.says(new RegExp(`client ${number}: left, `));
    }
    assertEquals(names(server.dir), []);
    await goesOn(eve, "eve");
    using again = await dialWithKey(server, token);
    await again.prove("ben");
    assertMatch(await again.line(), DENIED);
  },
);

integration("others are told that a user has gone who was removed", async () => {
  await using users = await makeUsers({ ben: "all", eve: "all" });
  await using server = await serveUsers(users);
  using eve = await greeted(server, users, "eve");
  await eve.send("attend\n");
  assertEquals(await eve.line(), "ok");
  using ben = await greeted(server, users, "ben");
  await ben.send("attend\n");
  assertEquals(await eve.line(), "came 2 ben");
  users.remove("ben");
  assertEquals(await eve.line(), "gone 2");
});

integration("a get ends when its user is removed, and leaves nothing", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await serveUsers(users);
  const size = 64 * 1024 * 1024;
  await Deno.truncate(await writeEmpty(`${server.dir}/large`), size);
  const get = ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port)];
  await using client = new Deno.Command(Deno.execPath(), {
    args: [...get, "--get", "large", "--output", "-", "--token-file", users.tokenFile("ben")],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = new Response(client.stderr).text();
  const reader = client.stdout.getReader();
  let got = (await reader.read()).value!.length;
  // Nobody reads on, so the file is still under way.
  users.remove("ben");
  await server.running.says(/Cannot go on: the key of the user "ben" was revoked$/);
  for (let read; !(read = await reader.read()).done;) got += read.value.length;
  assertEquals((await client.status).code, 4);
  assertMatch(await said, /^inlet: The connection ended [^\n]*before [^\n]+\n/);
  assertEquals(got < size, true);
});

async function writeEmpty(path: string): Promise<string> {
  await Deno.writeFile(path, new Uint8Array());
  return path;
}

integration("another key for a user ends what the old one has begun", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await serveUsers(users);
  using before = await greeted(server, users, "ben");
  users.remove("ben");
  await users.add("ben");
  assertEquals(await before.rest(), REVOKED);
  // Until then it has its name.
  await server.running.says(/client 1: left/);
  using after = await greeted(server, users, "ben");
  await goesOn(after, "ben");
});

integration("other rights apply to the next request", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await serveUsers(users);
  using conn = await greeted(server, users, "ben");
  await conn.send("put 6 a.txt\n");
  assertEquals(await conn.line(), "go 0");
  const text = await Deno.readTextFile(users.file);
  await replace(users, text.replace(/ all\n$/, " read\n"));
  await server.running.says(/read ".*\/users" again: other rights for "ben"$/);
  // What has begun goes on.
  await conn.send("hello\nend 363a3020\npush 6 b.txt\nhello\nend 363a3020\nexit\n");
  assertEquals(
    await conn.rest(),
    "ok 6 363a3020 a.txt\n" +
      'error denied Cannot store "b.txt": you may only read\nok bye\n',
  );
});

integration(
  "the last users stay while the file is gone, empty or broken, and the log says so once",
  async () => {
    await using users = await makeUsers({ ben: "all" });
    await using server = await serveUsers(users);
    using ben = await greeted(server, users, "ben");
    const text = await Deno.readTextFile(users.file);
    // Each takes the place of the one before at once: between two, no file is there to be seen.
    const folder = `${users.path}/folder`;
    await Deno.mkdir(folder);
    const states: [change: () => Promise<unknown>, line: RegExp][] = [
      [() => Deno.remove(users.file), /again: it does not exist; the last list of users stays$/],
      [
        () => Deno.symlink(folder, users.file),
        /again: it is not a file; the last list of users stays$/,
      ],
      [
        () => replace(users, ""),
        /it is empty, add a user with --add-user NAME; the last list of users stays$/,
      ],
      [() => replace(users, `${text}eve\n`), /line 3: .*; the last list of users stays$/],
      [() => replace(users, text), /again: the same list of users$/],
    ];
    for (const [change, line] of states) {
      await change();
      await server.running.says(line);
      // Each of these looks at the file again.
      for (let count = 0; count < 3; count++) (await greeted(server, users, "ben")).stream.close();
      await goesOn(ben, "ben");
    }
    for (const [, line] of states) {
      assertEquals(server.running.log.split("\n").filter((said) => line.test(said)).length, 1);
    }
  },
);

integration("SIGHUP has the users read again", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await serveUsers(users);
  using ben = await greeted(server, users, "ben");
  server.running.process.kill("SIGHUP");
  await server.running.says(/read ".*\/users" again: the same list of users$/);
  await goesOn(ben, "ben");
});

integration("serve() takes users, and rereadUsers() applies a change at once", async () => {
  await using users = await makeUsers({ ben: "all" });
  const { serve } = await import("../server.ts");
  await using server = await serve({
    users: users.file,
    directory: `${users.path}/received`,
    log: { quiet: true },
  });
  using ben = await greeted(server.address, users, "ben");
  users.remove("ben");
  server.rereadUsers();
  // Too late to be answered.
  await ben.send("whoami\n").catch(() => {});
  assertEquals(await ben.rest(), REVOKED);
});
