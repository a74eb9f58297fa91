/**
 * Ctrl-C and its relatives, by every way in which the programs are started: `deno task` passes a
 * signal on that the terminal has sent to both.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  fileGrows,
  integration,
  names,
  run,
  Running,
  scriptPath,
  startClient,
  startServer,
  type TempDir,
  tempDir,
  uploadGrows,
  watchUntil,
} from "./helpers.ts";
import { makeTree } from "./trees.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";
import { type Impostor, impostor, Wire } from "./wire.ts";

const TERMINAL = { programs: TERMINAL_PROGRAMS };

const PERMISSIONS = "--allow-net --allow-read --allow-write --allow-env=INLET_TOKEN";

/** The ways to start the client: what a shell runs in front of its arguments. */
const WAYS: Record<string, (temp: TempDir) => Promise<string>> = {
  async "a compiled program"({ path }) {
    const program = `${path}/inlet-client`;
    const args = ["compile", ...PERMISSIONS.split(" "), "--output", program, "client.ts"];
    const { code, stderr } = await run(Deno.execPath(), args);
    assertEquals(code, 0, stderr);
    return program;
  },
  "deno run": () => Promise.resolve(`deno run ${PERMISSIONS} client.ts`),
  "deno task": () => Promise.resolve("deno task client"),
  async "an installed command"({ path }) {
    const install = ["install", "-g", "--root", path, "-n", "inlet-client"];
    const config = ["--config", scriptPath("deno.json"), ...PERMISSIONS.split(" ")];
    const { code, stderr } = await run(Deno.execPath(), [
      ...[...install, ...config, scriptPath("client.ts")],
    ]);
    assertEquals(code, 0, stderr);
    return `${path}/bin/inlet-client`;
  },
};

/** Three bytes of a file that never ends, on the way to a client that was started some way. */
interface HalfGet extends AsyncDisposable {
  terminal: Terminal;
  directory: TempDir;
  /** The process that the terminal runs, which leads the group of all of them. */
  pid: number;
}

