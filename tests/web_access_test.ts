/**
 * Who may use HTTP at a server with a key, or with users: by curl, with the commands of the documents,
 * and by hand.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  assertRefused,
  bytes,
  type Ended,
  exchange,
  integration,
  KEY,
  names,
  ROOT,
  run,
  runClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { dialWithKey } from "./secure.ts";
import { makeUsers } from "./user_files.ts";

const CURL = { programs: ["curl"] };

/** The lines of a document that run curl against a server with a key. */
async function documented(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(file, ROOT));
  return text.match(/^curl .*https:\/\/HOST:5000\/.*$/gm) ?? [];
}

/** Runs such a line as it stands, with nothing but the address and the pin put in. */
async function typed(line: string, server: TestServer, cwd: string): Promise<Ended> {
  const [, pin] = await server.running.says(/public key (sha256\/\/\S+)$/);
  const command = line.replace("PIN", pin!).replace("HOST:5000", `127.0.0.1:${server.port}`);
  return await run("sh", ["-c", command], { cwd });
}

function basic(name: string, password: string): string {
  return `Basic ${new TextEncoder().encode(`${name}:${password}`).toBase64()}`;
}

/** A connection to a server with users, by the token of one of them. */
async function dial(server: TestServer, token = KEY): Promise<HttpWire> {
  return await HttpWire.dial({ port: server.port, key: token });
}

/** One request, with this `Authorization`. */
async function ask(wire: HttpWire, line: string, authorization?: string): Promise<Response> {
  const field = authorization === undefined ? "" : `Authorization: ${authorization}\r\n`;
  const [length, body] = line.startsWith("PUT") ? ["Content-Length: 5\r\n", "hello"] : ["", ""];
  return await wire.asks(`${line} HTTP/1.1\r\nHost: localhost\r\n${field}${length}\r\n${body}`);
}

for (const file of ["README.md", "docs/http.md", "docs/network.md"]) {
  integration(`the commands of ${file} for curl and a key work as they stand`, async () => {
    await using users = await makeUsers({ ben: "all" });
    const { path } = users;
    await users.write("inlet.token", `${KEY}\n`);
    const content = bytes(200_000);
    await users.write("report.pdf", content);
    const lines = await documented(file);
    assert(lines.length > 1, `${lines.length}`);
    await using shared = await startServer({ args: ["--token-file", `${path}/inlet.token`] });
    await using closed = await startServer({ args: ["--users", users.file] });
    for (const line of lines) {
      const server = line.includes("ben.token") ? closed : shared;
      const { code, stdout, stderr } = await typed(`${line} -sS`, server, path);
      assertEquals([code, stderr], [0, ""], line);
      if (line.includes("-T")) {
        assertEquals(JSON.parse(stdout), { name: "report.pdf", size: 200_000 });
      } else assertMatch(stdout, / -H /.test(line) ? /report\.pdf/ : /"status":401/, line);
    }
    assertEquals(names(closed.dir), ["report.pdf"]);
    assertEquals(Deno.readFileSync(`${closed.dir}/report.pdf`), content);
    await closed.running.says(/is "ben"$/);
  }, CURL);
}

integration("curl with a pin sends neither file nor password to another server", async () => {
  await using users = await makeUsers({ ben: "all" });
  const file = await users.write("a.txt", "hello\n");
  await using other = await startServer({ key: KEY });
  const { code, stderr } = await run("curl", [
    ...["-sS", "--noproxy", "*", "-K", users.tokenFile("ben"), "-T", file],
    `https://127.0.0.1:${other.port}/`,
  ]);
  assertEquals(code, 90, stderr);
  assertEquals(names(other.dir), []);
}, CURL);

/** What is sent as `Authorization` to a server with a key for all, and what it gets. */
const FIELDS: readonly [field: string | undefined, status: number][] = [
  [basic("", KEY), 200],
  [basic("ben", KEY), 200],
  [basic("", ` ${KEY}\n`), 200],
  [`bAsIc   ${basic("ben", KEY).slice(6)}`, 200],
  [`Bearer ${KEY}`, 200],
  [`bearer ${KEY}`, 200],
  [basic("x".repeat(65), KEY), 400],
  [undefined, 401],
  ["", 401],
  ["Basic", 401],
  ["Bearer", 401],
  ["Basic ====", 401],
  ["Basic YWJj", 401],
  ["Basic /////w==", 401],
  ["Digest username=ben", 401],
  [KEY, 401],
];

/** The same for what is a key, and a wrong one. */
const WRONG: readonly string[] = [
  basic(KEY, ""),
  basic("", KEY.slice(1)),
  basic("", `${KEY}0`),
  basic("", KEY.toUpperCase()),
  `Bearer ${KEY.slice(1)}`,
  `Bearer ben.${KEY}`,
];

