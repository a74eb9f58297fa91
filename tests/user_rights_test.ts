import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fixture, integration, names, runClient, startServer } from "./helpers.ts";
import { dialWithKey, type SecureConn } from "./secure.ts";
import { makeUsers, type TestUsers } from "./user_files.ts";

const HELLO = "hello\nend 363a3020\n";

/** A request, and how its answer ends where it is not refused. */
interface Asked {
  request: string;
  end: RegExp;
  /** What is sent once the server says `go`. */
  body?: string;
}

/** Every request, those first that see what is there: `a.txt`. */
const REQUESTS: Readonly<Record<string, Asked>> = {
  get: { request: "get a.txt\n", end: /^end\S* 363a3020/ },
  reget: { request: "reget 2 00000000 a.txt\n", end: /^end\S* 363a3020/ },
  compare: { request: "compare 6 363a3020 2026-11-21T08:38:00Z a.txt\n", end: /^ok/ },
  diff: { request: "diff 1 /\n6 2026-11-21T08:38:00Z a.txt\n", end: /^ok [=!?]$/ },
  list: { request: "list\n", end: /^end 1$/ },
  tree: { request: "tree /\n", end: /^end 1$/ },
  status: { request: "status\n", end: /^end \d$/ },
  put: { request: "put 6 put.txt\n", body: HELLO, end: /^ok 6 363a3020 put\.txt$/ },
  push: { request: `push 6 push.txt\n${HELLO}`, end: /^ok 6 363a3020 push\.txt$/ },
  reput: {
    request: `reput ${"0".repeat(64)} 6 reput.txt\n`,
    body: HELLO,
    end: /^ok 6 363a3020 reput\.txt$/,
  },
  mkdir: { request: "mkdir photos\n", end: /^ok photos$/ },
  say: { request: "say 6\n", body: HELLO, end: /^ok 6 363a3020$/ },
  whoami: { request: "whoami\n", end: /^ok / },
  chat: { request: "Hello\n", end: /^Hello ACK$/ },
};

const WRITING = ["put", "push", "reput", "mkdir", "say"];
const SEEING = ["get", "reget", "compare", "diff", "list", "tree", "status"];

/** Which requests are refused, by the rights of the user, and why. */
const REFUSED: Readonly<Record<string, { requests: readonly string[]; why: string }>> = {
  all: { requests: [], why: "" },
  read: { requests: WRITING, why: "you may only read" },
  drop: { requests: [...SEEING, "say"], why: "you may only upload" },
};

/** Makes a request, and gives the last line of its answer. */
async function ask(conn: SecureConn, { request, body, end }: Asked): Promise<string> {
  await conn.send(request);
  for (;;) {
    const line = await conn.line();
    if (body !== undefined && /^go\S* 0$/.test(line)) await conn.send(body);
    // The body of a push that is refused is skipped.
    if (end.test(line) || line.startsWith("error ")) return line;
  }
}

async function greeted(server: { port: number }, users: TestUsers, name: string) {
  const conn = await dialWithKey(server, users.token(name));
  await conn.prove(name);
  assertMatch(await conn.line(), /^welcome /);
  return conn;
}

for (const [rights, { requests, why }] of Object.entries(REFUSED)) {
  integration(
    `a user with the right ${rights} is refused what that excludes, and no more`,
    async () => {
      await using users = await makeUsers({ ben: rights as "all" | "read" | "drop" });
      await using server = await startServer({ args: ["--users", users.file] });
      await Deno.writeTextFile(`${server.dir}/a.txt`, "hello\n");
      using conn = await greeted(server, users, "ben");
      const refused: string[] = [];
      // Those that see come first: each finds one file.
      for (const name of [...SEEING, ...WRITING, "whoami", "chat"]) {
        const line = await ask(conn, REQUESTS[name]!);
        if (!line.startsWith("error ")) continue;
        assertMatch(line, new RegExp(`^error denied Cannot [^:]+: ${why}$`));
        refused.push(name);
      }
      assertEquals(refused.sort(), [...requests].sort());
      const stored = ["photos", "push.txt", "put.txt", "reput.txt"];
      assertEquals(names(server.dir), ["a.txt", ...rights === "read" ? [] : stored]);
    },
  );
}

for (
  const [option, refusals] of Object.entries({
    "--read-only": {
      ann: "this server is read-only",
      ron: "this server is read-only",
      dan: "this server is read-only",
    },
    "--drop-only": { ann: undefined, ron: "you may only read", dan: undefined },
  })
) {
  integration(`${option} holds for users, whatever their rights`, async () => {
    await using users = await makeUsers({ ann: "all", ron: "read", dan: "drop" });
    await using server = await startServer({ args: ["--users", users.file, option] });
    await Deno.writeTextFile(`${server.dir}/a.txt`, "hello\n");
    for (const [name, why] of Object.entries(refusals)) {
      using conn = await greeted(server, users, name);
      const put = await ask(conn, REQUESTS.put!);
      assertEquals(
        put,
        why === undefined ? "ok 6 363a3020 put.txt" : `error denied Cannot store "put.txt": ${why}`,
      );
      const got = await ask(conn, REQUESTS.get!);
      const isGiven = option === "--read-only" && name !== "dan";
      if (isGiven) assertMatch(got, REQUESTS.get!.end);
      else {assertMatch(
          got,
          /^error denied Cannot get "a\.txt": (this server only accepts uploads|you may only upload)$/,
        );}
    }
  });
}

integration("client.ts says what a user may not do, and exits with 3", async () => {
  await using users = await makeUsers({ ron: "read", dan: "drop" });
  await using server = await startServer({ args: ["--users", users.file] });
  const put = await runClient(server, [
    fixture("hello.txt"),
    "--token-file",
    users.tokenFile("ron"),
  ]);
  assertEquals([put.code, put.stderr], [
    3,
    'inlet: Cannot store "hello.txt": you may only read\n',
  ]);
  const dropped = ["--token-file", users.tokenFile("dan")];
  assertEquals((await runClient(server, [fixture("hello.txt"), ...dropped])).code, 0);
  const again = await runClient(server, [fixture("hello.txt"), ...dropped]);
  // It does not learn that the name was taken.
  assertStringIncludes(again.stderr, 'stored as "hello.txt"');
  assertEquals(names(server.dir), ["hello (2).txt", "hello.txt"]);
});

integration(
  "a drop user's files are never executable, those of others on the same server are",
  async () => {
    await using users = await makeUsers({ ann: "all", dan: "drop" });
    await using server = await startServer({ args: ["--users", users.file] });
    for (const name of ["ann", "dan"]) {
      using conn = await greeted(server, users, name);
      await conn.send(`push 6 ${name}\nhello\nend;mode=755 363a3020\n`);
      assertMatch(await conn.line(), /^ok 6 /);
    }
    const isExecutable = (name: string): boolean =>
      (Deno.statSync(`${server.dir}/${name}`).mode! & 0o100) !== 0;
    assertEquals([isExecutable("ann"), isExecutable("dan")], [true, false]);
  },
);
