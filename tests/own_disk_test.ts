/**
 * What fails on the client's own machine is told as that: with a code of its own, in words that say
 * whose disk it is.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { dirname } from "@std/path/dirname";
import {
  assertRefused,
  bytes,
  type Ended,
  fixture,
  integration,
  names,
  onTmpfs,
  run,
  runClient,
  scriptPath,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { impostor } from "./wire.ts";

/** Runs the client in a shell: `$CLIENT` is the command, `$PORT` the server's. */
async function inShell({ port }: { port: number }, script: string, under: string[] = []) {
  const [command, ...args] = [...under, "sh", "-c", script];
  const client = `${Deno.execPath()} run -A ${scriptPath("client.ts")} 127.0.0.1 ${port}`;
  return await run(command!, args, { env: { CLIENT: client } });
}

/** A server with one file. */
async function serverWith(name: string, content: Uint8Array): Promise<TestServer> {
  const server = await startServer();
  await Deno.mkdir(dirname(`${server.dir}/${name}`), { recursive: true });
  await Deno.writeFile(`${server.dir}/${name}`, content);
  return server;
}

const FULL = "the disk is full (this machine's disk)";

integration("client.ts --get onto a full disk exits 6, and says whose it is", async () => {
  await using server = await serverWith("big.bin", bytes(2 * 2 ** 20));
  await using local = await tempDir();
  const { path } = local;
  const script = `$CLIENT --get big.bin --output ${path}/; code=$?; ls -A ${path}; exit $code`;
  const ended = await inShell(server, script, onTmpfs(path, "size=1m"));
  const why = "it needs 2 MiB, and the disk has 1 MiB free (this machine's disk)";
  assertRefused(ended, 6, `Cannot store "big.bin": ${why}`);
}, { mounts: true });

