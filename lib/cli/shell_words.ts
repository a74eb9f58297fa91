/**
 * Words as a shell reads them: separated by spaces, and quoted in its ways. Nothing is expanded.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** A quoted part of a shell's word, an escaped character, or a plain one. */
const PART = Deno.build.os === "windows"
  ? /"([^"]*)"|'([^']*)'|()([^\s"'])/guy
  : /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)|([^\s"'\\])/gsuy;

/** A word, without its quotes, and where the text goes on behind it. */
export interface ShellWord {
  readonly word: string;
  readonly end: number;
}

/** Reads the word that begins at the beginning of a text. What does not belong to one ends it. */
export function firstWord(text: string): ShellWord {
  let word = "";
  let end = 0;
  for (const [whole, double, single, escaped, plain] of text.matchAll(PART)) {
    if (double !== undefined) word += double.replace(/\\(["\\$`])/g, "$1");
    // A shell has no reason to escape a letter, so that the backslash is a part of the word.
    else if (escaped && /[\p{L}\p{N}]/u.test(escaped)) word += whole;
    else word += single ?? (escaped || plain);
    end += whole.length;
  }
  return { word, end };
}

/**
 * Splits a command into its program and the arguments of that.
 *
 * @param what What the command is for, for the message.
 * @throws {InletError} `usage` if there is no program, or a quote is not closed
 */
export function parseCommand(text: string, what: string): readonly [string, ...string[]] {
  const words: string[] = [];
  let rest = text.trim();
  while (rest !== "") {
    const { word, end } = firstWord(rest);
    const next = rest.slice(end);
    if (end === 0 || !/^(\s|$)/.test(next)) {
      throw new InletError("usage", `Cannot use ${quoted(text)} as ${what}: a quote is not closed`);
    }
    words.push(word);
    rest = next.trimStart();
  }
  const [program, ...args] = words;
  if (!program) throw new InletError("usage", `Cannot use ${quoted(text)} as ${what}: no program`);
  return [program, ...args];
}
