import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  dial,
  fixture,
  integration,
  names,
  readAll,
  run,
  runClient,
  runPeer,
  sendTo,
  startServer,
  tempDir,
} from "./helpers.ts";
import { type InProcessOptions, serveHere } from "./in_process.ts";
import { Wire } from "./wire.ts";

integration("--read-only lists and gives files, and takes none", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  await Deno.writeTextFile(`${server.dir}/a.txt`, "hello\n");
  const put = await runClient(server, [fixture("1MiB.txt")]);
  assertEquals(put.code, 3);
  assertStringIncludes(put.stderr, 'Cannot store "1MiB.txt": this server is read-only');
  assertEquals((await runClient(server, [fixture("hello.txt")])).code, 3);
  assertEquals((await runClient(server, [], { stdin: "a message" })).code, 3);
  const got = await runClient(server, ["--get", "a.txt", "--output", "-"]);
  assertEquals(got.code, 0);
  assertEquals(got.stdout, "hello\n");
  assertStringIncludes((await runClient(server, ["--list"])).stdout, "a.txt");
  assertEquals(names(server.dir), ["a.txt"]);
  await server.running.stop();
  assertEquals(await server.stdout, "");
});

integration("--read-only takes nothing from upload clients", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  await runPeer("upload_client.py", ["127.0.0.1", String(server.port), fixture("hello.txt")]);
  await server.running.stop();
  assertStringIncludes(server.running.log, 'Cannot store "hello.txt": this server is read-only');
  assertEquals(names(server.dir), []);
});

integration("--drop-only takes files, and tells nothing", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  await Deno.writeTextFile(`${server.dir}/hello.txt`, "of somebody else\n");
  const put = await runClient(server, [fixture("hello.txt"), fixture("1MiB.txt")]);
  assertEquals(put.code, 0);
  assertStringIncludes(put.stderr, 'hello.txt: stored as "hello.txt"');
  assertEquals(names(server.dir), ["1MiB.txt", "hello (2).txt", "hello.txt"]);
  for (const asked of [["--list"], ["--status"], ["--get", "hello.txt", "--output", "-"]]) {
    const { code, stdout, stderr } = await runClient(server, asked);
    assertEquals(code, 3);
    assertEquals(stdout, "");
    assertStringIncludes(stderr, "this server only accepts uploads");
  }
});

integration("--drop-only acknowledges a name that was too long to be said again", async () => {
  await using server = await startServer({ args: ["--drop-only"] });
  using conn = await dial(server);
  const name = "x".repeat(4085);
  await sendTo(conn, `hello 1 ben\npush 0 ${name}\nend 00000000\nput 0 ${name}\n`);
  await sendTo(conn, "end 00000000\nexit\n");
  const stored = `ok 0 00000000 ${"x".repeat(255)}\n`;
  assertEquals(await readAll(conn), `welcome client 1 of 100\n${stored}go 0\n${stored}ok bye\n`);
});

/** A number of folders that leave no room for more, and one more part. */
const LONG = `${"x".repeat(250)}/`.repeat(13);

/** What a client can try, to learn whether a name is taken. */
const PROBES: readonly ((name: string) => string)[] = [
  (name) => `mkdir ${name}\n`,
  (name) => `symlink;to=gone ${name}\n`,
  (name) => `symlink;to=gone ${name}/x\n`,
  (name) => `mkdir ${name}/x\n`,
  (name) => `mkdir ${name}/x/y/z\n`,
  (name) =>
    `mkdir;id=a;time=2020-02-29T12:00:00Z;files=1 ${name}\npush 6 ${name}/z\nhello\nend 363a3020\n`,
  ...[
    (name: string) => name,
    (name: string) => `${name}/x`,
    (name: string) => `${name}/x/y.txt`,
    (name: string) => `${name} (2)/x`,
    (name: string) => `${LONG}${name}`,
    (name: string) => `${LONG.slice(0, 3008 - name.length)}/${name}/x`,
  ].flatMap((below) => [
    (name: string) => `push 6 ${below(name)}\nhello\nend 363a3020\n`,
    (name: string) => `put 6 ${below(name)}\nhello\nend 363a3020\n`,
    (name: string) => `reput ${"0".repeat(64)} 6 ${below(name)}\nhello\nend 363a3020\n`,
  ]),
  ...["get", "tree", "reget 0 00000000", "compare 6 363a3020 2020-02-29T12:00:00Z"].map(
    (request) => (name: string) => `${request} ${name}\n`,
  ),
];

