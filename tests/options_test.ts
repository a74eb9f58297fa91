import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { PROGRAM as CLIENT } from "../client/options.ts";
import { parseCommandLine } from "../lib/cli/command_line.ts";
import { helpText, optionsMarkdown } from "../lib/cli/help.ts";
import { parseCount, parseSeconds, parseText, parseWord } from "../lib/cli/option_values.ts";
import {
  ABOUT_OPTIONS,
  flag,
  list,
  option,
  type OptionTable,
  type Program,
} from "../lib/cli/options.ts";
import { InletError } from "../lib/errors.ts";
import { serveOptionsOf, serverProgram } from "../lib/server/options.ts";
import { MODE_OPTION, MODES } from "../modes/table.ts";
import { pure } from "./helpers.ts";

const SERVER = serverProgram(MODE_OPTION);

const parseSmall = (text: string, what: string): number =>
  parseCount(text, what, { min: 0, max: 9 });

const OPTIONS = {
  "wait": option({ value: "SECONDS", parse: parseSeconds, default: "30", help: "wait" }),
  "count": option({ value: "N", parse: parseSmall, note: "0 disables", help: "count up to N" }),
  "digit": list({ value: "D", parse: parseSmall, help: "add a digit" }),
  "colour": option({
    value: "COLOUR",
    parse: (text, what): "red" | "blue" => parseWord(text, what, ["red", "blue"]),
    default: "red",
    help: "paint in this colour",
    completes: { red: "like fire", blue: "like water" },
  }),
  "loud": flag({ help: "shout | cry, as --wait lets it", conflictsWith: ["quiet"] }),
  "quiet": flag({ help: "whisper" }),
  "a-name-longer-than-the-column": option({
    value: "X",
    parse: parseText,
    help: "what it does ".repeat(15).trim(),
    needs: "loud",
  }),
  ...ABOUT_OPTIONS,
};

const PROGRAM: Program<typeof OPTIONS> = {
  title: "program: does things",
  usage: "program.ts [OPTIONS]",
  command: "program",
  arguments: [{ name: "PLACE", help: "where", completes: "nothing" }],
  options: OPTIONS,
  exitCodes: { 0: "all is well" },
};

function refused(words: string, ...args: string[]): void {
  const error = assertThrows(() => parseCommandLine(args, OPTIONS), InletError);
  assertEquals([error.code, error.message], ["usage", words]);
}

pure("option() has the type of its parser, and its default where nothing is given", () => {
  const { options } = parseCommandLine([], OPTIONS);
  // A wrong type is a failure of `deno check`.
  const wait: number = options.wait;
  const count: number | undefined = options.count;
  const digits: readonly number[] = options.digit;
  const colour: "red" | "blue" = options.colour;
  const loud: boolean = options.loud;
  assertEquals([wait, count, digits, colour, loud], [30_000, undefined, [], "red", false]);
  // @ts-expect-error: without a default it may be missing
  const _missing: number = options.count;
});

pure("option(), list() and flag() read what is given", () => {
  const args = ["--wait=2", "--count", "0", "--digit", "1", "--digit=2", "--colour", "blue"];
  const { options } = parseCommandLine([...args, "--loud"], OPTIONS);
  assertEquals(
    [options.wait, options.count, options.digit, options.colour, options.loud],
    [2000, 0, [1, 2], "blue", true],
  );
  refused('Cannot use "green" as the --colour: give one of red, blue', "--colour", "green");
  refused('Cannot use "10" as the --digit: give a whole number from 0 to 9', "--digit=10");
});

pure("conflictsWith and needs refuse two options, in either order", () => {
  const words = "Cannot use --loud together with --quiet; try --help";
  refused(words, "--loud", "--quiet");
  refused(words, "--quiet", "--loud");
  const name = "--a-name-longer-than-the-column";
  refused(`Cannot use ${name} without --loud; try --help`, `${name}=x`);
  assertEquals(parseCommandLine([`${name}=x`, "--loud"], OPTIONS).options.loud, true);
});

