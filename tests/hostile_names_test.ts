import { assert, assertEquals, assertMatch } from "@std/assert";
import { basename } from "@std/path/basename";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { connect } from "../lib/net/connect.ts";
import { explain, InletError } from "../lib/errors.ts";
import { safeName } from "../lib/store/names.ts";
import { Progress } from "../lib/cli/progress.ts";
import { FilesClient } from "../modes/files/client.ts";
import { getFile } from "../client/get_file.ts";
import { serverName } from "../client/plan.ts";
import {
  encodeUploadHeader,
  formatCrc,
  GO_AHEAD,
  parseListEntry,
  parseStored,
} from "../protocol.ts";
import { integration, runClient, startServer, type TestServer } from "./helpers.ts";
import {
  byteLength,
  checkName,
  hostileLine,
  hostileName,
  type Surroundings,
  surroundings,
} from "./hostile_names.ts";
import { askToResume } from "./resuming.ts";
import { impostor, Wire } from "./wire.ts";

/** Names that are tried over one connection, before everything is looked at. */
const BATCH = 100;

/** Thousands of names in all. */
const RUNS = { numRuns: 12, seed: 20250101 };

/** Batches of names, and among them the ways to what is outside. */
function batches(name: fc.Arbitrary<string>, { ways }: Surroundings): fc.Arbitrary<string[]> {
  const any = fc.oneof({ weight: 9, arbitrary: name }, fc.constantFrom(...ways));
  return fc.array(any, { minLength: BATCH, maxLength: BATCH });
}

/** Whether a name can be used at all. */
function isTaken(name: string): boolean {
  try {
    safeName(name);
    return true;
  } catch {
    return false;
  }
}

/** Whether the client asks a server for a name: one that begins with a slash is the server's own. */
function isAsked(name: string): boolean {
  try {
    return serverName(name).name !== "";
  } catch {
    return false;
  }
}

/** One line of a file that says which name it was sent under. */
function contentOf(name: string): string {
  return `${JSON.stringify(name)}\n`;
}

function endOf(content: string): string {
  return `end ${formatCrc(crc32(content))}\n`;
}

/** The name that a server says it stored, or `undefined` when it said no. */
function storedIn(answer: string, name: string): string | undefined {
  if (answer.startsWith("ok ")) {
    const stored = parseStored(answer.slice(3));
    assertEquals(stored.size, byteLength(contentOf(name)));
    checkName(stored.name);
    return stored.name;
  }
  // A folder of the name is a file by now.
  const refusal = isTaken(name) ? /^error (denied|bad-name) / : /^error bad-name /;
  assert(refusal.test(answer), `to ${JSON.stringify(name)} it answered ${answer}`);
  return undefined;
}

/** Fails unless the server stores and gives a file as ever. */
async function assertServes(server: TestServer): Promise<void> {
  using wire = await Wire.greet(server);
  await wire.says("status\n");
  assertEquals(await wire.line(), "ok");
}

/** What the server has, which is exactly what was acknowledged, under names as they were said. */
async function assertHas(
  server: TestServer,
  around: Surroundings,
  stored: ReadonlyMap<string, string>,
): Promise<void> {
  assertEquals(await around.check(), [...stored.keys()].sort());
  using wire = await Wire.greet(server);
  await wire.says("list\n");
  assertEquals(await wire.line(), "ok");
  assertEquals((await namesIn(wire)).sort(), [...stored.keys()].sort());
  await assertServes(server);
}

/** The names of a list whose `ok` has been read. */
async function namesIn(wire: Wire): Promise<string[]> {
  const listed: string[] = [];
  for (let line; !/^end /.test(line = await wire.line());) listed.push(parseListEntry(line).name);
  return listed;
}

/** Stores one name over a greeted connection, and gives the answer. */
type StoreOne = (wire: Wire, name: string) => Promise<string>;

