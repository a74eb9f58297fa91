/**
 * `--on-stored`: real servers that run real programs for the files that real clients send.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseCommand } from "../lib/cli/shell_words.ts";
import { InletError } from "../lib/errors.ts";
import { type Command, runningFor } from "../lib/server/stored_program.ts";
import type { OnStored, ReceivedFile } from "../server.ts";
import {
  assertRefused,
  fixture,
  integration,
  KEY,
  names,
  pure,
  ROOT,
  run,
  runClient,
  Running,
  runScript,
  scriptPath,
  startServer,
  type TempDir,
  tempDir,
  watchUntil,
} from "./helpers.ts";
import { openTerminal } from "./tmux.ts";
import { makeUsers } from "./user_files.ts";

pure("parseCommand() splits a command as a shell does, and expands nothing", () => {
  const commands: Record<string, readonly string[]> = {
    "./hook.sh": ["./hook.sh"],
    "  tool  --to=x  -v ": ["tool", "--to=x", "-v"],
    "'/my tools/hook' \"two words\" one\\ word ''": ["/my tools/hook", "two words", "one word", ""],
    "a\"b c\"'d e'f": ["ab cd ef"],
    '"\\"\\$x\\\\" $HOME `id` $(id) *': ['"$x\\', "$HOME", "`id`", "$(id)", "*"],
    "a\tb\nc": ["a", "b", "c"],
    "sh -c 'logger \"inlet: $INLET_NAME\"'": ["sh", "-c", 'logger "inlet: $INLET_NAME"'],
  };
  if (Deno.build.os === "windows") return;
  for (const [text, words] of Object.entries(commands)) {
    assertEquals(parseCommand(text, "--on-stored"), words);
  }
  for (const text of ["'", 'a "b', "a\\", "''", " "]) {
    assertThrows(() => parseCommand(text, "--on-stored"), InletError, "as --on-stored: ");
  }
});

/** Writes a program of a shell's commands. */
async function program(dir: TempDir, name: string, commands: string): Promise<string> {
  const path = await dir.write(name, `#!/bin/sh\n${commands}\n`);
  await Deno.chmod(path, 0o755);
  return path;
}

/** The lines that the programs of a server have printed, in order. */
function printed(log: string): string[] {
  return [...log.matchAll(/the hook for ".*" says: (.*)$/gm)].map(([, text]) => text!);
}

integration("--on-stored tells the program of the file, and of nothing else", async () => {
  await using local = await tempDir();
  const hook = await program(
    local,
    "my hook.sh",
    'env; input=$(cat); text=$(cat -- "$INLET_FILE"); echo "$#:$1:$2:$input:$text"',
  );
  const args = ["--on-stored", `'${hook}' "two  words" $(id)`];
  await using server = await startServer({ args, key: KEY });
  const sent = await runClient(server, [fixture("hello.txt"), "--name", "ben $(id)\u202e"]);
  assertEquals(sent.code, 0, sent.stderr);
  await server.running.says(/says: 2:two {2}words:\$\(id\)::hello/);
  const lines = printed(server.running.log).slice(0, -1);
  const environment = new Map(lines.map((line) => line.split(/=(.*)/s) as [string, string]));
  // What shells set by themselves.
  for (const name of ["PWD", "OLDPWD", "SHLVL", "_"]) environment.delete(name);
  for (const name of ["HOME", "LANG", "PATH", "TMPDIR", "TZ"]) {
    assertEquals(environment.get(name), Deno.env.get(name));
    environment.delete(name);
  }
  assertMatch(environment.get("INLET_ADDRESS")!, /^127\.0\.0\.1:\d+$/);
  environment.delete("INLET_ADDRESS");
  assertEquals(Object.fromEntries(environment), {
    INLET_CLIENT: "1",
    INLET_CLIENT_NAME: "ben $(id)\\u{202e}",
    INLET_CRC: "363a3020",
    INLET_FILE: `${server.dir}/hello.txt`,
    INLET_NAME: "hello.txt",
    INLET_SIZE: "6",
    INLET_USER: "",
    INLET_WIRE: "native",
  });
  await server.running.stop();
  assertEquals(await server.stdout, "");
}, { proc: true });

