/**
 * The steps of a dialogue, as a user types them, and their texts with escapes. dialogue.ts acts them.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** One step of a dialogue, as one side acts it. */
export type Step =
  | { readonly type: "send"; readonly text: Uint8Array<ArrayBuffer> }
  | { readonly type: "expect"; readonly text: Uint8Array<ArrayBuffer> }
  | { readonly type: "expect any" }
  | { readonly type: "skip to"; readonly text: Uint8Array<ArrayBuffer> };

/** Most bytes of the text of one step. */
export const MAX_STEP_BYTES = 4096;

/** Dialogues by name, as the server acts them. The client acts the counterpart of each step. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  accio: [
    "send:accio\\r\\n",
    "expect:confirm-accio\\r\\n",
    "send:accio\\r\\n",
    "expect:confirm-accio-again\\r\\n\\r\\n",
  ],
};

/** The side of a connection that acts a dialogue. */
export type Side = "server" | "client";

/**
 * Parses a step, or the name of a dialogue.
 *
 * @param text `send:TEXT`, `expect:TEXT`, `expect-any`, `skip-to:TEXT` or `accio`; TEXT has 1 to
 * {@linkcode MAX_STEP_BYTES} bytes.
 * @throws {InletError} `usage`
 */
export function parseSteps(text: string, what: string, side: Side): Step[] {
  if (text === "expect-any") return [{ type: "expect any" }];
  if (Object.hasOwn(NAMED, text)) {
    const steps = NAMED[text]!.flatMap((step) => parseSteps(step, what, side));
    return side === "server" ? steps : steps.map(counterpart);
  }
  const [, verb, rest = ""] = /^(send|expect|skip-to):(.*)$/s.exec(text) ?? [];
  if (verb === undefined) {
    throw new InletError(
      "usage",
      `Cannot use ${quoted(text)} as the ${what}: give send:TEXT, expect:TEXT, expect-any, ` +
        `skip-to:TEXT or ${Object.keys(NAMED).join(", ")}`,
    );
  }
  const type = verb === "skip-to" ? "skip to" : verb as "send" | "expect";
  return [{ type, text: parseEscapes(rest, what) }];
}

function counterpart(step: Step): Step {
  switch (step.type) {
    case "send":
      return { ...step, type: "expect" };
    case "expect":
      return { ...step, type: "send" };
    default:
      throw new Error(`A named dialogue has no step ${step.type}`);
  }
}

const ESCAPES: Readonly<Record<string, number>> = {
  "r": 0x0d,
  "n": 0x0a,
  "t": 0x09,
  "0": 0x00,
  "\\": 0x5c,
};

/**
 * Returns the bytes of a text with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
 *
 * @throws {InletError} `usage` if there is no such escape, or the text is empty or has more than
 * {@linkcode MAX_STEP_BYTES} bytes
 */
export function parseEscapes(text: string, what: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [part, hex, letter] of text.matchAll(/\\x([0-9a-fA-F]{2})|\\(.?)|[^\\]+/gs)) {
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else if (letter === undefined) { for (const byte of encoder.encode(part)) bytes.push(byte); }
    else if (Object.hasOwn(ESCAPES, letter)) bytes.push(ESCAPES[letter]!);
    else {
      throw new InletError(
        "usage",
        `Cannot use ${quoted(part)} in the ${what}: give \\r, \\n, \\t, \\0, \\\\ or \\xHH`,
      );
    }
  }
  if (bytes.length === 0 || bytes.length > MAX_STEP_BYTES) {
    const size = bytes.length === 0 ? "is empty" : `has ${bytes.length} bytes`;
    throw new InletError(
      "usage",
      `Cannot use the ${what}: its text ${size}, give 1 to ${MAX_STEP_BYTES} bytes`,
    );
  }
  return Uint8Array.from(bytes);
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ESCAPES).map(([name, byte]) => [byte, `\\${name}`]),
);

/** Most bytes of a peer's words that are shown. */
const MAX_SHOWN_BYTES = 200;

/** The same of what a peer has said, cut after {@linkcode MAX_SHOWN_BYTES}. */
export function shownWords(bytes: Uint8Array): string {
  const isCut = bytes.length > MAX_SHOWN_BYTES;
  return escaped(bytes.subarray(0, MAX_SHOWN_BYTES)) + (isCut ? "…" : "");
}

/** Shows bytes as {@linkcode parseEscapes} takes them: `accio\r\n`. */
export function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    if (NAMES.has(byte)) return NAMES.get(byte)!;
    if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
    return `\\x${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}
