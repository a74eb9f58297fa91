/**
 * The options for the wires of other programs, which differ from each other in their greetings, line
 * endings and markers.
 *
 * @module
 */

import type { Access } from "../auth/access.ts";
import { parseMilliseconds, parseWord } from "../cli/option_values.ts";
import { flag, option, type Values } from "../cli/options.ts";
import {
  checkEscapes,
  dialogueOf,
  dialogueOption,
  FOREIGN_MODES,
  markerOf,
  markerOption,
} from "../cli/wire_options.ts";
import { InletError } from "../errors.ts";
import { parseEscapes, type Step } from "../net/dialogue_steps.ts";
import { isClosed } from "./authentication.ts";
import type { ServeOptions } from "./serve_options.ts";

/** Settings of the wires of other programs. */
export interface WireSettings {
  /** Steps in front of the body. A banner of a mode other than `talk` is the first of them. */
  readonly dialogue: readonly Step[];
  /** What the server says first in mode `talk`, before `{n}` and `{nn}` are replaced. */
  readonly banner: string | undefined;
  /** Milliseconds after which bytes without a line ending count as a line. */
  readonly lineGapMs: number | undefined;
  /** Whether mode `raw` stores an empty file for a connection that sends nothing. */
  readonly keepEmpty: boolean;
  /** What follows a file in mode `talk`; may be empty. */
  readonly getMarker: Uint8Array<ArrayBuffer>;
  /** Whether a bare name of a file counts as `get` in mode `talk`. */
  readonly bareNames: boolean;
  /** Whether HTTP is served beside the native wire. */
  readonly web: boolean;
}

/** The modes that a fallback can be. */
const FALLBACKS = ["raw", "message", "reverse", "talk"] as const;

/** The declared options. */
export const WIRES = {
  "fallback": option({
    value: "MODE",
    parse: (text, what) => parseWord(text, what, FALLBACKS),
    help: "serve in this mode what is in none of the default mode's protocols",
    completes: FALLBACKS,
    modes: ["files"],
  }),
  "no-web": flag({ help: "do not serve HTTP on the port", modes: ["files"] }),
  "dialogue": dialogueOption("server"),
  "banner": option({
    value: "TEXT",
    parse: checkEscapes,
    help: "say this first; in mode talk, {n} and {nn} are the client's number, which names it",
    modes: FOREIGN_MODES,
  }),
  "line-gap": option({
    value: "MS",
    parse: parseMilliseconds,
    help: "take bytes without a line ending for a line after this pause",
    note: "talk: 200; reverse: off",
    modes: ["reverse", "talk"],
  }),
  "keep-empty": flag({
    help: "store an empty file for a connection that sends nothing",
    modes: ["raw"],
  }),
  "get-marker": markerOption("send this behind a file"),
  "bare-names": flag({
    help: "take the bare name of a file for a get",
    modes: ["talk"],
  }),
};

/** Converts the command line to options of the library. */
export function wireOptionsOf(values: Values<typeof WIRES>) {
  return {
    fallback: values.fallback,
    dialogue: values.dialogue,
    banner: values.banner,
    lineGapMs: values["line-gap"],
    keepEmpty: values["keep-empty"],
    getMarker: values["get-marker"],
    bareNames: values["bare-names"],
    web: !values["no-web"],
  } satisfies ServeOptions;
}

/** The options that a fallback has to agree with. */
interface FallbackOptions extends Pick<ServeOptions, "dialogue" | "banner"> {
  /** The name of the server's own mode. */
  mode: string;
  fallback?: string | undefined;
  key?: ServeOptions["key"];
  users?: ServeOptions["users"];
  access?: Access;
}

/**
 * Refuses a fallback that contradicts the other options.
 *
 * @throws {InletError} `usage`
 */
export function checkFallback(options: FallbackOptions): void {
  const { mode, fallback, access, dialogue = [], banner } = options;
  if (fallback === undefined) return;
  const refuse = (what: string, why: string): never => {
    throw new InletError("usage", `Cannot ${what} with --fallback ${fallback}: ${why}`);
  };
  if (!FALLBACKS.some((name) => name === fallback)) {
    refuse("serve", `give one of ${FALLBACKS.join(", ")}`);
  }
  if (mode !== "files") refuse(`serve in mode ${mode}`, "a fallback is for mode files");
  if (isClosed(options)) refuse("require a key", "its wire cannot carry one");
  if (access === "read-only" && fallback !== "talk") {
    refuse("be read-only", "its clients can only send");
  }
  const [first] = dialogueOf(dialogue, "server");
  if (banner === undefined && first?.type !== "send") return;
  refuse("send a greeting", `the client's first bytes choose its wire; use --mode ${fallback}`);
}

/**
 * Parses the options of the library.
 *
 * @param mode The name of the mode that the wires are served in.
 * @throws {InletError} `usage`
 */
export function wireSettings(
  options: ReturnType<typeof wireOptionsOf>,
  mode: string,
): WireSettings {
  const { dialogue, banner, lineGapMs, keepEmpty, getMarker, bareNames, web } = options;
  const first: Step[] = banner === undefined || mode === "talk"
    ? []
    : [{ type: "send", text: parseEscapes(banner, "banner") }];
  return {
    dialogue: [...first, ...dialogueOf(dialogue, "server")],
    banner,
    lineGapMs,
    keepEmpty,
    getMarker: markerOf(getMarker),
    bareNames,
    web,
  };
}
