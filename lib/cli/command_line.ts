/**
 * The command line of both programs: strict option parsing, and errors as one line on stderr.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { exitCode, explain, InletError } from "../errors.ts";
import { errorLine, stderr } from "../body/stderr.ts";
import { outputError } from "../local_errors.ts";
import { printableLines, quoted } from "../text.ts";
import { nearest } from "./nearest.ts";
import { INTERRUPTED, listenToStops, signalled } from "./signals.ts";
import type { ABOUT_OPTIONS, Completer, OptionTable, Program, Shell, Values } from "./options.ts";

/** A parsed command line. */
export interface CommandLine<Table extends OptionTable> {
  /** The arguments that are not options, as typed. */
  positional: string[];
  /** The value of each option, or its default. */
  options: Values<Table>;
  /** The names of the options that were given. */
  given: ReadonlySet<string>;
}

/**
 * Parses a command line.
 *
 * @throws {InletError} `usage` for an unknown option, with the nearest known one, for a missing or
 * invalid value, for a repeated option, and for options that exclude each other
 */
export function parseCommandLine<Table extends OptionTable>(
  args: readonly string[],
  table: Table,
): CommandLine<Table> {
  return readWords(takeApart(args, table), table);
}

/** Reads the values of options that were taken apart. @throws {InletError} as {@linkcode parseCommandLine} */
export function readWords<Table extends OptionTable>(
  { positional, given }: Words,
  table: Table,
): CommandLine<Table> {
  const alone = Object.keys(table).find((name) => table[name]!.standsAlone && given.has(name));
  if (alone === undefined) checkTogether(table, given);
  const read = Object.entries(table).map(([name, option]) => {
    const texts = alone === undefined || alone === name ? given.get(name) : undefined;
    return [name, option.read(texts ?? [], `--${name}`)] as const;
  });
  const options = Object.fromEntries(read) as Values<Table>;
  return { positional, options, given: new Set(given.keys()) };
}

/** The words of a command line. */
export interface Words {
  /** The arguments that are not options. */
  readonly positional: string[];
  /** The values of each option, in order; an empty one for a flag. */
  readonly given: ReadonlyMap<string, string[]>;
}

/** What other programs have an option for, and both programs of inlet an argument. */
const WITHOUT_OPTION: ReadonlyMap<string, string> = new Map([
  ["host", "host"],
  ["port", "port"],
  ["p", "port"],
]);

/** Takes a command line apart. @throws {InletError} `usage` as {@linkcode parseCommandLine} */
export function takeApart(args: readonly string[], table: OptionTable): Words {
  const known = Object.keys(table);
  const flags = known.filter((name) => table[name]!.kind === "flag");
  const withValue = known.filter((name) => table[name]!.kind !== "flag");
  const shorts = new Map(known.map((name) => [`-${table[name]!.short}`, name]));
  const parsed = parseArgs(joined(args, table, shorts), {
    string: ["_", ...withValue],
    boolean: flags,
    collect: withValue,
    unknown(arg, key) {
      if (key === undefined) return true;
      const place = WITHOUT_OPTION.get(key);
      if (place !== undefined) {
        const how = `the ${place} is typed without one`;
        throw new InletError("usage", `Cannot use ${quoted(arg)}: there is no such option, ${how}`);
      }
      const near = arg.startsWith("--")
        ? nearest(key, known)
        : known.find((name) => arg === `-${name}`);
      const hint = near === undefined ? "; try --help" : `, the nearest is --${near}`;
      throw new InletError("usage", `Cannot use ${quoted(arg)}: there is no such option${hint}`);
    },
  });
  const given = new Map<string, string[]>();
  for (const name of withValue) {
    const values = parsed[name] as string[];
    if (values.length > 1 && table[name]!.kind === "single") {
      throw new InletError("usage", `Cannot use --${name} twice`);
    }
    if (values.length > 0) given.set(name, values);
  }
  for (const name of flags) if (parsed[name]) given.set(name, [""]);
  return { positional: parsed._.map(String), given };
}

/** Refuses options that exclude each other, or that need a missing one. */
function checkTogether(table: OptionTable, given: ReadonlyMap<string, unknown>): void {
  for (const [name, { conflictsWith = [], needs }] of Object.entries(table)) {
    if (!given.has(name)) continue;
    const other = conflictsWith.find((other) => given.has(other));
    if (other !== undefined) throw contradiction(`--${name} together with --${other}`);
    const needed = typeof needs === "string" ? [needs] : needs;
    if (needed && !needed.some((other) => given.has(other))) {
      const either = new Intl.ListFormat("en-GB", { type: "disjunction" });
      throw contradiction(`--${name} without ${either.format(needed.map((one) => `--${one}`))}`);
    }
  }
}

/**
 * Refuses options that none of these modes has.
 *
 * @param names The names of the modes that were chosen.
 * @throws {InletError} `usage`
 */
export function checkModes(
  given: ReadonlySet<string>,
  table: OptionTable,
  names: readonly string[],
): void {
  for (const option of given) {
    const { modes } = table[option]!;
    if (!modes || modes.some((mode) => names.includes(mode))) continue;
    throw contradiction(`--${option} in mode ${names[0]}, it is for ${modes.join(", ")}`);
  }
}

