/**
 * People in sessions: who is there, and what they tell each other.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  decodePeopleRequest,
  decodeUnasked,
  encodePeopleRequest,
  encodeUnasked,
  isForPeople,
  type PeopleRequest,
  type Unasked,
} from "../protocol/people_lines.ts";
import { ProtocolError } from "../protocol.ts";
import {
  assertRefused,
  integration,
  pure,
  runClient,
  scriptPath,
  startClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { openTerminal, type Terminal } from "./tmux.ts";
import { makeUsers } from "./user_files.ts";
import { impostor, Wire } from "./wire.ts";

const decoder = new TextDecoder();

pure("decodePeopleRequest() and decodeUnasked() decode what their encoders encode", () => {
  const requests: PeopleRequest[] = [{ type: "who" }, { type: "tell", to: 7, text: "hi  there " }];
  for (const request of requests) {
    const line = decoder.decode(encodePeopleRequest(request)).slice(0, -1);
    assertEquals(decodePeopleRequest(line), request);
    assert(isForPeople(line));
  }
  const lines: Unasked[] = [
    { type: "told", from: 3, text: "tell 4 x" },
    { type: "came", client: 3, name: "ben (2)" },
    { type: "gone", client: 3 },
  ];
  for (const line of lines) {
    assertEquals(decodeUnasked(decoder.decode(encodeUnasked(line)).slice(0, -1)), line);
  }
  for (const talk of ["who are you", "telling", "note told 3", "ok", ""]) {
    assertEquals(decodePeopleRequest(talk), undefined);
    assertEquals(decodeUnasked(talk), undefined);
    assert(!isForPeople(talk));
  }
  for (const broken of ["tell", "tell ben", "tell ben hi", "tell 3", "tell 3 "]) {
    assertThrows(() => decodePeopleRequest(broken), ProtocolError);
  }
});

/** Says a line, and gives the next one. */
async function ask(wire: Wire, line: string): Promise<string> {
  await wire.says(`${line}\n`);
  return await wire.line();
}

integration("attend makes who and tell requests, which are talk before", async () => {
  await using server = await startServer();
  using ben = await Wire.greet(server);
  assertEquals(await ask(ben, "who"), "who ACK");
  assertEquals(await ask(ben, "tell me"), "tell me ACK");
  assertEquals(await ask(ben, "attend"), "ok");
  assertEquals(await ask(ben, "attend to me"), "attend to me ACK");
  assertEquals(await ask(ben, "who are you"), "who are you ACK");
  assertEquals(await ask(ben, "chat tell me"), "tell me ACK");
  assertEquals(await ask(ben, "who"), "ok");
  assertEquals(await ben.line(), "end 0");
  assertMatch(await ask(ben, "tell 1 me"), /^error not-found .*client 1: it is not here$/);
  assertMatch(await ask(ben, `tell 2 ${"x".repeat(4001)}`), /^error bad-request .*4000 bytes$/);
  using anna = await Wire.attend(server, "anna");
  assertEquals(await ben.line(), "came 2 anna");
  assertEquals(await ask(anna, "who"), "ok");
  assertEquals(await anna.line(), "1 test");
  assertEquals(await anna.line(), "end 1");
  assertEquals(await ask(anna, "tell 1  two  spaces "), "ok");
  assertEquals(await ben.line(), "told 2  two  spaces ");
  assertEquals(await ask(ben, `tell 2 ${"ü".repeat(2000)}`), "ok");
  assertEquals(await anna.line(), `told 1 ${"ü".repeat(2000)}`);
  assertEquals(await ask(anna, "exit"), "ok bye");
  assertEquals(await ben.line(), "gone 2");
  assertMatch(await ask(ben, "tell me"), /^error bad-request/);
});

integration("tell sends a note to who has not attended", async () => {
  await using server = await startServer();
  using ben = await Wire.greet(server);
  // At rest once it has its answer.
  await ask(ben, "whoami");
  using anna = await Wire.attend(server, "anna");
  assertEquals(await ask(anna, "tell 1 Hello"), "ok");
  assertEquals(await ben.line(), "note anna: Hello");
  assertEquals(await ask(ben, "exit"), "ok bye");
  assertEquals(await ask(anna, "who"), "ok");
});