async function halfGet(way: string, options = ""): Promise<HalfGet> {
  const stack = new AsyncDisposableStack();
  const installed = stack.use(await tempDir());
  const directory = stack.use(await tempDir());
  const server = stack.use(impostor());
  const command = await WAYS[way]!(installed);
  const get = `--get a.txt --output ${directory.path}/ ${options}`;
  const pidFile = `${installed.path}/pid`;
  const terminal = stack.use(Terminal.run(
    `sh -c 'echo $$ > ${pidFile}; exec ${command} 127.0.0.1 ${server.port} ${get}'`,
  ));
  stack.use(await halfSent(server));
  await terminal.shows(/\b3 B\b/);
  assert(names(directory.path).length > 0);
  return {
    terminal,
    directory,
    pid: Number(await Deno.readTextFile(pidFile)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Answers a get with three of six bytes. */
async function halfSent(server: Impostor): Promise<Wire> {
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  await wire.says("ok 6\ndata 6\nhel");
  return wire;
}

/** The exit code of the client for each signal that stops it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const ERASED = "\r\x1b[Jinlet: Interrupted\r\n";

for (const way of Object.keys(WAYS)) {
  const needs = { ...TERMINAL, compiles: way === "a compiled program" };

  integration(`client.ts by ${way}: one Ctrl-C leaves no partial, and says so`, async () => {
    await using get = await halfGet(way);
    await get.terminal.types("\x03");
    assertEquals(await get.terminal.ended(), 130);
    assertStringIncludes(get.terminal.screen, ERASED);
    assertEquals(get.terminal.screen.split("Interrupted").length, 2);
    assertEquals(names(get.directory.path), []);
  }, needs);

  for (const [signal, exit] of Object.entries(EXIT_CODES)) {
    integration(`client.ts by ${way}: ${signal} to all of its processes is one`, async () => {
      await using get = await halfGet(way);
      await run("sh", ["-c", `kill -s ${signal.slice(3)} -- -${get.pid}`]);
      assertEquals(await get.terminal.ended(), exit);
      assertStringIncludes(get.terminal.screen, ERASED);
      assertEquals(names(get.directory.path), []);
    }, needs);
  }
}

integration(
  "client.ts by deno task: Ctrl-C with --resume keeps it, and says how to go on",
  async () => {
    await using get = await halfGet("deno task", "--resume");
    await get.terminal.types("\x03");
    assertEquals(await get.terminal.ended(), 130);
    const { screen } = get.terminal;
    assertStringIncludes(screen, ERASED);
    // What is drawn between the two is erased.
    assertMatch(screen, /[\nJ]inlet: To continue: deno run --allow-net=127\.0\.0\.1:/);
    assertEquals(names(get.directory.path).length, 1);
  },
  TERMINAL,
);

integration("client.ts --keep-partials 0 keeps none, even with --retry", async () => {
  await using get = await halfGet("deno run", "--retry 3 --keep-partials 0");
  await get.terminal.types("\x03");
  assertEquals(await get.terminal.ended(), 130);
  assertEquals(names(get.directory.path), []);
}, TERMINAL);

integration("client.ts whose terminal is closed leaves no partial", async () => {
  await using get = await halfGet("deno task");
  await get.terminal[Symbol.asyncDispose]();
  await watchUntil(get.directory.path, () => names(get.directory.path).length === 0);
}, TERMINAL);

for (const [signal, exit] of Object.entries(EXIT_CODES)) {
  integration(
    `client.ts exits ${exit} on ${signal}, also when it comes twice at once`,
    async () => {
      using server = impostor();
      await using local = await tempDir();
      await using client = startClient(server, ["--get", "a.txt"], { cwd: local.path });
      using _wire = await halfSent(server);
      await watchUntil(local.path, () => names(local.path).length > 0);
      client.process.kill(signal as Deno.Signal);
      assertEquals((await client.stop(signal as Deno.Signal)).code, exit);
      // The advice follows only if a byte had come.
      const ours = /^inlet: Interrupted(?:\ninlet: To get what is missing: deno run .*)?$/;
      assertMatch(client.log, ours);
      assertEquals(names(local.path), []);
    },
  );
}

integration(
  "a later signal ends a client that hangs, and deletes what is in flight first",
  async () => {
    await using local = await tempDir();
    const script = await local.write(
      "hangs.ts",
      `import { onStopSignals } from "file://${scriptPath("lib/cli/signals.ts")}";
    import { LocalStore } from "file://${scriptPath("client/local_store.ts")}";
    import { unfinished } from "file://${scriptPath("client/unfinished.ts")}";
    const store = await LocalStore.open("${local.path}/got");
    await (await store.receive("a.txt", false)).write(new Uint8Array(10));
    const force = () => {
      unfinished.forEach((store) => store.discardAll());
      return Promise.resolve(130);
    };
    onStopSignals({ stop: () => console.error("stopping"), force });
    setInterval(() => {}, 1000);
    console.error("hangs");`,
    );
    await using hanging = new Running(
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--config", scriptPath("deno.json"), script],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn(),
    );
    await hanging.says(/hangs/);
    assert(names(`${local.path}/got`).length > 0);
    assertEquals((await hanging.stopInsistently("SIGINT")).code, 130);
    assertEquals(hanging.log, "hangs\nstopping");
    assertEquals(names(`${local.path}/got`), []);
  },
);

integration("client.ts stopped within a folder tells what it did not send or get", async () => {
  using server = impostor();
  await using local = await tempDir();
  const files = Array.from({ length: 600 }, (_, index) => [`p/${index}`, "content\n"]);
  makeTree(local.path, { ...Object.fromEntries(files), "q/": "" });
  const slowly = ["p", "--limit", "1kB"];
  await using sending = startClient(server, slowly, { cwd: local.path });
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  assertMatch(await wire.line(), /^mkdir;id=\S+;mode=\d+;time=\S+;files=600 p$/);
  assertEquals((await sending.stop("SIGINT")).code, 130);
  const [, failed, left] = /^p: 0 files, 0 B; (\d+) failed: .*; (\d+) not sent$/m.exec(
    sending.log,
  )!;
  assertEquals(Number(failed) + Number(left), 600);
  // A piece of the limit has a hundred bytes, and each file takes fifty.
  assert(Number(left) > 300, sending.log);
  assertStringIncludes(sending.log, "inlet: To send what is missing: deno run ");
  await using getting = startClient(server, ["--get", "q/"], { cwd: local.path });
  using other = await server.accept();
  await other.line();
  await other.says("welcome client 1 of 1\n");
  assertEquals(await other.line(), "tree q");
  const time = "2001-02-03T04:05:06Z";
  await other.says(`ok\n1 ${time} q/1\n1 ${time} q/2\nend 2\nok 1\ndata 1\nx`);
  await other.says(`end 8cdc1683 ${time}\n`);
  assertEquals([await other.line(), await other.line()], ["get q/1", "get q/2"]);
  await fileGrows(`${local.path}/q/1`);
  assertEquals((await getting.stop("SIGINT")).code, 130);
  assertMatch(
    getting.log,
    /^inlet: Interrupted\nq\/: 1 file into "\.\/q", 1 B(?:, \S+ B\/s)?; 1 not received\n/,
  );
});

integration("client.ts under nohup outlives its terminal", async () => {
  await using directory = await tempDir();
  using server = impostor();
  const args = ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(server.port)];
  await using client = new Running(
    new Deno.Command("nohup", {
      args: [Deno.execPath(), ...args, "--get", "a.txt"],
      cwd: directory.path,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn(),
  );
  using wire = await halfSent(server);
  client.process.kill("SIGHUP");
  await wire.says("lo\nend 363a3020\n");
  assertEquals(await wire.line(), "exit");
  await wire.says("ok bye\n");
  assertEquals((await client.ended()).code, 0);
  assertEquals(names(directory.path), ["a.txt"]);
}, { programs: ["nohup"] });

integration("server.ts takes two signals that come at once for one", async () => {
  await using server = await startServer();
  using transfer = await Wire.greet(server);
  await transfer.says("put 6 a.txt\n");
  assertEquals(await transfer.line(), "go 0");
  // It is stopped meanwhile, so that it gets both at once whatever comes between these calls.
  for (const signal of ["SIGSTOP", "SIGINT", "SIGTERM", "SIGCONT"] as const) {
    server.running.process.kill(signal);
  }
  await server.running.says(/ stopping: 1 transfer has 5 s to finish$/m);
  await transfer.says("hello\nend 363a3020\n");
  assertEquals(await transfer.line(), "ok 6 363a3020 a.txt");
  assertEquals((await server.running.ended()).code, 0);
});

integration("server.ts without a terminal goes on after SIGHUP, which stops others", async () => {
  await using server = await startServer();
  using transfer = await Wire.greet(server);
  await transfer.says("put 6 a.txt\n");
  assertEquals(await transfer.line(), "go 0");
  server.running.process.kill("SIGHUP");
  await server.running.says(/ SIGHUP: there is no key file to read again$/);
  await transfer.says("hello\nend 363a3020\n");
  assertEquals(await transfer.line(), "ok 6 363a3020 a.txt");
  assertEquals((await server.running.stop("SIGTERM")).code, 0);
});

integration("server.ts goes on after SIGPIPE, and no part has a name after SIGQUIT", async () => {
  await using server = await startServer();
  using transfer = await Wire.greet(server);
  server.running.process.kill("SIGPIPE");
  await transfer.says("put 6 a.txt\n");
  assertEquals(await transfer.line(), "go 0");
  await transfer.says("hel");
  await uploadGrows(server.dir, 3);
  assertEquals((await server.running.stop("SIGQUIT")).code, 131);
  assertEquals(names(server.dir), ["(in flight)"]);
});

integration("server.ts whose terminal is closed lets a transfer finish, and ends", async () => {
  await using local = await tempDir();
  await using server = Terminal.run(`deno run -A server.ts 0 --dir ${local.path}`);
  const [, port] = await server.shows(/listening on 127\.0\.0\.1:(\d+)[^\n]*\n/);
  using transfer = await Wire.greet({ port: Number(port) });
  await transfer.says("put 6 a.txt\n");
  assertEquals(await transfer.line(), "go 0");
  await server[Symbol.asyncDispose]();
  await transfer.says("hello\nend 363a3020\n");
  assertEquals(await transfer.line(), "ok 6 363a3020 a.txt");
  assertMatch(await transfer.line(), /^error shutdown /);
  assertEquals(names(local.path), ["a.txt"]);
}, TERMINAL);

integration("server.ts by deno task: one Ctrl-C lets a transfer finish", async () => {
  await using local = await tempDir();
  await using server = Terminal.run(`deno task server 0 --dir ${local.path}`);
  const [, port] = await server.shows(/listening on 127\.0\.0\.1:(\d+)[^\n]*\n/);
  using transfer = await Wire.greet({ port: Number(port) });
  await transfer.says("put 6 a.txt\n");
  assertEquals(await transfer.line(), "go 0");
  await server.types("\x03");
  await server.shows(/ stopping: 1 transfer has 5 s to finish/);
  await transfer.says("hello\nend 363a3020\n");
  assertEquals(await transfer.line(), "ok 6 363a3020 a.txt");
  assertEquals(await server.ended(), 0);
  assertEquals(names(local.path), ["a.txt"]);
}, TERMINAL);

integration(
  "a session by deno task: Ctrl-Z is refused, Ctrl-C stops the transfer, and it goes on",
  async () => {
    using server = impostor();
    await using client = Terminal.run(`deno task client 127.0.0.1 ${server.port} --name ben`);
    using wire = await server.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    await wire.line();
    await wire.says("ok ben\n");
    await wire.line();
    await wire.says("ok\nend 0\n");
    assertEquals(await wire.line(), "attend");
    await wire.says("attend ACK\n");
    await client.shows(/ben>/);
    await client.types("\x1a");
    await client.shows(/Ctrl-Z is not possible under deno task/);
    await client.types("get a.txt\r");
    assertEquals(await wire.line(), "get a.txt");
    await wire.says("ok 6\ndata 6\nhel");
    await client.shows(/\b3 B\b/);
    await client.types("\x03");
    assertEquals(await wire.line(), "stop");
    await wire.says("lo\nabort stopped\n");
    await client.shows(/Stopped/);
    await client.types("\x04");
    assertEquals(await wire.line(), "exit");
    await wire.says("ok bye\n");
    assertEquals(await client.ended(), 0);
  },
  TERMINAL,
);
