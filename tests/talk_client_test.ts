/**
 * The client of mode talk, against our server and against servers that speak as other programs do.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { concat } from "@std/bytes/concat";
import { Dialer } from "../client/dialer.ts";
import { PROGRAM } from "../client/options.ts";
import { makePlan } from "../client/plan.ts";
import { talk } from "../client/talk.ts";
import { parseCommandLine } from "../lib/cli/command_line.ts";
import { exitCode, explain } from "../lib/errors.ts";
import {
  assertRefused,
  bytes,
  type Ended,
  integration,
  names,
  ROOT,
  runClient,
  type RunOptions,
  sendTo,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { openTerminal, type Terminal } from "./tmux.ts";
import { makeTree } from "./trees.ts";

const WELCOME = "Connected to the server successfully.\n";

/** Milliseconds between two pieces that have to come in two reads; less than a pause. */
const APART_MS = 30;

/**
 * What a strange server says ahead of its first words, in one piece with them. A client waits for it as
 * long as it takes, and for a greeting only for a pause: whatever holds this process up.
 */
const AHEAD = "now:";
const EXPECTS_AHEAD = ["--dialogue", `expect:${AHEAD}`];

/** What the client tells of that. */
const SAID_AHEAD = `The server said: ${AHEAD}\n`;

/** What a strange server does with one client. */
interface Stranger extends AsyncDisposable {
  readonly port: number;
  /** All messages of the client, each what one read gave, once this server has closed. */
  readonly heard: Promise<readonly string[]>;
}

/** One client of a strange server. */
interface Guest {
  /** The next message; empty at the end. */
  hears(): Promise<string>;
  /** Sends each piece in a write of its own, some time apart. */
  says(...pieces: (string | Uint8Array)[]): Promise<void>;
}

/** Starts a server that does this with one client, and then closes. */
function startStranger(talk: (guest: Guest) => Promise<void>): Stranger {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heard: string[] = [];
  const serving = (async () => {
    using conn = await listener.accept();
    conn.setNoDelay();
    const buffer = new Uint8Array(4096);
    await talk({
      async hears() {
        const read = await conn.read(buffer);
        if (read === null) return "";
        heard.push(new TextDecoder().decode(buffer.subarray(0, read)));
        return heard.at(-1)!;
      },
      async says(...pieces) {
        for (const [index, piece] of pieces.entries()) {
          if (index > 0) await delay(APART_MS);
          await sendTo(conn, piece);
        }
      },
    });
  })().catch(() => {});
  return {
    port: listener.addr.port,
    heard: serving.then(() => heard),
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await serving;
    },
  };
}

/** A server that answers each message so, until `exit`; what it does not know, as talk. */
function startAnswering(
  answers: Readonly<Record<string, readonly (string | Uint8Array)[]>>,
  first?: string,
): Stranger {
  return startStranger(async (guest) => {
    if (first !== undefined) await guest.says(first);
    for (let text; (text = await guest.hears()) !== "" && text !== "exit";) {
      await guest.says(...answers[text] ?? [`${text} ACK`]);
    }
  });
}

/** Runs the client in mode talk, with a pause that is short. */
async function runTalk(
  server: { port: number },
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const gap = args.includes("--line-gap") ? [] : ["--line-gap", "100"];
  return await runClient(server, ["--mode", "talk", ...gap, ...args], options);
}

/** Does the same as one request of `client.ts` within this process, which takes no time to start. */
async function runHere(server: { port: number }, args: readonly string[]): Promise<Ended> {
  const talks = ["127.0.0.1", String(server.port), "--mode", "talk", "--line-gap", "100"];
  const plan = makePlan(parseCommandLine([...talks, ...args], PROGRAM.options));
  const written: Uint8Array[] = [];
  const said: string[] = [];
  const dialer = new Dialer(plan.address, {
    ...plan.options,
    output: (chunk) => Promise.resolve(void written.push(chunk.slice())),
    onNotice: (text) => void said.push(text),
  });
  const options = { stopping: new AbortController(), screen: undefined };
  const code = await talk(dialer, plan, options).catch((error) => {
    said.push(`inlet: ${explain(error).message}`);
    return exitCode(error);
  });
  const stdoutBytes = concat(written);
  const stderr = said.map((line) => `${line}\n`).join("");
  return { code, stdout: new TextDecoder().decode(stdoutBytes), stderr, stdoutBytes };
}

