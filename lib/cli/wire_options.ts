/**
 * What the options of both programs for the wires of other programs have in common.
 *
 * @module
 */

import { parseEscapes, parseSteps, type Side, type Step } from "../net/dialogue_steps.ts";
import { list, type Option, option } from "./options.ts";

/** The modes that are wires of other programs. */
export const FOREIGN_MODES = ["upload", "raw", "message", "reverse", "talk"] as const;

/** A text with escapes, which stays as it was typed: the library takes the same. */
export function checkEscapes(text: string, what: string): string {
  parseEscapes(text, what);
  return text;
}

/** `--dialogue` of one of the programs. */
export function dialogueOption(side: Side): Option<readonly string[]> {
  return list({
    value: "STEP",
    parse: (text, what) => {
      parseSteps(text, what, side);
      return text;
    },
    help: "before the body, take the step send:TEXT, expect:TEXT, expect-any or skip-to:TEXT, " +
      "or all steps of accio",
    completes: ["accio", "send:", "expect:", "expect-any", "skip-to:"],
    modes: FOREIGN_MODES,
  });
}

/** `--get-marker` of one of the programs. Its value is empty for no marker. */
export function markerOption(help: string): Option<string> {
  return option({
    value: "TEXT",
    parse: (text, what) => text === "none" ? "" : checkEscapes(text, what),
    default: "EOF",
    note: "none for nothing",
    help,
    modes: ["talk"],
  });
}

/** Parses the steps of a dialogue as they were typed. */
export function dialogueOf(steps: readonly string[], side: Side): Step[] {
  return steps.flatMap((step) => parseSteps(step, "dialogue", side));
}

/** Parses a marker as it was typed, or nothing. */
export function markerOf(text: string): Uint8Array<ArrayBuffer> {
  return text === "" ? new Uint8Array() : parseEscapes(text, "get marker");
}
