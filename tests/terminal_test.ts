import { assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  checkout,
  fixture,
  integration,
  names,
  scriptPath,
  startClient,
  startServer,
  type TempDir,
  tempDir,
  UNCOVERED,
} from "./helpers.ts";
import { Terminal, TERMINAL_PROGRAMS, type TerminalOptions } from "./pty.ts";
import { LONG_AGO, makeTree } from "./trees.ts";
import { acceptPut, impostor } from "./wire.ts";

const SERVER = scriptPath("server.ts");
const CLIENT = scriptPath("client.ts");

const TERMINAL = { programs: TERMINAL_PROGRAMS };

function typedIn({ path }: TempDir): TerminalOptions {
  return { cwd: path, env: UNCOVERED };
}

integration("deno run server.ts and deno run client.ts work in a terminal", async () => {
  await using project = await checkout();
  await project.write("file.txt", "hello\n");
  await using server = Terminal.run("deno run --allow-net server.ts 0", typedIn(project));
  assertEquals(
    await server.allowsUntil(/listening on /),
    ['read access to "received"', 'write access to "received"'],
  );
  const [, port] = await server.shows(/listening on 127\.0\.0\.1:(\d+)[^\n]*\n/);
  await using client = Terminal.run(
    `deno run client.ts 127.0.0.1 ${port} file.txt`,
    typedIn(project),
  );
  assertEquals(
    await client.allowsUntil(/stored as /),
    [`net access to "127.0.0.1:${port}"`, 'read access to "file.txt"'],
  );
  assertEquals(await client.ended(), 0);
  assertMatch(client.screen, /file\.txt: stored as "file\.txt", 6 B, CRC-32 363a3020/);
  assertEquals(Deno.readTextFileSync(`${project.path}/received/file.txt`), "hello\n");
  await server.types("\x03");
  assertEquals(await server.ended(), 0);
  assertEquals(server.screen.split("Deno requests ").length, 3);
}, TERMINAL);

integration("deno run client.ts asks once for the folder of many files", async () => {
  await using server = await startServer();
  await using project = await tempDir();
  const files = ["a", "b", "c", "d", "e", "sub/f"];
  await Deno.mkdir(`${project.path}/sub`);
  for (const file of files) await project.write(file, "hello\n");
  const command = `deno run ${CLIENT} 127.0.0.1 ${server.port} ${files.join(" ")}`;
  await using client = Terminal.run(command, { cwd: project.path });
  assertEquals(
    await client.allowsUntil(/f: stored as /),
    ['read access to "."', `net access to "127.0.0.1:${server.port}"`],
  );
  assertEquals(await client.ended(), 0);
  assertMatch(client.text, /^To read 6 files, Deno asks for their folder: "\."\r$/m);
}, TERMINAL);

integration("deno run client.ts says what it asks for, and ends at the first no", async () => {
  await using project = await tempDir();
  const files = ["a/one", "a/two", "b/three"];
  for (const folder of ["a", "b", "here"]) await Deno.mkdir(`${project.path}/${folder}`);
  for (const file of files) await project.write(file, "hello\n");
  const command = `deno run ${CLIENT} 127.0.0.1 5000 ${
    files.map((file) => `../${file}`).join(" ")
  }`;
  await using client = Terminal.run(command, { cwd: `${project.path}/here` });
  await client.answers("n");
  assertEquals(await client.ended(), 2);
  assertMatch(client.text, /^To read 3 files, Deno asks for ".*\/a", "\.\.\/b\/three"\r$/m);
  assertMatch(
    client.screen,
    /inlet: Cannot go on without permission to read .*\/a; run: deno run /,
  );
}, TERMINAL);

integration("deno run client.ts --get works in a terminal", async () => {
  await using server = await startServer();
  await Deno.copyFile(fixture("hello.txt"), `${server.dir}/hello.txt`);
  await using project = await tempDir();
  const command = `deno run ${CLIENT} 127.0.0.1 ${server.port} --get hello.txt`;
  await using client = Terminal.run(command, { cwd: project.path });
  assertEquals(
    await client.allowsUntil(/saved as /),
    [`net access to "127.0.0.1:${server.port}"`, 'read access to "."', 'write access to "."'],
  );
  assertEquals(await client.ended(), 0);
  assertEquals(Deno.readTextFileSync(`${project.path}/hello.txt`), "hello\n");
}, TERMINAL);