integration("a request proves the key by Basic or Bearer, or gets 401", async () => {
  await using server = await startServer({ key: KEY });
  using wire = await dial(server);
  for (const [field, expected] of FIELDS) {
    const response = await ask(wire, "GET /files/", field);
    assertEquals(response.status, expected, field);
    const challenge = expected === 401
      ? 'Basic realm="inlet", charset="UTF-8", Bearer realm="inlet"'
      : undefined;
    assertEquals(response.headers["www-authenticate"], challenge);
    if (expected >= 400) assertEquals(problemIn(response).status, expected);
  }
  // Nothing of what a stranger sends is looked at.
  for (const line of ["GET /none", "PUT /page", "PUT /a", "OPTIONS /files/", "DELETE /files/"]) {
    using stranger = await dial(server);
    assertEquals((await ask(stranger, line)).status, 401, line);
  }
  assertEquals(names(server.dir), []);
  await server.running.says(/client 1: is "ben"$/);
});

integration("a wrong key waits for a second", async () => {
  await using server = await startServer({ key: KEY });
  await Promise.all(WRONG.map(async (field) => {
    using wire = await dial(server);
    const began = performance.now();
    const response = await ask(wire, "GET /files/", field);
    assert(performance.now() - began >= 1000, field);
    assertEquals([response.status, problemIn(response).code], [401, "denied"], field);
    const isToken = response.headers["www-authenticate"]!.endsWith(', error="invalid_token"');
    assertEquals(isToken, field.startsWith("Bearer"));
  }));
});

integration("in the clear a server with a key asks for none", async () => {
  await using server = await startServer({ key: KEY });
  const request = `GET /files/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${KEY}\r\n\r\n`;
  const answer = await exchange(server, request);
  assertMatch(answer, /^HTTP\/1\.1 400 /);
  assert(!/authenticate/i.test(answer.split("\r\n\r\n")[0]!), answer);
});

integration("rights are those of the native wire, and the log names the user", async () => {
  const rights = { ann: "all", ben: "read", "c\u00e9cile": "drop" } as const;
  await using users = await makeUsers(rights);
  await using server = await startServer({ args: ["--users", users.file, "--log", "json"] });
  Deno.writeTextFileSync(`${server.dir}/there`, "hello\n");
  const expected: Record<string, readonly number[]> = {
    "GET /files/": [200, 200, 403],
    "GET /files/there": [200, 200, 403],
    "GET /files/none": [404, 404, 403],
    "PUT /files/new": [201, 403, 201],
    "PUT /there": [201, 403, 201],
  };
  const given = Object.keys(rights).map((name) => [name, basic(name, users.password(name))]);
  // As by a proxy, which sends those of several people over one connection.
  using wire = await dial(server, users.token("ann"));
  for (const [line, statuses] of Object.entries(expected)) {
    for (const [index, [name, field]] of given.entries()) {
      using own = await dial(server, users.token("ann"));
      const asked = await ask(line.startsWith("PUT") ? own : wire, line, field!);
      assertEquals(asked.status, statuses[index], `${line} ${name}`);
      if (asked.status !== 201) continue;
      // Who may only upload is not told which names are taken.
      const stored = JSON.parse(new TextDecoder().decode(asked.body)).name;
      const isNumbered = index === 0 && line.includes("there");
      assertEquals(stored, isNumbered ? "there (2)" : line.split("/").at(-1));
    }
  }
  await server.running.stop();
  const events = server.running.log.split("\n").map((line) => JSON.parse(line));
  const whose = (event: string): string[] => [
    ...new Set(events.filter((one) => one.event === event).map(({ client }) => client as string)),
  ];
  assertEquals(whose("stored").map(own), ["ann", "c\u00e9cile"]);
  assertEquals(whose("got").map(own), ["ann", "ben"]);
  assertEquals(whose("refused").map(own), ["c\u00e9cile", "ann", "ben"]);
});

/** A name without the number that a second connection has. */
function own(name: string): string {
  return name.replace(/ \(\d+\)$/, "");
}

integration("--read-only holds for who has the key, and --drop-only", async () => {
  for (const [args, got, put] of [["--read-only", 200, 403], ["--drop-only", 403, 201]] as const) {
    await using server = await startServer({ key: KEY, args: [args] });
    using wire = await dial(server);
    assertEquals((await ask(wire, "GET /files/", `Bearer ${KEY}`)).status, got);
    assertEquals((await ask(wire, "PUT /a", `Bearer ${KEY}`)).status, put);
  }
});

