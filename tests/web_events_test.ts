/**
 * What a page is told as it happens, what it can say, and who is listed, at a real server.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { MAX_TALK_BYTES } from "../protocol.ts";
import { EventReader } from "./event_reader.ts";
import {
  bytes,
  integration,
  KEY,
  PROC,
  PROMPT_GC,
  type Reachable,
  residentBytes,
  runClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { HttpWire, problemIn, type Response } from "./http_wire.ts";
import { makeUsers } from "./user_files.ts";
import { Wire } from "./wire.ts";

async function talk(
  server: Reachable,
  text: string,
  query = "",
  type = "text/plain",
): Promise<Response> {
  using wire = await HttpWire.dial(server);
  return await wire.asks(
    `POST /talk${query} HTTP/1.1\r\n${wire.fields}Content-Type: ${type}\r\n` +
      `Content-Length: ${text.length}\r\n\r\n${text}`,
  );
}

async function status(server: Reachable): Promise<Record<string, string | undefined>[]> {
  using wire = await HttpWire.dial(server);
  const { body } = await wire.asks(`GET /status HTTP/1.1\r\n${wire.fields}\r\n`);
  return JSON.parse(new TextDecoder().decode(body)).clients;
}

/** Waits until a client is between two requests: it may know that before the server does. */
async function atRest(server: Reachable, name: string): Promise<{ number?: string }> {
  for (;;) {
    const found = (await status(server)).find((client) => client.name === name);
    if (found?.reachable) return found;
  }
}

async function put(server: Reachable, name: string, size = 5): Promise<void> {
  using wire = await HttpWire.dial(server);
  const request = `PUT /${name} HTTP/1.1\r\n${wire.fields}Content-Length: ${size}\r\n\r\n`;
  assertEquals((await wire.asks(request + "x".repeat(size))).status, 201);
}

for (const key of [undefined, KEY]) {
  const over = key === undefined ? "" : ", over TLS";
  integration(`a page is told what is stored and said, and who is there${over}`, async () => {
    // The streams hold no place.
    await using server = await startServer({ key, args: ["--max-clients", "1"] });
    using ann = await EventReader.open(server, "?name=ann");
    assertMatch(ann.head, /^HTTP\/1\.1 200 [^]*\ncontent-type: text\/event-stream\n/i);
    const { name, visitor } = await ann.until("welcome");
    assertEquals(name, "ann");
    using other = await EventReader.open(server, "?name=ann");
    assertEquals((await other.until("welcome")).name, "ann-2");
    await put(server, "a.txt");
    const { modified, ...stored } = await ann.until("stored");
    assertEquals(stored, { name: "a.txt", size: 5 });
    assertEquals(new Date(modified), Deno.statSync(`${server.dir}/a.txt`).mtime);
    // What is said by a page appears as from a session, and the other way round.
    const said = await talk(server, "hello <b>\n", `?visitor=${visitor}`);
    assertEquals([said.status, new TextDecoder().decode(said.body)], [200, "hello <b> ACK"]);
    await server.running.says(/client 1: says "hello <b>"$/);
    await talk(server, "hi", "?name=ben");
    const { code, stdout } = await runClient(server, ["--session", "--name", "cleo"], {
      stdin: "say from a session\nstatus\n",
    });
    assertEquals(code, 0);
    for (const reader of [ann, other]) {
      for (
        const [from, text] of [["ann", "hello <b>"], ["ben", "hi"], ["cleo", "from a session"]]
      ) {
        assertEquals(await reader.until("message"), { from, text });
      }
    }
    const visits = stdout.match(/^client \d+ \| ann.*End: (.*)$/gm)!.map((line) =>
      line.replace(/ \| [\d.:]+ \| Start: [\d: -]+(?= )/, "")
    );
    assertEquals(visits, [
      "client 1 | ann | End: Still Connected",
      "client 2 | ann-2 | End: Still Connected",
    ]);
    other[Symbol.dispose]();
    await server.running.says(/client 2: left/);
    const listed = await status(server);
    const [first, second] = listed;
    assertEquals([first!.wire, first!.end, second!.name], ["page", undefined, "ann-2"]);
    assert(second!.end !== undefined);
    const cleo = (await ann.until("clients", (list) => list.some(hasEnded("ann-2"))))
      .find(({ name }: { name: string }) => name === "cleo");
    assertEquals([cleo.wire, typeof cleo.end], ["native", "string"]);
  });
}

