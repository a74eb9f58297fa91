/**
 * The actions for which two clients meet at the server.
 *
 * @module
 */

import { contradiction } from "../lib/cli/command_line.ts";
import { parseDuration } from "../lib/cli/option_values.ts";
import { InletError } from "../lib/errors.ts";
import { MAX_OFFER_SECONDS } from "../protocol.ts";
import type { ListedPaths } from "./listed.ts";

/** An action for which two clients meet at the server. */
export type Meeting = OfferAction | AcceptAction;

/** What `--offer` does. */
export interface OfferAction {
  readonly type: "offer";
  readonly files: string[];
  readonly as: string | undefined;
  readonly listed?: ListedPaths;
  /** Whether the standard input is a message. */
  readonly isMessage: boolean;
  /** Seconds that the offer lasts. */
  readonly seconds: number;
  /** Whether the receiver may be sent to directly. */
  readonly isDirect: boolean;
}

/** What `--accept` does. */
export interface AcceptAction {
  readonly type: "accept";
  /** The folder to save into; without it, the current one. */
  readonly output: string | undefined;
  /** Whether nobody is asked. */
  readonly yes: boolean;
  /** Whether the offering client may send directly. */
  readonly isDirect: boolean;
}

/** Parses how long an offer lasts, to milliseconds. @throws {InletError} `usage` */
export function parseOfferTime(text: string, what: string): number {
  const expected = "a time from 1s to 1h, like 10m";
  return parseDuration(text, what, { leastMs: 1000, mostMs: MAX_OFFER_SECONDS * 1000, expected });
}

/**
 * The action of `--accept`.
 *
 * @throws {InletError} `usage` if nobody can be asked, or the output is no folder
 */
export function acceptAction(
  { output, yes, isDirect }: Omit<AcceptAction, "type">,
): AcceptAction {
  if (output === "-") throw contradiction("--output - with --accept, which needs a folder");
  if (!yes && !canAsk()) {
    throw new InletError("usage", "Cannot ask whether to receive what is offered: give --yes");
  }
  return { type: "accept", output, yes, isDirect };
}

/** What begins like a code. */
const CODE = /^\d{4}[^\p{Alphabetic}\d]?\p{Alphabetic}{3}/u;

/**
 * Refuses a code on the command line.
 *
 * @throws {InletError} `usage`
 */
export function checkNoCode(words: readonly string[]): void {
  if (!words.some((word) => CODE.test(word))) return;
  const why = "others on this machine can read it there; it is asked for, or taken from INLET_CODE";
  throw new InletError("usage", `Cannot take the code as an argument: ${why}`);
}

/** The error for an offer without a file. */
export function nothingToOffer(): InletError {
  return new InletError("usage", "Cannot offer nothing: give a FILE, or pipe a message to it");
}

/** Whether a person can be asked. */
export function canAsk(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}
