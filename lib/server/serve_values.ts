/**
 * What kinds of values the options of `serve()` are.
 *
 * @module
 */

import { ACCESS_RIGHTS } from "../auth/access.ts";
import { MIN_KEY_CHARACTERS } from "../auth/key.ts";
import { contradiction } from "../cli/command_line.ts";
import {
  AMOUNT,
  checkOptions,
  checkValues,
  FLAG,
  FUNCTION,
  type Kind,
  MILLISECONDS,
  OBJECT,
  oneOf,
  SOME_TEXT,
  TEXT,
  TEXTS,
  wholeNumber,
} from "../cli/value_kinds.ts";
import { LINK_RULES } from "../store/link_rules.ts";
import { BUCKET_ADDRESS, isBucketAddress } from "./bucket_options.ts";
import type { LogOptions } from "./log.ts";
import type { ServeOptions, ServeUnixOptions } from "./serve_options.ts";

const COUNT = wholeNumber(1, Infinity);

/** The same rule as for a key file. What a function returns is not known beforehand. */
const KEY: Kind = {
  give: `a text of at least ${MIN_KEY_CHARACTERS} characters, or a function that returns one`,
  is: (value) =>
    typeof value === "function" ||
    typeof value === "string" && value.trim().length >= MIN_KEY_CHARACTERS,
  isSecret: true,
};

const PERMISSIONS: Kind = {
  give: "permissions from 0o000 to 0o777",
  is: wholeNumber(0, 0o777).is,
};

/** Options that mean something for a port alone. */
const OF_PORTS = ["port", "hostname", "backlog"] as const;

const OPTIONS: Record<keyof ServeOptions | keyof ServeUnixOptions, Kind> = {
  port: wholeNumber(0, 65_535),
  hostname: SOME_TEXT,
  path: SOME_TEXT,
  socketMode: PERMISSIONS,
  directory: SOME_TEXT,
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
  key: KEY,
  users: SOME_TEXT,
  cert: SOME_TEXT,
  certKey: SOME_TEXT,
  open: FLAG,
  access: oneOf(ACCESS_RIGHTS),
  relay: FLAG,
  dotfiles: FLAG,
  links: oneOf(Object.keys(LINK_RULES)),
  raw: FLAG,
  dialogue: TEXTS,
  banner: TEXT,
  lineGapMs: MILLISECONDS,
  keepEmpty: FLAG,
  getMarker: TEXT,
  bareNames: FLAG,
  web: FLAG,
  publicNames: TEXTS,
  basePath: TEXT,
  proxyFrom: TEXTS,
  fallback: TEXT,
  onStored: FUNCTION,
  onClient: FUNCTION,
  store: {
    give: `an object, or ${BUCKET_ADDRESS}`,
    is: (value) => OBJECT.is(value) || isBucketAddress(value),
  },
  s3Endpoint: SOME_TEXT,
  s3Region: SOME_TEXT,
  log: { give: "an object or a function", is: (value) => OBJECT.is(value) || FUNCTION.is(value) },
  disk: OBJECT,
};

/** The options that only a directory has. */
const OF_DIRECTORIES = ["directory", "fsync", "disk"] as const;

/** The options that only a bucket has. */
const OF_BUCKETS = ["s3Endpoint", "s3Region"] as const;

/** What a store of the program has not either. */
const OF_OURS = ["dotfiles", "links", ...OF_BUCKETS] as const;

const LOG: Record<keyof LogOptions, Kind> = { format: oneOf(["text", "json"]), quiet: FLAG };

/**
 * Checks the options that a program gives.
 *
 * @throws {InletError} `usage`
 */
export function checkServeOptions(options: ServeOptions | ServeUnixOptions): void {
  checkValues({ options }, { options: OBJECT }, { optional: false });
  checkOptions(options, OPTIONS);
  checkOptions(options.log ?? {}, LOG);
  const given: ServeOptions & Partial<ServeUnixOptions> = options;
  const { path, socketMode } = given;
  const wrong = OF_PORTS.find((name) => given[name] !== undefined);
  if (path !== undefined && wrong) throw contradiction(`${wrong} with path`);
  if (path === undefined && socketMode !== undefined) {
    throw contradiction("socketMode without path");
  }
  const { store } = options;
  const others = typeof store === "string" ? [] : OF_OURS;
  const contradicts = store === undefined ? [] : [...OF_DIRECTORIES, ...others];
  const other = contradicts.find((name) => options[name] !== undefined);
  if (other) throw contradiction(`${other} with store`);
  const alone = OF_BUCKETS.find((name) => options[name] !== undefined);
  if (alone && store === undefined) throw contradiction(`${alone} without store`);
}