function hasEnded(wanted: string) {
  return ({ name, end }: { name: string; end?: string }): boolean =>
    name === wanted && end !== undefined;
}

integration("a page sees what moves, on every wire, and how much of it", async () => {
  await using server = await startServer();
  using page = await EventReader.open(server);
  const content = "x".repeat(1000);
  using web = await HttpWire.dial(server);
  await web.says(`PUT /web HTTP/1.1\r\n${web.fields}Content-Length: 5000\r\n\r\n`);
  using native = await Wire.greet(server);
  await native.says(`put 3000 native\n`);
  await native.line();
  // deno-lint-ignore no-explicit-any -- the data of an event
  await page.until("clients", (list) => list.filter(({ moving }: any) => moving).length === 2);
  await web.says(content);
  await native.says(content);
  const list = await page.until(
    "clients",
    (list) =>
      list.filter(({ moving }: { moving?: { bytes: number } }) => (moving?.bytes ?? 0) >= 1000)
        .length === 2,
  );
  const moving = Object.fromEntries(
    // deno-lint-ignore no-explicit-any -- the data of an event
    list.map(({ wire, moving }: any) => [wire, moving && [moving.file, moving.size]]),
  );
  assertEquals(moving, { page: undefined, http: ["web", 5000], native: ["native", 3000] });
  await native.says("x".repeat(2000));
  await native.says("end -\n");
  native.close();
  await page.until("clients", (list) => list.some(hasEnded("test")));
});

integration("who may not list is told nothing of files, clients and messages", async () => {
  await using users = await makeUsers({ ann: "all", ben: "read", eve: "drop" });
  await using server = await startServer({ args: ["--users", users.file] });
  const readers: Record<string, EventReader> = {};
  for (const name of ["ann", "ben", "eve"]) {
    readers[name] = await openAs(server, users, name);
    assertEquals((await readers[name]!.until("welcome")).name, name, "a user has no other name");
  }
  assertEquals((await ask(server, users, "ann", "PUT /a.txt", "hello")).status, 201);
  const statuses: Record<string, [number, number]> = {
    ann: [200, 200],
    ben: [403, 200],
    eve: [403, 403],
  };
  for (const [name, [talks, lists]] of Object.entries(statuses)) {
    assertEquals((await ask(server, users, name, "POST /talk", "hello")).status, talks, name);
    assertEquals((await ask(server, users, name, "GET /status")).status, lists, name);
  }
  for (const name of ["ann", "ben"]) {
    assertEquals((await readers[name]!.until("stored")).name, "a.txt");
    assertEquals((await readers[name]!.until("message")).text, "hello");
  }
  // The end of the server ends the streams: nothing else has come.
  const stopping = server.running.stop();
  assertEquals(await readers.eve!.next(), undefined);
  await stopping;
  Object.values(readers).forEach((reader) => reader[Symbol.dispose]());
});

async function openAs(
  server: TestServer,
  users: Awaited<ReturnType<typeof makeUsers>>,
  name: string,
): Promise<EventReader> {
  const given = { port: server.port, key: users.token(name) };
  return await EventReader.open(
    given,
    "?name=x",
    `Host: localhost\r\n${authorization(users, name)}`,
  );
}