pure("standsAlone answers whatever else is on the line, but for what is no option", () => {
  const { options } = parseCommandLine(["--loud", "--quiet", "--wait=x", "--help"], OPTIONS);
  assertEquals([options.help, options.loud, options.wait], [true, false, 30_000]);
  refused('Cannot use "--halp": there is no such option, the nearest is --help', "--halp");
});

pure("helpText() aligns, wraps at 100 columns, and tells defaults and words", () => {
  const lines = helpText(PROGRAM).split("\n");
  for (
    const line of [
      "Usage: program.ts [OPTIONS]",
      "  PLACE                where",
      "  --wait SECONDS       wait (default 30)",
      "  --count N            count up to N (0 disables)",
      "  --digit D            add a digit (repeatable)",
      "  --colour COLOUR      paint in this colour (default red):",
      "                         red   like fire",
      "                         blue  like water",
      "  --a-name-longer-than-the-column X",
      "  0    all is well",
    ]
  ) assert(lines.includes(line), line);
  const wrapped = lines.filter((line) => /^ {23}what it does/.test(line));
  assertEquals(wrapped.length, 3);
});

for (const [name, program] of [["server", SERVER], ["client", CLIENT]] as const) {
  pure(`${name}: no line of the help is wider than 100 columns`, () => {
    const lines = helpText(program).split("\n");
    for (const line of lines) assert(line.length <= 100, line);
    for (const name of Object.keys(program.options)) {
      assertEquals(lines.filter((line) => line.trimEnd().split(" ")[2] === `--${name}`).length, 1);
    }
  });

  pure(`${name}: options name others that there are`, () => {
    const options: OptionTable = program.options;
    for (const { conflictsWith = [], needs } of Object.values(options)) {
      for (const other of [...conflictsWith, ...[needs ?? []].flat()]) assert(options[other]);
    }
  });
}

pure("serveOptionsOf() gives the defaults that ServeOptions documents", () => {
  assertEquals(serveOptionsOf(parseCommandLine([], SERVER.options).options), {
    hostname: "127.0.0.1",
    socketMode: 0o600,
    directory: "received",
    store: undefined,
    s3Endpoint: undefined,
    s3Region: undefined,
    maxClients: undefined,
    maxPerAddress: undefined,
    backlog: 10,
    timeoutMs: 30_000,
    greetingTimeoutMs: 10_000,
    minRate: 1024,
    sessionTimeoutMs: 600_000,
    maxBytes: Number.MAX_SAFE_INTEGER,
    keepPartialsMs: 86_400_000,
    users: undefined,
    cert: undefined,
    certKey: undefined,
    open: false,
    access: "all",
    relay: true,
    dotfiles: true,
    links: "tree",
    fsync: false,
    raw: false,
    log: { format: "text", quiet: false },
    fallback: undefined,
    dialogue: [],
    banner: undefined,
    lineGapMs: undefined,
    keepEmpty: false,
    getMarker: "EOF",
    bareNames: false,
    web: true,
    publicNames: [],
    basePath: undefined,
    proxyFrom: [],
  });
});

pure("MODE_OPTION gives the mode itself", () => {
  assertEquals(parseCommandLine(["--mode", "raw"], CLIENT.options).options.mode, MODES.raw);
  assertEquals(parseCommandLine([], SERVER.options).options.mode, MODES.files);
});

pure("optionsMarkdown() is one row an option, in columns of one width", () => {
  const rows = optionsMarkdown(PROGRAM).split("\n");
  assertEquals(rows.length, 2 + 1 + Object.keys(OPTIONS).length);
  assertEquals(new Set(rows.map((row) => row.length)).size, 1);
  assertStringIncludes(rows.join("\n"), "| `--wait SECONDS` ");
  assertStringIncludes(rows.join("\n"), "| wait (default `30`) ");
  assertStringIncludes(rows.join("\n"), "(default `red`): `red`, `blue` ");
  assertStringIncludes(rows.join("\n"), "| shout \\| cry, as `--wait` lets it ");
});