/** The error for an option that cannot be used with the others. */
export function contradiction(what: string): InletError {
  return new InletError("usage", `Cannot use ${what}; try --help`);
}

/**
 * Handles {@linkcode ABOUT_OPTIONS}.
 *
 * @param loadCompleter Loads what completes lines for the scripts of `--completions`, if the program
 * has one.
 * @returns Whether one of them was given. The program exits then.
 * @throws {InletError} `usage` for other words beside `--completions` than the name of a command
 */
export async function printAbout(
  program: Program,
  { positional, options: { help, version, completions } }: About,
  { version: versionNumber }: { readonly version: string },
  loadCompleter?: () => Promise<Completer>,
): Promise<boolean> {
  // Loaded on demand, because a transfer needs neither.
  if (help) {
    const { helpText } = await import("./help.ts");
    await print(helpText(program));
  } else if (version) {
    await print(`inlet ${versionNumber}`);
  } else if (completions === undefined) return false;
  else if (positional.length > 1) {
    // The scripts put it behind a --, and nobody else has a reason to.
    const completer = Deno.args.includes("--") ? await loadCompleter?.() : undefined;
    if (!completer) throw tooManyNames(program, completions);
    const found = await completer.complete(completions, positional);
    if (found.length > 0) await print(found.join("\n"));
  } else {
    const { completionScript } = await import("./completions.ts");
    await print(completionScript(program, completions, positional[0]));
  }
  return true;
}

function tooManyNames({ command }: Program, shell: Shell): InletError {
  const how = `only the command's name may stand behind it: --completions ${shell} ${command}`;
  return new InletError("usage", `Cannot use --completions with several words: ${how}`);
}

/** What {@linkcode printAbout} needs of a command line. */
type About = Pick<CommandLine<typeof ABOUT_OPTIONS>, "positional" | "options">;

/** @throws {InletError} `local-disk` if the standard output is full, or nobody reads it */
async function print(line: string): Promise<void> {
  const { writeStdout } = await import("../body/stdio.ts");
  await writeStdout(new TextEncoder().encode(`${line}\n`)).catch((error) => {
    throw outputError(error);
  });
}

/**
 * Joins options and values for the parser. `--as -x` becomes `--as=-x`: the word after an option
 * with a value is that value, whatever it begins with. `--list` becomes `--list=true`: the parser
 * would otherwise take a file called `true` behind it for its value. `-h` becomes `--help`.
 */
function joined(
  args: readonly string[],
  table: OptionTable,
  shorts: ReadonlyMap<string, string>,
): string[] {
  const words: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const short = shorts.get(args[index]!);
    const word = short === undefined ? args[index]! : `--${short}`;
    if (word === "--") return [...words, ...args.slice(index)];
    const [, name = "", value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const option = Object.hasOwn(table, name) ? table[name] : undefined;
    if (option?.kind === "flag") {
      if (value !== undefined) {
        throw new InletError("usage", `Cannot use ${quoted(word)}: --${name} takes no value`);
      }
      // The parser drops one `no-` in front of a name with a value.
      words.push(name.startsWith("no-") ? `--no-${name}=true` : `${word}=true`);
    } else if (option) {
      const given = value ?? args[++index];
      if (!given) {
        const how = `give --${name} ${option.value}`;
        throw new InletError("usage", `Cannot use --${name} without a value: ${how}`);
      }
      words.push(`--${name}=${given}`);
    } else {
      words.push(word);
    }
  }
  return words;
}

/** Milliseconds that the last lines on stderr may take where nobody reads them. */
const LAST_LINES_MS = 1000;

/**
 * Runs a program's main function, then ends the process. An error becomes an exit code, and one line on
 * stderr, or with `--json` one object on stdout.
 *
 * @param options.table The options of the program, if it has `--json`.
 * @param options.patient Whether to wait for the reader of the last lines as long as it takes. A
 * signal ends the wait, and a program that was interrupted does not wait.
 */
export async function runMain(
  main: () => Promise<number>,
  { patient = false, table = {} }: { patient?: boolean; table?: OptionTable } = {},
): Promise<never> {
  surviveFileSizeLimit();
  let code: number;
  try {
    code = await main();
  } catch (error) {
    const known = explain(error);
    if (!await isToldAsJson(known, table)) stderr.add(errorLine(known.message));
    // Only an unexpected error, which is a bug, gets a stack trace. One from the server has none.
    if (known.code === "internal" && known.cause) {
      stderr.add(printableLines(Deno.inspect(known.cause)));
    }
    code = exitCode(known);
  }
  if (!await stderr.flush(LAST_LINES_MS) && patient && code !== INTERRUPTED) {
    listenToStops(() => Deno.exit(code));
    while (!await stderr.flush(LAST_LINES_MS));
  }
  Deno.exit(signalled(code));
}

async function isToldAsJson(error: InletError, table: OptionTable): Promise<boolean> {
  if (!table.json || !Deno.args.some((word) => word.startsWith("--json"))) return false;
  const { tellError } = await import("./json_output.ts");
  return await tellError(error, Deno.args, table);
}

/**
 * Listens to the signal that would end a program that writes beyond `ulimit -f`. The write then
 * fails like any other.
 */
function surviveFileSizeLimit(): void {
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
}
