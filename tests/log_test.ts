import { assert, assertEquals, assertMatch } from "@std/assert";
import { LOG_EVENTS, type LogEvent } from "../lib/server/log_events.ts";
import { formatLocalTime, printable } from "../lib/text.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import { integration, pure, ROOT, run, runSource, startServer, tempDir } from "./helpers.ts";
import { serveHere } from "./in_process.ts";
import { Wire } from "./wire.ts";

/** What a program writes to stderr that does this with a log of these options. */
async function logged(options: Record<string, unknown>, statements: string): Promise<string> {
  const lib = new URL("lib/server/", ROOT).href;
  const script = `
    import { Log } from "${lib}log.ts";
    import { InletError } from "${new URL("lib/errors.ts", ROOT).href}";
    const log = new Log(${JSON.stringify(options)});
    ${statements}`;
  const { code, stdout, stderr } = await runSource(script);
  assertEquals([code, stdout], [0, ""]);
  return stderr;
}

const STORED = `log.forClient({ number: 3, name: "ben", address: "127.0.0.1:40001" })
  .stored({ name: "naïve ☕.txt", size: 6, crc: 0x363a3020 });`;

const TIME = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;

integration("Log writes an event as one line of text, with its time and its client", async () => {
  const text = await logged({}, `${STORED} log.info("listening", "listening on 127.0.0.1:5000");`);
  assertMatch(
    text,
    new RegExp(
      `^${TIME} client 3: stored "naïve ☕\\.txt", 6 B, CRC-32 363a3020\n` +
        `${TIME} listening on 127\\.0\\.0\\.1:5000\n$`,
    ),
  );
});

integration("Log writes an event as one JSON object a line, each fact a field", async () => {
  const text = await logged({ format: "json" }, `${STORED} ${STORED}`);
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.length, 2);
  const { time, message, ms, ...facts } = lines[0];
  assertEquals(facts, {
    level: "info",
    event: "stored",
    id: 3,
    client: "ben",
    address: "127.0.0.1:40001",
    file: "naïve ☕.txt",
    bytes: 6,
    crc: "363a3020",
  });
  assertEquals(typeof ms, "number");
  assertMatch(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assertEquals(message, 'stored "naïve ☕.txt", 6 B, CRC-32 363a3020');
});

const HOSTILE = ["\\x1b[2J", "\\n", "\\x7f", "\\x9b", "\\u061c", "\\u200b", "\\u202e", "\\ufeff"]
  .map((character) => `a${character}b`).join("");

integration("Log shows what a peer said without what a terminal would obey", async () => {
  const text = await logged({}, `log.info("chat", "says ${HOSTILE}");`);
  assertMatch(text, /says a\\u\{1b\}\[2Jba\\u\{a\}ba\\u\{7f\}ba\\u\{9b\}ba\\u\{61c\}b/);
  assertEquals(text.split("\n").length, 2);
});

integration("Log writes JSON that can be read back, and shown, whatever a peer said", async () => {
  const text = await logged(
    { format: "json" },
    `log.info("chat", "says something", { text: "${HOSTILE}" });`,
  );
  assertEquals(printable(text.trimEnd()), text.trimEnd());
  assertEquals(JSON.parse(text).text, JSON.parse(`"${HOSTILE.replaceAll("\\x", "\\u00")}"`));
});

integration("Log says only what matters when it is quiet", async () => {
  const text = await logged(
    { quiet: true },
    `log.info("chat", "not said"); log.notice("listening", "said"); log.warn("store", "odd");
    log.failure(new InletError("not-found", "wrong"));`,
  );
  assertMatch(text, new RegExp(`^${TIME} said\n${TIME} odd\n${TIME} wrong\n$`));
});

integration("Log tells whole what nobody foresaw, and a refusal in one line", async () => {
  const text = await logged(
    {},
    `log.failure(new InletError("denied", "Cannot store it", { cause: new Error("a refusal") }));
    log.failure(new InletError("internal", "Cannot go on", { cause: new Error("a defect") }));`,
  );
  assertMatch(
    text,
    new RegExp(`^${TIME} Cannot store it\n${TIME} Cannot go on\nError: a defect\n`),
  );
});

pure("formatLocalTime() pads every part", () => {
  assertEquals(formatLocalTime(new Date(2024, 4, 6, 7, 8, 9)), "2024-05-06 07:08:09");
  assertEquals(formatLocalTime(new Date(2024, 11, 31, 23, 59, 59)), "2024-12-31 23:59:59");
});

integration("Log needs no stack trace for a fault that its message tells", async () => {
  const failure = `new InletError("internal", "The object store makes no sense")`;
  const text = await logged({}, `log.failure(${failure});`);
  assertMatch(text, new RegExp(`^${TIME} The object store makes no sense\n$`));
});

integration("Log escapes a stack trace, too", async () => {
  const text = await logged(
    {},
    `log.failure(new InletError("internal", "Cannot go on", { cause: new Error("\\x1b]0;evil") }));`,
  );
  assertMatch(text, /Cannot go on\nError: \\u\{1b\}\]0;evil\n +at /);
});