integration("--on-stored tells which user a file is from", async () => {
  await using users = await makeUsers({ ben: "drop" });
  const hook = await program(users, "hook.sh", 'echo "$INLET_USER at $INLET_WIRE: $INLET_NAME"');
  await using server = await startServer({ args: ["--on-stored", hook, "--users", users.file] });
  const key = ["--token-file", users.tokenFile("ben")];
  for (let time = 0; time < 2; time++) {
    assertEquals((await runClient(server, [fixture("hello.txt"), ...key])).code, 0);
  }
  // The client is not told of the number that its file got. Both programs run at once.
  await server.running.says(/says: ben at native: hello \(2\)\.txt/);
  await server.running.says(/says: ben at native: hello\.txt/);
});

integration("--on-stored takes any name for what it is", async () => {
  await using local = await tempDir();
  const hook = await program(
    local,
    "hook.sh",
    'cat -- "$INLET_FILE"; printf "%s\\n" "$INLET_NAME"',
  );
  await using server = await startServer({ args: ["--on-stored", hook] });
  const odd = [
    "-rf",
    "$(touch x)",
    "a b",
    `it's "so"`,
    "ünï ☕",
    "\u202egpj.exe",
    "a;b|c&d",
    "`id`",
  ];
  await Deno.mkdir(`${local.path}/-odd`);
  for (const name of odd) await local.write(`-odd/${name}`, "whole\n");
  const { code, stderr } = await runClient(server, ["--", "-odd"], { cwd: local.path });
  assertEquals(code, 0, stderr);
  await server.running.says(/says: whole/, odd.length);
  await server.running.stop();
  const says = printed(server.running.log).filter((line) => line !== "whole");
  assertEquals(
    says.sort(),
    odd.map((name) => `-odd/${name.replace("\u202e", "\\u{202e}")}`).sort(),
  );
  assertEquals(names(server.dir), ["-odd"]);
});

integration("--on-stored runs four at once, and no transfer waits for them", async () => {
  await using local = await tempDir();
  await Deno.mkdir(`${local.path}/started`);
  const gate = `${local.path}/gate`;
  await run("mkfifo", [gate]);
  const hook = await program(
    local,
    "hook.sh",
    `cd "${local.path}" && : > started/$$ && read go < gate && ls started | wc -l && rm started/$$`,
  );
  await using server = await startServer({ args: ["--on-stored", hook] });
  await Deno.mkdir(`${local.path}/files`);
  for (let name = 0; name < 12; name++) await local.write(`files/${name}`, "x");
  const { code, stderr } = await runClient(server, ["files"], { cwd: local.path });
  // All are stored while no program gets on.
  assertEquals([code, names(`${server.dir}/files`).length], [0, 12], stderr);
  const started = `${local.path}/started`;
  await watchUntil(started, () => names(started).length === 4);
  using open = await Deno.open(gate, { write: true });
  await open.write(new TextEncoder().encode("go\n".repeat(12)));
  await server.running.says(/says:/, 12);
  assertEquals(Math.max(...printed(server.running.log).map(Number)), 4);
}, { programs: ["mkfifo"] });

integration("--on-stored runs once for each of many small files", async () => {
  await using local = await tempDir();
  const hook = await program(local, "hook.sh", 'echo "$INLET_NAME"');
  await using server = await startServer({ args: ["--on-stored", hook] });
  const count = 200;
  await Deno.mkdir(`${local.path}/many`);
  for (let name = 0; name < count; name++) await local.write(`many/${name}`, "x");
  assertEquals((await runClient(server, ["many"], { cwd: local.path })).code, 0);
  await server.running.says(/says:/, count);
  await server.running.stop();
  const expected = names(`${local.path}/many`).map((name) => `many/${name}`);
  assertEquals(printed(server.running.log).sort(), expected.sort());
});

