/**
 * What of the progress reaches a person: on terminals that can do much, little or nothing, and in logs.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bytes,
  fixture,
  integration,
  runClient,
  scriptPath,
  startClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";
import { openTerminal } from "./tmux.ts";
import { acceptPut, impostor, type Wire } from "./wire.ts";

const CLIENT = scriptPath("client.ts");

const TERMINAL = { programs: TERMINAL_PROGRAMS };

/** More than any socket takes. */
const LARGE = 32 * 2 ** 20;

/** Takes the rest of a body, and acknowledges it. */
async function finish(wire: Wire, left: number): Promise<void> {
  await wire.skip(left);
  const [, crc] = /^end\S* (\w+) /.exec(await wire.line())!;
  await wire.says(`ok ${LARGE} ${crc} a\n`);
  await wire.line();
  await wire.says("ok bye\n");
}

integration(
  "--progress plain tells a log every few seconds, and then that all is there",
  async () => {
    await using project = await tempDir();
    const file = await project.write("large.bin", bytes(LARGE));
    using theirs = impostor();
    await using client = startClient(theirs, [file, "--progress", "plain"]);
    using wire = await acceptPut(theirs);
    await wire.bytes(1);
    await client.says(/ left: /);
    await finish(wire, LARGE - 1);
    assertEquals((await client.ended()).code, 0);
    await client.says(/stored as/);
    const lines = client.log.split("\n");
    assertMatch(lines[0]!, /^\d+ %, [\d.]+ MiB, [\d.]+ \w?B\/s, \d+:\d\d left: .*large\.bin$/);
    assertMatch(lines.at(-2)!, /^100 %, 32 MiB, [\d.]+ \w?B\/s: .*large\.bin$/);
    assertMatch(lines.at(-1)!, /large\.bin: stored as "a", 32 MiB/);
    // deno-lint-ignore no-control-regex
    assertEquals(/[\0-\x09\x0b-\x1f]/.test(client.log), false);
  },
);

integration("--progress plain tells where a transfer was stopped", async () => {
  await using project = await tempDir();
  const file = await project.write("large.bin", bytes(LARGE));
  using theirs = impostor();
  await using client = startClient(theirs, [file, "--progress", "plain"]);
  using wire = await acceptPut(theirs);
  await wire.bytes(1);
  assertEquals((await client.stop("SIGINT")).code, 130);
  assertMatch(client.log, /^ended at \d+ %, [\d.]+ MiB: .*large\.bin$/m);
  assertStringIncludes(client.log, "inlet: Interrupted");
});

const HELLO = fixture("hello.txt");

/** What has taken a second, as anything can on a busy machine, is told with its speed. */
const SPEED = /, [\d.]+ \w?B\/s(?=:|\r?$)/gm;

/** What is sent and got, with what is told of it on stderr. */
const TRANSFERS: Record<string, [server: string[], client: string[], RegExp[]]> = {
  "a file": [[], [HELLO], [/^100 %, 6 B: \S+hello\.txt$/, /stored as/]],
  "two files": [
    [],
    [HELLO, fixture("1MiB.txt")],
    [/hello\.txt: stored as/, /^100 %, 2 of 2 files, 1 MiB: \S+1MiB\.txt$/, /1MiB\.txt: stored as/],
  ],
  "what is not refused of two files": [
    ["--max-size", "100"],
    [HELLO, fixture("1MiB.txt")],
    [
      /hello\.txt: stored as/,
      /^inlet: Cannot store "1MiB\.txt": /,
      /^ended at 0 %, 1 of 2 files, 6 B: /,
    ],
  ],
  "a stream": [[], ["--as", "a.txt"], [/stored as/, /^100 %, 5 B: standard input$/]],
  "a message": [[], [], [/^100 %, 5 B$/]],
  "a file that is not there": [[], ["--get", "none.txt"], [/^inlet: Cannot get "none\.txt"/]],
  "an upload": [["--mode", "upload"], [HELLO, "--mode", "upload"], [
    /^100 %, 6 B: /,
    /: 6 B/,
  ]],
  "a raw stream": [["--mode", "raw"], ["--mode", "raw"], [/./, /^100 %, 5 B: standard input$/]],
  "reversed lines": [
    ["--mode", "reverse"],
    [HELLO, "--mode", "reverse"],
    [/^100 %, 6 B: /, /./],
  ],
};