integration("deno run server.ts exits 2 when the person says no", async () => {
  await using project = await tempDir();
  const command = `deno run --allow-net ${SERVER} 0`;
  await using server = Terminal.run(command, { cwd: project.path });
  await server.answers("n");
  assertEquals(await server.ended(), 2);
  assertMatch(server.screen, /inlet: Cannot go on without permission to read received; run: deno /);
  assertEquals(names(project.path).includes("received"), false);
}, TERMINAL);

integration("client.ts --mode without anything to send says so in a terminal", async () => {
  await using client = Terminal.run("deno run -A client.ts 127.0.0.1 5000 --mode raw");
  assertEquals(await client.ended(), 2);
  assertEquals(
    client.text,
    "inlet: Cannot send: give a FILE, or pipe data to the standard input\r\n",
  );
}, TERMINAL);

integration("client.ts draws its progress on a terminal, and nowhere else", async () => {
  await using project = await tempDir();
  const file = await project.write("große Datei.bin", bytes(32 * 2 ** 20));
  using theirs = impostor();
  using others = impostor();
  await using piped = startClient(others, [file]);
  using pipedWire = await acceptPut(others);
  await pipedWire.bytes(1);
  const command = `deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} 'große Datei.bin'`;
  await using client = Terminal.run(command, { cwd: project.path });
  using wire = await acceptPut(theirs);
  await wire.bytes(1);
  // Both are stuck now, as no socket takes 32 MiB; what is drawn here would be drawn there as well.
  const [line] = await client.shows(/große Datei\.bin {2} ?\d+ % {2}.* left/);
  assertMatch(line, /^große Datei\.bin {2} *\d+ % {2}[\d.]+ [KM]iB {2}.*B\/s {2}\d+:\d\d left$/);
  for (const received of [wire, pipedWire]) {
    await received.skip(32 * 2 ** 20 - 1);
    const [, crc] = /^end\S* (\w+) /.exec(await received.line())!;
    await received.says(`ok 33554432 ${crc} a\n`);
    await received.line();
    await received.says("ok bye\n");
  }
  assertEquals(await client.ended(), 0);
  assertEquals((await piped.ended()).code, 0);
  await piped.says(/stored as/);
  assertNotMatch(piped.log, /%|\r/);
  assertEquals(piped.log.split("\n").length, 1);
  // The line of progress is erased before the summary, and nothing comes after that.
  assertStringIncludes(client.screen, '\r\x1b[Jgroße Datei.bin: stored as "a"');
  assertEquals(client.screen.split("\n").length, 2);
}, TERMINAL);