integration("tell waits while a request is in progress, and 100 lines at most", async () => {
  await using server = await startServer();
  using ben = await Wire.attend(server, "ben");
  using anna = await Wire.attend(server, "anna");
  await ben.line();
  assertEquals(await ask(ben, "put 6 a.txt"), "go 0");
  for (let count = 0; count < 100; count++) {
    assertEquals(await ask(anna, `tell 1 ${count}`), "ok later");
  }
  assertMatch(await ask(anna, "tell 1 101"), /^error wait .*it is busy, and too much waits/);
  assertEquals(await ask(ben, "hello\nend 363a3020"), "ok 6 363a3020 a.txt");
  for (let count = 0; count < 100; count++) assertEquals(await ben.line(), `told 2 ${count}`);
  assertEquals(await ask(anna, "tell 1 again"), "ok");
  assertEquals(await ben.line(), "told 2 again");
  assertEquals(await ask(ben, "put 6 b.txt"), "go 0");
  const long = "x".repeat(4000);
  for (let count = 0; count < 16; count++) {
    assertEquals(await ask(anna, `tell 1 ${long}`), "ok later");
  }
  assertMatch(await ask(anna, `tell 1 ${long}`), /^error wait/);
});

integration("told lines never stand within a list, however they cross it", async () => {
  await using server = await startServer();
  for (let count = 0; count < 2000; count++) Deno.writeTextFileSync(`${server.dir}/${count}`, "");
  using ben = await Wire.attend(server, "ben");
  using anna = await Wire.attend(server, "anna");
  await ben.line();
  let told = 0;
  for (let round = 0; round < 10; round++) {
    await Promise.all([ben.says("list\n"), anna.says(`tell 1 ${round}\n`.repeat(10))]);
    let line: string;
    while ((line = await ben.line()).startsWith("told 2 ")) told++;
    assertEquals(line, "ok");
    let entries = 0;
    while (/^0 \S+ \d+$/.test(line = await ben.line())) entries++;
    assertEquals([line, entries], ["end 2000", 2000]);
    for (let count = 0; count < 10; count++) assertMatch(await anna.line(), /^ok( later)?$/);
    for (; told < 10 * (round + 1); told++) assertMatch(await ben.line(), /^told 2 /);
  }
});

integration(
  "nobody reaches anybody at a server with limited access, or as a user with less",
  async () => {
    for (const access of ["--read-only", "--drop-only"]) {
      await using server = await startServer({ args: [access] });
      using ben = await Wire.greet(server);
      assertMatch(await ask(ben, "attend"), /^error denied Cannot see who is here: this server/);
      assertEquals(await ask(ben, "who"), "who ACK");
      const ended = await runClient(server, ["--session"], { stdin: "who\n" });
      assertEquals(ended.code, 3);
      assertMatch(ended.stderr, /^inlet: Cannot see who is here: this server [^\n]*\n$/);
    }
    await using users = await makeUsers({ anna: "all", carl: "drop", dora: "read" });
    await using server = await startServer({ args: ["--users", users.file] });
    for (const name of ["carl", "dora"]) {
      const args = ["--session", "--token-file", users.tokenFile(name)];
      const ended = await runClient(server, args, { stdin: "tell anna hi\n" });
      assertEquals(ended.code, 3);
      assertMatch(ended.stderr, /^inlet: Cannot see who is here: you may only [^\n]*\n$/);
    }
    await using _ = startClient(server, ["--session", "--token-file", users.tokenFile("dora")]);
    await server.running.says(/is "dora"/, 2);
    const args = ["--session", "--token-file", users.tokenFile("anna")];
    const ended = await runClient(server, args, { stdin: "who\n" });
    assertEquals([ended.code, ended.stdout, ended.stderr], [0, "", "Nobody else is here\n"]);
  },
);

