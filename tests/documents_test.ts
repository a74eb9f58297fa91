/**
 * What README.md, docs/ and PROTOCOL.md say, held against what the programs do.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { optionsPage } from "../docs/make_options.ts";
import { manualPages } from "../docs/manual_pages.ts";
import { fingerprintOf, type ReadAt } from "../lib/body/fingerprint.ts";
import { exitCode, InletError } from "../lib/errors.ts";
import { MODES } from "../modes/table.ts";
import { decodeReply, ERROR_CODES, type ErrorCode, MAX_LINE_BYTES } from "../protocol.ts";
import {
  bytes,
  checkout,
  integration,
  ROOT,
  run,
  Running,
  runScript,
  startServer,
  tempDir,
  uploadGrows,
} from "./helpers.ts";
import { proofOf, type Prove } from "./resuming.ts";
import { makeTree } from "./trees.ts";
import { STATUSES } from "../web/problem.ts";
import { ROUTES } from "../web/routes.ts";
import { Wire } from "./wire.ts";

const MAX_README_LINES = 260;

/** The pages whose links are followed, besides those in docs/. */
const PAGES = ["README.md", "PROTOCOL.md", "SECURITY.md", "CONTRIBUTING.md", "bench/README.md"];

function document(name: string): Promise<string> {
  return Deno.readTextFile(new URL(name, ROOT));
}

/** The first cell of each row of the tables under a heading, without its quotes. */
function firstCells(text: string, heading: string): string[] {
  const section = text.slice(text.indexOf(`\n${heading}\n`)).split(/\n#+ /)[1]!;
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, cell]) => cell!);
}

/** Times, ports, tickets and the umask differ from run to run. */
function withoutTimes(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{3})?Z?/g, "TIME")
    .replace(/127\.0\.0\.1:\d+/, "ADDRESS")
    .replace(/ticket=\S+/, "ticket=TICKET")
    .replace(/mode=\d+/, "mode=MODE");
}

integration("PROTOCOL.md: its first conversation can be typed as it stands", async () => {
  await using server = await startServer();
  using wire = await Wire.dial(server);
  await typeTranscript(wire, "C: hello");
  assertEquals(await wire.rest(), "");
  assertEquals(await Deno.readTextFile(`${server.dir}/greeting.txt`), "hello\n");
});

integration("PROTOCOL.md: its reput goes on as it stands", async () => {
  const transcript = await transcriptOf("C: reput");
  const [ask, prove, proof] = transcript.split("\n").map((line) => line.slice(3)) as [
    string,
    string,
    string,
  ];
  // Its id and its proof are those of this file.
  const hello = new TextEncoder().encode("hello\n");
  const facts = { size: hello.length, modified: new Date("2020-02-29T12:00:00Z") };
  const read: ReadAt = (offset, into) => {
    into.set(hello.subarray(offset, offset + into.length));
    return into.length;
  };
  assertEquals(ask, `reput ${await fingerprintOf(facts, read)} 6 greeting.txt`);
  const question = decodeReply(prove) as Prove;
  assertEquals(proof, `proof ${proofOf(hello, question)}`);
  await using server = await startServer();
  using broken = await Wire.greet(server);
  await broken.says(`${ask}\nhe`);
  await uploadGrows(server.dir, 2);
  broken.close();
  await server.running.says(/left/);
  using wire = await Wire.greet(server);
  // A server chooses its own nonce, and how many ranges it asks for.
  await wire.says(`${ask}\n`);
  const asked = decodeReply(await wire.line()) as Prove;
  assertEquals([asked.length, new Set(asked.offsets)], [
    question.length,
    new Set(question.offsets),
  ]);
  await wire.says(`proof ${proofOf(hello, asked)}\n`);
  await typeLines(wire, transcript.slice(transcript.indexOf("S: go")));
  assertEquals(await Deno.readTextFile(`${server.dir}/greeting.txt`), "hello\n");
});

integration("PROTOCOL.md: its tree and its comparison are answered as they stand", async () => {
  await using server = await startServer();
  makeTree(server.dir, { "photos/a.jpg": bytes(48_210), "photos/later/": "" });
  makeTree(server.dir, { "greeting.txt": "hello\n" });
  Deno.symlinkSync("a.jpg", `${server.dir}/photos/latest`);
  using wire = await Wire.greet(server);
  await typeTranscript(wire, "C: tree");
  makeTree(server.dir, { "photos/note.txt": "hello\n" });
  const untold = new Date("1980-01-01T00:00:00Z");
  for (const name of ["greeting.txt", "photos/note.txt", "photos/a.jpg"]) {
    Deno.chmodSync(`${server.dir}/${name}`, 0o644);
    if (!name.endsWith("jpg")) Deno.utimeSync(`${server.dir}/${name}`, untold, untold);
  }
  await typeTranscript(wire, "C: compare 6 -");
  await typeTranscript(wire, "C: diff 5");
});