integration("--on-stored logs how a program failed, and what it printed", async () => {
  await using local = await tempDir();
  const hook = await program(
    local,
    "hook.sh",
    `case $INLET_NAME in
      exit) printf 'out\\033[2J\\n\\nlast'; echo err >&2; exit 3;;
      signal) kill -9 $$;;
      lines) seq 1000; seq 1000 >&2;;
      long) head -c 100000 /dev/zero | tr '\\0' x;;
      left) sleep 1000 & echo $!;;
      gone) rm "$0"; echo gone;;
      late) echo never;;
    esac`,
  );
  await using server = await startServer({ args: ["--on-stored", hook, "--log", "json"] });
  const lines = (): Record<string, unknown>[] =>
    server.running.log.split("\n").map((line) => JSON.parse(line));
  /** Sends a file, and gives so many events of its program. */
  const send = async (name: string, events: number): Promise<Record<string, unknown>[]> => {
    assertEquals((await runClient(server, ["-", "--as", name], { stdin: "x" })).code, 0);
    await server.running.says(new RegExp(`"event":"hook-.*"file":"${name}"`), events);
    return lines().filter(({ event, file }) => `${event}`.startsWith("hook-") && file === name);
  };
  const text = (all: Record<string, unknown>[]): unknown[] =>
    all.filter(({ event }) => event === "hook-output").map(({ text }) => text);
  const failed = (all: Record<string, unknown>[]): unknown[] => {
    const { event, level, message, exit, signal } = all.at(-1)!;
    return [event, level, message, exit, signal];
  };

  const exit = await send("exit", 4);
  const why = 'the hook for "exit" failed: exit code 3';
  assertEquals(failed(exit), ["hook-failed", "warn", why, 3, undefined]);
  assertEquals(text(exit), ["out\x1b[2J", "last", "err"]);
  const ended = 'the hook for "signal" failed: ended by SIGKILL';
  const signalled = failed(await send("signal", 1));
  assertEquals(signalled, ["hook-failed", "warn", ended, undefined, "SIGKILL"]);
  const counted = Array.from({ length: 20 }, (_, index) => `${index + 1}`);
  const more = "… and more, which is left out";
  assertEquals(text(await send("lines", 42)), [...counted, more, ...counted, more]);
  const long = text(await send("long", 2));
  assertEquals(long.map((text) => `${text}`.length), [4096, more.length]);
  // What it leaves running holds its stdout open.
  const [pid] = text(await send("left", 1));
  Deno.kill(Number(pid), "SIGKILL");
  await send("gone", 1);
  const [late] = await send("late", 1);
  assertMatch(`${late!.message}`, /^the hook for "late" failed: it cannot be started: .*No such/);
});

/** A file that was stored. */
const FILE: ReceivedFile = {
  ...{ name: "a.txt", path: "/nowhere/a.txt", size: 6, crc: 0x363a3020 },
  client: { number: 1, name: "ben", address: "127.0.0.1:1", user: undefined, wire: "native" },
};

/** Has programs run in this process, and collects what is logged of them. */
function running(
  command: Command,
  options: { timeoutMs?: number; maxWaiting?: number } = {},
): { onStored: OnStored; said: string[] } {
  const said: string[] = [];
  const say = (_event: string, message: string): void =>
    void said.push(message.replace('the hook for "a.txt" ', ""));
  return {
    onStored: runningFor(command, { log: { info: say, warn: say }, timeoutMs: 60_000, ...options }),
    said,
  };
}

integration("--on-stored-timeout ends a program", async () => {
  const { onStored, said } = running(["sleep", "1000"], { timeoutMs: 100 });
  await onStored(FILE, new AbortController().signal);
  assertEquals(said, ["failed: it did not end within 0.1 s"]);
});

integration("--on-stored ends a program with all that it has started", async () => {
  await using local = await tempDir();
  const alive = `${local.path}/alive`;
  await run("mkfifo", [alive]);
  const hook = await program(local, "hook.sh", `sleep 1000 > "${alive}" & sleep 1000`);
  const { onStored, said } = running([hook]);
  const over = new AbortController();
  const ended = onStored(FILE, over.signal);
  using pipe = await Deno.open(alive, { read: true });
  over.abort();
  await ended;
  assertEquals(said, ["failed: the server stopped"]);
  // A pipe ends when nobody holds it open any more.
  assertEquals(await pipe.read(new Uint8Array(1)), null);
}, { programs: ["mkfifo"] });