/** One request of a user. */
async function ask(
  server: TestServer,
  users: Awaited<ReturnType<typeof makeUsers>>,
  name: string,
  line: string,
  body = "",
): Promise<Response> {
  using wire = await HttpWire.dial({ port: server.port, key: users.token(name) });
  return await wire.asks(
    `${line} HTTP/1.1\r\nHost: localhost\r\n${authorization(users, name)}` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function authorization(users: Awaited<ReturnType<typeof makeUsers>>, name: string): string {
  return `Authorization: Basic ${btoa(`${name}:${users.password(name)}`)}\r\n`;
}

for (const key of [undefined, KEY]) {
  const over = key === undefined ? "" : " over TLS";
  integration(
    `a server that stops ends the streams${over} in order, and waits for none`,
    async () => {
      await using server = await startServer({ key });
      const readers: EventReader[] = [];
      while (readers.length < 40) readers.push(await EventReader.open(server, "?name=ann"));
      await server.running.stop();
      for (const reader of readers) {
        let event;
        do event = await reader.next(); while (event !== undefined);
        reader[Symbol.dispose]();
      }
      assert(!/transfers? ha|shutting down/.test(server.running.log), server.running.log);
    },
  );
}

integration("a page and a session tell each other what nobody else sees", async () => {
  await using server = await startServer();
  using ben = await Wire.attend(server, "ben");
  using other = await EventReader.open(server, "?name=carl");
  assertEquals(await ben.line(), "came 2 carl");
  {
    using page = await EventReader.open(server, "?name=ann");
    const { visitor } = await page.until("welcome");
    assertEquals(await ben.line(), "came 3 ann");
    const offer = `4713-maple 04${"ab".repeat(64)} 6 a.txt`;
    await ben.says(`who\ntell 3 for you\nsend 3 ${offer}\n`);
    for (const line of ["ok", "2 carl", "3 ann", "end 2", "ok"]) {
      assertEquals(await ben.line(), line);
    }
    assertMatch(await ben.line(), /^error denied .*it cannot take files: it is a page, or /);
    assertEquals(await page.until("told"), { from: "ben", number: 1, text: "for you" });
    // The server may come to its rest later than its client to the answer, and not than to this.
    await talk(server, "hello", `?visitor=${visitor}&to=1`);
    assertEquals(await ben.line(), "told 3 hello");
    const told = await talk(server, "for ben", `?visitor=${visitor}&to=1`);
    assertEquals([told.status, told.body.length], [204, 0]);
    assertEquals(await ben.line(), "told 3 for ben");
    assertEquals((await talk(server, "carl", `?visitor=${visitor}&to=2`)).status, 204);
    // Within a request it waits.
    await ben.says("put 6 a.txt\n");
    assertEquals(await ben.line(), "go 0");
    assertEquals((await talk(server, "later", `?visitor=${visitor}&to=1`)).status, 202);
    await ben.says("hello\nend 363a3020\n");
    assertEquals(await ben.line(), "ok 6 363a3020 a.txt");
    assertEquals(await ben.line(), "told 3 later");
    await server.running.says(/client 3: tells client 1 7 bytes/);
    assert(!server.running.log.includes("for ben"), server.running.log);
    // The others see what all see.
    assertEquals((await talk(server, "to all", `?visitor=${visitor}`)).status, 200);
    for (;;) {
      const { name, data } = (await other.next())!;
      if (name === "message") break;
      assert(name !== "told" || data.text === "carl", JSON.stringify(data));
    }
  }
  assertEquals(await ben.line(), "gone 3");
  await ben.says("tell 3 again\n");
  assertMatch(await ben.line(), /^error not-found .*client 3: it is not here$/);
  // A list has who can be told something.
  const { wire, reachable } = (await status(server)).find(({ name }) => name === "carl")!;
  assertEquals([wire, String(reachable)], ["page", "true"]);
  assertEquals((await status(server)).find(({ name }) => name === "ann")!.reachable, undefined);
});

integration("a session that sends a file to a page is told that a page takes none", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await local.write("a.txt", "hello\n");
  using page = await EventReader.open(server, "?name=ann");
  await page.until("welcome");
  const sent = await runClient(server, ["--session", "--name", "ben"], {
    stdin: "tell ann here it is\nsend ann a.txt\n",
    cwd: local.path,
  });
  assertEquals(sent.code, 3);
  assertMatch(
    sent.stderr,
    /^inlet: Cannot send to "ann": it cannot take files: it is a page, or /m,
  );
  assertEquals((await page.until("told")).text, "here it is");
});

integration("what cannot be told one client is refused, and says why", async () => {
  await using server = await startServer();
  using ben = await Wire.attend(server, "ben");
  using page = await EventReader.open(server, `?name=${encodeURIComponent("a\nb")}`);
  const { visitor } = await page.until("welcome");
  const cases: [text: string, query: string, status: number, why: RegExp][] = [
    ["hello", `?visitor=${visitor}&to=99`, 404, /^Cannot reach client 99: it is not here$/],
    ["hello", `?visitor=${visitor}&to=2`, 404, /^Cannot reach client 2: it is not here$/],
    ["hello", `?visitor=${visitor}&to=ben`, 400, /^Cannot reach client "ben": it is no number$/],
    ["hello", `?visitor=${visitor}&to=`, 400, /^Cannot reach client "": it is no number$/],
    ["hello", "?to=1", 400, /give the visitor of a stream of GET \/events$/],
    ["hello", "?visitor=none&to=1", 400, /give the visitor of a stream of GET \/events$/],
    ["a\nb", `?visitor=${visitor}&to=1`, 400, /^Cannot tell client 1: a text has one line$/],
    ["x".repeat(4001), `?visitor=${visitor}&to=1`, 400, /client 1: the limit is 4000 bytes$/],
  ];
  for (const [text, query, status, why] of cases) {
    const refused = await talk(server, text, query);
    assertEquals(refused.status, status, query);
    assertMatch(JSON.parse(new TextDecoder().decode(refused.body)).detail, why);
  }
  // No line can hold that name.
  await ben.says("who\n");
  assertEquals([await ben.line(), await ben.line()], ["ok", "end 0"]);
  using dora = await Wire.greet(server);
  // 202 if the server is not yet done with what it has answered.
  assert([202, 204].includes((await talk(server, "hello", `?visitor=${visitor}&to=1`)).status));
  assertEquals(await ben.line(), "told 2 hello");
  const { number } = await atRest(server, "test");
  assertEquals((await talk(server, "hello", `?visitor=${visitor}&to=${number}`)).status, 204);
  assertEquals(await dora.line(), "note client 2: hello");
});

integration("a page that does not read is told so much, and no more", async () => {
  await using server = await startServer();
  using ben = await Wire.attend(server, "ben");
  using page = await EventReader.open(server, "?name=ann");
  assertEquals(await ben.line(), "came 2 ann");
  const text = "x".repeat(4000);
  // The system holds some megabytes for it.
  let answer = "ok";
  for (let texts = 0; texts < 5000 && answer === "ok"; texts++) {
    await ben.says(`tell 2 ${text}\n`);
    answer = await ben.line();
  }
  assertMatch(answer, /^error wait .*it is busy, and too much waits for it already$/);
  assertEquals((await page.until("told")).text, text);
});

integration("pages of users who may only read or only upload reach nobody", async () => {
  await using users = await makeUsers({ anna: "all", dora: "read" });
  await using server = await startServer({ args: ["--users", users.file] });
  using annas = await openAs(server, users, "anna");
  using doras = await openAs(server, users, "dora");
  const seen = await annas.until("clients", (clients) => clients.length === 2);
  assertEquals(seen.map((client: { reachable?: true }) => client.reachable), [true, undefined]);
  const { visitor } = await doras.until("welcome");
  const query = `visitor=${visitor}&to=${seen[0].number}`;
  const refused = await ask(server, users, "dora", `POST /talk?${query}`, "hi");
  assertEquals([refused.status, problemIn(refused).code], [403, "denied"]);
});

integration("nobody is reachable at a server where nobody reaches anybody", async () => {
  for (const arg of ["--read-only", "--drop-only"]) {
    await using server = await startServer({ args: [arg] });
    using ben = await Wire.greet(server);
    // At rest once it has its answer.
    await ben.says("whoami\n");
    await ben.line();
    using page = await EventReader.open(server, "?name=ann");
    const { visitor } = await page.until("welcome");
    const refused = await talk(server, "hello", `?visitor=${visitor}&to=1`);
    assertEquals([refused.status, problemIn(refused).code], [403, "denied"]);
    if (arg === "--drop-only") continue;
    const clients = await page.until("clients", (list) => list.length === 2);
    for (const list of [clients, await status(server)]) {
      assertEquals(list.filter((it: { reachable?: unknown }) => it.reachable), []);
    }
  }
});

integration("whatever a name and a message hold, an event is two lines", async () => {
  await using server = await startServer();
  const name = "a\r\ndata: x\n\nevent: stored<script>\u05d5";
  using page = await EventReader.open(server, `?name=${encodeURIComponent(name)}`);
  assertEquals((await page.until("welcome")).name, name);
  const text = "b\r\n\r\nevent: message\ndata: {}\n\n</script>\xc2\x85";
  const told = await talk(server, text, `?name=${encodeURIComponent("x\ny")}`);
  assertEquals(told.status, 200);
  const { from } = await page.until("message");
  assertEquals(from, "x\ny");
  await server.running.says(/client 1: is "a\\u\{d\}\\u\{a\}data: x/);
  await server.running.says(/says "b\\u\{d\}\\u\{a\}/);
  using wire = await Wire.greet(server);
  await wire.says("status\n");
  assertMatch(await wire.line(), /^ok$/);
  assertMatch(await wire.line(), /^client 1 \| a\\u\{d\}\\u\{a\}data: x\\u\{a\}\\u\{a\}event: /);
});

integration(
  "talk that is too long, empty or no text is refused, and so is a long name",
  async () => {
    await using server = await startServer({ args: ["--base-path", "/x"] });
    const base = { ...server, path: "/x" };
    const cases: [text: string, type: string, query: string, status: number, code: string][] = [
      ["x".repeat(MAX_TALK_BYTES + 1), "text/plain", "", 413, "too-large"],
      ["", "text/plain", "", 400, "bad-request"],
      ["\n", "text/plain", "", 400, "bad-request"],
      ["\xff", "text/plain", "", 400, "bad-request"],
      ["a=b", "application/x-www-form-urlencoded", "", 415, "bad-request"],
      ["hello", "text/plain", `?name=${"x".repeat(65)}`, 400, "bad-name"],
    ];
    for (const [text, type, query, status, code] of cases) {
      using wire = await HttpWire.dial(base);
      const response = await wire.asks(
        `POST /x/talk${query} HTTP/1.1\r\n${wire.fields}Content-Type: ${type}\r\n` +
          `Content-Length: ${text.length}\r\n\r\n${text}`,
      );
      assertEquals([response.status, problemIn(response).code], [status, code], text.slice(0, 9));
    }
    using page = await EventReader.open(base, `?name=${"x".repeat(65)}`, undefined, "/x/events");
    assertMatch(page.head, /^HTTP\/1\.1 400 /);
  },
);

integration("500 pages that are open cost the server less than 180 MB", async () => {
  await using server = await startServer({ args: ["--max-clients", "2"], env: PROMPT_GC });
  const before = residentBytes(server);
  const readers: EventReader[] = [];
  try {
    while (readers.length < 500) readers.push(await EventReader.open(server, "?name=ann"));
    await put(server, "a.txt");
    await Promise.all(readers.map((reader) => reader.until("stored")));
    assertLess(residentBytes(server), 180e6, `${before} before`);
  } finally {
    readers.forEach((reader) => reader[Symbol.dispose]());
  }
}, { ...PROC, descriptors: 2000 });

integration("a folder of many files is not told file by file", async () => {
  await using local = await tempDir();
  await Deno.mkdir(`${local.path}/many`);
  for (let count = 0; count < 200; count++) await local.write(`many/${count}`, bytes(10));
  await using server = await startServer();
  using page = await EventReader.open(server);
  const { code } = await runClient(server, [`${local.path}/many`]);
  assertEquals(code, 0);
  await page.until("many");
});
