/**
 * Completions in the real shells: `--completions` prints a script that they load and complete with.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { PROGRAM as CLIENT } from "../client/options.ts";
import { inBash, splitBashLine } from "../lib/cli/bash_line.ts";
import { completionScript } from "../lib/cli/completions.ts";
import { type Program, SHELLS } from "../lib/cli/options.ts";
import { serverProgram } from "../lib/server/options.ts";
import { MODE_OPTION, MODES } from "../modes/table.ts";
import {
  assertRefused,
  integration,
  KEY,
  pure,
  run,
  runScript,
  scriptPath,
  sendTo,
  startServer,
  tempDir,
} from "./helpers.ts";
import { openTerminal } from "./tmux.ts";

const SERVER = serverProgram(MODE_OPTION);

/** What ends a word for bash, unless it is told otherwise. */
const BREAKS = " \t\n\"'@><=;|&(:";

/** What bash offers for the last of these words. */
async function offeredByBash(program: Program, words: string[], cwd: string): Promise<string[]> {
  const script = `${completionScript(program, "bash")}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
    COMP_CWORD=${words.length - 1}
    COMP_LINE='${words.join(" ").replaceAll(" = ", "=")}'
    COMP_POINT=\${#COMP_LINE}
    ${/^complete -F (\S+)/m.exec(completionScript(program, "bash"))![1]}
    [[ \${#COMPREPLY[@]} == 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await run("bash", ["-c", script], { cwd });
  assertEquals([code, stderr], [0, ""]);
  return stdout.split("\n").slice(0, -1);
}

integration("--completions bash completes options, modes, words and paths", async () => {
  await using temp = await tempDir();
  await temp.write("a file.txt", "");
  await Deno.mkdir(`${temp.path}/a folder`);
  const client = (...words: string[]) =>
    offeredByBash(CLIENT, ["inlet-client", ...words], temp.path);
  const server = (...words: string[]) =>
    offeredByBash(SERVER, ["inlet-server", ...words], temp.path);
  assertEquals(await client("--s"), ["--skip-same", "--strict", "--status", "--session"]);
  assertEquals(await client("--"), Object.keys(CLIENT.options).map((name) => `--${name}`));
  assertEquals(await client("--mode", ""), Object.keys(MODES));
  assertEquals(await client("host", "1", "--mode", "=", "r"), ["raw", "reverse"]);
  assertEquals(await client("host", "1", "--mode", "="), Object.keys(MODES));
  assertEquals((await client("host", "1", "a")).sort(), ["a file.txt", "a folder"]);
  assertEquals((await client("host:1", "a")).sort(), ["a file.txt", "a folder"]);
  // It is a file where INLET_SERVER holds the server.
  assertEquals((await client("a")).sort(), ["a file.txt", "a folder"]);
  assertEquals(await client("host", "1", "--as", ""), []);
  assertEquals(await server("0", "--dir", ""), ["a folder"]);
  assertEquals(await server("0", "--log", "j"), ["json"]);
  assertEquals(await server("0", "--completions", ""), [...SHELLS]);
  assertEquals(await server(""), []);
}, { programs: ["bash"] });

integration("--completions zsh completes the options of both programs", async () => {
  for (const program of [CLIENT, SERVER]) {
    // _arguments checks its specifications only where it completes: they are handed to a stand-in.
    const { code, stdout, stderr } = await run("zsh", [
      "-fc",
      `autoload -Uz compinit && compinit -D
       ${completionScript(program, "zsh")}
       _arguments() { shift; print -rl -- "$@" }
       print -r -- $_comps[${program.command}]
       $_comps[${program.command}]`,
    ]);
    assertEquals([code, stderr], [0, ""]);
    const [name, ...specs] = stdout.trim().split("\n");
    assertEquals(name, `_${program.command.replace("-", "_")}`);
    assertEquals(specs.length, program.arguments.length + Object.keys(program.options).length);
    assert(specs.some((spec) => /^--mode=\[.*\]:MODE:\(files upload /.test(spec)));
  }
}, { programs: ["zsh"] });

integration("--completions fish completes options and modes", async () => {
  for (const program of [CLIENT, SERVER]) {
    const offered = async (line: string): Promise<string[]> => {
      const script = `${
        completionScript(program, "fish")
      }\ncomplete -C '${program.command} ${line}'`;
      const { code, stdout, stderr } = await run("fish", ["--no-config", "-c", script]);
      assertEquals([code, stderr], [0, ""]);
      return stdout.trim().split("\n").map((row) => row.split("\t")[0]!).sort();
    };
    const names = Object.keys(program.options).map((name) => `--${name}`).sort();
    assertEquals(await offered("--"), names);
    assertEquals(await offered("--mode "), Object.keys(MODES).sort());
  }
}, { programs: ["fish"] });

for (const script of ["server.ts", "client.ts"]) {
  integration(`${script} --completions goes to stdout, without a permission`, async () => {
    const args = ["run", "--no-prompt", script, "--completions"];
    const { code, stdout, stderr } = await run(Deno.execPath(), [...args, "bash"]);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, `complete -F _inlet_${script.slice(0, -3)} `);
    const named = await run(Deno.execPath(), [...args, "fish", "my.inlet"]);
    assertStringIncludes(named.stdout, "complete -c my.inlet -l quiet ");
    const other = await run(Deno.execPath(), [...args, "tcsh"]);
    assertEquals(other.code, 2);
    assertStringIncludes(other.stderr, 'Cannot use "tcsh" as the --completions: give one of bash');
    const command = `inlet-${script.slice(0, -3)}`;
    const why = `give the name that you installed it under, like ${command}`;
    for (const name of ["a; b", "5000", "127.0.0.1:5000"]) {
      const refused = await run(Deno.execPath(), [...args, "zsh", name]);
      assertRefused(refused, 2, `Cannot use "${name}" as the command: ${why}`);
    }
    assertRefused(
      await run(Deno.execPath(), [
        "run",
        "--no-prompt",
        script,
        "127.0.0.1",
        "5000",
        ...args.slice(3),
        "bash",
      ]),
      2,
      "Cannot use --completions with several words: only the command's name may stand behind it: " +
        `--completions bash ${command}`,
    );
  });
}

pure("splitBashLine() takes the quotes away, and knows what bash replaces", () => {
  const split = (line: string) => splitBashLine(line, BREAKS);
  assertEquals(split("inlet h 1 --get ").before, ["inlet", "h", "1", "--get"]);
  assertEquals(split("inlet h:1 'a b' \"c \\\" d\" e\\ f ''").before.slice(1), [
    "h:1",
    "a b",
    'c " d',
    "e f",
  ]);
  const cases: [string, string, number, string | undefined][] = [
    ["", "", 0, undefined],
    ["ph", "ph", 0, undefined],
    ["a\\ b", "a b", 0, undefined],
    ["12:30", "12:30", 3, undefined],
    ["12\\:30", "12:30", 0, undefined],
    ["'12:30", "12:30", 0, "'"],
    ["--get=a@b", "--get=a@b", 7, undefined],
    ['--get="a b', "--get=a b", 6, '"'],
    ["\"it's \\$x", "it's $x", 0, '"'],
    ["'a\\", "a\\", 0, "'"],
  ];
  for (const [typed, word, kept, quote] of cases) {
    assertEquals(split(`inlet ${typed}`), { before: ["inlet"], word, kept, quote }, typed);
  }
});

integration(
  "inBash() writes what bash reads as the same word, in every kind of quotes",
  async () => {
    const all = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join("");
    for (const word of [`x${all}`, all.slice(1), '"', "'", "~", "grün 日本 🎉"]) {
      for (const open of ["", '"', "'"]) {
        const inserted = inBash(word, splitBashLine(`inlet ${open}`, BREAKS));
        // readline leaves out a quote behind the same one.
        const behind = open !== "" && inserted.startsWith(open) ? inserted.slice(1) : inserted;
        const line = `printf %s ${open}${behind}${open}`;
        const { stdout } = await run("bash", ["-c", line]);
        assertEquals(stdout, word, open + inserted);
      }
    }
  },
  { programs: ["bash"] },
);

/** How each shell is started, so that it says `ready>` when it has the completions. */
const STARTS: Readonly<
  Record<typeof SHELLS[number], { rc: string; text: string; args: string[] }>
> = {
  bash: {
    rc: ".bashrc",
    text: `PS1='ready> '; HISTFILE=; eval "$(inlet-client --completions bash)"`,
    args: ["--rcfile", ".bashrc", "-i"],
  },
  zsh: {
    rc: ".zshrc",
    text: `PS1='ready> '; autoload -Uz compinit && compinit -u -D
        eval "$(inlet-client --completions zsh)"`,
    args: ["-i"],
  },
  fish: {
    rc: "config.fish",
    text: `function fish_prompt; echo 'ready> '; end; set -g fish_greeting
        inlet-client --completions fish | source`,
    args: ["--no-config", "-C", "source config.fish"],
  },
};

/** Opens a terminal with a shell that completes a command, which notes its arguments and does nothing. */
async function openShell(shell: typeof SHELLS[number], env: Record<string, string>) {
  const temp = await tempDir();
  const { rc, text, args } = STARTS[shell];
  await temp.write(rc, text);
  await Deno.mkdir(`${temp.path}/bin`);
  const client = `"${Deno.execPath()}" run -A --no-prompt "${scriptPath("client.ts")}" "$@"`;
  const script = `#!/bin/sh
if [ "$1" = --completions ]; then exec ${client}; fi
printf '%s\\0' "$@" > '${temp.path}/noted'
echo "noted $#"
`;
  await temp.write("bin/inlet-client", script);
  await Deno.chmod(`${temp.path}/bin/inlet-client`, 0o755);
  const variables = Object.entries({
    // The cache is below the home otherwise.
    DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
    HOME: temp.path,
    ZDOTDIR: temp.path,
    LC_ALL: "C.UTF-8",
    PATH: `${temp.path}/bin:${Deno.env.get("PATH")}`,
    ...env,
  }).map(([name, value]) => `${name}=${value}`);
  const command = ["env", "-u", "INLET_TOKEN", ...variables, shell, ...args];
  const terminal = await openTerminal(command, { cwd: temp.path, columns: 150 });
  await terminal.shows(/ready>/);
  let lines = 0;
  return {
    temp,
    terminal,
    /** Types the rest of a command, and gives the arguments that it was run with. */
    async runs(typed: string): Promise<string[]> {
      await terminal.type(`inlet-client ${typed}`);
      await terminal.press("Enter");
      lines++;
      await terminal.shows(new RegExp(`(^noted [^]*){${lines}}ready>`, "m"));
      return (await Deno.readTextFile(`${temp.path}/noted`)).split("\0").slice(0, -1);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await terminal[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Names that a shell would take for something else, each with a first letter of its own. */
const NAMES = [
  'a it\'s "quoted" $HOME.txt',
  "b $(id) `id` back\\slash",
  "c 12:30 x=y me@home.log",
  "d #* ? [x] {a,b} !! ^ % ~",
  "e (p) & ; | < >",
  "grün 日本 🎉.txt",
  "#hash",
  "!bang",
  "12:30:45.log",
  "-dash",
];

for (const shell of SHELLS) {
  integration(`${shell} completes names on the server, as they are`, async () => {
    await using server = await startServer({ key: KEY });
    await Deno.mkdir(`${server.dir}/photos/summer 2024`, { recursive: true });
    const files = [...NAMES, "photos/z.jpg", "photos/summer 2024/a b.jpg", "photos/summer 2024/c"];
    for (const name of files) await Deno.writeTextFile(`${server.dir}/${name}`, "");
    await using opened = await openShell(shell, {});
    const { temp } = opened;
    // The usual three seconds could be too short on a machine that is very busy.
    const patient = ["--timeout", "100"];
    const where = ["127.0.0.1", String(server.port), ...patient, "--token-file", "a key"];
    await temp.write("a key", KEY);
    const typed = `127.0.0.1 ${server.port} --timeout 100 --token-file 'a key'`;
    const get = `${typed} --get a\tb\tc\td\te\tg\t\\#\t!\t12\t./-\tphotos/z\t`;
    assertEquals(await opened.runs(get), [
      ...where,
      "--get",
      ...NAMES.map((name) => name === "-dash" ? "./-dash" : name),
      "photos/z.jpg",
    ]);
    // The option with its value in one word, a folder at a time, within quotes, and an open one.
    const list = `${typed} --list "d\t 'c\t ph\ts\ta\t "photos/summer\ta\t`;
    assertEquals(await opened.runs(list), [
      ...where,
      "--list",
      NAMES[3],
      NAMES[2],
      "photos/summer 2024/a b.jpg",
      "photos/summer 2024/a b.jpg",
    ]);
    const config = { servers: { home: { address: `127.0.0.1:${server.port}` } } };
    await Deno.mkdir(`${temp.path}/.config/inlet`, { recursive: true });
    await temp.write(".config/inlet/config.json", JSON.stringify(config));
    // Without the key, nothing completes, and nothing is said.
    assertEquals(await opened.runs(`@h\t --get=ph\t`), ["@home", "--get=ph"]);
    Object.assign(config.servers.home, { "token-file": `${temp.path}/a key` });
    await temp.write(".config/inlet/config.json", JSON.stringify(config));
    assertEquals(await opened.runs(`@h\t --timeout 100 --get=ph\tz\t`), [
      ...["@home", ...patient, "--get=photos/z.jpg"],
    ]);
    await temp.write("my file", "");
    assertEquals(await opened.runs(`my\t :${server.port} my\t`), [
      ...["my file", `:${server.port}`, "my file"],
    ]);
    assertEquals(await opened.runs(`unix:bi\tinl\t`), ["unix:bin/inlet-client"]);
    const screen = await opened.terminal.screen();
    assert(!/inlet:|error|rror/.test(screen), screen);
  }, { programs: [shell, "tmux"] });
}

