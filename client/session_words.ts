/**
 * What a line of a session means, and how it writes the names of files.
 *
 * @module
 */

import { nearest } from "../lib/cli/nearest.ts";
import { firstWord } from "../lib/cli/shell_words.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";

/** What `help` shows. */
export const HELP = `status        list current and former clients
list          list the files on the server; list NAME lists those in a folder
get NAME      download a file; get NAME/ downloads a folder, get / everything
put FILE      send a file or a folder
say TEXT      send a text to the server, which acknowledges it
who           list who else is here
tell NAME TEXT
              tell somebody who is here a text
send NAME FILE
              offer somebody who is here a file or a folder
accept        receive what somebody offers, or decline it; accept 2 or
decline       accept ben says which offer, decline 2 withdraws one of yours
help          show this text
exit          end the session; so does Ctrl-D

Any other line is sent as a text too. Names may be quoted. Ctrl-C stops a transfer.`;

/** Completions of an empty line. */
export const COMMANDS: readonly string[] = [
  ...["status", "list", "get ", "put ", "say ", "who", "tell ", "send "],
  ...["accept", "decline", "help", "exit"],
];

/** Commands that take nothing behind them. */
const ALONE = ["status", "who", "help", "exit"] as const;

/** Commands that take a name or a text. */
const WITH_REST = ["list", "get", "put", "say", "tell", "send", "accept", "decline"] as const;

/** What other programs call them. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ...["quit", "bye", "logout"].map((word) => [word, "exit"] as const),
  ...["ls", "dir"].map((word) => [word, "list"] as const),
  ...["upload"].map((word) => [word, "put"] as const),
  ...["download", "fetch"].map((word) => [word, "get"] as const),
]);

/** A line that is a command, or text for the server. */
export interface Meaning {
  readonly verb: typeof ALONE[number] | typeof WITH_REST[number] | "text" | "nothing";
  /** What stands behind the command, or the whole text. */
  readonly rest: string;
  /** The command that may have been meant by a short text. */
  readonly meant?: string;
}

/**
 * Reads a line. At a terminal what is no command is text, and the answer shows that. Nobody looks at
 * a script: there, what may have been meant for a command is refused.
 *
 * @throws {InletError} `usage` for a line of a script that is nearly a command
 */
export function meaningOf(line: string, isScript: boolean): Meaning {
  const [, word = "", rest = ""] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(line)!;
  const verb = word.toLowerCase();
  if (verb === "" || (isScript && verb.startsWith("#"))) return { verb: "nothing", rest: "" };
  const withRest = WITH_REST.find((known) => known === verb);
  if (withRest) return { verb: withRest, rest };
  const alone = ALONE.find((known) => known === verb);
  if (alone && rest === "") return { verb: alone, rest };
  if (isScript) checkText(word, alone, line.trim());
  const meant = /\s/.test(rest) ? undefined : ELSEWHERE.get(verb);
  return { verb: "text", rest: line, ...meant !== undefined && { meant } };
}

/** Refuses a line of a script that may have been meant for a command. */
function checkText(word: string, alone: string | undefined, line: string): void {
  const asText = `to send it as text: say ${line}`;
  if (alone !== undefined) {
    throw new InletError("usage", `Cannot use ${quoted(line)}: ${alone} stands alone; ${asText}`);
  }
  const typed = word.toLowerCase();
  const meant = ELSEWHERE.get(typed) ?? nearest(typed, [...WITH_REST, ...ALONE]);
  if (meant === undefined) return;
  const why = `it is no command; did you mean ${meant}? ${asText.replace("to", "To")}`;
  throw new InletError("usage", `Cannot use ${quoted(word)}: ${why}`);
}

/**
 * Reads the name of a file: as it is, spaces included, or quoted in the ways of a shell, as one that is
 * pasted from there. What does not make one word in a shell is a name as it is.
 */
export function nameIn(text: string): string {
  const { word, end } = firstWord(text);
  return end === text.length ? word : text;
}

/**
 * Writes a name so that {@linkcode nameIn} reads it, in the plainest way.
 *
 * @param typed What is typed of it, which says how it is quoted.
 */
export function writtenName(name: string, typed: string): string {
  const ways = typed.startsWith('"')
    ? [`"${name.replace(/["\\$`]/g, "\\$&")}"`]
    : typed.startsWith("'")
    ? []
    : [name, name.replace(/[^\p{L}\p{N}/._-]/gu, "\\$&")];
  // What surrounds the name on a line is no part of it.
  const fits = (way: string): boolean =>
    way.startsWith(typed) && nameIn(way) === name && way.trim() === way;
  return ways.find(fits) ?? `'${name.replaceAll("'", `'\\''`)}'`;
}