integration("--on-stored kills a program that does not end when it is told to", async () => {
  await using local = await tempDir();
  const deaf = `${local.path}/deaf`;
  await run("mkfifo", [deaf]);
  const hook = await program(local, "hook.sh", `trap "" TERM; : > "${deaf}"; sleep 1000`);
  const { onStored, said } = running([hook]);
  const over = new AbortController();
  const ended = onStored(FILE, over.signal);
  await Deno.readTextFile(deaf);
  over.abort();
  await ended;
  assertEquals(said, ["failed: the server stopped"]);
}, { programs: ["mkfifo"] });

integration("--on-stored drops what is too much, and says of which files", async () => {
  const over = new AbortController();
  const { onStored, said } = running(["sh", "-c", "exec sleep 1000"], { maxWaiting: 2 });
  const begun = Array.from({ length: 7 }, () => onStored(FILE, over.signal));
  assertEquals(said, ["does not run: 2 files wait for theirs"]);
  over.abort();
  await Promise.all(begun);
  // None was started yet.
  const stops = "does not run: the server stops";
  assertEquals(said.slice(1), Array.from({ length: 6 }, () => stops));
});

integration(
  "--on-stored names every file that gets no program, however many they are",
  async () => {
    const files = 10_000;
    const source = `
    import { runningFor } from "${new URL("lib/server/stored_program.ts", ROOT)}";
    import { Log } from "${new URL("lib/server/log.ts", ROOT)}";
    import { stderr } from "${new URL("lib/body/stderr.ts", ROOT)}";
    const onStored = runningFor(["true"], { log: new Log(), timeoutMs: 1000 });
    const file = ${JSON.stringify({ ...FILE, name: "a long name ".repeat(40) })};
    const stops = AbortSignal.abort();
    await Promise.all(Array.from({ length: ${files} }, () => onStored(file, stops)));
    await stderr.flush(60_000);`;
    await using local = await tempDir();
    const [script, log] = [await local.write("stops.ts", source), `${local.path}/log`];
    // A file is a reader that is never late.
    const command = 'exec "$0" run -A --config deno.json "$1" 2> "$2"';
    const { code } = await run("sh", ["-c", command, Deno.execPath(), script, log]);
    const told = Deno.readTextFileSync(log).match(/ does not run: the server stops\n/g)?.length;
    assertEquals([code, told], [0, files]);
  },
);

integration("a server that stops lets the program of --on-stored end", async () => {
  await using local = await tempDir();
  const gate = `${local.path}/gate`;
  await run("mkfifo", [gate]);
  const hook = await program(local, "hook.sh", `: > "${gate}"; cat "${gate}"; echo done`);
  await using server = await startServer({ args: ["--on-stored", hook] });
  assertEquals((await runClient(server, [fixture("hello.txt")])).code, 0);
  // The program has started, and waits for a writer.
  await Deno.readTextFile(gate);
  const stopped = server.running.stop("SIGTERM");
  // Else the program could have ended before the server knows of the signal.
  await server.running.says(/stopping: 1 hook has 5 s to end$/);
  await Deno.writeTextFile(gate, "");
  assertEquals((await stopped).code, 0);
  assertEquals(printed(server.running.log), ["done"]);
}, { programs: ["mkfifo"] });

