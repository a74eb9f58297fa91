/**
 * What the words of a server mean in mode talk. Programs of this kind have no grammar for what they say
 * first and for what they refuse, so that some of it can only be guessed. client.ts says what
 * follows from each guess.
 *
 * @module
 */

import { ACK } from "../../protocol.ts";
import { InletError, refusalInLine } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";

/** Longest answer that is taken for a refusal of a `get`, in bytes. */
export const MAX_REFUSAL_BYTES = 512;

/** Such as `Please enter a name: `. */
const ASKS_NAME = /name\b[^a-z0-9]*$|\b(enter|type|give|choose|provide|send|tell)\b[^.!]*name\b/i;

/** Such as `Client01`, `Welcome Client01!` and `Your client name is Client01`. */
const NAME = /\bclient[ _#-]{0,3}\d+\b/i;

/** Such as `Server full, try again later`; but not `Type help for the full list`. */
const TURNS_AWAY = /\bfull\b(?! ?\w)|\b(busy|too many|try (again )?later|rejected|refused)\b/i;

/** Such as `Welcome! The chat is never full` and `busy ACK`. */
const ADMITS = /\bwelcome\b| ACK\s*$/i;

/** Longest words that turn a client away, in characters: more is a manual, in which any word occurs. */
const MAX_TURN_AWAY = 80;

/** Such as `File not found` and `Error: no such file`. */
const REFUSES =
  /\b(error|not found|not exist|no such|invalid|denied|unknown|cannot|can't|unable|failed|doesn't exist)\b/i;

/** Whether a server asks for the client's name. */
export function asksName(words: string): boolean {
  return ASKS_NAME.test(words);
}

/** The name that a server gives the client, if it does. */
export function givenName(words: string): string | undefined {
  return NAME.exec(words)?.[0];
}

/** Whether a server has admitted a client that has not said its name. */
export function admitsUnnamed(words: string): boolean {
  return givenName(words) !== undefined || /^\s*ok\b/i.test(words);
}

/**
 * The error for words that turn a client away. `undefined` if they do not.
 *
 * @param name The client's name, if the words may answer it: what it contains means nothing.
 */
export function turnedAway(words: string, name = ""): InletError | undefined {
  const line = words.trim();
  if (name !== "" && line === name + ACK) return undefined;
  const ours = refusalInLine(words.trimEnd());
  if (ours) return ours;
  if (line.length > MAX_TURN_AWAY || line.includes("\n") || ADMITS.test(line)) return undefined;
  if (!TURNS_AWAY.test(name === "" ? line : line.replaceAll(name, ""))) return undefined;
  return new InletError("busy", `The server turned this client away: ${quoted(line)}`);
}

/** The error for an answer to `get` that is a refusal and no file. `undefined` if it may be a file. */
export function refusedGet(name: string, answer: Uint8Array): InletError | undefined {
  if (answer.length > MAX_REFUSAL_BYTES) return undefined;
  const text = new TextDecoder().decode(answer).trim();
  const ours = refusalInLine(text);
  if (ours) return ours;
  if (text.includes("\n") || !REFUSES.test(text)) return undefined;
  return new InletError("denied", `Cannot get ${quoted(name)}: the server says ${quoted(text)}`);
}