integration("PROTOCOL.md: its clients reach each other as it stands", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  (await Wire.greet(server)).close();
  await server.running.says(/left, 1 connected/);
  using third = await Wire.dial(server);
  await third.says("hello 1 anna lee\nattend\n");
  await third.line();
  assertEquals(await third.line(), "ok");
  const transcript = await transcriptOf("C: attend");
  const end = transcript.indexOf("S: told");
  await typeLines(wire, transcript.slice(0, end).trimEnd());
  assertEquals(await third.line(), "came 1 test");
  assertEquals(await third.line(), "told 1 the report is there");
  await third.says("tell 1 thanks\nexit\n");
  await typeLines(wire, transcript.slice(end));
});

/** Types what PROTOCOL.md has a client say, and compares what comes back. */
async function typeTranscript(wire: Wire, beginning: string): Promise<void> {
  await typeLines(wire, await transcriptOf(beginning));
}

async function transcriptOf(beginning: string): Promise<string> {
  const text = await document("PROTOCOL.md");
  const start = text.indexOf(`\`\`\`\n${beginning}`) + 4;
  return text.slice(start, text.indexOf("```", start)).trim();
}

async function typeLines(wire: Wire, transcript: string): Promise<void> {
  for (const line of transcript.split("\n")) {
    const words = line.slice(3);
    if (line.startsWith("C: ")) await wire.says(`${words}\n`);
    else assertEquals(withoutTimes(await wire.line()), withoutTimes(words));
  }
}

integration("PROTOCOL.md: its table of errors is the one that the programs use", async () => {
  const text = await document("PROTOCOL.md");
  const rows = text.matchAll(/^\| `([a-z-]+)` +\| .* \| (\d) +\|$/gm);
  const table = Object.fromEntries([...rows].map(([, code, exit]) => [code, Number(exit)]));
  assertEquals(table, { ...ERROR_CODES });
  for (const [code, exit] of Object.entries(table)) {
    assertEquals(exitCode(new InletError(code as ErrorCode, "")), exit);
  }
  assertStringIncludes(text, `${MAX_LINE_BYTES.toLocaleString("en")} bytes, its ending included`);
});

integration("docs/http.md has every route, and the status of every code", async () => {
  const text = await document("docs/http.md");
  const routes = ROUTES.map(({ method, path }) => `${method} ${path}`);
  assertEquals(firstCells(text, "## Routes"), routes);
  const statuses = [...text.matchAll(/^\| `([a-z-]+)` +\| (\d{3}) +\|/gm)]
    .map(([, code, status]) => [code, Number(status)]);
  assertEquals(Object.fromEntries(statuses), { ...STATUSES });
});

integration("docs/options.md is what docs/make_options.ts makes of the declarations", async () => {
  assertEquals(await document("docs/options.md"), optionsPage());
});

integration("docs/*.1 has each variable of inlet that the tasks may read", async () => {
  const { tasks } = JSON.parse(await document("deno.json"));
  for (const program of ["server", "client"]) {
    const [, variables] = /--allow-env=(\S+)/.exec(tasks[program].command)!;
    const named = variables!.split(",").filter((name) => name.startsWith("INLET_"));
    const page = manualPages()[`inlet-${program}.1`]!;
    assertEquals(named.filter((name) => !page.includes(`.It Ev ${name}\n`)), []);
  }
});

integration("docs/*.1 is what docs/make_options.ts makes of them, too", async () => {
  for (const [name, page] of Object.entries(manualPages())) {
    assertEquals(await document(`docs/${name}`), page);
  }
});

integration("docs/install.md has commands with the permissions of the tasks", async () => {
  const text = await document("docs/install.md");
  const [client, server] = [...text.matchAll(/^deno install (?:.*\\\n)*.*$/gm)].map(([line]) =>
    line
  );
  const { tasks } = JSON.parse(await document("deno.json"));
  const granted = (command: string): string[] =>
    [...command.matchAll(/--allow-\S+/g)].map(([flag]) => flag.replace(",INIT_CWD", "")).toSorted();
  assertEquals(granted(client!), granted(tasks.client.command));
  assertEquals(granted(server!), granted(tasks.server.command));
  const [ofServer, ofClient] = tasks.compile.command.split("&&");
  assertEquals([granted(ofClient), granted(ofServer)], [granted(client!), granted(server!)]);
});