const STORES: readonly StoreOne[] = [
  async function put(wire, name) {
    const content = contentOf(name);
    await wire.says(`put ${byteLength(content)} ${name}\n`);
    const answer = await wire.line();
    if (answer !== "go 0") return answer;
    await wire.says(content + endOf(content));
    return await wire.line();
  },
  async function push(wire, name) {
    const content = contentOf(name);
    await wire.says(`push ${byteLength(content)} ${name}\n${content}${endOf(content)}`);
    return await wire.line();
  },
  async function reput(wire, name) {
    const content = contentOf(name);
    const asked = { size: byteLength(content), name };
    const offer = await askToResume(wire, new TextEncoder().encode(content), asked);
    if (typeof offer === "string") return offer;
    await wire.says(content + endOf(content));
    return await wire.line();
  },
];

/** Makes a folder, looks into it, and asks for a file under the name. */
async function lookAt(wire: Wire, name: string): Promise<void> {
  const refused = isTaken(name) ? /^error (bad-name|not-found|denied) / : /^error bad-name /;
  await wire.says(`mkdir ${name}\n`);
  const made = await wire.line();
  if (made.startsWith("ok ")) checkName(made.slice(3));
  else assertMatch(made, refused);
  await wire.says(`tree ${name}\n`);
  const tree = await wire.line();
  if (tree !== "ok") assertMatch(tree, refused);
  else for (const listed of await namesIn(wire)) checkName(listed);
  await wire.says(`compare 6 363a3020 2026-11-21T08:38:00Z ${name}\n`);
  const found = await wire.line();
  if (found !== "ok") assertMatch(found, refused);
  await wire.says(`reget 6 363a3020 ${name}\nHello\n`);
  const answer = await wire.line();
  if (!answer.startsWith("ok ")) assertMatch(answer, refused);
  while (await wire.line() !== "Hello ACK");
}

/** What a server gives under a name, or `undefined` when it says no. */
async function getOne(wire: Wire, name: string): Promise<string | undefined> {
  await wire.says(`get ${name}\n`);
  const answer = await wire.line();
  if (!answer.startsWith("ok ")) {
    assert(/^error (bad-name|not-found|denied) /.test(answer), answer);
    return undefined;
  }
  let content = "";
  for (let line; (line = await wire.line()).startsWith("data ");) {
    content += new TextDecoder().decode(await wire.bytes(Number(line.slice("data ".length))));
  }
  return content;
}

/** A test takes half of the names. */
for (const [part, seed] of [["first", RUNS.seed], ["second", RUNS.seed + 1]] as const) {
  integration(`no request with a hostile name leads out of received/: ${part} half`, async () => {
    await using around = await surroundings();
    await using server = await startServer({ dir: around.dir, args: ["--quiet"] });
    const stored = new Map<string, string>();
    // A request without a name is none. A CR at its end belongs to the end of the line.
    const name = hostileLine.map((name) => name.replace(/\r+$/, "")).filter((name) => name !== "");
    await fc.assert(
      fc.asyncProperty(batches(name, around), async (batch) => {
        using wire = await Wire.greet(server);
        for (const [index, name] of batch.entries()) {
          const got = storedIn(await STORES[index % STORES.length]!(wire, name), name);
          if (got === undefined) continue;
          assert(!stored.has(got), "a name was given twice");
          stored.set(got, name);
        }
        for (const name of batch) {
          const content = await getOne(wire, name);
          if (content === undefined) assert(!isTaken(name) || !stored.has(safeName(name)), name);
          else assertEquals(content, contentOf(stored.get(safeName(name))!));
        }
        for (const name of batch) await lookAt(wire, name);
        await assertHas(server, around, stored);
      }),
      { numRuns: RUNS.numRuns / 2, seed },
    );
    for (const [name, sent] of stored) {
      assertEquals(Deno.readTextFileSync(`${around.dir}/${name}`), contentOf(sent));
    }
    assert(stored.size > BATCH, `only ${stored.size} names were taken`);
  });
}

/** What of a path is the name on the upload wire. */
function lastComponent(path: string): string {
  return path.split(/[/\\]/).at(-1)!;
}