/** Gets a file from a server that answers so, and tells how that ended and what was stored. */
async function getFrom(
  answer: readonly (string | Uint8Array)[],
  ...args: string[]
): Promise<Ended & { stored: Record<string, string> }> {
  await using local = await tempDir();
  await using server = startAnswering({ "get a.txt": answer }, "Client01");
  const output = args.includes("--output") ? [] : ["--output", local.path];
  const ended = await runHere(server, ["--get", "a.txt", ...output, ...args]);
  const stored = names(local.path)
    .map((name) => [name, Deno.readTextFileSync(`${local.path}/${name}`)]);
  return { ...ended, stored: Object.fromEntries(stored) };
}

async function startTalk(
  files: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<TestServer> {
  const server = await startServer({ args: ["--mode", "talk", "--line-gap", "50"] });
  makeTree(server.dir, files);
  return server;
}

integration("talk client runs a script against our server", async () => {
  await using server = await startTalk({ "a.txt": "hello\n", "photos/b.bin": bytes(200_000) });
  await using local = await tempDir();
  const stdin = "Hello\n\nLIST\nget a.txt\nGET  photos/b.bin\nstatus\nExit\nnot reached\n";
  const args = ["--mode", "talk", "--name", "Ann"];
  const ended = await runClient(server, args, { stdin, cwd: local.path });
  assertEquals(ended.code, 0);
  assertMatch(
    ended.stdout,
    /^Hello ACK\na\.txt\nphotos\/b\.bin\nClient 1: Ann - Start: [\d :-]+, End: Still Connected\n$/,
  );
  assertEquals(
    ended.stderr,
    `${WELCOME}a.txt: saved as "./a.txt", 6 B, ended by the marker "EOF"\n` +
      'photos/b.bin: saved as "./b.bin", 195 KiB, ended by the marker "EOF"\n',
  );
  assertEquals(names(local.path), ["a.txt", "b.bin"]);
  assertEquals(Deno.readFileSync(`${local.path}/b.bin`), bytes(200_000));
  await server.running.says(/left/);
});

integration("talk client stops a script at the first error, with its exit code", async () => {
  await using server = await startTalk();
  const ended = await runTalk(server, ["--session"], {
    stdin: "Hello\nget nothing\nHello again\n",
  });
  assertEquals([ended.code, ended.stdout], [3, "Hello ACK\n"]);
  assertEquals(ended.stderr, `${WELCOME}inlet: Cannot get "nothing": it does not exist\n`);
});

integration("talk client makes single requests: --list, --status, --get", async () => {
  await using server = await startTalk({ "a.txt": "hello\n", "b.txt": "" });
  await using local = await tempDir();
  const options = { cwd: local.path };
  const [list, toStdout, absent] = await Promise.all([
    runHere(server, ["--list"]),
    runTalk(server, ["--get", "a.txt", "--output", "-", "--quiet"]),
    runTalk(server, ["--get", "c.txt"], options),
  ]);
  assertEquals([list.code, list.stdout, list.stderr], [0, "a.txt\nb.txt\n", ""]);
  assertEquals([toStdout.code, toStdout.stdout, toStdout.stderr], [0, "hello\n", ""]);
  assertRefused(absent, 3, 'Cannot get "c.txt": it does not exist');
  const [status, a, b] = await Promise.all([
    runTalk(server, ["--status", "--name", "Ann"]),
    runTalk(server, ["--get", "a.txt", "--output", "c.txt"], options),
    runHere(server, ["--get", "b.txt", "--output", `${local.path}/c.txt`]),
  ]);
  assertMatch(status.stdout, /^Client 1: inlet\S* - Start: .*\n[^]*: Ann - .*Still Connected$/m);
  assertEquals([a.code, b.code], [0, 0]);
  // Nothing is replaced.
  assertEquals(names(local.path), ["c (2).txt", "c.txt"]);
});

integration("talk client gets several files, and goes on behind one that is missing", async () => {
  await using server = await startTalk({ "a.txt": "hello\n", "b.txt": "b" });
  await using local = await tempDir();
  const several = ["./a.txt", "c.txt", "b.txt", "--output", local.path];
  const { code, stderr } = await runHere(server, ["--get", ...several]);
  assertEquals(code, 3);
  assertStringIncludes(stderr, `b.txt: saved as "${local.path}/b.txt", 1 B, `);
  assertEquals(names(local.path), ["a.txt", "b.txt"]);
});

integration("talk client prints nothing for an empty list", async () => {
  await using server = await startTalk();
  const { code, stdout } = await runHere(server, ["--list"]);
  assertEquals([code, stdout], [0, ""]);
});

integration("talk client refuses what its wire cannot do", async () => {
  const nowhere = { port: 1 };
  const refused: [string[], string][] = [
    [["a.txt"], 'Cannot send "a.txt" in mode talk: its wire has no put'],
    [["-"], 'Cannot send "-" in mode talk: its wire has no put'],
    [["--get", "photos/"], "Cannot use --get of a folder in mode talk; try --help"],
    [["--get", "a.txt", "--resume"], "Cannot use --resume in mode talk; try --help"],
    [["--as", "a.txt"], "Cannot use --as in mode talk; try --help"],
  ];
  await Promise.all(refused.map(async ([args, line]) => {
    assertRefused(await runTalk(nowhere, args), 2, line);
  }));
});

integration("talk client exits with 3 when our server is full", async () => {
  await using server = await startServer({ args: ["--mode", "talk", "--max-clients", "1"] });
  await using first = await openSession(server, ".");
  await first.shows(/^inlet>$/m);
  const ended = await runTalk(server, ["--list", "--name", "Roger"]);
  assertRefused(ended, 3, "The server is full: 1 of 1 clients");
  await server.running.says(/rejected "Roger"/);
}, { programs: ["tmux"] });

integration(
  "talk client sends no name to a server that names it, or that says anything",
  async () => {
    const words = ["Client01", "Welcome Client01!", "You are Client01\n", "OK", "Hello, stranger"];
    await Promise.all(words.map(async (first) => {
      await using server = startAnswering({}, AHEAD + first);
      const args = [...EXPECTS_AHEAD, "--name", "Ann"];
      const ended = await runTalk(server, args, { stdin: "Hello\n" });
      assertEquals([ended.code, ended.stdout, ended.stderr], [
        0,
        "Hello ACK\n",
        `${SAID_AHEAD}${first.trim()}\n`,
      ]);
      assertEquals(await server.heard, ["Hello", "exit"]);
    }));
  },
);

integration("talk client answers a server that asks for its name", async () => {
  await Promise.all(["Please enter a name: ", "Name?", "Enter your username"].map(async (first) => {
    await using server = startAnswering({ "Ann": ["Hi"] }, AHEAD + first);
    const args = [...EXPECTS_AHEAD, "--name", "Ann"];
    const ended = await runTalk(server, args, { stdin: "Hello\n" });
    assertEquals([ended.code, ended.stdout], [0, "Hello ACK\n"]);
    assertEquals(await server.heard, ["Ann", "Hello", "exit"]);
  }));
});

integration("talk client keeps in step where its name and the server's words cross", async () => {
  await using server = startStranger(async (guest) => {
    assertEquals(await guest.hears(), "inlet");
    await guest.says("Welcome Client01!");
    await delay(200);
    await guest.says("inlet ACK");
    await guest.says(`${await guest.hears()} ACK`);
    await guest.hears();
  });
  const ended = await runTalk(server, [], { stdin: "Hello\n" });
  assertEquals([ended.code, ended.stdout], [0, "Hello ACK\n"]);
});

integration(
  "talk client takes the steps of --dialogue before it looks for a greeting",
  async () => {
    await using server = startStranger(async (guest) => {
      await guest.says("Who?");
      assertEquals(await guest.hears(), "me");
      await guest.says(`${AHEAD}Client01`);
      await guest.says(`${await guest.hears()} ACK`);
      await guest.hears();
    });
    const steps = ["--dialogue", "expect:Who?", "--dialogue", "send:me", ...EXPECTS_AHEAD];
    const ended = await runTalk(server, steps, { stdin: "Hello\n" });
    assertEquals([ended.code, ended.stdout], [0, "Hello ACK\n"]);
  },
);

integration("talk client needs no welcome", async () => {
  await using server = startStranger(async (guest) => {
    await guest.hears();
    await guest.says(`${await guest.hears()} ACK`);
    await guest.hears();
  });
  const ended = await runTalk(server, [], { stdin: "Hello\n" });
  assertEquals([ended.code, ended.stdout, ended.stderr], [0, "Hello ACK\n", ""]);
});

integration("talk client exits with 3 where a server turns it away in its own words", async () => {
  await Promise.all(([["Server full", false], ["Sorry, no.", true]] as const).map(async ([
    words,
    closes,
  ]) => {
    await using server = startStranger(async (guest) => {
      await guest.says(words);
      if (!closes) await guest.hears();
    });
    const { code, stderr } = await runHere(server, ["--list"]);
    assertEquals(code, 3);
    assertStringIncludes(stderr, JSON.stringify(words));
    assertEquals(await server.heard, []);
  }));
  await using silent = startStranger(() => Promise.resolve());
  assertRefused(await runHere(silent, ["--list"]), 4, "The server closed without a word");
});

integration("talk client takes headings, pieces and goodbyes as they come", async () => {
  await using server = startStranger(async (guest) => {
    await guest.says(`${AHEAD}Client01`);
    await guest.hears();
    await guest.says("Available ", "files:\n", "a.txt\n", "b.txt");
    await guest.hears();
    await guest.says("Goodbye!");
  });
  // A pause ends an answer: a busy machine must not make one.
  const args = ["--line-gap", "2000", ...EXPECTS_AHEAD];
  const ended = await runTalk(server, args, { stdin: "list\n" });
  assertEquals([ended.code, ended.stdout], [0, "Available files:\na.txt\nb.txt\n"]);
  assertEquals(ended.stderr, `${SAID_AHEAD}Client01\nGoodbye!\n`);
});

integration("talk client gets a file whose size is in front of it", async () => {
  const marked = ["FILE a.txt 6\nhello\n", "EOF"];
  const answers = [["FILE a.txt 6\nhello\n"], ["FI", "LE a.t", "xt 6\nhel", "lo\n"], marked];
  for (const { code, stderr, stored } of await Promise.all(answers.map((all) => getFrom(all)))) {
    assertEquals([code, stored], [0, { "a.txt": "hello\n" }]);
    assertStringIncludes(stderr, "6 B, ended by the size in front of it, FILE\n");
  }
});

integration("talk client says READY to FILESIZE", async () => {
  const headers = [["FILESIZE 6", true], ["FILESIZE 6\n", true], ["FILESIZE 6\nh", false]] as const;
  await Promise.all(headers.map(async ([header, waits]) => {
    await using local = await tempDir();
    await using server = startStranger(async (guest) => {
      await guest.says("Client01");
      await guest.hears();
      await guest.says(header);
      if (waits) assertEquals(await guest.hears(), "READY");
      await guest.says(waits ? "hello\n" : "ello\n");
      await guest.hears();
    });
    const ended = await runHere(server, ["--get", "a.txt", "--output", local.path]);
    assertEquals(ended.code, 0, ended.stderr);
    assertStringIncludes(ended.stderr, "ended by the size in front of it, FILESIZE\n");
    assertEquals(Deno.readTextFileSync(`${local.path}/a.txt`), "hello\n");
    assertEquals(await server.heard, ["get a.txt", ...waits ? ["READY"] : [], "exit"]);
  }));
});

integration("talk client stores nothing where the size is not that of what comes", async () => {
  const more = await getFrom(["FILE a.txt 6\nhello\n and more"]);
  assertEquals([more.code, more.stored], [5, {}]);
  assertStringIncludes(more.stderr, "sent more than the 6 bytes that it announced");
  await using local = await tempDir();
  await using server = startStranger(async (guest) => {
    await guest.says("Client01");
    await guest.hears();
    await guest.says("FILE a.txt 7\nhello\n");
  });
  const less = await runHere(server, ["--get", "a.txt", "--output", local.path]);
  assertRefused(less, 4, "The connection ended 1 bytes before the end of the body");
  assertEquals(names(local.path), []);
});

integration("talk client finds the marker in pieces, and only at the end", async () => {
  const answers = [["hello\n", "E", "OF"], ["hello\nEO", "F\r\n"], ["hello\nEOF"]];
  for (const { code, stderr, stored } of await Promise.all(answers.map((all) => getFrom(all)))) {
    assertEquals([code, stored], [0, { "a.txt": "hello\n" }]);
    assertStringIncludes(stderr, 'ended by the marker "EOF"\n');
  }
  const [within, empty, other] = await Promise.all([
    getFrom(["EOF", "EOF within", "EOF"]),
    getFrom(["EOF"]),
    getFrom(["hello\nEOF", "\0"], "--get-marker", "\\x00"),
  ]);
  assertEquals(within.stored, { "a.txt": "EOFEOF within" });
  assertEquals([empty.code, empty.stored], [0, { "a.txt": "" }]);
  assertEquals(other.stored, { "a.txt": "hello\nEOF" });
});

integration(
  "talk client keeps a file without a proved end only with --accept-unproved",
  async () => {
    const [refused, kept, none, proved] = await Promise.all([
      getFrom(["hello\n"]),
      getFrom(["hel", "lo\n"], "--accept-unproved"),
      getFrom(["hello\nEOF"], "--accept-unproved", "--get-marker", "none"),
      getFrom(["hello\n", "EOF"], "--accept-unproved"),
    ]);
    assertEquals([refused.code, refused.stored], [5, {}]);
    assertMatch(
      refused.stderr,
      /^inlet: .*6 B came, and then a pause of 100 ms: nothing proves .* --accept-/,
    );
    assertEquals([kept.code, kept.stored], [0, { "a.txt": "hello\n" }]);
    assertStringIncludes(kept.stderr, "ended by a pause of 100 ms");
    assertStringIncludes(kept.stderr, "it may be incomplete\n");
    assertEquals(none.stored, { "a.txt": "hello\nEOF" });
    assertEquals(proved.stored, { "a.txt": "hello\n" });
  },
);

integration("talk client skips an ACK in front of a file, and takes none for a file", async () => {
  const [sent, split, alone] = await Promise.all([
    getFrom(["get a.txt ACK", "hello\n", "EOF"]),
    getFrom(["get a.t", "xt ACKhello\nEOF"]),
    getFrom(["get a.txt ACK"], "--accept-unproved"),
  ]);
  for (const { code, stored } of [sent, split]) {
    assertEquals([code, stored], [0, { "a.txt": "hello\n" }]);
  }
  // A line ending behind it is its own only where the server ends what it says with one.
  const answers = { "get a.txt": ["get a.txt ACK\nhello\nEOF"] };
  for (const [first, content] of [["Client01", "\nhello\n"], ["Client01\n", "hello\n"]] as const) {
    await using server = startAnswering(answers, first);
    const { stdout } = await runHere(server, ["--get", "a.txt", "--output", "-"]);
    assertEquals(stdout, content);
  }
  assertEquals([alone.code, alone.stored], [3, {}]);
  assertStringIncludes(alone.stderr, 'answered "get a.txt ACK" and sent no file');
});

integration("talk client never saves a refusal as a file", async () => {
  const all = ["File not found", "Error: no such file\n", "error not-found Cannot get it"];
  await Promise.all(all.map(async (words) => {
    const { code, stderr, stored } = await getFrom([words], "--accept-unproved");
    assertEquals([code, stored], [3, {}], words);
    assertMatch(stderr, /not found|no such file|Cannot get it/);
    const shown = await getFrom([words], "--accept-unproved", "--output", "-");
    assertEquals([shown.code, shown.stdout], [3, ""]);
  }));
  // With a marker it is a file.
  const file = await getFrom(["File not found\n", "EOF"]);
  assertEquals(file.stored, { "a.txt": "File not found\n" });
});

integration("talk client bounds what a server says for ever", async () => {
  const endless = (first: string) =>
    startStranger(async (guest) => {
      await guest.says(first);
      if (first !== "") await guest.hears();
      for (;;) await guest.says(new Uint8Array(65536).fill(0x61));
    });
  {
    await using server = endless("Client01");
    // A pause ends an answer: a busy machine must not make one.
    const args = ["--timeout", "300", "--line-gap", "3000"];
    const ended = await runTalk(server, args, { stdin: "Hello\n" });
    assertEquals([ended.code, ended.stdout.length], [5, 0]);
    assertStringIncludes(ended.stderr, "answer does not end within 16 MiB and 300 s\n");
  }
  await using server = endless("");
  const line = "The server's greeting does not end within 4,096 bytes";
  assertRefused(await runHere(server, ["--list"]), 3, line);
});

integration("talk client ends an answer that drips for longer than --timeout", async () => {
  await using server = startStranger(async (guest) => {
    await guest.says(`${AHEAD}Client01`);
    await guest.hears();
    for (;;) await guest.says("a", "");
  });
  const args = ["--timeout", "1", ...EXPECTS_AHEAD];
  const { code, stdout } = await runTalk(server, args, { stdin: "Hello\n" });
  // Where a busy machine lets the drip pause, that is taken for the end of the answer.
  assert(code === 5 ? stdout === "" : code === 0 && /^a+\n$/.test(stdout), `${code} ${stdout}`);
});

integration("talk client exits with 4 when the server is silent or goes away", async () => {
  {
    await using server = startStranger(async (guest) => {
      await guest.says(`${AHEAD}Client01`);
      await guest.hears();
      await guest.hears();
    });
    const args = ["--timeout", "3", ...EXPECTS_AHEAD];
    const ended = await runTalk(server, args, { stdin: "Hello\n" });
    assertEquals(ended.code, 4);
    assertStringIncludes(ended.stderr, "inlet: No reply for 3 s\n");
  }
  await using server = startStranger(async (guest) => {
    await guest.says(`${AHEAD}Client01`);
    await guest.says(`${await guest.hears()} ACK`);
  });
  const ended = await runTalk(server, EXPECTS_AHEAD, { stdin: "Hello\nHello again\n" });
  assertEquals([ended.code, ended.stdout], [4, "Hello ACK\n"]);
  assertStringIncludes(ended.stderr, "inlet: The server closed the connection\n");
});

integration("talk client is done when the server closes behind the last answer", async () => {
  await using server = startStranger(async (guest) => {
    await guest.says(`${AHEAD}Client01`);
    await guest.says(`${await guest.hears()} ACK`);
  });
  const ended = await runTalk(server, EXPECTS_AHEAD, { stdin: "Hello\n" });
  assertEquals([ended.code, ended.stdout], [0, "Hello ACK\n"]);
});

/** Opens a session in a terminal. */
async function openSession(
  server: { port: number },
  cwd: string,
  given: readonly string[] = [],
): Promise<Terminal> {
  const command = ["run", "-A", new URL("client.ts", ROOT).pathname, "127.0.0.1"];
  const args = [...command, String(server.port), "--mode", "talk", ...given];
  return await openTerminal([Deno.execPath(), ...args], { cwd });
}

/** Types a command, and waits for what it shows. */
async function enter(terminal: Terminal, command: string, shows: RegExp): Promise<void> {
  await terminal.type(command);
  await terminal.press("Enter");
  await terminal.shows(shows);
}

integration("talk client holds a session in a terminal", async () => {
  await using server = await startTalk({ "a report.txt": "hello\n" });
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path);
  await terminal.shows(/^Connected to the server successfully\.\nType status, list, .*\ninlet>$/m);
  await enter(terminal, "Hello", /^Hello ACK$/m);
  await enter(terminal, "help", /^Type status, .* as it is\ninlet>$/m);
  await enter(terminal, "get nothing", /^inlet: Cannot get "nothing": it does not exist$/m);
  await enter(terminal, "LIST", /^a report\.txt$/m);
  await terminal.type("get a");
  await terminal.press("Tab");
  await terminal.shows(/^inlet> get a report\.txt$/m);
  await terminal.press("Enter");
  await terminal.shows(/^a report\.txt: saved as "\.\/a report\.txt", 6 B, ended by the marker/m);
  await enter(terminal, "Status", /^Client 1: inlet - Start: .*, End: Still Connected$/m);
  await enter(terminal, "exit", /^exit 0$/m);
  assertEquals(names(local.path), ["a report.txt"]);
}, { programs: ["tmux"] });

