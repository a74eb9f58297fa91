/**
 * The options for the wires of other programs, which differ from each other in their greetings, line
 * endings and markers.
 *
 * @module
 */

import type { ClientWire } from "../lib/cli/client_context.ts";
import { parseMilliseconds, parseSecondsOrNone } from "../lib/cli/option_values.ts";
import { flag, option, type Values } from "../lib/cli/options.ts";
import {
  checkEscapes,
  dialogueOf,
  dialogueOption,
  markerOf,
  markerOption,
} from "../lib/cli/wire_options.ts";
import { parseEscapes } from "../lib/net/dialogue_steps.ts";

/** Default of {@linkcode WireOptions.lineGapMs}. */
const LINE_GAP_MS = 200;

/** Options for the wires of other programs. */
export interface WireOptions {
  /**
   * Steps that precede the body: `send:TEXT`, `expect:TEXT`, `expect-any`, `skip-to:TEXT`, with
   * escapes such as `\\r\\n`; or `accio`.
   *
   * @default {[]}
   */
  dialogue?: readonly string[];
  /**
   * Milliseconds to wait for the server to close once everything is sent. After 0 nothing is waited
   * for, and the transfer counts as done.
   *
   * @default the limit on silence
   */
  lingerMs?: number | undefined;
  /**
   * Whether each line is sent without its ending, and its answer awaited, in mode `reverse`.
   *
   * @default {false}
   */
  lockStep?: boolean;
  /**
   * What is sent after the last line in lock-step, with escapes.
   *
   * @default {undefined}
   */
  end?: string | undefined;
  /**
   * Whether each message ends with a line ending, in mode `talk`.
   *
   * @default {false}
   */
  lineEnd?: boolean;
  /**
   * Milliseconds after which an answer or a file without a known end is complete, in mode `talk`.
   *
   * @default {200}
   */
  lineGapMs?: number;
  /**
   * What follows a file in mode `talk`; empty for nothing.
   *
   * @default {"EOF"}
   */
  getMarker?: string;
  /**
   * Whether a file is asked for by its bare name in mode `talk`.
   *
   * @default {false}
   */
  bareNames?: boolean;
  /**
   * Whether a file is kept whose end the wire cannot prove, in mode `talk`.
   *
   * @default {false}
   */
  acceptUnproved?: boolean;
}

/** The declared options. */
export const WIRES = {
  "dialogue": dialogueOption("client"),
  "linger": option({
    value: "SECONDS",
    parse: parseSecondsOrNone,
    note: "default: --timeout; 0 ends at once",
    help: "wait this long for the server to close once everything is sent",
    modes: ["upload", "raw", "message"],
  }),
  "lock-step": flag({
    help: "send each line without its ending, and wait for its answer before the next",
    modes: ["reverse"],
  }),
  "end": option({
    value: "TEXT",
    parse: checkEscapes,
    help: "send this after the last line, for servers that wait for it",
    needs: "lock-step",
    modes: ["reverse"],
  }),
  "line-end": flag({
    help: "end each message with a line ending, for servers that read lines",
    modes: ["talk"],
  }),
  "line-gap": option({
    value: "MS",
    parse: parseMilliseconds,
    default: String(LINE_GAP_MS),
    help: "take an answer or a file without a known end for complete after this pause",
    modes: ["talk"],
  }),
  "get-marker": markerOption("take this for the end of a file"),
  "bare-names": flag({
    help: "ask for a file by its bare name; a --get asks for the list before",
    modes: ["talk"],
  }),
  "accept-unproved": flag({
    help: "keep a file whose end the wire cannot prove",
    modes: ["talk"],
  }),
};

/** Converts the command line to options of the library. */
export function wireOptionsOf(values: Values<typeof WIRES>) {
  return {
    dialogue: values.dialogue,
    lingerMs: values.linger,
    lockStep: values["lock-step"],
    end: values.end,
    lineEnd: values["line-end"],
    lineGapMs: values["line-gap"],
    getMarker: values["get-marker"],
    bareNames: values["bare-names"],
    acceptUnproved: values["accept-unproved"],
  } satisfies WireOptions;
}

/**
 * Parses the options of the library, and fills in the defaults.
 *
 * @throws {InletError} `usage`
 */
export function clientWire(
  {
    dialogue = [],
    lingerMs,
    lockStep = false,
    end,
    lineEnd = false,
    lineGapMs = LINE_GAP_MS,
    getMarker = "EOF",
    bareNames = false,
    acceptUnproved = false,
  }: WireOptions,
): ClientWire {
  return {
    dialogue: dialogueOf(dialogue, "client"),
    lingerMs,
    lockStep,
    end: end === undefined ? undefined : parseEscapes(end, "end"),
    lineEnd,
    lineGapMs,
    getMarker: markerOf(getMarker),
    bareNames,
    acceptUnproved,
  };
}
