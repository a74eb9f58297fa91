import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { Clients } from "../lib/server/clients.ts";
import { decodeRequest, encodeRequest } from "../protocol.ts";
import {
  assertRefused,
  dial,
  integration,
  names,
  readAll,
  ROOT,
  run,
  runClient,
  Running,
  sendTo,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { openTerminal, type Terminal } from "./tmux.ts";
import { impostor } from "./wire.ts";

const CLIENT = new URL("client.ts", ROOT).pathname;

Deno.test("encodeRequest() sends talk as talk, whatever it looks like", () => {
  const digest = "0".repeat(64);
  const texts = [
    "Hello",
    "hello there",
    "hello",
    "put 6 a.txt",
    "say - ",
    "list",
    "chat",
    "chat x",
  ];
  for (const text of [...texts, "", "get", `answer ${digest}`, "answer me", "whoami", "stop"]) {
    const line = new TextDecoder().decode(encodeRequest({ type: "chat", text })).slice(0, -1);
    assertEquals(decodeRequest(line), { type: "chat", text });
  }
});

Deno.test("Clients remembers the last 1,000, and all who are connected", () => {
  const clients = new Clients(2000);
  const first = clients.admit("127.0.0.1:1")!;
  clients.introduce(first, "ben");
  for (let count = 0; count < 1500; count++) clients.leave(clients.admit("127.0.0.1:2")!);
  const status = [...clients.status()].flat();
  assertEquals(status.length, 1000);
  assertMatch(status[0]!, /^client 1 \| ben \| 127\.0\.0\.1:1 \| .* \| End: Still Connected$/);
  assertMatch(status[1]!, /^client 503 \|/);
  assertMatch(status[999]!, /^client 1501 \|/);
});

/** Opens a session in a terminal, with no more permissions than it needs. */
async function openSession(
  server: { port: number },
  cwd: string,
  args: readonly string[] = ["--name", "ben"],
): Promise<Terminal> {
  const permissions = ["--allow-net", "--allow-read=.", "--allow-write=."];
  const address = ["127.0.0.1", String(server.port)];
  return await openTerminal(
    [Deno.execPath(), "run", ...permissions, CLIENT, ...address, ...args],
    { cwd },
  );
}

/** Types a command, and waits for what it shows. */
async function enter(terminal: Terminal, command: string, shows: RegExp): Promise<void> {
  await terminal.type(command);
  await terminal.press("Enter");
  await terminal.shows(shows);
}

integration("session asks for a name, talks, lists, puts, gets and leaves", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await local.write("note.txt", "hello\n");
  await using terminal = await openSession(server, local.path, []);
  await terminal.shows(/^Your name \[inlet\]:/m);
  await enter(
    terminal,
    "ben",
    /^Welcome, ben: you are client 1; up to 100 clients can be connected at once$/m,
  );
  await terminal.shows(/^ben>$/m);
  await enter(terminal, "Hello", /^No command, so it is sent as a text; type help .*\nHello ACK$/m);
  await enter(terminal, "hello in lower case", /^hello in lower case ACK$/m);
  await terminal.shows(/^(?![^]*No command[^]*No command)/);
  await enter(
    terminal,
    "quit",
    /^No command, so it is sent as a text; did you mean exit\?\nquit ACK$/m,
  );
  await enter(
    terminal,
    "put 'note.txt'",
    /^note\.txt: stored as "note\.txt", 6 B, CRC-32 363a3020/m,
  );
  await enter(terminal, "list", /^ +6 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}note\.txt$/m);
  await enter(terminal, "get note.txt", /^note\.txt: saved as "\.\/note \(2\)\.txt", 6 B/m);
  await enter(
    terminal,
    "status",
    /^client 1 \| ben \| 127\.0\.0\.1:\d+ \| Start: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| End: Still Connected$/m,
  );
  await enter(terminal, "exit", /^exit 0$/m);
  assertEquals(names(local.path), ["note (2).txt", "note.txt"]);
  assertEquals(await Deno.readTextFile(`${local.path}/note (2).txt`), "hello\n");
}, { programs: ["tmux"] });