/** Uploads one file on a connection of its own; whether it was stored. */
async function upload(server: TestServer, name: string): Promise<boolean> {
  using wire = await Wire.dial(server);
  const content = new TextEncoder().encode(contentOf(name));
  await wire.says(encodeUploadHeader(content.length, name));
  const answer = new TextDecoder().decode(await wire.bytes(GO_AHEAD.length));
  if (answer !== GO_AHEAD) {
    assert(/^error (bad-name|denied|bad-request) /.test(answer + await wire.rest()));
    return false;
  }
  await wire.says(content);
  assertEquals(await wire.rest(), "");
  return true;
}

integration("no upload with a hostile name leads out of received/", async () => {
  await using around = await surroundings();
  await using server = await startServer({
    dir: around.dir,
    // Who was there before may not have left yet.
    args: ["--quiet", "--backlog", String(BATCH), "--max-clients", String(2 * BATCH)],
  });
  let stored = 0;
  // Without a byte of a name the server waits for one.
  const name = hostileName.map((name) => name.toWellFormed()).filter((name) => name !== "");
  await fc.assert(
    fc.asyncProperty(batches(name, around), async (batch) => {
      const taken = await Promise.all(batch.map((name) => upload(server, name)));
      stored += taken.filter((taken) => taken).length;
      batch.forEach((name, index) =>
        assert(!taken[index] || isTaken(lastComponent(name)), JSON.stringify(name))
      );
      assertEquals((await around.check()).length, stored);
      await assertServes(server);
    }),
    RUNS,
  );
  assert(stored > BATCH, `only ${stored} names were taken`);
});

/** Gives one file under whatever name it is asked for. */
async function give(wire: Wire): Promise<void> {
  using _ = wire;
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  while ((await wire.line()).startsWith("get ")) {
    await wire.says("ok 6\ndata 6\nhello\nend 363a3020\n");
  }
  await wire.says("ok bye\n");
}

integration("client.ts --get saves under the name alone, and never outside", async () => {
  await using around = await surroundings();
  Deno.mkdirSync(around.dir);
  const names = [
    ...around.ways,
    ...["..", "a/..", "a\\..\\..\\b", "C:\\a.txt", "a.temp", "nul", "x/con.txt", "a\x1bb"],
    ...["photos/a.txt", "/etc/a.txt", "\u202ea", "-", "photos/-"],
  ];
  for (const name of names) {
    using server = impostor();
    const client = runClient(server, [`--get=${name}`], { cwd: around.dir });
    if (isAsked(name)) await give(await server.accept());
    const { code, stdout, stderr } = await client;
    assertEquals([code, stdout], [isAsked(name) ? 0 : 2, ""], `${JSON.stringify(name)}: ${stderr}`);
  }
  const copies = ["a (2).txt", "a (3).txt", "a (4).txt", "a (5).txt", "a.temp", "a.txt"];
  const odd = ["a\\..\\..\\b", "con.txt", "nul", "\u202ea"];
  const expected = ["-", "- (2)", "..\\outside\\a.txt", "C:\\a.txt", ...copies, ...odd];
  assertEquals(await around.check(), expected);
});

integration("a session's get saves under the name alone, and never outside", async () => {
  await using around = await surroundings();
  Deno.mkdirSync(around.dir);
  using server = impostor();
  const giving = server.accept().then(give);
  const signal = new AbortController().signal;
  const context = { progress: new Progress(), output: () => Promise.resolve() };
  using connection = await connect({ hostname: "127.0.0.1", port: server.port }, {
    timeoutMs: 30_000,
    signal,
  });
  const client = await FilesClient.greet(connection, "test", context);
  let saved = 0;
  await fc.assert(
    fc.asyncProperty(batches(hostileName, around), async (batch) => {
      for (const name of batch) {
        // As client/session.ts calls it, which refuses these names before.
        const last = basename(name);
        if (["", ".", "..", "/"].includes(last)) continue;
        const path = `${around.dir}/${last}`;
        const stored = await getFile(client, name, path).catch(explain);
        if (stored instanceof InletError) assert(/^bad-(name|request)$/.test(stored.code), name);
        else saved++;
      }
      assertEquals((await around.check()).length, saved);
    }),
    RUNS,
  );
  assert(saved > BATCH, `only ${saved} files were saved`);
  await client.exit();
  await giving;
});