integration(
  "client.ts says what it does while nothing moves, on a terminal of unknown width too",
  async () => {
    await using project = await tempDir();
    const time = LONG_AGO.toISOString().replace(".000", "");
    makeTree(project.path, { "p/1": "1", "p/2": "2", "p/3": "3" });
    using theirs = impostor();
    const command = `deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} p --resume`;
    await using client = Terminal.run(`sh -c 'stty cols 0; exec ${command}'`, {
      cwd: project.path,
    });
    using wire = await theirs.accept();
    await wire.line();
    await client.shows(/waiting for the server's greeting/);
    await wire.says("welcome client 1 of 1\n");
    assertEquals(await wire.line(), "diff 1 p");
    assertEquals(await wire.line(), `1;mode=644 ${time} 1`);
    await client.shows(/comparing: 0 files so far/);
    await wire.says("ok .\n");
    for (const line of ["diff 2 p", `1;mode=644 ${time} 2`, `1;mode=644 ${time} 3`]) {
      assertEquals(await wire.line(), line);
    }
    await wire.says("ok ?=\n");
    assertEquals(await wire.line(), "diff 1 p");
    assertEquals(await wire.line(), `1;mode=644;crc=1ad5be0d ${time} 2`);
    await client.shows(/waiting until the server has read its own files/);
    await wire.says("note Please wait: it takes a while\n");
    await client.shows(/Please wait: it takes a while/);
    assertNotMatch(client.screen, /B\/s|-:--/);
    await wire.says("ok =\n");
    assertMatch(await wire.line(), /^mkdir;\S+;files=3 p$/);
    assertEquals(await wire.line(), "push 1 p/1");
    assertMatch(await wire.line(), /^1end;mode=\d+ 83dcefb7 \S+$/);
    await wire.says("ok p\nok 1 83dcefb7 p/1\n");
    assertMatch(await wire.line(), /^mkdir;\S+;time=\S+ p$/);
    await wire.says("ok p\n");
    assertEquals(await wire.line(), "exit");
    await wire.says("ok bye\n");
    assertEquals(await client.ended(), 0);
    assertMatch(client.text, /p: 1 file, 1 B(?:, \S+ B\/s)?, 2 already there/);
  },
  TERMINAL,
);

integration("client.ts --dry-run erases the line of progress before it lists", async () => {
  await using project = await tempDir();
  makeTree(project.path, { "p/1": "1" });
  using theirs = impostor();
  const command = `deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} p --dry-run`;
  await using client = Terminal.run(command, { cwd: project.path });
  using wire = await theirs.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertEquals(await wire.line(), "diff 1 p");
  await wire.line();
  await client.shows(/comparing: 0 files so far/);
  await wire.says("ok .\n");
  assertEquals(await wire.line(), "exit");
  await wire.says("ok bye\n");
  assertEquals(await client.ended(), 0);
  assertStringIncludes(client.screen, "\r\x1b[Jnew\t1\tp/1\r\n");
}, TERMINAL);

integration("client.ts --quiet draws nothing on a terminal", async () => {
  await using server = await startServer();
  const command = `deno run -A ${CLIENT} 127.0.0.1 ${server.port} --quiet`;
  await using client = Terminal.run(`${command} '${fixture("1MiB.txt")}'`);
  assertEquals(await client.ended(), 0);
  assertEquals(client.text, "");
}, TERMINAL);

integration(
  "errors are red on a terminal, in both programs, unless there is NO_COLOR",
  async () => {
    await using server = await startServer();
    const client = `deno run -A ${CLIENT} 127.0.0.1`;
    const cases = [
      [`${client} 1 a`, "inlet: Cannot "],
      [`${client} ${server.port} --get none.txt`, 'inlet: Cannot get "none.txt"'],
      [`${client} ${server.port} --list --status`, "inlet: Cannot use --list together"],
      [`deno run -A ${SERVER} 80`, 'inlet: Cannot use "80" as the port'],
    ] as const;
    for (const [command, line] of cases) {
      await using coloured = Terminal.run(`env -u NO_COLOR ${command}`);
      await coloured.ended();
      assertStringIncludes(coloured.screen, `\x1b[31m${line}`);
      assertStringIncludes(coloured.screen, "\x1b[39m\r\n");
    }
    await using plain = Terminal.run(cases[0][0]);
    await plain.ended();
    assertStringIncludes(plain.screen, cases[0][1]);
    assertEquals(plain.screen.includes("\x1b[3"), false);
    // A pipe gets no colour: every other test reads one.
  },
  TERMINAL,
);

integration("client.ts exits 130 on Ctrl-C in a terminal, and clears its line", async () => {
  await using project = await tempDir();
  await project.write("large.bin", bytes(32 * 2 ** 20));
  using theirs = impostor();
  await using client = Terminal.run(
    `deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} large.bin`,
    { cwd: project.path },
  );
  using wire = await acceptPut(theirs);
  await wire.bytes(1);
  await client.shows(/\d+ %/);
  await client.types("\x03");
  assertEquals(await client.ended(), 130);
  assertStringIncludes(client.screen, "\r\x1b[Jinlet: Interrupted\r\n");
}, TERMINAL);

integration("client.ts goes on when its terminal is gone, if no signal ends it", async () => {
  await using project = await tempDir();
  await project.write("a.bin", bytes(600_000));
  await using server = await startServer();
  // In a session of its own the client gets no SIGHUP. What it draws next fails.
  const client = `setsid -w deno run -A ${CLIENT} 127.0.0.1 ${server.port} a.bin --limit 300kB`;
  await using terminal = Terminal.run(client, { cwd: project.path });
  await terminal.shows(/ \d+ %/);
  await terminal[Symbol.asyncDispose]();
  await server.running.says(/stored "a\.bin"/);
}, { programs: [...TERMINAL_PROGRAMS, "setsid"] });