/** What may be there. */
const STATES: Readonly<Record<string, (path: string) => void>> = {
  nothing: () => {},
  "a file": (path) => Deno.writeTextFileSync(path, "of somebody else\n"),
  "a folder": (path) => Deno.mkdirSync(`${path}/x`, { recursive: true }),
  "a folder with the file": (path) => {
    Deno.mkdirSync(`${path}/x`, { recursive: true });
    Deno.writeTextFileSync(`${path}/x/y.txt`, "of somebody else\n");
  },
  "a file in a folder": (path) => {
    Deno.mkdirSync(path);
    Deno.writeTextFileSync(`${path}/x`, "of somebody else\n");
  },
  "a link to a folder": (path) => Deno.symlinkSync("/tmp", path),
  "a link to nothing": (path) => Deno.symlinkSync("/nowhere", path),
};

/** A server that only accepts uploads, and one that accepts nothing else from this user. */
const DROPPING: Readonly<Record<string, Pick<InProcessOptions, "access" | "user">>> = {
  "--drop-only": { access: "drop-only" },
  "the right drop": {
    user: { name: "dan", access: "drop-only", isRevoked: false },
  },
};

for (const [whose, dropping] of Object.entries(DROPPING)) {
  integration(
    `${whose} gives one answer, whatever is there, and stores all it takes`,
    async () => {
      const told: string[][] = [];
      for (const prepare of Object.values(STATES)) {
        const answers: string[] = [];
        for (const probe of PROBES) {
          await using local = await tempDir();
          await using server = await serveHere({
            dir: `${local.path}/received`,
            ...dropping,
          });
          prepare(`${local.path}/received/salaries.pdf`);
          using wire = await Wire.greet(server);
          const request = probe("salaries.pdf");
          // Twice, as the first makes the name taken where it was not.
          await wire.says(`${request.repeat(2)}exit\n`);
          const answer = await wire.rest();
          answers.push(answer);
          // All that was acknowledged is there.
          const stored = answer.match(/^ok 6 /gm)?.length ?? 0;
          const contents = filesIn(`${local.path}/received`).map((path) =>
            Deno.readTextFileSync(path)
          );
          assertEquals(contents.filter((text) => text === "hello\n").length, stored, request);
        }
        told.push(answers);
      }
      for (const answers of told) assertEquals(answers, told[0]);
      assert(told[0]!.filter((answer) => answer.includes("\nok 6 ")).length > 10);
    },
  );
}

/** The files below a directory, not through links. */
function filesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isFile, isDirectory }) => {
    const path = `${directory}/${name}`;
    return isDirectory ? filesIn(path) : isFile ? [path] : [];
  });
}

integration("denied leaves the conversation in step", async () => {
  await using server = await startServer({ args: ["--read-only"] });
  using conn = await dial(server);
  await sendTo(conn, "hello 1 ben\npush 6 a.txt\nhello\nend 363a3020\nput 6 a.txt\nHello\nexit\n");
  assertEquals(
    await readAll(conn),
    "welcome client 1 of 100\n" +
      'error denied Cannot store "a.txt": this server is read-only\n'.repeat(2) +
      "Hello ACK\nok bye\n",
  );
});

integration("--read-only and --drop-only exclude each other", async () => {
  const args = ["run", "-A", "server.ts", "0", "--read-only"];
  const both = await run(Deno.execPath(), [...args, "--drop-only"]);
  assertEquals(both.code, 2);
  assertStringIncludes(both.stderr, "Cannot use --read-only together with --drop-only; try --help");
  const upload = await run(Deno.execPath(), [...args, "--mode", "upload"]);
  assertEquals(upload.code, 2);
  assertStringIncludes(upload.stderr, "Cannot be read-only in mode upload");
});
