/**
 * What the two command lines share: strict options, and one line for everything that goes wrong.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { closestString } from "@std/text/closest-string";
import { exitCode, explain, InletError } from "../errors.ts";
import { printable, quoted } from "../text.ts";

/** The options a program knows: those with a value, those with any number of them, and those without. */
export interface OptionNames<Value extends string, Flag extends string, List extends string> {
  values: readonly Value[];
  lists?: readonly List[];
  flags: readonly Flag[];
}

/** A command line, taken apart. */
export interface CommandLine<
  Value extends string,
  Flag extends string,
  List extends string = never,
> {
  positional: string[];
  values: Partial<Record<Value, string>>;
  lists: Record<List, string[]>;
  flags: Record<Flag, boolean>;
}

/**
 * Takes a command line apart.
 *
 * @throws {InletError} `usage` for an unknown option, with the nearest known one, for a missing
 * value, for a value where none is taken, and for an option that is given twice
 */
export function parseCommandLine<
  Value extends string,
  Flag extends string,
  List extends string = never,
>(
  args: readonly string[],
  { values: single, lists: repeated = [], flags }: OptionNames<Value, Flag, List>,
): CommandLine<Value, Flag, List> {
  const withValue = [...single, ...repeated];
  const known = [...withValue, ...flags];
  const parsed = parseArgs(joined(args, withValue, flags), {
    string: ["_", ...withValue],
    boolean: [...flags],
    collect: [...withValue],
    unknown(arg, key) {
      if (key === undefined) return true;
      // Next to a single letter, whatever is short is near.
      const hint = arg.startsWith("--")
        ? `, the nearest is --${closestString(key, known)}`
        : "; try --help";
      throw new InletError("usage", `Cannot use ${quoted(arg)}: there is no such option${hint}`);
    },
  });
  const values: Partial<Record<Value, string>> = {};
  for (const name of single) {
    const given = parsed[name] as string[];
    if (given.length > 1) throw new InletError("usage", `Cannot use --${name} twice`);
    if (given[0] !== undefined) values[name] = given[0];
  }
  return {
    positional: parsed._.map(String),
    values,
    lists: parsed as Record<List, string[]>,
    flags: parsed as Record<Flag, boolean>,
  };
}

/**
 * `--as -x` as `--as=-x`: the word after an option with a value is that value, whatever it begins
 * with. `--list` as `--list=true`: the word after an option without one is never its value, as the
 * parser would have it of a file called `true`.
 */
function joined(
  args: readonly string[],
  values: readonly string[],
  flags: readonly string[],
): string[] {
  const words: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!;
    if (word === "--") return [...words, ...args.slice(index)];
    const [, name = "", value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (flags.includes(name)) {
      if (value !== undefined) {
        throw new InletError("usage", `Cannot use ${quoted(word)}: --${name} takes no value`);
      }
      words.push(`${word}=true`);
    } else if (values.includes(name)) {
      const given = value ?? args[++index];
      if (!given) throw new InletError("usage", `Cannot use --${name} without a value`);
      words.push(`--${name}=${given}`);
    } else {
      words.push(word);
    }
  }
  return words;
}

/** Runs a program's main function. An error is one line on stderr, and an exit code. */
export async function runMain(main: () => Promise<number>): Promise<never> {
  try {
    Deno.exit(await main());
  } catch (error) {
    const known = explain(error);
    console.error(`inlet: ${printable(known.message)}`);
    // Only what nobody foresaw is worth a stack trace: it is a defect of ours. A server's has none.
    if (known.code === "internal" && known.cause) console.error(known.cause);
    Deno.exit(exitCode(known));
  }
}

/** The signals that ask a program to stop, on this system. */
export const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];