integration("talk client shows what a server says unasked, escaped, and its end", async () => {
  await using server = startStranger(async (guest) => {
    await guest.says(`${AHEAD}You are Client01`);
    await guest.says(`\x1b[31m${await guest.hears()}\x07 ACK`);
    await guest.hears();
    await guest.says("Bye\x1b[32m");
  });
  await using terminal = await openSession(server, ".", EXPECTS_AHEAD);
  await terminal.shows(/^You are Client01$/m);
  await terminal.shows(/^Client01>$/m);
  await enter(terminal, "Hello", /^\\u\{1b\}\[31mHello\\u\{7\} ACK$/m);
  await enter(terminal, "quit", /^Bye\\u\{1b\}\[32m$/m);
  await terminal.shows(/^inlet: The server closed the connection\nexit 4$/m);
}, { programs: ["tmux"] });

integration("talk client gets what is stored, whatever it begins with", async () => {
  const files = {
    "size": "FILESIZE 6\nHello\n",
    "header": "FILE header 3\nabc",
    "answer": "get answer ACKfoo",
  };
  await using server = await startTalk(files);
  await using local = await tempDir();
  for (const [name, content] of Object.entries(files)) {
    const args = ["--mode", "talk", "--get", name, "--output", local.path];
    const { code, stderr } = await runClient(server, args);
    assertEquals(code, 0, stderr);
    assertEquals(Deno.readTextFileSync(`${local.path}/${name}`), content);
  }
});

integration("talk client refuses a name that is no single message", async () => {
  const reasons = {
    "a\nget x": /^inlet: Cannot use ".*" as the --name: give a text of one line, .*\n$/,
    ["x".repeat(65)]: /^inlet: Cannot use ".*" as the --name: give 1 to 64 bytes without .*\n$/,
  };
  for (const [name, reason] of Object.entries(reasons)) {
    const args = ["--mode", "talk", "--list", "--name", name];
    const { code, stderr } = await runClient({ port: 1 }, args);
    assertEquals(code, 2);
    assertMatch(stderr, reason);
  }
});

integration("talk client keeps nothing of a file that a known server breaks off", async () => {
  await using local = await tempDir();
  await using server = startStranger(async (guest) => {
    await guest.hears();
    await guest.says("Connected to the server successfully.");
    await guest.hears();
    await guest.says("half a file");
  });
  const args = ["--mode", "talk", "--get", "a.txt", "--accept-unproved", "--output", local.path];
  const { code, stderr } = await runClient(server, args);
  assertEquals([code, stderr], [
    4,
    'inlet: Cannot get "a.txt": the server closed within the file\n',
  ]);
  assertEquals(names(local.path), []);
});