/** Asks the client as a script of zsh does. */
async function ask(server: { port: number }, ...words: string[]): Promise<string[]> {
  const line = ["inlet-client", "127.0.0.1", String(server.port), "--timeout", "100", ...words];
  const { code, stdout, stderr } = await runScript("client.ts", [
    ...["--completions", "zsh", "--", ...line],
  ]);
  assertEquals([code, stderr], [0, ""]);
  return stdout.split("\n").slice(0, -1).toSorted();
}

integration("completions have one level of folders, of 10,000 names too", async () => {
  await using server = await startServer();
  await Deno.mkdir(`${server.dir}/many/inner`, { recursive: true });
  for (let number = 0; number < 10_000; number++) {
    Deno.writeTextFileSync(`${server.dir}/many/${number}.txt`, "");
  }
  for (const name of ["many/inner/a", "many/inner/b", "-v", "many/x\u202egpj.exe"]) {
    await Deno.writeTextFile(`${server.dir}/${name}`, "");
  }
  assertEquals(await ask(server, "--get", ""), ["-v", "many/"]);
  // What begins with a dash would be an option there, and what a terminal hides is no name to choose.
  assertEquals(await ask(server, "--list", ""), ["./-v", "many/"]);
  const all = await ask(server, "--get", "x", "--quiet", "many/");
  assertEquals([all.length, all.at(-1)], [10_001, "many/inner/"]);
  assertEquals(
    await ask(server, "--get", "many/999"),
    [
      ...["many/999.txt", ...Array.from({ length: 10 }, (_, digit) => `many/999${digit}.txt`)],
    ].toSorted(),
  );
  assertEquals(await ask(server, "--get=./many/inner/"), ["./many/inner/a", "./many/inner/b"]);
  // A mode that has no such names, and places where none are.
  assertEquals(await ask(server, "--mode", "talk", "--get", ""), []);
  assertEquals(await ask(server, "--quiet", "m"), []);
});

