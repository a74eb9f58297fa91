/**
 * Programs as other people write them, under fixtures/peers/, each as a process against ours: what
 * they wait for before the body, lines and messages without an ending, and how they end.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  dial,
  type Ended,
  fileGrows,
  fixture,
  integration,
  names,
  PYTHON,
  readAll,
  runClient,
  type RunOptions,
  runPeer,
  sendTo,
  startClient,
  startPeer,
  startServer,
  type TempDir,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";

const BYTES = fixture("every_byte.bin");

const LARGE = fixture("1MiB_plus_1.txt");

const LINES = "one\ntwo\nthree\n";

const REVERSED = "eno\nowt\neerht\n";

/** The steps of a dialogue, as arguments. */
function dialogue(...steps: string[]): string[] {
  return steps.flatMap((step) => ["--dialogue", step]);
}

/** Starts a server of ours in a mode. */
function startMode(mode: string, ...args: string[]): Promise<TestServer> {
  return startServer({ args: ["--mode", mode, ...args] });
}

/** Runs a client half, and fails unless it succeeds. Gives what it printed. */
async function peerSucceeds(
  server: { port: number },
  [program, ...args]: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<string> {
  const given = ["127.0.0.1", String(server.port), ...args];
  const { code, stdout, stderr } = await runPeer(program, given, options);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

/** Starts a server half that stores files, in a directory of its own. */
async function startStoring(
  program: string,
  ...args: string[]
): Promise<{ port: number; dir: TempDir } & AsyncDisposable> {
  const dir = await tempDir();
  const { port, ...peer } = await startPeer(program, [dir.path, ...args]);
  return {
    port,
    dir,
    async [Symbol.asyncDispose](): Promise<void> {
      await peer[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Fails unless a directory has a file of these bytes, now or soon. */
async function assertStored(
  directory: string,
  name: string,
  expected: Uint8Array | string,
): Promise<void> {
  const content = typeof expected === "string" ? new TextEncoder().encode(expected) : expected;
  await fileGrows(`${directory}/${name}`, content.length);
  assertEquals(shown(await Deno.readFile(`${directory}/${name}`)), shown(content));
}

/** What bytes are, in few words: a comparison of many would take minutes to show how they differ. */
function shown(content: Uint8Array): string {
  if (content.length < 100) return new TextDecoder().decode(content);
  return `${content.length} bytes, CRC-32 ${crc32(content)}`;
}

/** The files of a directory, as {@linkcode shown}. */
function shownIn(directory: string): Record<string, string> {
  const files = names(directory).map((name) =>
    [name, shown(Deno.readFileSync(`${directory}/${name}`))] as const
  );
  return Object.fromEntries(files);
}

/** Fails unless a client of ours succeeded, and gives what it said on stderr. */
function assertSucceeded({ code, stderr }: Ended): string {
  assertEquals(code, 0, stderr);
  return stderr;
}

// Raw, behind a dialogue.

integration(
  "raw server with --dialogue accio stores what each handshake client sends",
  async () => {
    await using server = await startMode("raw", "--dialogue", "accio");
    const clients = [[BYTES], [BYTES, "--steps"], [LARGE, "--send", "64"], [
      LARGE,
      "--wait",
      "0.2",
    ]];
    for (const [index, [file, ...manner]] of clients.entries()) {
      await peerSucceeds(server, ["accio_client.py", file!, ...manner]);
      const name = `${index + 1}.file`;
      await server.running.says(new RegExp(`stored "${name}"`));
      await assertStored(server.dir, name, await Deno.readFile(file!));
    }
  },
  PYTHON,
);

integration(
  "raw server holds the dialogues of clients that differ from the handshake",
  async () => {
    const once = ["send:accio\\r\\n", "expect:confirm-accio\\r\\n"];
    const dialogues: readonly [string, readonly string[]][] = [
      ["--short", [...once, "send:accio\\r\\n", "expect:confirm-accio-again\\r\\n"]],
      [
        "--both-first",
        ["send:accio\\r\\n", ...once, "expect:confirm-accio-again\\r\\n\\r\\n"],
      ],
    ];
    for (const [manner, steps] of dialogues) {
      await using server = await startMode("raw", ...dialogue(...steps));
      await peerSucceeds(server, ["accio_client.py", BYTES, manner]);
      await server.running.says(/stored "1\.file"/);
      await assertStored(server.dir, "1.file", await Deno.readFile(BYTES));
    }
  },
  PYTHON,
);

integration("raw server stores nothing after a confirmation that differs", async () => {
  await using server = await startMode("raw", "--dialogue", "accio");
  await using local = await tempDir();
  const file = await local.write("a.txt", "a body, where the last CR LF should be");
  await runPeer("accio_client.py", ["127.0.0.1", String(server.port), file, "--short"]);
  await server.running.says(/confirm-accio-again.*a b/);
  await server.running.says(/client 1: left/);
  assertEquals(names(server.dir), []);
}, PYTHON);

for (const manner of [[], ["--exact"]]) {
  const server = ["accio_server.py", ...manner].join(" ");
  integration(`raw client with --dialogue accio sends files and stdin to ${server}`, async () => {
    await using server = await startStoring("accio_server.py", ...manner);
    const accio = ["--mode", "raw", "--dialogue", "accio"];
    assertSucceeded(await runClient(server, [BYTES, LARGE, ...accio]));
    const content = bytes(300_000);
    assertSucceeded(await runClient(server, accio, { stdin: content }));
    await assertStored(server.dir.path, "1.file", await Deno.readFile(BYTES));
    await assertStored(server.dir.path, "2.file", await Deno.readFile(LARGE));
    await assertStored(server.dir.path, "3.file", content);
  }, PYTHON);
}

// Raw, behind one greeting, or none.

integration("raw server with --banner greets clients that wait for it, and no others", async () => {
  await using server = await startMode("raw", "--banner", "Welcome!");
  assertEquals(await peerSucceeds(server, ["bytes_client.py", BYTES, "--greeted"]), "Welcome!");
  await server.running.says(/stored "1\.file"/);
  await assertStored(server.dir, "1.file", await Deno.readFile(BYTES));
  await using silent = await startMode("raw");
  for (const [index, size] of ["64", "10000"].entries()) {
    await peerSucceeds(silent, ["bytes_client.py", LARGE, "--send", size]);
    await silent.running.says(new RegExp(`stored "${index + 1}\\.file"`));
    await assertStored(silent.dir, `${index + 1}.file`, await Deno.readFile(LARGE));
  }
}, PYTHON);

integration("raw server skips the header lines of a client, up to the empty one", async () => {
  const steps = dialogue("send:Welcome!", "skip-to:\\r\\n\\r\\n");
  await using server = await startMode("raw", ...steps);
  await peerSucceeds(server, ["bytes_client.py", BYTES, "--greeted", "--headers"]);
  await server.running.says(/stored "1\.file", 4 KiB/);
  await assertStored(server.dir, "1.file", await Deno.readFile(BYTES));
}, PYTHON);

integration("raw server stores nothing for a client that sends nothing", async () => {
  for (const [args, stored] of [[[], []], [["--keep-empty"], ["1.file"]]] as const) {
    await using server = await startMode("raw", ...args);
    await peerSucceeds(server, ["bytes_client.py", fixture("empty.bin")]);
    await server.running.says(/client 1: left/);
    assertEquals(names(server.dir), [...stored]);
  }
}, PYTHON);

integration("raw client shows the greeting of a server, and sends the whole file", async () => {
  const greetings = [["accio\r\n"], ["Welcome!"], ["Welcome!", "--pieces"]];
  for (const [greeting, ...manner] of greetings) {
    await using server = await startStoring("bytes_server.py", greeting!, ...manner);
    const args = [LARGE, "--mode", "raw"];
    const said = assertSucceeded(await runClient(server, args));
    if (manner.length === 0) assertStringIncludes(said, greeting!.trim());
    await assertStored(server.dir.path, "1.file", await Deno.readFile(LARGE));
  }
}, PYTHON);

integration("raw client waits for a greeting that comes in pieces, and shows it", async () => {
  for (const step of ["expect:Welcome, friend!", "skip-to:friend!", "expect-any"]) {
    await using server = await startStoring("bytes_server.py", "Welcome, friend!", "--pieces");
    const args = [BYTES, "--mode", "raw", ...dialogue(step)];
    const said = assertSucceeded(await runClient(server, args));
    assertStringIncludes(said, "Welcome, friend!");
    await assertStored(server.dir.path, "1.file", await Deno.readFile(BYTES));
  }
}, PYTHON);

integration("raw client ends with exit code 3 at a greeting that differs", async () => {
  await using server = await startStoring("bytes_server.py", "Welcome!");
  const args = [BYTES, "--mode", "raw", ...dialogue("expect:Hello\\r\\n")];
  const { code, stderr } = await runClient(server, args);
  assertEquals(code, 3, stderr);
  assertMatch(stderr, /Hello\\r\\n.*Welcome!/);
  assertEquals(stderr.trim().split("\n").length, 1, stderr);
}, PYTHON);

integration("raw client sends header lines as a step, to a server that never closes", async () => {
  await using server = await startStoring("bytes_server.py", "Welcome!", "--headers", "--stay");
  const steps = dialogue("expect:Welcome!", "send:Content-Length: 4096\\r\\n\\r\\n");
  assertSucceeded(await runClient(server, [BYTES, "--mode", "raw", "--linger", "0", ...steps]));
  await assertStored(server.dir.path, "1.file", await Deno.readFile(BYTES));
}, PYTHON);

for (const mode of ["raw", "message"]) {
  integration(`${mode} client tells of a server that never closes, or leaves it`, async () => {
    await using server = await startStoring("bytes_server.py", "--stay");
    const args = [BYTES, "--mode", mode, "--linger"];
    const waited = await runClient(server, [...args, "0.3"]);
    assertEquals(waited.code, 4, waited.stderr);
    assertMatch(waited.stderr, /4,096 bytes sent; the server has not closed the connection/);
    assertSucceeded(await runClient(server, [...args, "0"]));
    for (const name of ["1.file", "2.file"]) {
      await assertStored(server.dir.path, name, await Deno.readFile(BYTES));
    }
  }, PYTHON);

  integration(`${mode} client that is interrupted leaves no whole body behind`, async () => {
    await using server = await startStoring("bytes_server.py");
    const client = startClient(server, ["--mode", mode]);
    const writer = client.process.stdin.getWriter();
    // More than the pipe holds, so that the client has begun to send when it is interrupted.
    await writer.write(bytes(1_000_000));
    const { code } = await client.stop("SIGINT");
    await writer.abort().catch(() => {});
    assertEquals(code, 130);
    await assertStored(server.dir.path, "1.file", "ERROR");
  }, PYTHON);
}

integration("raw client does not take a server for done that closes without reading", async () => {
  for (const manner of ["--unread", "--at-once"]) {
    await using server = await startStoring("bytes_server.py", manner);
    const { code, stderr } = await runClient(server, [LARGE, "--mode", "raw"]);
    assertEquals(code, 4, `${manner}: ${stderr}`);
  }
}, PYTHON);

// Messages.

integration("message server prints what comes in sends of every size, exactly", async () => {
  await using server = await startMode("message");
  const message = await Deno.readFile(BYTES);
  for (const [index, manner] of [["--send", "1"], ["--send", "123"], ["--lines"]].entries()) {
    await peerSucceeds(server, ["bytes_client.py", ...manner], { stdin: message });
    await server.running.says(/sent a message of 4 KiB/, index + 1);
  }
  await server.running.stop();
  const printed = new Uint8Array([...message, ...message, ...message]);
  assertEquals(shown(await server.stdoutBytes), shown(printed));
}, PYTHON);

integration("message server with --banner greets a client that waits for it", async () => {
  await using server = await startMode("message", "--banner", "Welcome!");
  const client = ["bytes_client.py", "--greeted", "--lines"] as const;
  assertEquals(await peerSucceeds(server, client, { stdin: LINES }), "Welcome!");
  await server.running.says(/sent a message of 14 B/);
  await server.running.stop();
  assertEquals(await server.stdout, LINES);
}, PYTHON);

// Line reversal.

integration("reverse server answers clients that take one recv for an answer", async () => {
  const greeting = "Welcome to the server!";
  await using server = await startMode("reverse", "--banner", greeting, "--line-gap", "200");
  const last = ["--last", "end"];
  for (const manner of [[], ["--bare"], ["--bare", ...last], ["--text", "hello"]]) {
    const client = ["reverse_recv_client.py", "--greeted", ...manner] as const;
    const text = manner[0] === "--text" ? "olleh\n" : "";
    const printed = await peerSucceeds(server, client, { stdin: LINES });
    assertEquals(printed, `${greeting}\n${text}${REVERSED}`, manner.join(" "));
  }
}, PYTHON);

integration("reverse server answers a text, and then a whole file in one send", async () => {
  await using server = await startMode("reverse", "--banner", "Hi", "--line-gap", "200");
  for (const [args, before] of [[[], "Hi\n"], [["--text", "hello"], "Hi\nolleh\n"]] as const) {
    const client = ["reverse_recv_client.py", "--greeted", "--whole", ...args] as const;
    const printed = await peerSucceeds(server, client, { stdin: LINES });
    // The one recv may bring less than all answers.
    assert(printed.length > before.length, printed);
    assert(`${before}${REVERSED}`.startsWith(printed), printed);
  }
}, PYTHON);

integration("reverse server with --line-gap answers a client that awaits no greeting", async () => {
  await using server = await startMode("reverse", "--line-gap", "100");
  const client = ["reverse_recv_client.py", "--bare"] as const;
  assertEquals(await peerSucceeds(server, client, { stdin: LINES }), REVERSED);
}, PYTHON);

integration("reverse server outlives a client that reads no answer", async () => {
  await using server = await startMode("reverse");
  const stdin = LINES.repeat(10_000);
  await peerSucceeds(server, ["reverse_recv_client.py", "--whole", "--unread"], { stdin });
  await server.running.says(/client 1: left/);
  const next = await peerSucceeds(server, ["reverse_recv_client.py"], { stdin: LINES });
  assertEquals(next, REVERSED);
}, PYTHON);

integration("reverse client with --lock-step has each line answered", async () => {
  const input = "one\n\ntwo\nthree\n";
  const output = "eno\n\nowt\neerht\n";
  const greeting = ["--greet", "Welcome, friend!"];
  const expects = dialogue("expect:Welcome, friend!");
  const cases: readonly [readonly string[], readonly string[]][] = [
    [[], []],
    [["--stay"], []],
    [greeting, expects],
    [[...greeting, "--until", "end"], [...expects, "--end", "end"]],
    [[...greeting, "--until", "exit", "--stay"], [...dialogue("expect-any"), "--end", "exit"]],
  ];
  await Promise.all(cases.map(async ([manner, args]) => {
    await using server = await startPeer("reverse_recv_server.py", manner);
    const lockStep = ["--mode", "reverse", "--lock-step", ...args];
    const { code, stdout, stderr } = await runClient(server, lockStep, { stdin: input });
    assertEquals([code, stdout], [0, output], `${manner.join(" ")}: ${stderr}`);
  }));
}, PYTHON);

integration("reverse client ends with exit code 5 at answers that are none", async () => {
  const cases: readonly [readonly string[], readonly string[]][] = [
    // The line endings come back in front.
    [[], []],
    [["--answer", "done"], []],
    [["--answer", "done"], ["--lock-step"]],
    [["--answer", "done", "--stay"], []],
    [["--answer", "done", "--stay"], ["--lock-step"]],
    [["--greet", "Welcome, friend!"], []],
    [["--greet", "Welcome, friend!"], ["--lock-step"]],
  ];
  await Promise.all(cases.map(async ([manner, args]) => {
    await using server = await startPeer("reverse_recv_server.py", manner);
    const reverse = ["--mode", "reverse", ...args];
    const { code, stdout, stderr } = await runClient(server, reverse, { stdin: LINES });
    assertEquals(code, 5, `${manner.join(" ")} | ${args.join(" ")}: ${stderr}`);
    assert(stdout.length <= LINES.length, stdout);
  }));
}, PYTHON);

// Sessions.

const TEXT = "a small file\n";

/** Of a file that comes in more than one piece. */
const CONTENT = bytes(150_000);

/** Starts a talk server of ours that has two files. */
async function startTalk(...args: string[]): Promise<TestServer> {
  const server = await startMode("talk", "--line-gap", "100", ...args);
  makeTree(server.dir, { "a.txt": TEXT, "large": CONTENT });
  return server;
}

/** What `talk_client.py` prints and stores, of commands that it is given one a line. */
async function talked(
  server: { port: number },
  commands: readonly string[],
  ...manner: string[]
): Promise<{ lines: string[]; stored: Record<string, string> }> {
  await using dir = await tempDir();
  const stdin = commands.map((command) => `${command}\n`).join("");
  const printed = await peerSucceeds(server, ["talk_client.py", dir.path, ...manner], { stdin });
  return { lines: printed.trimEnd().split("\n"), stored: shownIn(dir.path) };
}

integration("talk server holds a session with a client that names itself", async () => {
  await using server = await startTalk();
  const commands = ["list", "hello", "get a.txt", "get large", "status", "exit"];
  const { lines, stored } = await talked(server, commands, "--name", "ann");
  const [welcome, ...rest] = lines;
  assertEquals(welcome, "Connected to the server successfully.");
  assertEquals(rest.slice(0, 3), ["a.txt", "large", "hello ACK"]);
  assertMatch(rest[3]!, /^Client 1: ann - Start: [\d-]{10} [\d:]{8}, End: Still Connected$/);
  assertEquals(rest.length, 4);
  assertEquals(stored, { "a.txt": TEXT, "large": shown(CONTENT) });
}, PYTHON);

integration("talk server with --banner names the client itself", async () => {
  for (const [banner, greeting] of [["Client{nn}", "Client01"], ["Welcome {n}!", "Welcome 1!"]]) {
    await using server = await startTalk("--banner", banner!);
    const { lines, stored } = await talked(server, ["ann", "get a.txt", "exit"], "--greeted");
    assertEquals(lines, [greeting, "ann ACK"]);
    assertEquals(stored, { "a.txt": TEXT });
  }
}, PYTHON);

integration("talk server asks for a name with a step of a dialogue", async () => {
  await using server = await startTalk(...dialogue("send:Please enter a name: "));
  const { lines } = await talked(server, ["hello", "exit"], "--greeted", "--name", "ann");
  assertEquals(lines, [
    "Please enter a name: ",
    "Connected to the server successfully.",
    "hello ACK",
  ]);
  await server.running.says(/client 1: is "ann"/);
}, PYTHON);

integration(
  "talk server gives files as the client asks for them, and as it ends them",
  async () => {
    const cases: readonly [readonly string[], readonly string[]][] = [
      [[], []],
      [[], ["--twice"]],
      [["--bare-names"], ["--bare-names"]],
      [["--get-marker", "none"], ["--until-short"]],
      [["--get-marker", "none", "--bare-names"], ["--until-short", "--bare-names"]],
    ];
    for (const [args, manner] of cases) {
      await using server = await startTalk(...args);
      const commands = ["list", "get a.txt", "hello", "exit"];
      const { lines, stored } = await talked(server, commands, "--name", "ann", ...manner);
      assertEquals(lines.slice(1), ["a.txt", "large", "hello ACK"], manner.join(" "));
      assertEquals(stored, { "a.txt": TEXT }, manner.join(" "));
    }
  },
  PYTHON,
);

integration("talk server turns a client away that is one too many", async () => {
  await using server = await startTalk("--max-clients", "1");
  using first = await dial(server);
  await sendTo(first, "ann\n");
  await server.running.says(/client 1: is "ann"/);
  await using local = await tempDir();
  const args = ["127.0.0.1", String(server.port), local.path, "--name", "Roger"];
  const { stdout } = await runPeer("talk_client.py", args);
  assertEquals(stdout.trimEnd(), "busy 1 of 1");
  await server.running.says(/rejected "Roger".*: 1 of 1 clients connected/);
  await sendTo(first, "exit\n");
  await readAll(first);
}, PYTHON);

/** Starts one of the session servers of other people with two files. */
async function startSessions(
  program: string,
  ...args: string[]
): Promise<{ port: number; dir: TempDir } & AsyncDisposable> {
  const server = await startStoring(program, ...args);
  makeTree(server.dir.path, { "a.txt": TEXT, "large": CONTENT });
  return server;
}

/** Gets a file with a client of ours into a directory, and tells how that ended. */
async function get(
  server: { port: number },
  name: string,
  ...args: string[]
): Promise<Ended & { stored: Record<string, string> }> {
  await using dir = await tempDir();
  const output = ["--output", dir.path];
  const talk = ["--mode", "talk", "--line-gap", "1000"];
  const ended = await runClient(server, [...talk, "--get", name, ...output, ...args]);
  return { ...ended, stored: shownIn(dir.path) };
}

integration("talk client lists, asks and gets at a server that takes its name first", async () => {
  await using server = await startSessions("talk_server.py");
  const talk = ["--mode", "talk", "--name", "ann"];
  const listed = await runClient(server, [...talk, "--list"]);
  assertEquals([listed.code, listed.stdout], [0, "a.txt\nlarge\n"], listed.stderr);
  const status = await runClient(server, [...talk, "--status"]);
  assertMatch(status.stdout, /^Client 1: ann .*\nClient 2: ann .*, End: Still Connected\n$/);
  for (const name of ["a.txt", "large"]) {
    const { code, stdout, stderr, stored } = await get(server, name);
    assertEquals([code, stdout], [0, ""], stderr);
    assertStringIncludes(stderr, "EOF");
    assertEquals(stored, { [name]: shownIn(server.dir.path)[name] });
  }
  const missing = await get(server, "none.txt");
  assertEquals([missing.code, missing.stored], [3, {}], missing.stderr);
}, PYTHON);

integration("talk client holds a session from a script, however the server greets", async () => {
  const asks = ["--greet", "Please enter a name: ", "--ask"];
  const named = (greeting: string): string[] => ["--greet", greeting, "--bye", "Goodbye!"];
  const cases: readonly [manner: string[], args: string[], said: string[]][] = [
    [[], [], ["Client01"]],
    [named("Welcome Client{nn}!"), [], ["Welcome Client01!", "Goodbye!"]],
    [named("OK"), [], ["OK", "Goodbye!"]],
    [asks, [], ["Hello ann"]],
    [asks, dialogue("expect:Please enter a name: ", "send:eve"), ["Hello eve"]],
  ];
  await Promise.all(cases.map(async ([manner, args, said]) => {
    await using server = await startSessions("talk_naming_server.py", ...manner);
    const session = ["--mode", "talk", "--name", "ann", ...args];
    const stdin = "hello there\nlist\nexit\n";
    const { code, stdout, stderr } = await runClient(server, session, { stdin });
    const expected = "hello there ACK\na.txt\nlarge\n";
    assertEquals([code, stdout], [0, expected], `${manner.join(" ")}: ${stderr}`);
    for (const words of said) assertStringIncludes(stderr, words);
  }));
}, PYTHON);

integration("talk client takes a list as it comes, with its heading", async () => {
  const heading = "Available files:\n";
  await using server = await startSessions("talk_naming_server.py", "--heading", heading);
  const { code, stdout, stderr } = await runClient(server, ["--mode", "talk", "--list"]);
  assertEquals([code, stdout], [0, `${heading}a.txt\nlarge\n`], stderr);
}, PYTHON);

integration("talk client takes files in the ways that servers give them", async () => {
  const ways = [["split", "EOF"], ["name", "FILE"], ["size", "FILESIZE"]];
  await Promise.all(ways.map(async ([how, told]) => {
    await using server = await startSessions("talk_files_server.py", how!);
    for (const name of ["a.txt", "large"]) {
      const { code, stderr, stored } = await get(server, name);
      assertEquals(code, 0, `${how}: ${stderr}`);
      assertStringIncludes(stderr, told!);
      assertEquals(stored, { [name]: shownIn(server.dir.path)[name] });
    }
  }));
}, PYTHON);

integration("talk client keeps a file without a proved end where it is told to", async () => {
  await Promise.all(["bare", "ack"].map(async (how) => {
    await using server = await startSessions("talk_files_server.py", how);
    const refused = await get(server, "a.txt", "--get-marker", "none");
    assertEquals([refused.code, refused.stored], [5, {}], `${how}: ${refused.stderr}`);
    assertStringIncludes(refused.stderr, "--accept-unproved");
    const { code, stderr, stored } = await get(server, "a.txt", "--accept-unproved");
    assertEquals([code, stored], [0, { "a.txt": TEXT }], `${how}: ${stderr}`);
  }));
}, PYTHON);

integration("talk client that is one too many says what the server said", async () => {
  await using server = await startSessions("talk_server.py");
  const conns: Deno.TcpConn[] = [];
  const welcome = "Connected to the server successfully.";
  for (const name of ["ann", "ben", "eve"]) {
    const conn = await dial(server);
    conns.push(conn);
    await sendTo(conn, name);
    await conn.read(new Uint8Array(welcome.length));
  }
  const { code, stderr } = await runClient(server, ["--mode", "talk", "--list"]);
  assertEquals(code, 3, stderr);
  assertStringIncludes(stderr, "The server is busy.");
  for (const conn of conns) conn.close();
}, PYTHON);

// Uploads.

integration("upload server takes the last part of a path for the name", async () => {
  await using server = await startMode("upload");
  await using local = await tempDir();
  makeTree(local.path, { "sub/inner.bin": await Deno.readFile(BYTES), "outer.bin": "outer" });
  const cwd = `${local.path}/sub`;
  const files = [`${cwd}/inner.bin`, "../outer.bin"];
  for (const file of files) {
    await peerSucceeds(server, ["upload_argv_client.py", file, "--send", "16"], { cwd });
    const name = file.slice(file.lastIndexOf("/") + 1);
    await server.running.says(new RegExp(`stored "${name}"`));
  }
  assertEquals(names(server.dir), ["inner.bin", "outer.bin"]);
  await assertStored(server.dir, "inner.bin", await Deno.readFile(BYTES));
  assertStringIncludes(server.running.log, "../outer.bin");
}, PYTHON);

integration("upload server waits for a client that waits for Return", async () => {
  const limits = ["--greeting-timeout", "0.3", "--timeout", "0.3"];
  await using server = await startMode("upload", ...limits);
  const { promise: returned, resolve: pressReturn } = Promise.withResolvers<void>();
  const client = new Deno.Command("python3", {
    args: [fixture("peers/upload_argv_client.py"), "127.0.0.1", String(server.port)]
      .concat(["every_byte.bin", "--wait"]),
    cwd: fixture("."),
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await server.running.says(/client 1: connected/);
  // Longer than either limit, which count only where somebody else needs the place.
  setTimeout(pressReturn, 1000);
  await returned;
  const writer = client.stdin.getWriter();
  await writer.write(new TextEncoder().encode("\n"));
  await writer.close();
  assertEquals((await client.status).code, 0);
  await server.running.says(/stored "every_byte\.bin", 4 KiB/);
}, PYTHON);

integration("upload client sends to a server that reads its header with one recv", async () => {
  for (const [manner, args] of [[[], []], [["--stay"], ["--linger", "0"]]] as const) {
    await using server = await startStoring("upload_recv_server.py", ...manner);
    const upload = [BYTES, LARGE, "--mode", "upload", ...args];
    assertSucceeded(await runClient(server, upload));
    for (const file of [BYTES, LARGE]) {
      const name = file.slice(file.lastIndexOf("/") + 1);
      await assertStored(server.dir.path, name, await Deno.readFile(file));
    }
  }
}, PYTHON);

integration("upload client tells of a server that never closes", async () => {
  await using server = await startStoring("upload_recv_server.py", "--stay");
  const args = [BYTES, "--mode", "upload", "--linger", "0.3"];
  const { code, stderr } = await runClient(server, args);
  assertEquals(code, 4, stderr);
  assertMatch(stderr, /4,096 bytes sent; the server has not closed the connection/);
}, PYTHON);

// Either side waits for the other.

integration("both programs hint at --dialogue when the other side says nothing", async () => {
  await using server = await startMode("raw");
  const args = ["accio_client.py", "127.0.0.1", String(server.port), BYTES];
  const giving = runPeer(args[0]!, args.slice(1));
  await using silent = await startStoring("bytes_server.py");
  await using client = startClient(silent, [BYTES, "--mode", "upload"]);
  const hint = /the other side says nothing: if it waits for a greeting, see --dialogue/;
  await Promise.all([server.running.says(hint), client.says(hint)]);
  await server.running.stopInsistently("SIGTERM");
  assertEquals((await giving).code, 1);
  assertEquals(names(server.dir), []);
}, PYTHON);

// One port for all.

integration("server with --fallback serves a client of another wire on its port", async () => {
  await using raw = await startServer({ args: ["--fallback", "raw"] });
  await peerSucceeds(raw, ["bytes_client.py", LARGE]);
  await raw.running.says(/stored "1\.file"/);
  await assertStored(raw.dir, "1.file", await Deno.readFile(LARGE));
  await using message = await startServer({ args: ["--fallback", "message"] });
  await peerSucceeds(message, ["bytes_client.py", "--lines"], { stdin: LINES });
  await message.running.says(/sent a message of 14 B/);
  await message.running.stop();
  assertEquals(await message.stdout, LINES);
  await using reverse = await startServer({ args: ["--fallback", "reverse"] });
  const answers = await peerSucceeds(reverse, ["reverse_recv_client.py"], { stdin: LINES });
  assertEquals(answers, REVERSED);
  await using talk = await startServer({ args: ["--fallback", "talk"] });
  const { lines } = await talked(talk, ["hello", "exit"], "--name", "ann");
  assertEquals(lines, ["Connected to the server successfully.", "hello ACK"]);
}, PYTHON);