for (const [what, [serverArgs, clientArgs, told]] of Object.entries(TRANSFERS)) {
  integration(`--progress plain ends with all of ${what}`, async () => {
    await using server = await startServer({ args: serverArgs });
    const args = [...clientArgs, "--progress", "plain"];
    const { stderr } = await runClient(server, args, { stdin: "hello" });
    const lines = stderr.trimEnd().replaceAll(SPEED, "").split("\n");
    assertEquals(lines.length, told.length, stderr);
    lines.forEach((line, index) => assertMatch(line, told[index]!));
  });
}

integration("--progress plain of several names ends each, and leaves stdout alone", async () => {
  await using server = await startServer();
  await Deno.copyFile(HELLO, `${server.dir}/a.txt`);
  await Deno.copyFile(HELLO, `${server.dir}/b.txt`);
  await using project = await tempDir();
  const plain = ["--progress", "plain"];
  const all = await runClient(server, ["--get", "a.txt", "b.txt", ...plain], { cwd: project.path });
  assertEquals(all.stderr.replaceAll(/: saved.*/g, "").replaceAll(SPEED, "").split("\n"), [
    "100 %, 6 B: a.txt",
    "a.txt",
    "100 %, 6 B: b.txt",
    "b.txt",
    "",
  ]);
  const one = await runClient(server, ["--get", "a.txt", "--output", "-", ...plain]);
  assertEquals(one.stdout, await Deno.readTextFile(HELLO));
  assertEquals(one.stderr.replaceAll(SPEED, ""), "100 %, 6 B: a.txt\n");
});

integration("--progress needs one of its words, and no --quiet", async () => {
  const nowhere = { port: 1 };
  const wrong = await runClient(nowhere, [HELLO, "--progress", "bar"]);
  assertEquals([wrong.code, wrong.stderr], [
    2,
    'inlet: Cannot use "bar" as the --progress: give one of auto, plain, none\n',
  ]);
  const both = await runClient(nowhere, [HELLO, "--progress", "plain", "--quiet"]);
  assertEquals(both.code, 2);
  assertStringIncludes(both.stderr, "Cannot use --progress together with --quiet");
});

/** What a terminal shows of one file, by the value of TERM. `undefined` unsets it. */
const TERMINALS: [term: string | undefined, args: string, shown: RegExp][] = [
  ["dumb", "", /^100 %, 6 B: \S+hello\.txt\r\n\S+hello\.txt: stored as .*\r\n$/],
  [undefined, "", /^100 %, 6 B: \S+hello\.txt\r\n\S+hello\.txt: stored as .*\r\n$/],
  ["dumb", "--progress none", /^\S+hello\.txt: stored as .*\r\n$/],
  ["xterm", "--progress none", /^\S+hello\.txt: stored as .*\r\n$/],
  ["xterm", "--progress plain", /^100 %, 6 B: \S+hello\.txt\r\n\S+hello\.txt: stored as .*\r\n$/],
];

for (const [term, args, shown] of TERMINALS) {
  integration(`client.ts ${args} on a terminal with TERM=${term} redraws nothing`, async () => {
    await using server = await startServer();
    const setting = term === undefined ? "-u TERM" : `TERM=${term}`;
    const command = `deno run -A ${CLIENT} 127.0.0.1 ${server.port} ${HELLO} ${args}`;
    await using client = Terminal.run(`env ${setting} ${command}`);
    assertEquals(await client.ended(), 0);
    // Deno itself clears its line at the start.
    const screen = client.screen.replaceAll("\x1b[0G\x1b[2K\x1b[J", "");
    assertMatch(screen.replaceAll(SPEED, ""), shown);
  }, TERMINAL);
}

