/**
 * Options of a program, each declared once: parsing, `--help`, the tables of the documentation and
 * the completions of a shell all come from the declaration.
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

/** What a shell can complete: a path, one of some words (with what each means), or nothing. */
export type Completion =
  | "file"
  | "folder"
  | "nothing"
  | readonly string[]
  | Readonly<Record<string, string>>;

/** What every declaration may say. */
export interface Described {
  /** What it does, for the help: imperative, lower case, no period. */
  readonly help: string;
  /** Options that cannot be given beside it. One of two has to say so. */
  readonly conflictsWith?: readonly string[];
  /** The option that it cannot be given without. */
  readonly needs?: string;
  /** Whether the program answers it and exits: nothing else on the line is looked at then. */
  readonly standsAlone?: boolean;
}

/** What the declaration of an option with a value says besides. */
export interface Valued<T> extends Described {
  /** What the help calls the value: `FILE`. */
  readonly value: string;
  /**
   * Makes the value of what was typed.
   *
   * @throws {InletError} `usage`
   */
  readonly parse: (text: string, what: string) => T;
  /** What the value is, for completions: nothing that a shell knows unless it is said. */
  readonly completes?: Completion;
  /** What the help says beside the default, in the same parentheses: `0 disables`. */
  readonly note?: string;
}

/** One option, and how what was typed becomes a result of this type. */
export interface Option<Result> extends Described {
  readonly kind: "flag" | "single" | "list";
  readonly value?: string;
  readonly default?: string;
  readonly note?: string;
  readonly completes?: Completion;
  /** @param given Every value that was typed, in order. A flag has an empty one. */
  read(given: readonly string[], what: string): Result;
}

/** Options by their names, without the dashes, in the order of the help. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** What a command line says of each option in a table. */
export type Values<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer Result> ? Result : never;
};

/** A word of the command line that is no option. */
export interface Argument {
  readonly name: string;
  readonly help: string;
  readonly completes: Completion;
}

/** A program, as its help and its documentation describe it. */
export interface Program<Table extends OptionTable = OptionTable> {
  /** The name and what it does: `inlet server: receives files`. */
  readonly title: string;
  /** What is typed to run it: `server.ts PORT [OPTIONS]`. */
  readonly usage: string;
  /** The name of the compiled program, which completions are for. */
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
 * @param declared Its default is written as a person would type it.
 */
export function option<T>(declared: Valued<T> & { readonly default: string }): Option<T>;
export function option<T>(declared: Valued<T>): Option<T | undefined>;
export function option<T>(
  declared: Valued<T> & { readonly default?: string },
): Option<T | undefined> {
  const { parse, ...described } = declared;
  const read = ([text = declared.default]: readonly string[], what: string): T | undefined =>
    text === undefined ? undefined : parse(text, what);
  return { ...described, kind: "single", read };
}

/** Declares an option with a value that can be given any number of times. */
export function list<T>({ parse, ...described }: Valued<T>): Option<readonly T[]> {
  const read = (given: readonly string[], what: string): readonly T[] =>
    given.map((text) => parse(text, what));
  return { ...described, kind: "list", read };
}

/** Shells that `--completions` knows. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** One of {@linkcode SHELLS}. */
export type Shell = typeof SHELLS[number];

/** The options of every program that print something and exit. */
export const ABOUT_OPTIONS = {
  "completions": option({
    value: "SHELL",
    parse: (text, what) => parseWord(text, what, SHELLS),
    help: `print a completion script for a shell: ${SHELLS.join(", ")}`,
    completes: SHELLS,
    standsAlone: true,
  }),
  "help": flag({ help: "print this help", standsAlone: true }),
  "version": flag({ help: "print the version", standsAlone: true }),
};
