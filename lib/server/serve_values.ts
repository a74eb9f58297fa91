/**
 * What kinds of values the options of `serve()` are.
 *
 * @module
 */

import { ACCESS_RIGHTS } from "../auth/access.ts";
import {
  AMOUNT,
  checkValues,
  FLAG,
  FUNCTION,
  type Kind,
  MILLISECONDS,
  OBJECT,
  oneOf,
  TEXT,
  TEXTS,
  wholeNumber,
} from "../cli/value_kinds.ts";
import type { LogOptions } from "./log.ts";
import type { ServeOptions } from "./serve_options.ts";

const COUNT = wholeNumber(1, Infinity);

const OPTIONS: Record<keyof ServeOptions, Kind> = {
  port: wholeNumber(0, 65_535),
  hostname: TEXT,
  directory: TEXT,
  mode: TEXT,
  maxClients: COUNT,
  maxPerAddress: COUNT,
  backlog: COUNT,
  timeoutMs: MILLISECONDS,
  greetingTimeoutMs: MILLISECONDS,
  minRate: AMOUNT,
  minRateWindowMs: MILLISECONDS,
  maxBytes: AMOUNT,
  fsync: FLAG,
  keepPartialsMs: AMOUNT,
  sessionTimeoutMs: MILLISECONDS,
  key: {
    give: "a text, or a function that returns it",
    is: (value) => TEXT.is(value) || FUNCTION.is(value),
  },
  open: FLAG,
  access: oneOf(ACCESS_RIGHTS),
  dotfiles: FLAG,
  raw: FLAG,
  dialogue: TEXTS,
  banner: TEXT,
  lineGapMs: MILLISECONDS,
  keepEmpty: FLAG,
  getMarker: TEXT,
  bareNames: FLAG,
  fallback: TEXT,
  log: OBJECT,
  disk: OBJECT,
};

const LOG: Record<keyof LogOptions, Kind> = { format: oneOf(["text", "json"]), quiet: FLAG };

/**
 * Checks the options that a program gives.
 *
 * @throws {InletError} `usage`
 */
export function checkServeOptions(options: ServeOptions): void {
  checkValues({ options }, { options: OBJECT }, { optional: false });
  checkValues(options, OPTIONS, { optional: true });
  checkValues(options.log ?? {}, LOG, { optional: true });
}