integration("client.ts with --retry never goes back on a terminal, and ends at 100 %", async () => {
  await using project = await tempDir();
  await project.write("large.bin", bytes(LARGE));
  using theirs = impostor();
  const command = `deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} large.bin --retry 3`;
  await using client = Terminal.run(command, { cwd: project.path });
  {
    using first = await theirs.accept();
    await first.line();
    await first.says("welcome client 1 of 1\n");
    assertMatch(await first.line(), /^diff 1 \/$/);
    await first.line();
    await first.says("ok .\n");
    assertMatch(await first.line(), /^reput[; ]/);
    await first.says("go 0\n");
    await first.skip(LARGE / 2);
    await client.shows(/ [5-9]\d %/);
  }
  // The server has nothing of it.
  using second = await theirs.accept();
  await second.line();
  await second.says("welcome client 1 of 1\n");
  assertMatch(await second.line(), /^reput[; ]/);
  await second.says("go 0\n");
  await second.bytes(1);
  await client.shows(/trying again in[^]* \d+ %/);
  await second.skip(LARGE - 1);
  const [, crc] = /^end\S* (\w+) /.exec(await second.line())!;
  await second.says(`ok ${LARGE} ${crc} a\n`);
  await second.line();
  await second.says("ok bye\n");
  assertEquals(await client.ended(), 0);
  const shown = [...client.screen.matchAll(/ (\d+) %/g)].map(([, percent]) => Number(percent));
  assertEquals(shown, shown.toSorted((one, other) => one - other));
  assertEquals(shown.at(-1), 100);
}, TERMINAL);

integration(
  "client.ts finds out how much a folder has while a file of it is on its way",
  async () => {
    await using project = await tempDir();
    await Deno.mkdir(`${project.path}/p`);
    for (const name of ["a", "b"]) await project.write(`p/${name}`, bytes(LARGE / 4));
    using theirs = impostor();
    const command = `deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} p`;
    await using client = Terminal.run(command, { cwd: project.path });
    using wire = await theirs.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    assertMatch(await wire.line(), /^mkdir\S* p$/);
    await wire.says("ok p\n");
    assertMatch(await wire.line(), /^put\S* \d+ p\/a$/);
    await wire.says("go 0\n");
    await wire.bytes(1);
    await client.shows(/p\/a {2} *\d+ % {2}0 of 2 files {2}/);
  },
  TERMINAL,
);

integration(
  "client.ts has one line on a terminal that is resized, and narrow, and leaves none",
  async () => {
    await using project = await tempDir();
    const name = `${"写真é".repeat(14)}.bin`;
    await project.write(name, bytes(LARGE));
    using theirs = impostor();
    // A screen that is full, as most are.
    const command = `yes a | head -60; exec deno run -A ${CLIENT} 127.0.0.1 ${theirs.port} *.bin`;
    await using terminal = await openTerminal(["sh", "-c", command], { cwd: project.path });
    using wire = await acceptPut(theirs);
    await wire.bytes(1);
    await terminal.shows(/^(?:a\n)+\S{20,} {2} *\d+ %.*left$/);
    for (const columns of [70, 35, 6, 5, 1, 20, 100]) {
      await terminal.resize(columns);
      const row = columns === 1 ? "a" : columns < 10 ? " *\\d+ %" : "[^\n]* \\d+ % [^\n]*";
      await terminal.shows(new RegExp(`^(?:a\n)*${row}$`));
    }
    await finish(wire, LARGE - 1);
    await terminal.shows(/exit 0$/);
    // What a terminal breaks anew, it may scroll out of sight.
    const screen = await terminal.screen({ scrolled: true });
    assertEquals(screen.split("%").length, 1, screen);
    assertMatch(screen, /^(?:a\n){60}写/);
    assert(screen.includes(': stored as "a"'), screen);
  },
  { programs: ["tmux"] },
);