integration("session goes on after what does not work", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path);
  await enter(terminal, "get nothing", /^inlet: Cannot get "nothing": it does not exist$/m);
  await enter(terminal, "put nothing", /^inlet: Cannot send "nothing": it does not exist$/m);
  await enter(terminal, "put", /^inlet: Cannot put without a name/m);
  await enter(terminal, "put /etc/hosts", /^inlet: Cannot send "\/etc\/hosts": Deno may not read/m);
  await enter(terminal, "Hello", /^Hello ACK$/m);
}, { programs: ["tmux"] });

integration("session completes commands and the names of the server's files", async () => {
  await using server = await startServer();
  await Deno.writeTextFile(`${server.dir}/a report.txt`, "hello\n");
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path);
  await terminal.shows(/^ben>$/m);
  await terminal.type("st");
  await terminal.press("Tab");
  await terminal.shows(/^ben> status$/m);
  await terminal.press("Enter");
  await terminal.shows(/Still Connected[^]*^ben>$/m);
  await terminal.type("get a");
  await terminal.press("Tab");
  await terminal.shows(/^ben> get a report\.txt$/m);
  await terminal.press("Enter");
  await terminal.shows(/^a report\.txt: saved as "\.\/a report\.txt"/m);
  await terminal.press("Up", "Up");
  // At the end of the screen: it stands above, too.
  await terminal.shows(/\nben> status$/);
  await terminal.press("C-c");
  await terminal.type("Get a");
  await terminal.press("Tab");
  await terminal.shows(/^ben> Get a report\.txt$/m);
  await terminal.press("C-c");
  await enter(terminal, "Exit", /^exit 0$/m);
}, { programs: ["tmux"] });

integration("session stops a get on Ctrl-C, keeps nothing of it, and goes on", async () => {
  await using server = await startServer();
  await Deno.truncate(await create(`${server.dir}/huge.bin`), 4 * 2 ** 30);
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path);
  await enter(terminal, "get huge.bin", /^huge\.bin +\d+ %/m);
  await terminal.press("C-c");
  await terminal.shows(/^inlet: Stopped$/m);
  await enter(terminal, "Hello", /^Hello ACK$/m);
  assertEquals(names(local.path), []);
}, { programs: ["tmux"] });

integration("session ends on Ctrl-C where it asks for a name", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path, []);
  await terminal.shows(/^Your name \[inlet\]:/m);
  await terminal.press("C-c");
  await terminal.shows(/^inlet: Interrupted\nexit 130$/m);
}, { programs: ["tmux"] });

integration("session stops a put on Ctrl-C, leaves nothing of it, and goes on", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await Deno.truncate(await create(`${local.path}/huge.bin`), 4 * 2 ** 30);
  await using terminal = await openSession(server, local.path);
  await enter(terminal, "put huge.bin", /^huge\.bin +\d+ %/m);
  await terminal.press("C-c");
  await terminal.shows(/^inlet: Stopped$/m);
  await enter(terminal, "Hello", /^Hello ACK$/m);
  await server.running.says(/Did not store "huge\.bin": Stopped/);
  assertEquals(names(server.dir), []);
}, { programs: ["tmux"] });