integration("the password of a user opens nothing else, and nothing else opens it", async () => {
  await using users = await makeUsers({ ben: "all", eve: "all" });
  await using others = await makeUsers({ ben: "all" });
  const otherToken = others.token("ben");
  await using server = await startServer({ args: ["--users", users.file] });
  const password = users.password("ben");
  const signature = Uint8Array.fromBase64(password, { alphabet: "base64url" });
  using conn = await dialWithKey(server, users.token("ben"));
  const proof = await conn.credential.prove("0".repeat(64));
  const wrong = [
    basic("eve", password),
    basic("BEN", password),
    basic("ben ", password),
    basic("nobody", password),
    basic("", password),
    basic("ben", others.password("ben")),
    basic("ben", `${password}A`),
    basic("ben", password.slice(1)),
    basic("ben", signature.toHex()),
    basic("ben", proof),
    basic("ben", Uint8Array.fromHex(proof).toBase64({ alphabet: "base64url", omitPadding: true })),
    basic("ben", users.token("ben").split(" ")[3]!),
    `Bearer ${password}`,
    `Bearer eve.${password}`,
  ];
  const statuses = await Promise.all(wrong.map(async (field) => {
    using wire = await dial(server, users.token("ben"));
    return (await ask(wire, "GET /files/", field)).status;
  }));
  assertEquals(statuses, wrong.map(() => 401));
  using wire = await dial(server, users.token("ben"));
  for (const field of [basic("ben", password), `Bearer ben.${password}`]) {
    assertEquals((await ask(wire, "GET /files/", field)).status, 200);
  }
  // A server that knows the same public key.
  const line = /^ben .*$/m.exec(Deno.readTextFileSync(users.file))![0];
  others.remove("ben");
  Deno.writeTextFileSync(others.file, `${line}\n`);
  await using other = await startServer({ args: ["--users", others.file] });
  using elsewhere = await dial(other, otherToken);
  assertEquals((await ask(elsewhere, "GET /files/", basic("ben", password))).status, 401);
  // A password that was taken away is no answer to a challenge.
  await conn.send("hello 1 ben\n");
  await conn.challenge();
  await conn.send(`answer ${signature.toHex()}\n`);
  assertMatch(await conn.rest(), /^error denied /);
});

integration(
  "a user who is removed ends, within a file too, and gets 401 from then on",
  async () => {
    await using users = await makeUsers({ ben: "all", ann: "all" });
    await using server = await startServer({ args: ["--users", users.file] });
    const field = basic("ben", users.password("ben"));
    const token = users.token("ben");
    using resting = await dial(server, token);
    assertEquals((await ask(resting, "GET /files/", field)).status, 200);
    using within = await dial(server, token);
    await within.says(
      `PUT /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${field}\r\n` +
        "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    );
    assertEquals((await within.response())?.status, 100);
    await within.says("hello");
    users.remove("ben");
    assertEquals((await within.response())?.status, 403);
    assert(await within.ends());
    assertEquals((await ask(resting, "GET /files/", field)).status, 401);
    assertEquals(names(server.dir), []);
  },
);

integration("a status on the native wire tells the user of HTTP, and of no stranger", async () => {
  await using local = await tempDir();
  await using server = await startServer({ key: KEY });
  using wire = await dial(server);
  assertEquals((await ask(wire, "GET /files/", basic("web browser", KEY))).status, 200);
  using stranger = await dial(server);
  assertEquals((await ask(stranger, "GET /files/")).status, 401);
  const { stdout } = await runClient(server, ["--status", "--name", local.path.slice(-5)]);
  assertEquals(stdout.match(/^client \d+ \| [^|]*/gm), [
    "client 1 | web browser ",
    `client 3 | ${local.path.slice(-5)} `,
  ]);
});

integration("the file of a token is a token, with or without what is for curl", async () => {
  await using users = await makeUsers({ ben: "all" });
  await using server = await startServer({ args: ["--users", users.file] });
  const line = users.token("ben");
  const file = Deno.readTextFileSync(users.tokenFile("ben"));
  for (const text of [file, line, `\uFEFF# ${line}\r\n`]) {
    const token = await users.write("given", text);
    const { code, stderr } = await runClient(server, ["--list", "--token-file", token]);
    assertEquals([code, stderr.replace(/^.*chmod 600.*\n/m, "")], [0, ""], text);
  }
  const broken = await users.write("given", `${line} more\n`);
  await Deno.chmod(broken, 0o600);
  const ended = await runClient(server, ["--list", "--token-file", broken]);
  assertRefused(ended, 2, "Cannot use the token of a user: it is damaged, ask for a new one");
});