integration("a script tells people by name, and hears them on stderr alone", async () => {
  await using server = await startServer();
  using anna = await Wire.attend(server, "anna lee");
  using ben = await Wire.attend(server, "ben");
  await anna.line();
  const stdin = "who\ntell anna lee Hello there\ntell 'anna lee' 'again'\ntell 2 by number\n" +
    "say tell me\nwho\n";
  const ended = await runClient(server, ["--session", "--name", "carl"], { stdin });
  assertEquals(ended.stdout, "anna lee\nben\ntell me ACK\nanna lee\nben\n");
  assertEquals([ended.code, ended.stderr], [0, ""]);
  for (const line of ["came 3 carl", "told 3 Hello there", "told 3 'again'", "gone 3"]) {
    assertEquals(await anna.line(), line);
  }
  for (const line of ["came 3 carl", "told 3 by number", "gone 3"]) {
    assertEquals(await ben.line(), line);
  }
  assertRefused(
    await runClient(server, ["--session"], { stdin: "tell dora hi\n" }),
    3,
    'Cannot tell "dora": nobody here has that name; here: anna lee, ben',
  );
  const nothing = { "tell": "Cannot tell nobody", "tell ben": "Cannot tell nothing" };
  for (const [line, message] of Object.entries(nothing)) {
    const refused = await runClient(server, ["--session"], { stdin: `${line}\n` });
    assertEquals(refused.code, 2);
    assertMatch(refused.stderr, new RegExp(`^inlet: ${message}`));
  }
});

integration("a session at an older server says that it lets nobody reach others", async () => {
  using server = impostor();
  const ending = runClient(server, ["--session"], { stdin: "Hello\nwho\n" });
  using wire = await server.accept();
  const answers = ["welcome client 1 of 100", "ok inlet", "Hello ACK", "attend ACK"];
  const asked: string[] = [];
  for (const answer of answers) {
    asked.push(await wire.line());
    await wire.says(`${answer}\n`);
  }
  assertEquals(asked, ["hello 1 inlet", "whoami", "Hello", "attend"]);
  const ended = await ending;
  assertEquals([ended.code, ended.stdout], [3, "Hello ACK\n"]);
  assertMatch(ended.stderr, /^inlet: Cannot do that at this server: it is older[^\n]*\n$/);
});

/** Opens a session in a terminal. */
async function openSession(server: TestServer, cwd: string, name: string): Promise<Terminal> {
  const script = [Deno.execPath(), "run", "-A", scriptPath("client.ts")];
  const terminal = await openTerminal(
    [...script, "127.0.0.1", String(server.port), "--name", name],
    { cwd, columns: 60 },
  );
  await terminal.shows(new RegExp(`^${name}>$`, "m"));
  return terminal;
}

integration(
  "people in terminals see each other come, tell and leave; Tab completes names",
  async () => {
    await using server = await startServer();
    await using local = await tempDir();
    await using ben = await openSession(server, local.path, "ben");
    await using anna = await openSession(server, local.path, "anna");
    await ben.shows(/^anna is here$/m);
    const typed = "a line that is longer than the sixty columns of this terminal, half typed";
    await ben.type(typed);
    await anna.type("tell b");
    await anna.press("Tab");
    await anna.shows(/^anna> tell ben$/m);
    await anna.type("it is late");
    await anna.press("Enter");
    await ben.shows(/^anna: it is late$/m);
    using eve = await Wire.attend(server, "eve");
    assertEquals(await ask(eve, "tell 1 \x1b[31mred"), "ok");
    const screen = await ben.shows(/^eve: \\u\{1b\}\[31mred\n[^]*half typed$/m);
    assertEquals(screen.split("mred\n")[1]!.replaceAll("\n", ""), `ben> ${typed}`);
    await ben.press("Enter");
    await ben.shows(/half typed ACK$/m);
    await anna.press("C-d");
    await ben.shows(/^anna has left$/m);
    await ben.type("tell anna are you there?");
    await ben.press("Enter");
    await ben.shows(
      /^inlet: Cannot tell "anna": nobody here has/m,
    );
  },
  { programs: ["tmux"] },
);