integration("session says once that a folder was stopped, and what was done of it", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  for (const top of [`${local.path}/both`, `${server.dir}/all`]) {
    Deno.mkdirSync(top);
    Deno.writeTextFileSync(`${top}/a.txt`, "a");
    for (const name of ["huge.bin", "rest.bin"]) {
      await Deno.truncate(await create(`${top}/${name}`), 4 * 2 ** 30);
    }
  }
  await using terminal = await openSession(server, local.path);
  await terminal.shows(/^ben>$/m);
  await enter(terminal, "put both", /^both\/huge\.bin +[^]*%/m);
  await terminal.press("C-c");
  await terminal.shows(
    /put both\ninlet: Stopped\nboth: 1 file, 1 B(?:, \S+ \S*B\/s)?; 1 failed: "both\/huge\.bin"; 1 not sent\n/,
  );
  await enter(terminal, "get all/", /^all\/huge\.bin +[^]*%/m);
  await terminal.press("C-c");
  await terminal.shows(
    /get all\/\ninlet: Stopped\nall\/: 1 file into "\.\/all", 1 B(?:, \S+ \S*B\/s)?; 1 failed: "all\/huge\.bin"; 1 not received\n/,
  );
  await enter(terminal, "Hello", /^Hello ACK$/m);
}, { programs: ["tmux"] });

integration("session keeps the line being typed when the server says something", async () => {
  using server = impostor();
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path);
  using wire = await server.accept();
  const answers = ["welcome client 1 of 1", "ok ben", "ok\nend 0", "ok", "ok\nend 0"];
  for (const answer of answers) {
    await wire.line();
    await wire.says(`${answer}\n`);
  }
  await terminal.shows(/^ben>$/m);
  const typed =
    "a line that is so long that it goes over the end of this terminal's row, where it " +
    "would be torn apart if anything could";
  await terminal.type(typed);
  await terminal.shows(/if anything could$/);
  await wire.says("note This session closes in 5 s\n");
  const screen = await terminal.shows(/^This session closes in 5 s\n[^]*if anything could$/m);
  const [, after] = screen.split("closes in 5 s\n");
  assertEquals(after!.replaceAll("\n", ""), `ben> ${typed}`);
  assertEquals(screen.split("a line that is so long").length, 2);
  await wire.says("error shutdown The server is shutting down\n");
  await wire.closeWrite();
  await terminal.shows(/^inlet: The server is shutting down\nexit 4$/m);
}, { programs: ["tmux"] });

integration("session ends with one message when the server dies in a transfer", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await Deno.truncate(await create(`${local.path}/huge.bin`), 4 * 2 ** 30);
  await using terminal = await openSession(server, local.path);
  await enter(terminal, "put huge.bin", /^huge\.bin +\d+ %/m);
  await server.running.stop("SIGKILL");
  const screen = await terminal.shows(/^exit 4$/m);
  assertEquals(screen.match(/^inlet: /gm)?.length, 1);
}, { programs: ["tmux"] });

integration("session discards the typed line on Ctrl-C and leaves on Ctrl-D", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path);
  await terminal.shows(/^ben>$/m);
  await terminal.type("not meant");
  await terminal.press("C-c");
  await terminal.shows(/^ben> not meant\^C\nben>$/m);
  await terminal.press("C-d");
  await terminal.shows(/^exit 0$/m);
  await server.running.says(/left, 0 connected/);
}, { programs: ["tmux"] });

integration("session, status and log show escape sequences in names escaped", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await using terminal = await openSession(server, local.path, ["--name", "\x1b[31mred\x07|x"]);
  await terminal.shows(/^\\u\{1b\}\[31mred\\u\{7\}\|x>$/m);
  await enter(terminal, "status", /client 1 \| \\u\{1b\}\[31mred\\u\{7\}\\u\{7c\}x \| 127/);
  await enter(terminal, "\x1b[32mgreen\x07", /ACK$/m);
  assert(!(await terminal.colours()).includes("\x1b[31m"));
  await terminal.press("C-d");
  await server.running.says(/left/);
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  assert(!/[\x00-\x09\x0b-\x1f\x7f]/.test(server.running.log));
}, { programs: ["tmux"] });

integration("--session runs a script and exits with 0", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await local.write("a.txt", "hello\n");
  const stdin =
    "# Greets\nput \"a.txt\"\n\nHello\nsay hello\nlist\nget 'a.txt'\nexit\nnot reached\n";
  const ended = await runClient(server, ["--session"], { stdin, cwd: local.path });
  assertEquals(ended.code, 0);
  assertMatch(ended.stdout, /^Hello ACK\nhello ACK\n +6 {2}\S+ \S+ {2}a\.txt\n$/);
  assertMatch(
    ended.stderr,
    /^a\.txt: stored as "a\.txt".*\na\.txt: saved as "\.\/a \(2\)\.txt".*\n$/,
  );
});

