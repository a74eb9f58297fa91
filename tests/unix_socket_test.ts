/**
 * The file of a Unix socket: who makes it, who may use it, who replaces it, and who removes it.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { send } from "../client.ts";
import { InletError } from "../lib/errors.ts";
import { listen } from "../lib/net/listen.ts";
import { listenUnix } from "../lib/net/unix_listen.ts";
import { serve } from "../server.ts";
import {
  assertRefused,
  checkout,
  type Ended,
  fixture,
  integration,
  PYTHON,
  run,
  runScript,
  scriptPath,
  tempDir,
  UNCOVERED,
  uploadGrows,
} from "./helpers.ts";
import { Terminal, TERMINAL_PROGRAMS } from "./pty.ts";
import { runUnixClient, serverArgs, startUnixClient, startUnixServer } from "./unix_server.ts";

const QUIET = { quiet: true };

/** A command that runs another one without the right of root to use every file. */
function obedient(): string[] {
  const rights = "--bounding-set=-dac_override,-dac_read_search";
  return Deno.uid() === 0 ? ["setpriv", rights, "--"] : [];
}

function modeOf(path: string): number {
  return Deno.lstatSync(path).mode! & 0o777;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Leaves the socket of a server that was killed. */
async function leaveSocket(folder: string): Promise<string> {
  await using server = await startUnixServer({ folder });
  await server.running.stop("SIGKILL");
  assert(Deno.lstatSync(server.path).isSocket);
  return server.path;
}

/** Runs a server that has to end by itself. */
async function runServer(folder: string, args: readonly string[] = []): Promise<Ended> {
  return await runScript("server.ts", serverArgs(folder, args));
}

integration(
  "the socket is its user's alone, or has the permissions that were asked for",
  async () => {
    await using local = await tempDir();
    for (const [args, mode] of [[[], 0o600], [["--socket-mode", "0666"], 0o666]] as const) {
      // A lax umask changes nothing, nor does a strict one.
      for (const umask of ["000", "077"]) {
        const under = ["sh", "-c", `umask ${umask}; exec "$@"`, "sh"];
        await using server = await startUnixServer({ folder: local.path, args, under });
        assertEquals(modeOf(server.path), mode);
      }
    }
  },
);

integration("who may not use the socket is told so", async () => {
  await using server = await startUnixServer({ args: ["--socket-mode", "000"] });
  await using local = await tempDir();
  Deno.chmodSync(local.path, 0o500);
  const deno = async (...args: string[]): Promise<Ended> => {
    const [command, ...words] = [...obedient(), Deno.execPath(), "run", "-A", ...args];
    return await run(command!, words);
  };
  const why = "the permissions of the socket or its folder do not allow it";
  assertRefused(
    await deno("client.ts", `unix:${server.path}`, "--list"),
    4,
    `Cannot connect to unix:${server.path}: ${why}`,
  );
  for (const path of [server.path, `${local.path}/a.sock`]) {
    assertRefused(
      await deno("server.ts", `unix:${path}`),
      4,
      `Cannot listen on unix:${path}: ${why}`,
    );
  }
}, { programs: ["setpriv"] });

for (const signals of [["SIGTERM"], ["SIGINT"], ["SIGTERM", "SIGTERM"]] as const) {
  integration(`the socket is gone after ${signals.join(" and ")}, at once`, async () => {
    await using local = await tempDir();
    const file = await local.write("a", new Uint8Array(20_000_000));
    await using server = await startUnixServer({ folder: local.path });
    await using client = startUnixClient(server, [file, "--limit", "1MB"]);
    await uploadGrows(server.dir, 1_000_000);
    if (signals.length === 1) {
      server.running.process.kill(signals[0]);
      await server.running.says(/stopping: 1 transfer has/);
      // A transfer that goes on does not need it.
      assert(!exists(server.path));
    }
    await server.running.stopInsistently(signals[0]);
    assert(!exists(server.path));
    await client.ended();
  });
}

integration("the socket of a server that was killed is replaced", async () => {
  await using local = await tempDir();
  const path = await leaveSocket(local.path);
  assertRefused(
    await runUnixClient({ path, key: undefined }, ["--list"]),
    4,
    `Cannot connect to unix:${path}: connection refused; is the server running?`,
  );
  await using server = await startUnixServer({ folder: local.path });
  assertEquals((await runUnixClient(server, [fixture("hello.txt")])).code, 0);
});

integration("the socket of a server that runs is not replaced", async () => {
  await using local = await tempDir();
  await using server = await startUnixServer({ folder: local.path });
  const why = "another server listens there; stop it, or choose another path";
  assertRefused(await runServer(local.path), 4, `Cannot listen on unix:${server.path}: ${why}`);
  assertEquals((await runUnixClient(server, [fixture("hello.txt")])).code, 0);
});

integration("what is no socket is neither replaced nor removed", async () => {
  await using local = await tempDir();
  const path = `${local.path}/inlet.sock`;
  const makers: (() => void)[] = [
    () => Deno.writeTextFileSync(path, "precious"),
    () => Deno.mkdirSync(path),
    () => Deno.symlinkSync("nowhere", path),
  ];
  for (const make of makers) {
    make();
    const line = `Cannot listen on unix:${path}: there is a file that is no socket`;
    assertRefused(await runServer(local.path), 4, line);
    assert(exists(path));
    Deno.removeSync(path);
  }
});

integration("a file that takes the place of the socket meanwhile stays there", async () => {
  await using local = await tempDir();
  await using server = await startUnixServer({ folder: local.path });
  Deno.removeSync(server.path);
  Deno.writeTextFileSync(server.path, "precious");
  assertEquals((await server.running.stop()).code, 0);
  assertEquals(Deno.readTextFileSync(server.path), "precious");
});

integration("a server that takes the place of another one keeps its socket", async () => {
  await using local = await tempDir();
  await using first = await startUnixServer({ folder: local.path });
  Deno.removeSync(first.path);
  await using second = await startUnixServer({ folder: local.path });
  assertEquals((await first.running.stop()).code, 0);
  assertEquals((await runUnixClient(second, [fixture("hello.txt")])).code, 0);
});

integration("of servers that replace one socket at the same time, one gets it", async () => {
  await using local = await tempDir();
  for (let round = 0; round < 20; round++) {
    const path = await leaveSocketHere(`${local.path}/${round}.sock`);
    const all = await Promise.allSettled([1, 2, 3].map(() => listen({ path, mode: 0o600 })));
    const winners = all.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    assertEquals(winners.length, 1);
    for (const one of all) {
      if (one.status === "rejected") assertStringIncludes(one.reason.message, "another server");
    }
    const accepting = winners[0]!.accept();
    (await Deno.connect({ transport: "unix", path })).close();
    (await accepting).close();
    winners[0]!.close();
    assert(!exists(path));
  }
});

integration("a socket that takes the place of a stale one meanwhile is not removed", async () => {
  await using local = await tempDir();
  const path = await leaveSocketHere(`${local.path}/inlet.sock`);
  // By the time that it returns it has found out that nobody listens there.
  const starting = listenUnix(path, 0o600);
  Deno.removeSync(path);
  using _other = Deno.listen({ transport: "unix", path });
  await assertRejects(() => starting, InletError, "another server listens there");
  assert(exists(path));
});

/** Leaves a socket that nobody listens on. */
async function leaveSocketHere(path: string): Promise<string> {
  const script = `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} }); Deno.exit();`;
  await run(Deno.execPath(), ["eval", "--no-config", script]);
  assert(Deno.lstatSync(path).isSocket);
  return path;
}

integration("a start that fails leaves no socket", async () => {
  await using local = await tempDir();
  const path = `${local.path}/inlet.sock`;
  await local.write("received", "a file in the place of the directory");
  assertEquals((await runServer(local.path)).code, 2);
  assert(!exists(path));
  await assertRejects(() => serve({ path, directory: local.path, proxyFrom: ["x"], log: QUIET }));
  assert(!exists(path));
  await using server = await serve({ path, directory: `${local.path}/in`, log: QUIET });
  await send(server.address, [fixture("hello.txt")]);
});

integration("a socket that cannot be made gets one line", async () => {
  await using local = await tempDir();
  const long = `${local.path}/${"x".repeat(120)}.sock`;
  const file = await local.write("file", "");
  const cases: [path: string, why: string][] = [
    [`${local.path}/none/a.sock`, "its folder does not exist"],
    [`${file}/a.sock`, "a part of the path is not a folder"],
    [long, "the path is too long for a socket: the limit is 107 bytes"],
  ];
  for (const [path, why] of cases) {
    const { code, stderr } = await runScript("server.ts", [`unix:${path}`]);
    assertEquals([code, stderr], [4, `inlet: Cannot listen on unix:${path}: ${why}\n`]);
    const error = await assertRejects(() => listen({ path, mode: 0o600 }), InletError);
    assertEquals(error.code, "listen");
  }
  const client = await runUnixClient({ path: long, key: undefined }, ["--list"]);
  assertRefused(client, 4, `Cannot connect to unix:${long}: ${cases[2]![1]}`);
  const none = await runUnixClient({ path: file, key: undefined }, ["--list"]);
  assertRefused(
    none,
    4,
    `Cannot connect to unix:${file}: connection refused; is the server running?`,
  );
});

integration("a socket for datagrams is told from a server, and stays", async () => {
  await using local = await tempDir();
  const path = `${local.path}/a.sock`;
  const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
sys.stdin.read()`;
  const other = new Deno.Command("python3", {
    args: ["-c", script, path],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  using stack = new DisposableStack();
  stack.defer(() => other.kill());
  await other.stdout.getReader().read();
  const why = "a socket of another kind is there, for datagrams";
  assertRefused(
    await runScript("server.ts", [`unix:${path}`]),
    4,
    `Cannot listen on unix:${path}: ${why}`,
  );
  const client = await runUnixClient({ path, key: undefined }, ["--list"]);
  assertRefused(client, 4, `Cannot connect to unix:${path}: ${why}`);
  assert(Deno.lstatSync(path).isSocket);
}, PYTHON);

integration("both programs name exactly the permissions for a socket", async () => {
  await using local = await tempDir();
  const { path } = local;
  const socket = `${path}/inlet.sock`;
  const own = [
    ...[`--allow-net=unix:${socket}`, `--allow-read=${socket}`, `--allow-write=${socket}`],
  ];
  const deno = (script: string, ...args: string[]) =>
    run(Deno.execPath(), ["run", "--no-prompt", scriptPath(script), ...args], { cwd: path });
  const refused = await deno("server.ts", "unix:inlet.sock", "--dir", `${path}/received`);
  assertEquals(refused.code, 2);
  const [, served] = /; run: deno run (.*) \S+server\.ts unix:inlet\.sock/.exec(refused.stderr)!;
  assertEquals(served!.split(" "), [
    own[0]!,
    `--allow-read=${socket},${path}/received`,
    `--allow-write=${socket},${path}/received`,
  ]);
  await using server = await startUnixServer({ folder: path, permissions: served!.split(" ") });
  const asked = await deno("client.ts", "unix:inlet.sock", "--list");
  assertEquals(asked.code, 2);
  assertStringIncludes(asked.stderr, `; run: deno run ${own.join(" ")} `);
  const listed = await run(Deno.execPath(), [
    ...["run", "--no-prompt", ...own, scriptPath("client.ts"), `unix:${server.path}`, "--list"],
  ]);
  assertEquals([listed.code, listed.stderr], [0, ""]);
});

integration("in a terminal Deno asks for the socket, and for nothing more", async () => {
  await using project = await checkout();
  const within = { cwd: project.path, env: UNCOVERED };
  await using server = Terminal.run("deno run server.ts unix:a.sock", within);
  const socket = `${Deno.realPathSync(project.path)}/a.sock`;
  const asked = [
    ...[`net access to "unix:${socket}"`, `read access to "${socket}"`],
    `write access to "${socket}"`,
  ];
  assertEquals(await server.allowsUntil(/listening on unix:/), [
    ...[...asked, 'read access to "received"', 'write access to "received"'],
  ]);
  await using client = Terminal.run("deno run client.ts unix:a.sock README.md", within);
  assertEquals(await client.allowsUntil(/stored as/), [...asked, 'read access to "README.md"']);
  assertEquals(await client.ended(), 0);
  await server.types("\x03");
  assertEquals(await server.ended(), 0);
  assertMatch(server.text, /listening on unix:/);
}, { programs: TERMINAL_PROGRAMS });
