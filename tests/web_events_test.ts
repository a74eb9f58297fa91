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

integration("whatever a name and a message hold, an event is two lines", async () => {
  await using server = await startServer();
  const name = "a\r\ndata: x\n\nevent: stored<script>";
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

integration("500 pages that are open cost the server less than 150 MB", async () => {
  await using server = await startServer({ args: ["--max-clients", "2"] });
  const before = residentBytes(server);
  const readers: EventReader[] = [];
  try {
    while (readers.length < 500) readers.push(await EventReader.open(server, "?name=ann"));
    await put(server, "a.txt");
    await Promise.all(readers.map((reader) => reader.until("stored")));
    assertLess(residentBytes(server), 150e6, `${before} before`);
  } finally {
    readers.forEach((reader) => reader[Symbol.dispose]());
  }
}, { ...PROC, descriptors: 2000, deadlineMs: 600_000 });

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