integration("--session takes its commands in any case, and leaves talk as it is", async () => {
  await using server = await startServer();
  await using local = await tempDir();
  await local.write("a.txt", "hello\n");
  const commands = ["Put a.txt", "LIST", "Get a.txt", "Status", "HELP", "Listen to Me", " eXiT "];
  const stdin = `${commands.join("\n")}\nnot reached\n`;
  const ended = await runClient(server, ["--session"], { stdin, cwd: local.path });
  assertEquals(ended.code, 0, ended.stderr);
  assertMatch(
    ended.stdout,
    /^ +6 {2}\S+ \S+ {2}a\.txt\nclient 1 \| inlet .*\nstatus +list [^]*\nListen to Me ACK\n$/,
  );
  assert(!/^(LIST|Status|HELP) ACK$/m.test(ended.stdout), ended.stdout);
  assertEquals(names(local.path), ["a (2).txt", "a.txt"]);
});

integration("--session stops at the first error, with its exit code", async () => {
  await using server = await startServer();
  const stdin = "Hello\nget nothing\nHello again\n";
  const ended = await runClient(server, ["--session"], { stdin });
  assertEquals(ended.code, 3);
  assertEquals(ended.stdout, "Hello ACK\n");
  assertMatch(ended.stderr, /^inlet: Cannot get "nothing": it does not exist\n$/);
  const lost = await runClient(server, ["--session"], { stdin: "put nowhere\n" });
  assertEquals(lost.code, 2);
  assertRefused(
    await runClient(server, ["--session"], { stdin: "putt a.txt\n" }),
    2,
    'Cannot use "putt": it is no command; did you mean put? To send it as text: say putt a.txt',
  );
});

integration("server turns a fourth of three away until one is killed", async () => {
  await using server = await startServer({ args: ["--max-clients", "3"] });
  await using first = startScript(server);
  await using second = startScript(server);
  await using third = startScript(server);
  for (const { said } of [first, second, third]) assertEquals(await said, "Hello ACK");
  const fourth = await runClient(server, ["--status"]);
  assertEquals(fourth.code, 3);
  assertStringIncludes(fourth.stderr, "inlet: The server is full: 3 of 3 clients");
  await second.running.stop("SIGKILL");
  await server.running.says(/left, 2 connected/);
  const fifth = await runClient(server, ["--status"]);
  assertEquals(fifth.code, 0);
  assertEquals(fifth.stdout.match(/Still Connected/g)?.length, 3);
  assertMatch(fifth.stdout, /\| End: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m);
  assertMatch(fifth.stdout, /^client 4 \|/m);
});

integration("server calls a second ben ben-2, and the next one ben again", async () => {
  await using server = await startServer();
  using first = await dial(server);
  await sendTo(first, "hello 1 ben\nwhoami\n");
  await server.running.says(/client 1: is "ben"/);
  using second = await dial(server);
  await sendTo(second, "hello 1 ben\nwhoami\nexit\n");
  assertEquals(await readAll(second), "welcome client 2 of 100\nok ben-2\nok bye\n");
  await sendTo(first, "exit\n");
  assertEquals(await readAll(first), "welcome client 1 of 100\nok ben\nok bye\n");
  using third = await dial(server);
  await sendTo(third, "hello 1 ben\nwhoami\nexit\n");
  assertEquals(await readAll(third), "welcome client 3 of 100\nok ben\nok bye\n");
});

