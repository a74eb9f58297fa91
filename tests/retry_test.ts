import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Code, InletError } from "../lib/errors.ts";
import { Retries } from "../client/retry.ts";
import {
  bytes,
  fixture,
  freePort,
  integration,
  names,
  pure,
  ROOT,
  Running,
  startClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { type Impostor, impostor, Wire } from "./wire.ts";

const LOST = new InletError("lost", "The server closed the connection");

/** Retries that never wait to the end, and what they said. */
function retriesOf(limit: number): { retries: Retries; said: string[] } {
  const said: string[] = [];
  const signal = AbortSignal.abort(new InletError("interrupted", "Interrupted"));
  return { retries: new Retries({ limit, signal, onNotice: (text) => said.push(text) }), said };
}

pure("Retries allows what may pass, and nothing that will not", () => {
  const { retries } = retriesOf(1);
  const codes: Code[] = ["lost", "timeout", "shutdown", "busy", "overloaded", "wait"];
  for (const code of codes) assert(retries.allows(new InletError(code, "")), code);
  const final: Code[] = [
    "denied",
    "disk",
    "bad-name",
    "checksum",
    "usage",
    "interrupted",
    "untrusted",
  ];
  for (const code of final) assert(!retries.allows(new InletError(code, "")), code);
  assert(!retriesOf(0).retries.allows(LOST));
});

integration("Retries waits twice as long each time, up to a minute, and at random", async () => {
  const { retries, said } = retriesOf(10);
  for (let count = 0; count < 10; count++) await retries.wait(LOST).catch(() => {});
  for (const [index, line] of said.entries()) {
    const [, seconds, count] = /; trying again in ([\d.]+) s \((\d+) of 10\)$/.exec(line)!;
    const most = Math.min(2 ** index, 60);
    assert(Number(seconds) >= most / 2 - 0.05 && Number(seconds) <= most, line);
    assertEquals(Number(count), index + 1);
  }
  assert(!retries.allows(LOST));
});

integration("Retries counts anew after progress: a file done, or further than before", async () => {
  const { retries } = retriesOf(1);
  const fail = async (): Promise<void> => {
    await retries.wait(LOST).catch(() => {});
    assert(!retries.allows(LOST));
  };
  await fail();
  retries.progressed();
  assert(retries.allows(LOST));
  await fail();
  retries.reached("a.bin", 100);
  assert(retries.allows(LOST));
  await fail();
  retries.reached("a.bin", 100);
  assert(!retries.allows(LOST));
});

integration("Retries ends a wait with the reason of its signal", async () => {
  const stop = new AbortController();
  const { signal } = stop;
  const retries = new Retries({ limit: 5, signal, onNotice: () => {} });
  const waiting = retries.wait(LOST);
  stop.abort(new InletError("interrupted", "Interrupted"));
  await assertRejects(() => waiting, InletError, "Interrupted");
});

/** What a client writes to stdout, and sends if it is given no file. */
interface Early {
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly stdout?: RegExp;
}

/** Starts a client that has no server yet, and the server once the client has tried twice. */
async function comesFirst(
  { args, stdin = "", stdout = /^$/ }: Early,
  serverArgs: readonly string[],
  check: (server: { dir: string; stdout: Promise<string> }) => Promise<void> | void,
): Promise<void> {
  const port = freePort();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "client.ts", "127.0.0.1", String(port), ...args, "--retry", "100"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const written = new Response(process.stdout).text();
  const input = process.stdin.getWriter();
  await input.write(new TextEncoder().encode(stdin));
  await input.close();
  await using client = new Running(process);
  await client.says(/^Cannot connect to .*; trying again in [\d.]+ s \(2 of 100\)$/);
  await using server = await startServer({ port, args: serverArgs });
  assertEquals((await client.ended()).code, 0, client.log);
  assertMatch(await written, stdout);
  await server.running.says(/left, 0 connected/);
  await server.running.stop();
  await check(server);
}

const HELLO = fixture("hello.txt");

/** The content of the only file of a server. */
function only(dir: string, name: string): string {
  assertEquals(names(dir), [name]);
  return Deno.readTextFileSync(`${dir}/${name}`);
}

for (const what of ["a file", "the standard input"]) {
  const isFile = what === "a file";
  const early = (mode: string): Early =>
    isFile ? { args: [HELLO, "--mode", mode] } : { args: ["--mode", mode], stdin: "hello\n" };

  integration(`--retry in mode raw sends ${what} to a server that starts later`, async () => {
    await comesFirst(early("raw"), ["--mode", "raw"], ({ dir }) => {
      assertEquals(only(dir, "1.file"), "hello\n");
    });
  });

  integration(`--retry in mode message sends ${what} to a server that starts later`, async () => {
    await comesFirst(early("message"), ["--mode", "message"], async ({ stdout }) => {
      assertEquals(await stdout, "hello\n");
    });
  });

  integration(`--retry in mode reverse sends ${what} to a server that starts later`, async () => {
    const answered = { ...early("reverse"), stdout: /^olleh\n$/ };
    await comesFirst(answered, ["--mode", "reverse"], () => {});
  });
}

integration("--retry in mode upload sends a file to a server that starts later", async () => {
  await comesFirst({ args: [HELLO, "--mode", "upload"] }, ["--mode", "upload"], ({ dir }) => {
    assertEquals(only(dir, "hello.txt"), "hello\n");
  });
});

integration("--retry stores the standard input on a server that starts later", async () => {
  await comesFirst({ args: ["--as", "a.txt"], stdin: "hello\n" }, [], ({ dir }) => {
    assertEquals(only(dir, "a.txt"), "hello\n");
  });
});

integration("--retry lists, asks for the status and says, once there is a server", async () => {
  await comesFirst({ args: ["--list"] }, [], () => {});
  await comesFirst({ args: ["--status"], stdout: /^client 1 \| inlet \| / }, [], () => {});
  await comesFirst({ args: [], stdin: "hello\n" }, [], async ({ stdout }) => {
    assertEquals(await stdout, "hello\n");
  });
});

integration("--retry runs a script once there is a server", async () => {
  const script = { args: ["--session"], stdin: "Hello\nexit\n", stdout: /^Hello ACK\n$/ };
  await comesFirst(script, [], () => {});
});

integration("--retry in mode raw sends nothing again of which anything was sent", async () => {
  await using local = await tempDir();
  const file = await local.write("a.bin", bytes(20_000_000));
  for (const mode of ["raw", "message", "reverse"]) {
    using server = impostor();
    await using client = startClient(server, [file, "--mode", mode, "--retry", "100"]);
    using wire = await server.accept();
    await wire.skip(1000);
    // Closed with unread bytes, the connection is reset.
    wire.close();
    assertEquals((await client.ended()).code, 4, client.log);
    assert(!client.log.includes("trying again"), client.log);
  }
});

integration("--retry keeps what is typed after a full server has turned it away", async () => {
  await using server = await startServer({ args: ["--mode", "raw", "--max-clients", "1"] });
  using holder = await Wire.dial(server);
  await holder.says("held");
  await server.running.says(/client 1: connected/);
  await using client = startClient(server, ["--mode", "raw", "--retry", "100"]);
  const input = client.process.stdin.getWriter();
  await client.says(/^The server is full: 1 of 1 clients; trying again in .* \(1 of 100\)$/);
  await input.write(new TextEncoder().encode("typed in the wait\n"));
  await holder.closeWrite();
  await holder.rest();
  await server.running.says(/client 2: connected/);
  await input.write(new TextEncoder().encode("typed behind it\n"));
  await input.close();
  assertEquals((await client.ended()).code, 0, client.log);
  assertEquals(
    Deno.readTextFileSync(`${server.dir}/2.file`),
    "typed in the wait\ntyped behind it\n",
  );
});

integration("--retry in mode reverse tries again where nothing was sent yet", async () => {
  using server = impostor();
  await using client = startClient(server, ["--mode", "reverse", "--retry", "100"]);
  for (const count of [1, 2]) {
    (await server.accept()).close();
    await client.says(new RegExp(`; trying again in .* \\(${count} of 100\\)$`));
  }
  using wire = await server.accept();
  const input = client.process.stdin.getWriter();
  await input.write(new TextEncoder().encode("ab\n"));
  assertEquals(await wire.line(), "ab");
  await wire.says("ba\n");
  await input.close();
  assertEquals(await wire.rest(), "");
  wire.close();
  assertEquals((await client.ended()).code, 0, client.log);
});

integration("--retry prints no list twice that broke off", async () => {
  using server = impostor();
  await using client = startClient(server, ["--list", "--retry", "100"]);
  // Before the answer nothing is printed yet.
  (await acceptHello(server)).close();
  await client.says(/; trying again in /);
  using wire = await acceptHello(server);
  await wire.says("ok\n6 2026-11-21T08:38:00Z a.txt\n");
  wire.close();
  assertEquals((await client.ended()).code, 4);
  assertEquals(client.log.match(/trying again/g)?.length, 1);
});

/** Welcomes a client, and reads its request. */
async function acceptHello(server: Impostor): Promise<Wire> {
  const wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  return wire;
}