integration("docs/receiving.md: its program runs as its command says", async () => {
  const page = Deno.readTextFileSync(new URL("docs/receiving.md", ROOT));
  const section = page.split(/^## /m).find((text) => text.startsWith("A program for each file"))!;
  const [command, script] = [...section.matchAll(/^```sh\n(.*?)^```/gms)].map(([, text]) => text!);
  await using local = await tempDir();
  await local.write("mail.sh", script!);
  await Deno.chmod(`${local.path}/mail.sh`, 0o755);
  await program(local, "sendmail", 'echo "$@"; cat');
  const path = scriptPath("server.ts");
  const typed = command!.replace(" server.ts 5000 ", ` ${path} 0 `).replace(
    /^deno/,
    Deno.execPath(),
  );
  await using server = new Running(
    new Deno.Command("sh", {
      args: ["-c", `exec ${typed}`],
      cwd: local.path,
      env: { PATH: `${local.path}:${Deno.env.get("PATH")}` },
      ...{ stdin: "null", stdout: "null", stderr: "piped" },
    }).spawn(),
  );
  const [, port] = await server.says(/listening on 127\.0\.0\.1:(\d+)/);
  assertEquals((await runClient({ port: Number(port) }, [fixture("hello.txt")])).code, 0);
  await server.says(/says: 6 bytes came from 127/);
  const mail = ["-t", "To: ben@example.org", "Subject: hello.txt"];
  assertEquals(printed(server.log).slice(0, 3), mail);
});

integration(
  "Ctrl-C in the terminal of a server leaves the program of --on-stored alone",
  async () => {
    await using local = await tempDir();
    const gate = `${local.path}/gate`;
    await run("mkfifo", [gate]);
    const hook = await program(local, "hook.sh", `: > "${gate}"; cat "${gate}"; echo done`);
    const flags = ["--allow-net", "--allow-read", "--allow-write", `--allow-run=${hook}`];
    const command = [scriptPath("server.ts"), "0", "--on-stored", hook];
    await using terminal = await openTerminal([Deno.execPath(), "run", ...flags, ...command], {
      cwd: local.path,
      columns: 200,
    });
    const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(await terminal.shows(/listening on/))!;
    assertEquals((await runClient({ port: Number(port) }, [fixture("hello.txt")])).code, 0);
    await Deno.readTextFile(gate);
    await terminal.press("C-c");
    await terminal.shows(/stopping: 1 hook has 5 s to end/);
    await Deno.writeTextFile(gate, "");
    assertMatch(await terminal.shows(/exit \d/), /says: done\s[^]*exit 0/);
  },
  { programs: ["mkfifo", "tmux"] },
);

/** What is refused at the start, and why. */
const REFUSED: Record<string, string> = {
  "./missing": 'Cannot run "./missing" for --on-stored: it does not exist',
  "~/hook": 'Cannot run "~/hook" for --on-stored: it does not exist; ' +
    "~ is not expanded here, give the whole path",
  "/etc": 'Cannot run "/etc" for --on-stored: it is no file',
  "./deno.json": 'Cannot run "./deno.json" for --on-stored: it is not executable',
  "no-such-program -x":
    'Cannot run "no-such-program" for --on-stored: there is no such program in PATH; ' +
    "one in this folder is typed ./no-such-program",
  "'x": 'Cannot use "\'x" as --on-stored: a quote is not closed',
};

integration("server.ts refuses a program that it cannot run, before it listens", async () => {
  const starts = Object.entries(REFUSED).map(async ([command, line]) => {
    assertRefused(await runScript("server.ts", ["0", "--on-stored", command]), 2, line);
  });
  await Promise.all(starts);
  const other = await runScript("server.ts", ["0", "--on-stored", "sh", "--read-only"]);
  assertRefused(other, 2, "Cannot use --on-stored together with --read-only; try --help");
});

integration(
  "server.ts names the permissions that --on-stored takes, and asks no other",
  async () => {
    await using local = await tempDir();
    await program(local, "hook.sh", "echo run by $PATH");
    const script = scriptPath("server.ts");
    const args = ["0", "--on-stored", "./hook.sh"];
    const refused = await run(Deno.execPath(), ["run", script, ...args], { cwd: local.path });
    const [, command] = /; run: deno (.*)\n$/.exec(refused.stderr)!;
    assertMatch(
      command!,
      /^run --allow-net=\S+ --allow-read=received,\.\/hook\.sh --allow-write=received --allow-run=\.\/hook\.sh /,
    );
    const task = ["task", "--quiet", "--config", scriptPath("deno.json"), "server", ...args];
    const byTask = await run(Deno.execPath(), task, { cwd: ROOT, env: { INIT_CWD: local.path } });
    assertMatch(byTask.stderr, / --allow-run=\.\/hook\.sh --allow-env=HOME,PATH /);
    const permissions = command!.split(" ").filter((word) => word.startsWith("--allow-"))
      .map((flag) =>
        flag.replaceAll("./hook.sh", `${local.path}/hook.sh`)
          .replaceAll("received", `${local.path}/in`)
      );
    await using server = await startServer({
      dir: `${local.path}/in`,
      permissions,
      args: ["--on-stored", `${local.path}/hook.sh`],
    });
    assertEquals((await runClient(server, [fixture("hello.txt")])).code, 0);
    // It may not read PATH, and a shell has one of its own then.
    const [, path] = await server.running.says(/says: run by (.*)$/);
    assert(path !== Deno.env.get("PATH"));
  },
);