integration("docs/options.md has every option, and docs/modes.md every mode", async () => {
  const text = await document("docs/options.md");
  for (const script of ["client.ts", "server.ts"]) {
    const { stdout } = await runScript(script, ["--help"]);
    const options = [...stdout.matchAll(/^ {2}(--[a-z\d-]+)/gm)].map(([, option]) => option!);
    assert(options.length > 5);
    const cells = firstCells(text, `## ${script}`).map((cell) => cell.split(" ")[0]!);
    for (const option of options) {
      assert(cells.includes(option), `docs/options.md does not tell of ${script} ${option}`);
    }
  }
  assertEquals(firstCells(await document("docs/modes.md"), "## The modes"), Object.keys(MODES));
});

integration(`README.md has fewer than ${MAX_README_LINES} lines`, async () => {
  const lines = (await document("README.md")).trimEnd().split("\n").length;
  assert(lines < MAX_README_LINES, `README.md has ${lines} lines`);
});

integration("README.md has the commands that everything begins with, word for word", async () => {
  const lines = (await document("README.md")).split("\n");
  for (
    const command of [
      "deno run --allow-net server.ts 5000",
      "deno run client.ts 127.0.0.1 5000 file.txt",
      "deno test",
    ]
  ) assert(lines.includes(command), command);
});

integration("documents: every relative link leads to a file or a heading that exists", async () => {
  const pages = [...Deno.readDirSync(new URL("docs", ROOT))]
    .filter(({ name }) => name.endsWith(".md")).map(({ name }) => `docs/${name}`);
  assert(pages.length > 5);
  const broken: string[] = [];
  for (const page of [...PAGES, ...pages]) {
    const text = withoutCode(await document(page));
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
    for (const link of links.filter((link) => !/^[a-z]+:/.test(link))) {
      if (!await leadsSomewhere(page, link)) broken.push(`${page}: ${link}`);
    }
  }
  assertEquals(broken, []);
});

/** Whether the target of a link on a page exists, and the heading in it that it names. */
async function leadsSomewhere(page: string, link: string): Promise<boolean> {
  const [path, anchor] = link.split("#") as [string, string?];
  const target = path === "" ? new URL(page, ROOT) : new URL(path, new URL(page, ROOT));
  if (!target.href.startsWith(ROOT.href)) return false;
  const info = await Deno.stat(target).catch(() => undefined);
  if (!info || anchor === undefined) return info !== undefined;
  return info.isFile && anchorsOf(await Deno.readTextFile(target)).includes(anchor);
}

/** The anchors that a page's headings get, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutCode(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => {
    const words = heading!.trim().toLowerCase().replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = words.replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

/** Neither a comment of a shell nor an example is a heading or a link. */
function withoutCode(page: string): string {
  return page.replace(/^```[^]*?^```$/gm, "");
}

integration("README.md: its tasks work on the files of any folder", async () => {
  await using local = await tempDir();
  // A folder with a project of its own, and a file that the clone has too.
  await local.write("deno.json", '{ "imports": { "@std/fmt/bytes": "./none.ts" } }');
  await local.write("README.md", "mine\n");
  const [, alias] = /^alias inlet='(.+)' /m.exec(await document("README.md"))!;
  const task = alias!.replace("~/inlet/", ROOT.pathname);
  const sh = (command: string) => ["-c", `exec ${command}`];
  const options = { cwd: local.path, env: { NO_COLOR: "1" }, stdin: "null" } as const;
  await using server = new Running(
    new Deno.Command("sh", {
      ...{ ...options, args: sh(`${task} server 0`), stdout: "null", stderr: "piped" } as const,
    }).spawn(),
  );
  const [, port] = await server.says(/listening on 127\.0\.0\.1:(\d+)/);
  const { code, stderr } = await run("sh", sh(`${task} client 127.0.0.1 ${port} README.md`), {
    cwd: local.path,
  });
  assertEquals([code, stderr.split("\n").length], [0, 2], stderr);
  assertEquals(Deno.readTextFileSync(`${local.path}/received/README.md`), "mine\n");
});

integration("README.md: deno task demo shows a file that arrives, and tidies up", async () => {
  await using temp = await tempDir();
  const { code, stdout } = await runDemo(temp.path);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "1MiB.txt, 1048576 bytes, CRC-32 9082d793, the same, byte for byte");
  assertEquals([...Deno.readDirSync(temp.path)], []);
});

integration(
  "docs/install.md: deno task compile builds two programs that run by themselves",
  async () => {
    await using project = await checkout();
    const { code, stderr } = await run(Deno.execPath(), ["task", "compile"], { cwd: project.path });
    assertEquals(code, 0, stderr);
    for (const program of ["inlet-server", "inlet-client"]) {
      const { stdout } = await run(`${project.path}/dist/${program}`, ["--version"]);
      assertMatch(stdout, /^inlet \d/);
    }
  },
  { compiles: true },
);

async function runDemo(temporary: string): Promise<{ code: number; stdout: string }> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo"],
    cwd: ROOT,
    env: { TMPDIR: temporary },
    stdin: "null",
    stderr: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}
