import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { fixture, integration, runClient, scriptPath, startServer, tempDir } from "./helpers.ts";
import { hostileLine } from "./hostile_names.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";
import { impostor, Wire } from "./wire.ts";

const TERMINAL = { programs: TERMINAL_PROGRAMS };

/** Clears, titles, colours, moves, rings, hides, and in one byte as well as in two. */
const HOSTILE =
  "a\x1b[2J\x1b[31m\x1b]0;title\x07\x1bP\x1b\\\x1bc\u009b2J\u009d0;b\u009c\r\x08\x0b\x0e\x7f\u202eb";

const WELCOME = `note ${HOSTILE}\nwelcome client 1 of 1\nnote ${HOSTILE}\n`;
const BYE = `note ${HOSTILE}\nok bye\n`;

/** What the client itself, and Deno, write to move a cursor and to erase a line. */
// deno-lint-ignore no-control-regex
const OWN = /\x1b\[(?:\d+G|0?J|2?K|\?7[hl]|\d+[A-D])|\r/g;

/** Fails if anything is left that a terminal would obey. */
function assertHarmless(screen: string): void {
  const left = screen.replaceAll(OWN, "").replaceAll("\n", "");
  const [obeyed] = /[\p{Cc}\u202a-\u202e\u2066-\u2069].{0,20}/u.exec(left) ?? [];
  assertEquals(obeyed, undefined);
}

/** What a server says to each line in turn, and how the client then ends. */
interface Play {
  args: string;
  answers: readonly string[];
  code: number;
}

const A_LIST = `ok\n6 2026-11-21T08:38:00Z ${HOSTILE}\n7 2026-11-21T08:38:00Z b\nend 2\n`;
const A_STATUS = `ok\nclient ${HOSTILE}\nend 1\n`;
const A_GET = `note ${HOSTILE}\nok 6\ndata 6\nhello\nend 363a3020\n`;
const AN_ERROR = `error denied ${HOSTILE}\n`;

const PLAYS: Readonly<Record<string, Play>> = {
  "a name that a file got": {
    args: "hello.txt",
    answers: [WELCOME, `ok 6 363a3020 ${HOSTILE}\n`, BYE],
    code: 0,
  },
  "a refusal of a file": { args: "hello.txt", answers: [WELCOME, AN_ERROR, BYE], code: 3 },
  "a code that nobody knows": {
    args: "hello.txt",
    answers: [WELCOME, `error ${HOSTILE} ${HOSTILE}\n`, BYE],
    code: 3,
  },
  "a fault of a list that nobody knows": {
    args: "--list",
    answers: [WELCOME, `error strange ${HOSTILE}\n`],
    code: 3,
  },
  "what is no answer": { args: "hello.txt", answers: [`${HOSTILE}\n`], code: 3 },
  "an admission that is none": { args: "--list", answers: [AN_ERROR], code: 3 },
  "a list": { args: "--list", answers: [WELCOME, A_LIST, BYE], code: 0 },
  "a list of no lines": { args: "--list", answers: [WELCOME, `ok ${HOSTILE}\n`], code: 3 },
  "a list that breaks off": {
    args: "--list",
    answers: [WELCOME, A_LIST.replace(/end.*/, AN_ERROR.trimEnd()), BYE],
    code: 3,
  },
  "a list that tells another number": {
    args: "--list",
    answers: [WELCOME, A_LIST.replace("end 2", "end 3")],
    code: 3,
  },
  "a list with a time of its own": {
    args: "--list",
    answers: [WELCOME, `ok\n6 ${HOSTILE} a.txt\nend 1\n`],
    code: 3,
  },
  "a status": { args: "--status", answers: [WELCOME, A_STATUS, BYE], code: 0 },
  "notes about a get": { args: "--get a.txt", answers: [WELCOME, A_GET, BYE], code: 0 },
  "a get that breaks off": {
    args: "--get a.txt",
    answers: [WELCOME, `ok 6\nabort ${HOSTILE}\n`, BYE],
    code: 5,
  },
  "a refusal of an upload": { args: "hello.txt --mode upload", answers: [AN_ERROR], code: 3 },
  "a refusal of raw bytes": { args: "hello.txt --mode raw", answers: [AN_ERROR], code: 3 },
};

for (const [what, { args, answers, code }] of Object.entries(PLAYS)) {
  integration(`the terminal is shown ${what} without what it would obey`, async () => {
    await using local = await tempDir();
    await Deno.copyFile(fixture("hello.txt"), `${local.path}/hello.txt`);
    using server = impostor();
    await using client = Terminal.run(
      `deno run -A ${scriptPath("client.ts")} 127.0.0.1 ${server.port} ${args}`,
      { cwd: local.path },
    );
    using wire = await server.accept();
    for (const answer of answers) {
      await (args.includes("--mode") ? wire.bytes(6) : wire.line());
      // After a push come its bytes and its trailer.
      if (answer.startsWith("ok 6 ") || answer === answers[1] && args === "hello.txt") {
        await wire.line();
        await wire.line();
      }
      await wire.says(answer);
    }
    await wire.closeWrite();
    assertEquals(await client.ended(), code, client.screen);
    if (code !== 0 || !args.includes("--get")) assertMatch(client.screen, /u\{1b\}|^$/);
    assertHarmless(client.screen);
    // A stack trace is for defects of our own.
    assert(!/undefined|\n +at /.test(client.screen), client.screen);
  }, TERMINAL);
}

/** What others say, offer and are called, as a server has it. */
const UNASKED = [
  `told 2 ${HOSTILE}`,
  `came 3 ${HOSTILE}`,
  `offered 2 4713-maple 04${"ab".repeat(64)} 6 ${HOSTILE}`,
  "declined 2 4713-maple",
  "gone 3",
  "",
].join("\n");

integration("a session shows nothing that the terminal would obey", async () => {
  await using local = await tempDir();
  using server = impostor();
  await using client = Terminal.run(
    `deno run -A ${scriptPath("client.ts")} 127.0.0.1 ${server.port} --name ben`,
    { cwd: local.path },
  );
  using wire = await server.accept();
  const answers = [
    WELCOME,
    `ok ${HOSTILE}\n`,
    A_LIST,
    "ok\n",
    `ok\n2 ${HOSTILE}\nend 1\n${UNASKED}`,
    A_LIST,
    A_STATUS,
    AN_ERROR,
    `note ${HOSTILE}\nerror denied lastly ${HOSTILE}\n`,
  ];
  for (const answer of answers.slice(0, 5)) {
    await wire.line();
    await wire.says(answer);
  }
  for (const [index, command] of ["list", "status", "Hello", "get a.txt"].entries()) {
    await client.shows(/Type help/);
    await client.types(`${command}\r`);
    await wire.line();
    await wire.says(answers[5 + index]!);
  }
  await client.shows(/lastly[^]*b> /);
  await client.types("get ");
  await client.shows(/get $/);
  // A tab within what is pasted would be taken as it is. Of the two names one can be completed.
  await client.types("\t");
  await client.shows(/get b$/);
  await client.types("\x15exit\r");
  await wire.line();
  await wire.says(BYE);
  assertEquals(await client.ended(), 0, client.screen);
  assertMatch(client.screen, /u\{1b\}/);
  assertHarmless(client.screen);
}, TERMINAL);

/** Texts that mean harm, and do so in many ways. */
const TEXTS = fc.sample(
  fc.tuple(hostileLine, hostileLine).map(([one, other]) => `${one}${HOSTILE}${other}`)
    .map((text) => text.replaceAll(/[\r\n]/g, "").slice(0, 1000).toWellFormed()),
  { numRuns: 300, seed: 20250101 },
);

integration(
  "a list and a status show nothing that a terminal would obey, whatever it is",
  async () => {
    using server = impostor();
    const script = "list\nstatus\n".repeat(TEXTS.length);
    const client = runClient(server, ["--session"], { stdin: script });
    using wire = await server.accept();
    await wire.line();
    await wire.says(WELCOME);
    await wire.line();
    await wire.says("ok ben\n");
    for (const text of TEXTS) {
      await wire.line();
      await wire.says(`note ${text}\nok\n6 2026-11-21T08:38:00Z ${text}\nend 1\n`);
      await wire.line();
      await wire.says(`ok\nclient ${text}\nend 1\n`);
    }
    await wire.line();
    await wire.says(BYE);
    const { code, stdout, stderr } = await client;
    assertEquals(code, 0, stderr);
    assertEquals(stdout.trimEnd().split("\n").length, 2 * TEXTS.length);
    for (const text of [stdout, stderr]) assertHarmless(text);
  },
);

for (const format of ["text", "json"]) {
  integration(`the log in ${format} shows nothing that a terminal would obey`, async () => {
    await using server = await startServer({ args: ["--log", format, "--max-clients", "400"] });
    for (const text of TEXTS.slice(0, 100)) {
      using stranger = await Wire.dial(server);
      await stranger.says(`hello 1 ${text.slice(0, 12).toWellFormed()}\n`);
      await stranger.line();
      const lines = [`${text}`, `get ${text}`, `mkdir ${text}`, `push 0 ${text}\nend 00000000`];
      for (const line of lines) {
        await stranger.says(`${line}\n`);
        await stranger.line();
      }
      await stranger.says(`put - a\ndata 1\nxabort ${text}\nexit\n`);
      await stranger.rest();
    }
    await server.running.stop();
    assertMatch(server.running.log, /1b/);
    assertHarmless(server.running.log);
    assert(!server.running.log.includes("\r"), "it can write over its line");
  });
}