integration("client.ts --get of a folder warns if this machine's disk has no room", async () => {
  await using server = await serverWith("p/a.bin", bytes(600_000));
  await Deno.writeFile(`${server.dir}/p/b.bin`, bytes(600_000));
  await using local = await tempDir();
  const { path } = local;
  const script = `$CLIENT --get p/ --output ${path}/; code=$?; ls -A ${path}/p; exit $code`;
  const { code, stdout, stderr } = await inShell(server, script, onTmpfs(path, "size=1m"));
  assertEquals([code, stdout], [6, "a.bin\n"]);
  const [warning, failure] = stderr.split("\n");
  assertEquals(
    warning,
    "Not all of the folder may fit: it needs 1.14 MiB, and the disk has 1 MiB free",
  );
  assertMatch(
    failure!,
    /^inlet: Cannot store "p\/b\.bin": it needs 586 KiB, and the disk has 4\d\d KiB free \(this machine's disk\)$/,
  );
}, { mounts: true });

integration("client.ts --get onto a disk that is read-only exits 6", async () => {
  await using server = await serverWith("a.txt", bytes(6));
  await using local = await tempDir();
  const { path } = local;
  const ended = await inShell(server, `$CLIENT --get a.txt --output ${path}/`, onTmpfs(path, "ro"));
  assertRefused(ended, 6, `Cannot store "a.txt": the disk is read-only (this machine's disk)`);
}, { mounts: true });

integration("client.ts --get into a folder that is a file exits 2", async () => {
  await using server = await serverWith("a.txt", bytes(6));
  await using local = await tempDir();
  const file = await local.write("taken", "mine\n");
  const ended = await runClient(server, ["--get", "a.txt", "--output", `${file}/`]);
  assertRefused(ended, 2, `Cannot save into "${file}": it is not a folder`);
});

const PRINTED = ["--list", "--status", "--get a.txt --output -"].map((what) => `$CLIENT ${what}`);
// Without the server: words behind --completions are a line to be completed.
const ABOUT = ["--help", "--version", "--completions bash"].map((what) =>
  `\${CLIENT% * *} ${what}`
);

integration(
  "client.ts >/dev/full exits 6 for all that it prints, and says whose it is",
  async () => {
    await using server = await serverWith("a.txt", bytes(6));
    for (const what of [...PRINTED, ...ABOUT]) {
      assertRefused(
        await inShell(server, `${what} >/dev/full`),
        6,
        `Cannot write to the standard output: ${FULL}`,
      );
    }
  },
  { programs: Deno.build.os === "linux" ? [] : ["linux"] },
);

integration("client.ts --help exits 6 when its reader has closed it", async () => {
  const process = new Deno.Command("sh", {
    args: ["-c", `read _; exec "${Deno.execPath()}" run -A "${scriptPath("client.ts")}" --help`],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await process.stdout.cancel();
  const stdin = process.stdin.getWriter();
  await stdin.write(new TextEncoder().encode("\n"));
  await stdin.close();
  assertEquals(
    await new Response(process.stderr).text(),
    "inlet: Cannot write to the standard output: its reader has closed it\n",
  );
  assertEquals((await process.status).code, 6);
});

integration("client.ts --session >/dev/full exits 6, for a list and for talk", async () => {
  await using server = await serverWith("a.txt", bytes(6));
  for (const command of ["list", "help", "How are you?"]) {
    const ended = await inShell(server, `echo '${command}' | $CLIENT --session >/dev/full`);
    assertRefused(ended, 6, `Cannot write to the standard output: ${FULL}`);
  }
}, { programs: Deno.build.os === "linux" ? [] : ["linux"] });

integration("client.ts --mode reverse >/dev/full exits 6", async () => {
  await using server = await startServer({ args: ["--mode", "reverse"] });
  const ended = await inShell(server, "echo Hello | $CLIENT --mode reverse >/dev/full");
  assertRefused(ended, 6, `Cannot write to the standard output: ${FULL}`);
}, { programs: Deno.build.os === "linux" ? [] : ["linux"] });

integration("client.ts --output - exits 6 when its reader has closed it", async () => {
  using server = impostor();
  const script = scriptPath("client.ts");
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "127.0.0.1", String(server.port), "--get", "a", "--output", "-"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await process.stdout.cancel();
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  await wire.line();
  await wire.says("ok 6\ndata 6\nhello\n");
  assertEquals(await wire.line(), "stop");
  await wire.says("abort stopped\n");
  assertEquals(
    await new Response(process.stderr).text(),
    "inlet: Cannot write to the standard output: its reader has closed it\n",
  );
  assertEquals((await process.status).code, 6);
});

/** Linux gives this file to everybody, and then refuses to read its first bytes. */
const UNREADABLE = "/proc/self/mem";

const BROKEN = "the disk reported an I/O error (this machine's disk)";

/** How a file is sent that fails when it is read, and what is said. */
const READS: Record<string, [script: string, line: string]> = {
  "a file": [`$CLIENT ${UNREADABLE}`, `Cannot send "${UNREADABLE}": ${BROKEN}`],
  "the standard input": [
    `$CLIENT --as a.bin <${UNREADABLE}`,
    `Cannot send "standard input": ${BROKEN}`,
  ],
  "a message": [`$CLIENT <${UNREADABLE}`, `Cannot send "standard input": ${BROKEN}`],
};

for (const [what, [script, line]] of Object.entries(READS)) {
  integration(`client.ts sends ${what} that fails to be read: exits 6`, async () => {
    await using server = await startServer();
    assertRefused(await inShell(server, script), 6, line);
    // The client has gone before the server knows that no more will come.
    await server.running.says(/left, 0 connected/);
    assertEquals(names(server.dir), []);
  }, { proc: true });
}

integration("client.ts whose stderr is full sends all the same", async () => {
  await using server = await startServer();
  const hello = fixture("hello.txt");
  assertEquals(await codeOf(inShell(server, `$CLIENT ${hello} 2>/dev/full`)), 0);
  assertEquals(names(server.dir), ["hello.txt"]);
  assertEquals(await codeOf(inShell(server, `$CLIENT --get nothing 2>/dev/full`)), 3);
}, { programs: Deno.build.os === "linux" ? [] : ["linux"] });

async function codeOf(ending: Promise<Ended>): Promise<number> {
  return (await ending).code;
}