/** Keys that any event can have. */
const COMMON = ["time", "level", "event", "message", "id", "client", "address"];

/**
 * Events that no client can bring about at will, or that belong to the command line. Their types are
 * checked all the same.
 */
const RARE: readonly LogEvent[] = ["accepting", "queued", "silent"];

/** The rows of a table of docs/log.md: the cells of each, without backticks. */
function rowsOf(heading: string): string[][] {
  const text = Deno.readTextFileSync(new URL("docs/log.md", ROOT));
  const section = text.split(/^## /m).find((section) => section.startsWith(heading)) ?? "";
  return [...section.matchAll(/^\| `.*$/gm)].map(([row]) =>
    row.split("|").slice(1, -1).map((cell) => cell.replaceAll("`", "").trim())
  );
}

integration("docs/log.md has every event of the log, and every key", () => {
  const events = rowsOf("Events").map(([event, , keys]) => [event, keys!.split(", ")]);
  assertEquals(
    Object.fromEntries(events),
    Object.fromEntries(
      Object.entries(LOG_EVENTS).map(([event, keys]) => [event, keys.length > 0 ? keys : [""]]),
    ),
  );
  const keys = [...COMMON, ...Object.values(LOG_EVENTS).flat()];
  assertEquals(rowsOf("Keys").map(([key]) => key!).sort(), [...new Set(keys)].sort());
  return Promise.resolve();
});

integration("server.ts --log json keeps to its schema in every mode and every event", async () => {
  const { code, stderr } = await run(Deno.execPath(), ["run", "-A", "tests/log_scene.ts"]);
  assertEquals(code, 0, stderr);
  const types = new Map(rowsOf("Keys").map(([key, type]) => [key!, type!]));
  const levels = new Map(rowsOf("Events").map(([event, level]) => [event!, level!]));
  const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const line of lines) {
    const known: readonly string[] = LOG_EVENTS[line.event as LogEvent] ?? [];
    const shown = JSON.stringify(line);
    for (const [key, value] of Object.entries(line)) {
      assert(COMMON.includes(key) || known.includes(key), `${key} in ${shown}`);
      assertEquals(typeof value, types.get(key), `${key} in ${shown}`);
    }
    assertEquals(line.level, levels.get(line.event), shown);
  }
  const seen = new Set(lines.map(({ event }) => event));
  assertEquals([...seen, ...RARE].sort(), Object.keys(LOG_EVENTS).sort());
  /** What the events of a kind say, but for the time. */
  const facts = (event: string, ...keys: string[]) =>
    lines.filter((line) => line.event === event).map((line) => keys.map((key) => line[key]));
  assertEquals(facts("refused", "client", "code", "file").slice(0, 3), [
    ["ben", "bad-name", "inlet~1"],
    ["ben", "too-large", "large"],
    ["ben", "not-found", "nothing"],
  ]);
  assertEquals(facts("failed", "client", "code", "file"), [
    ["dora", "no-space", "full.txt"],
    ["dora", "internal", "defect.txt"],
  ]);
  assertEquals(facts("message", "client", "bytes"), [["ben", 6], [undefined, 6]]);
  assertEquals(facts("got", "client", "file", "bytes"), [["ben", "a.txt", 6], [
    "Roger",
    "a.txt",
    6,
  ]]);
  assert(facts("stored", "ms", "address").flat().every((value) => value !== undefined));
});

integration(
  "Log has a download that the disk breaks off as a failure, not as a file got",
  async () => {
    await using dir = await tempDir();
    const store = await DirectoryStore.open(dir.path);
    await dir.write("a", new Uint8Array(600_000));
    const open = store.open.bind(store);
    store.open = (name) => {
      const broken = Object.assign(new Error("an I/O error"), { code: "EIO" });
      const stream = () => new ReadableStream({ pull: (controller) => controller.error(broken) });
      return Object.assign(open(name), { stream });
    };
    await using server = await serveHere({ dir: dir.path, store });
    using wire = await Wire.greet(server);
    await wire.says("get a\nexit\n");
    await wire.rest();
    await server.idle();
    const why = 'Cannot read "a": the disk reported an I/O error';
    assertEquals(server.failures.map(({ code, message }) => [code, message]), [["disk", why]]);
  },
);

integration("server.ts logs a folder once it has made it, and not when it was there", async () => {
  await using server = await startServer();
  using wire = await Wire.greet(server);
  await wire.says("mkdir;mode=750 photos/new\nmkdir photos\nmkdir photos/new\nmkdir other\n");
  for (let count = 0; count < 4; count++) await wire.line();
  await server.running.says(/made the folder "other"/);
  assertEquals(
    [...server.running.log.matchAll(/made the folder "(.*)"/g)].map(([, name]) => name),
    ["photos/new", "other"],
  );
});
