/**
 * Declares the options of a program, each once. Parsing, `--help`, the tables of the documentation
 * and the shell completions are derived from the declaration.
 *
 * ```ts ignore
 * const OPTIONS = {
 *   ...ABOUT_OPTIONS,
 *   "timeout": option({ value: "SECONDS", parse: parseSeconds, default: "30", help: "…" }),
 *   "exclude": list({ value: "GLOB", parse: parseText, help: "…" }),
 *   "quiet": flag({ help: "print errors only" }),
 * };
 * const { options } = parseCommandLine(Deno.args, OPTIONS);
 * options.timeout; // number
 * ```
 *
 * @module
 */

import { parseWord } from "./option_values.ts";

/**
 * What a shell completes: a path, one of a set of words, optionally with meanings, what the program
 * itself answers, that or else a path, or nothing.
 */
export type Completion =
  | "asked"
  | "asked-or-file"
  | "file"
  | "folder"
  | "nothing"
  | readonly string[]
  | Readonly<Record<string, string>>;

/** The properties of every declaration. */
export interface Described {
  /** Description for the help: imperative, lower case, no period. */
  readonly help: string;
  /** One letter that stands for a flag: `h` for `-h`. */
  readonly short?: string;
  /** Options that exclude this one. One of the two must declare it. */
  readonly conflictsWith?: readonly string[];
  /** The option that this one requires, or several of which it requires one. */
  readonly needs?: string | readonly string[];
  /**
   * The names of the modes in which it can be used.
   *
   * @default all of them
   */
  readonly modes?: readonly string[];
  /** Whether the program handles it and exits, and ignores the other options. */
  readonly standsAlone?: boolean;
}

/** The further properties of an option with a value. */
export interface Valued<T> extends Described {
  /** Name of the value in the help: `FILE`. */
  readonly value: string;
  /**
   * Parses the typed text.
   *
   * @throws {InletError} `usage`
   */
  readonly parse: (text: string, what: string) => T;
  /**
   * Completion of the value.
   *
   * @default {"nothing"}
   */
  readonly completes?: Completion;
  /** Text beside the default in the help, in the same parentheses: `0 disables`. */
  readonly note?: string;
}

/** One option, which is parsed to a result of this type. */
export interface Option<Result> extends Described {
  readonly kind: "flag" | "single" | "list";
  readonly value?: string;
  readonly default?: string;
  readonly note?: string;
  readonly completes?: Completion;
  /** @param given Every typed value, in order. A flag has an empty one. */
  read(given: readonly string[], what: string): Result;
}

/** Options by name, without the dashes, in the order of the help. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** The values of the options in a table. */
export type Values<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer Result> ? Result : never;
};

/** A positional argument of the command line. */
export interface Argument {
  readonly name: string;
  readonly help: string;
  readonly completes: Completion;
  /** Options with which the program itself answers what completes it. */
  readonly askedWith?: readonly string[];
}

/** Completes lines with what only the program knows. */
export interface Completer {
  /**
   * Returns what the last word of a line can become.
   *
   * @param line The words up to the cursor, the command first; from bash, `COMP_WORDBREAKS` and the
   * line.
   */
  complete(shell: Shell, line: readonly string[]): Promise<string[]>;
}

/** A program, for its help and its documentation. */
export interface Program<Table extends OptionTable = OptionTable> {
  /** The name and what it does: `inlet server: receives files`. */
  readonly title: string;
  /** Its usage: `server.ts PORT [OPTIONS]`. */
  readonly usage: string;
  /** Name of the compiled program, for the completions. */
  readonly command: string;
  readonly arguments: readonly Argument[];
  readonly options: Table;
  /** Paragraphs below the options. */
  readonly notes?: readonly string[];
  /** What each exit code means. */
  readonly exitCodes?: Readonly<Record<number, string>>;
}

/** Declares an option without a value. */
export function flag(declared: Described): Option<boolean> {
  return { ...declared, kind: "flag", read: (given) => given.length > 0 };
}

/**
 * Declares an option with a value, given at most once.
 *
 * @param declared Its default is written as a user would type it.
 */
export function option<T>(declared: Valued<T> & { readonly default: string }): Option<T>;
export function option<T>(declared: Valued<T>): Option<T | undefined>;
export function option<T>(
  declared: Valued<T> & { readonly default?: string },
): Option<T | undefined> {
  const { parse, ...described } = declared;
  const read = (given: readonly string[], what: string): T | undefined => {
    const text = given[0] ?? declared.default;
    return text === undefined ? undefined : parse(text, what);
  };
  return { ...described, kind: "single", read };
}

/** Declares an option with a value that can be repeated. */
export function list<T>({ parse, ...described }: Valued<T>): Option<readonly T[]> {
  const read = (given: readonly string[], what: string): readonly T[] =>
    given.map((text) => parse(text, what));
  return { ...described, kind: "list", read };
}

/** Shells that `--completions` knows. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** One of {@linkcode SHELLS}. */
export type Shell = typeof SHELLS[number];

/** The options of both programs that print information and exit. */
export const ABOUT_OPTIONS = {
  "completions": option({
    value: "SHELL",
    parse: (text, what) => parseWord(text, what, SHELLS),
    help: `print a completion script for a shell: ${SHELLS.join(", ")}; a word behind it is the ` +
      "command's name",
    completes: SHELLS,
    standsAlone: true,
  }),
  "help": flag({ help: "print this help", short: "h", standsAlone: true }),
  "version": flag({ help: "print the version", short: "V", standsAlone: true }),
};