integration("--session-timeout closes an idle session after a warning", async () => {
  await using server = await startServer({ args: ["--session-timeout", "2", "--timeout", "30"] });
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\n");
  assertEquals(
    await readAll(conn),
    "welcome client 1 of 100\n" +
      "note This session closes in 1 s: it has been idle for 1 s\n" +
      "error;unread=yes timeout No data in either direction for 2 s\n",
  );
  await server.running.says(/left, 0 connected/);
});

integration("--session-timeout leaves a request to the shorter --timeout", async () => {
  await using server = await startServer({ args: ["--session-timeout", "3600", "--timeout", "1"] });
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\nput 6 a.txt\nhel");
  assertEquals(
    await readAll(conn),
    "welcome client 1 of 100\ngo 0\nerror timeout No data in either direction for 1 s\n",
  );
});

integration("get stops at a stop and stays in step", async () => {
  await using server = await startServer();
  await Deno.truncate(await create(`${server.dir}/huge.bin`), 4 * 2 ** 30);
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\nget huge.bin\nstop\nHello\nexit\n");
  const answer = await readAll(conn);
  assertMatch(answer, /^welcome client 1 of 100\nok 4294967296\n/);
  assert(answer.endsWith("abort stopped\nHello ACK\nok bye\n"));
});

integration("get answers a stop that comes too late as talk", async () => {
  await using server = await startServer();
  await Deno.writeTextFile(`${server.dir}/a.txt`, "hello\n");
  await Deno.utime(`${server.dir}/a.txt`, 0, 0);
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\nget a.txt\n");
  await server.running.says(/got "a\.txt"/);
  await sendTo(conn, "stop\nexit\n");
  assertEquals(
    (await readAll(conn)).replace(/;mode=\d+/, ""),
    "welcome client 1 of 100\nok 6\ndata 6\nhello\nend 363a3020 1970-01-01T00:00:00Z\n" +
      "stop ACK\nok bye\n",
  );
});

integration("server answers a person with netcat", async () => {
  await using server = await startServer();
  const stdin = "hello 1 ben\r\nput 6 hello.txt\r\nhello\nend 363a3020 2020-02-29T12:00:00Z\n" +
    "get hello.txt\nwhoami\nHello\nlist of wishes\nchat list\nexit\n";
  const { stdout } = await run("nc", ["127.0.0.1", String(server.port)], { stdin });
  assertEquals(stdout.replace(/;mode=\d+/, "").split("\n"), [
    "welcome client 1 of 100",
    "go 0",
    "ok 6 363a3020 hello.txt",
    "ok 6",
    "data 6",
    "hello",
    "end 363a3020 2020-02-29T12:00:00Z",
    "ok ben",
    "Hello ACK",
    "list of wishes ACK",
    "list ACK",
    "ok bye",
    "",
  ]);
}, { programs: ["nc"] });

integration(
  "--session shows a note that crosses a request, and takes the answer behind it",
  async () => {
    await using server = startAnswering([
      "welcome client 1 of 9",
      "ok ben",
      "note \x1b[31mred\nHello ACK",
    ]);
    const ended = await runClient(server, ["--session"], { stdin: "Hello\n" });
    assertEquals(ended.stdout, "Hello ACK\n");
    assertStringIncludes(ended.stderr, "\\u{1b}[31mred\n");
  },
);

integration("--list takes no notice of a note", async () => {
  await using server = startAnswering([
    "note one\nwelcome client 1 of 9",
    "note two\nok\nend 0",
  ]);
  const ended = await runClient(server, ["--list"]);
  assertEquals(ended.code, 0);
  assertEquals(ended.stderr, "");
});

integration("--get refuses a body of another size than was announced", async () => {
  await using local = await tempDir();
  const reasons: [number, string][] = [
    [5, "the server sent more than the 5 bytes that it announced"],
    [7, "6 bytes arrived instead of 7"],
  ];
  for (const [size, reason] of reasons) {
    const answer = `ok ${size}\ndata 6\nhello\nend 363a3020`;
    await using server = startAnswering(["welcome client 1 of 9", answer]);
    const ended = await runClient(server, ["--get", "a.txt"], { cwd: local.path });
    assertEquals(ended.code, 5);
    assertStringIncludes(ended.stderr, `Cannot get "a.txt": ${reason}`);
  }
  assertEquals(names(local.path), []);
});