integration("completions have the key from INLET_TOKEN, and are none without it", async () => {
  await using server = await startServer({ key: KEY });
  await Deno.writeTextFile(`${server.dir}/a.txt`, "");
  const line = ["--completions", "fish", "--", "inlet-client", `127.0.0.1:${server.port}`];
  const args = ["run", "-A", "client.ts", ...line, "--timeout", "100", "--get", ""];
  const known = await run(Deno.execPath(), args, { env: { INLET_TOKEN: KEY } });
  assertEquals([known.code, known.stdout, known.stderr], [0, "a.txt\n", ""]);
  const unknown = await run(Deno.execPath(), args, { env: { INLET_TOKEN: "" } });
  assertEquals([unknown.code > 0, unknown.stdout], [true, ""]);
});

/** What the client says to a completion from this server, in which nothing is. */
async function assertGivesUp(listener: Deno.TcpListener, ...options: string[]): Promise<void> {
  const line = ["inlet-client", `127.0.0.1:${listener.addr.port}`, ...options, "--get", ""];
  const { code, stdout } = await runScript("client.ts", ["--completions", "zsh", "--", ...line]);
  assertEquals([code > 0, stdout], [true, ""]);
}

integration("completions give a server up that says nothing", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  await assertGivesUp(listener);
  (await accepted).close();
});

integration("completions give a server up whose list has no end", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async (): Promise<void> => {
    using conn = await listener.accept();
    await sendTo(conn, "welcome client 1 of 9\nok\n");
    for (;;) await sendTo(conn, "1 2026-11-21T08:38:00Z a.txt\n".repeat(1000));
  })();
  // It sends without an end, until nobody is there.
  const [failure] = await Promise.all([
    serving.catch((error) => error),
    assertGivesUp(listener, "--timeout", "2"),
  ]);
  assertInstanceOf(failure, Error);
});
