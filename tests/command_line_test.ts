import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { type CommandLine, parseCommandLine } from "../lib/cli/command_line.ts";
import { parseText } from "../lib/cli/option_values.ts";
import { nearest } from "../lib/cli/nearest.ts";
import { ABOUT_OPTIONS, flag, list, option } from "../lib/cli/options.ts";
import { PROGRAM as CLIENT } from "../client/options.ts";
import { serverProgram } from "../lib/server/options.ts";
import { MODE_OPTION } from "../modes/table.ts";
import { InletError } from "../lib/errors.ts";
import { integration, pure, ROOT, runSource } from "./helpers.ts";

const text = { value: "TEXT", parse: parseText, help: "a text" };

const OPTIONS = {
  as: option(text),
  output: option(text),
  list: flag({ help: "lists" }),
  quiet: flag({ help: "is quiet" }),
};

function parse(...args: string[]): CommandLine<typeof OPTIONS> {
  return parseCommandLine(args, OPTIONS);
}

function refused(words: string, ...args: string[]): void {
  const error = assertThrows(() => parse(...args), InletError);
  assertEquals(error.code, "usage");
  assertStringIncludes(error.message, words);
}

pure("parseCommandLine() takes options before, between and behind what has its place", () => {
  const { positional, options } = parse("--list", "a", "--as", "b", "c", "--output=d", "-");
  assertEquals(positional, ["a", "c", "-"]);
  assertEquals(options, { as: "b", output: "d", list: true, quiet: false });
});

pure("parseCommandLine() keeps words as they were typed", () => {
  const words = ["007", "1e3", "0x10", "true", "", "a=b", "naïve ☕"];
  assertEquals(parse(...words).positional, words);
  for (const word of ["007", "true", "a=b", "--list", "-x", "--", "=", "-"]) {
    assertEquals(parse("--as", word).options.as, word);
    assertEquals(parse(`--as=${word}`).options.as, word);
  }
});

pure("parseCommandLine() takes everything behind -- as it stands", () => {
  const { positional, options } = parse("a", "--", "--list", "-x", "--as", "b");
  assertEquals(positional, ["a", "--list", "-x", "--as", "b"]);
  assertEquals(options.as, undefined);
});

pure("parseCommandLine() names the nearest option to one that there is not", () => {
  refused('Cannot use "--lits": there is no such option, the nearest is --list', "--lits");
  refused("the nearest is --output", "a", "--ouput", "b");
  refused("the nearest is --quiet", "--Quiet");
  refused("the nearest is --output", "--out");
  for (const far of ["--ports", "--delete", "--lists-all", "-x", "--q"]) {
    refused(`Cannot use "${far}": there is no such option; try --help`, far);
  }
  refused("no such option", "--no-list");
  refused("no such option", "--as.x=1");
  refused("no such option", "--__proto__=1");
  refused("no such option", "--constructor");
});

pure("nearest() suggests what is near, and nothing else", () => {
  const options = [
    ...Object.keys(serverProgram(MODE_OPTION).options),
    ...Object.keys(CLIENT.options),
  ];
  const cases: [word: string, near: string | undefined][] = [
    ["token", "token-file"],
    ["TOKEN", "token-file"],
    ["max_size", "max-size"],
    ["max-client", "max-clients"],
    ["lsit", "list"],
    ["resum", "resume"],
    ["tieout", "timeout"],
    ["port", undefined],
    ["delete", undefined],
    ["password", undefined],
    ["x", undefined],
    ["x".repeat(100_000), undefined],
  ];
  for (const [word, near] of cases) assertEquals(nearest(word, options), near, word.slice(0, 20));

  const words = ["get", "put", "say", "list", "help", "exit", "status"];
  const slips: Record<string, string | undefined> = {
    ...{ putt: "put", pt: "put", gte: "get", lsit: "list", staus: "status", sttaus: "status" },
    ...{ hello: undefined, thanks: undefined, good: undefined, p: undefined, he: undefined },
  };
  for (const [typed, meant] of Object.entries(slips)) assertEquals(nearest(typed, words), meant);
});

pure("parseCommandLine() takes -h and -V for --help and --version", () => {
  const { options, positional } = parseCommandLine(["a", "-h", "--", "-V"], ABOUT_OPTIONS);
  assertEquals([options.help, options.version, positional], [true, false, ["a", "-V"]]);
  assertEquals(parseCommandLine(["-V"], ABOUT_OPTIONS).options.version, true);
  assertEquals(parse("--as", "-h").options.as, "-h");
});

pure("parseCommandLine() refuses an option twice, or without its value", () => {
  refused("Cannot use --as twice", "--as", "a", "--as=b");
  refused("Cannot use --as without a value", "--as");
  refused("Cannot use --as without a value", "--as=");
  refused("Cannot use --as without a value", "--as", "");
});

pure("parseCommandLine() collects the values of an option that can be repeated", () => {
  const table = { ...OPTIONS, exclude: list(text) };
  const parseWithLists = (...args: string[]) => parseCommandLine(args, table).options.exclude;
  assertEquals(parseWithLists("a"), []);
  assertEquals(parseWithLists("--exclude", "*.tmp", "a", "--exclude=-x"), ["*.tmp", "-x"]);
  assertThrows(() => parseWithLists("--exclude"), InletError, "without a value");
});

pure("parseCommandLine() refuses a value for an option that has none", () => {
  refused('Cannot use "--list=no": --list takes no value', "--list=no");
  refused("--quiet=", "--quiet=");
});

pure("parseCommandLine() takes no word for the value of an option that has none", () => {
  const { positional, options } = parse("--list", "true", "--quiet", "false");
  assertEquals(positional, ["true", "false"]);
  assertEquals([options.list, options.quiet], [true, true]);
});

/** Runs a program whose main function is this one. */
async function runMainWith(main: string): Promise<{ code: number; stderr: string }> {
  const lib = new URL("lib/", ROOT).href;
  const script = `
    import { runMain } from "${lib}cli/command_line.ts";
    import { InletError } from "${lib}errors.ts";
    await runMain(${main});`;
  return await runSource(script);
}

integration("runMain() exits with the number that the program gives", async () => {
  const { code, stderr } = await runMainWith("() => Promise.resolve(7)");
  assertEquals([code, stderr], [7, ""]);
});

integration("runMain() says an error in one line without what a terminal would obey", async () => {
  const { code, stderr } = await runMainWith(
    `() => { throw new InletError("lost", "Cannot connect\\nto \\x1b[2J") }`,
  );
  assertEquals([code, stderr], [4, "inlet: Cannot connect\\u{a}to \\u{1b}[2J\n"]);
});

integration("runMain() shows where a defect is", async () => {
  const { code, stderr } = await runMainWith(`() => { throw new TypeError("a defect") }`);
  assertEquals(code, 3);
  assertMatch(
    stderr,
    /^inlet: Cannot go on: an internal error occurred\nTypeError: a defect\n +at/,
  );
});