/** A server that gives one client these answers, one for each line it says, and then closes. */
function startAnswering(answers: readonly string[]): { port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    const buffer = new Uint8Array(4096);
    for (const answer of answers) {
      if (await conn.read(buffer) === null) return;
      await sendTo(conn, `${answer}\n`);
    }
    await conn.read(buffer);
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose](): Promise<void> {
      await serving;
      listener.close();
    },
  };
}

/** A session led by a script that says Hello and then waits. */
function startScript(
  server: TestServer,
): { running: Running; said: Promise<string | undefined> } & AsyncDisposable {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLIENT, "127.0.0.1", String(server.port), "--session"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  writer.write(new TextEncoder().encode("Hello\n"));
  const lines = process.stdout
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream())
    .getReader();
  const running = new Running(process);
  return {
    running,
    said: lines.read().then(({ value }) => value),
    async [Symbol.asyncDispose](): Promise<void> {
      await running[Symbol.asyncDispose]();
      await lines.cancel();
      await writer.close().catch(() => {});
    },
  };
}

/** Makes an empty file, and gives its path. */
async function create(path: string): Promise<string> {
  await Deno.writeTextFile(path, "");
  return path;
}

/** Opens a session as a job of a shell. */
async function openJob(server: TestServer, cwd: string, args = ""): Promise<Terminal> {
  const shell = ["env", "PS1=$ ", "bash", "--norc"];
  const terminal = await openTerminal(shell, { cwd, columns: 400 });
  const client = `${Deno.execPath()} run --allow-net --allow-read=. --allow-write=. ${CLIENT}`;
  await terminal.type(`${client} 127.0.0.1 ${server.port} --name ben ${args}`);
  await terminal.press("Enter");
  return terminal;
}

/** Sees that the shell echoes what is typed. */
async function echoes(terminal: Terminal, when: string): Promise<void> {
  await enter(
    terminal,
    `stty -a | grep -o ' echo ' | sed 's/$/${when}/'`,
    endsWith(` echo ${when}\n\\$`),
  );
}

/** Stops a session with Ctrl-Z, looks at the shell's terminal, and continues the session. */
async function suspend(terminal: Terminal, when: string): Promise<void> {
  await terminal.press("C-z");
  await terminal.shows(/ Stopped .*\n\$$/);
  await echoes(terminal, when);
  await terminal.type("fg");
  await terminal.press("Enter");
}

function endsWith(source: string): RegExp {
  return new RegExp(`${source}$`);
}

integration(
  "session goes on after Ctrl-Z and fg: at its prompt, and within a transfer",
  async () => {
    await using server = await startServer();
    await Deno.truncate(await create(`${server.dir}/huge.bin`), 4 * 2 ** 30);
    await using local = await tempDir();
    await using terminal = await openJob(server, local.path, "--limit 10MB");
    await terminal.shows(/^ben>$/m);
    await terminal.type("Hel");
    await terminal.shows(/^ben> Hel$/m);
    await suspend(terminal, "first");
    await terminal.shows(endsWith("\nben> Hel"));
    await enter(terminal, "lo", /^Hello ACK$/m);
    await enter(terminal, "get huge.bin", /^huge\.bin +\d+ %/m);
    await suspend(terminal, "again");
    await terminal.shows(/echo again\n[^]*\nhuge\.bin +\d+ % .* left$/);
    await terminal.press("C-c");
    await terminal.shows(/^inlet: Stopped\nben>$/m);
    await terminal.press("C-d");
    await terminal.shows(endsWith("ben>\n\\$"));
    await echoes(terminal, "at the end");
  },
  { programs: ["tmux", "bash", "stty"] },
);
