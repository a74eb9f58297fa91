import { assertEquals, assertMatch } from "@std/assert";
import { formatLocalTime, printable } from "../lib/text.ts";
import { integration, pure, ROOT, runSource } from "./helpers.ts";

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

const STORED = `log.forClient(3, "127.0.0.1:40001")
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
  const { time, message, ...facts } = lines[0];
  assertEquals(facts, {
    level: "info",
    event: "stored",
    client: 3,
    address: "127.0.0.1:40001",
    name: "naïve ☕.txt",
    size: 6,
    crc: "363a3020",
  });
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
    `log.info("a", "not said"); log.notice("b", "said"); log.error("c", "wrong");`,
  );
  assertMatch(text, new RegExp(`^${TIME} said\n${TIME} wrong\n$`));
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

integration("Log escapes a stack trace, too", async () => {
  const text = await logged(
    {},
    `log.failure(new InletError("internal", "Cannot go on", { cause: new Error("\\x1b]0;evil") }));`,
  );
  assertMatch(text, /Cannot go on\nError: \\u\{1b\}\]0;evil\n +at /);
});
