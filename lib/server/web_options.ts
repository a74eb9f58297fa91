/**
 * The options for HTTP: by which names the server is called, and behind which proxies it stands.
 *
 * @module
 */

import { parseHost } from "../cli/option_values.ts";
import { list, option, type Values } from "../cli/options.ts";
import { InletError } from "../errors.ts";
import { AddressRanges } from "../net/address_ranges.ts";
import { quoted } from "../text.ts";
import type { ServeOptions } from "./serve_options.ts";

/** Settings of HTTP. */
export interface WebSettings {
  /** The names that a client may call this server by, in lower case. Addresses are not among them. */
  readonly names: ReadonlySet<string>;
  /** What precedes every path: empty, or `/inlet`. */
  readonly base: string;
  /** The reverse proxies that are believed who their clients are, on every wire. */
  readonly proxies: AddressRanges;
}

/** The declared options. */
export const WEB = {
  "public-name": list({
    value: "NAME",
    parse: parseName,
    help: "take requests of HTTP for this host name too; addresses and localhost always do",
    modes: ["files"],
  }),
  "base-path": option({
    value: "PATH",
    parse: parseBase,
    help:
      "serve HTTP below this path, like /inlet, as behind a reverse proxy that serves others too",
    note: "default: /",
    modes: ["files"],
  }),
  "proxy-from": list({
    value: "ADDRESS",
    parse: parseRange,
    help:
      "believe the reverse proxy at this address, in a range like 10.0.0.0/8, or at the Unix socket " +
      "(unix), who its clients are: by PROXY protocol v2, X-Forwarded-For or Forwarded",
    modes: ["files"],
  }),
};

/** Converts the command line to options of the library. */
export function webOptionsOf(values: Values<typeof WEB>) {
  return {
    publicNames: values["public-name"],
    basePath: values["base-path"],
    proxyFrom: values["proxy-from"],
  } satisfies ServeOptions;
}

/**
 * Parses the options of the library.
 *
 * @param options.hostname What the server listens on.
 * @throws {InletError} `usage`
 */
export function webSettings(
  { hostname, publicNames, basePath, proxyFrom }: ReturnType<typeof webOptionsOf> & {
    hostname: string;
  },
): WebSettings {
  const names = publicNames.map((name) => parseName(name, "publicNames"));
  return {
    names: new Set(["localhost", hostname.toLowerCase(), ...names]),
    base: basePath === undefined ? "" : parseBase(basePath, "basePath"),
    proxies: new AddressRanges(proxyFrom, "proxyFrom"),
  };
}

/** A path of letters, digits and `-._~`, without the slash at its end. */
function parseBase(text: string, what: string): string {
  const base = text.replace(/\/$/, "");
  if (/^(?:\/(?!\.\.?(?:\/|$))[\w.~-]+)*$/.test(base)) return base;
  const give = "a path such as /inlet, of letters, digits and -._~";
  throw new InletError("usage", `Cannot use ${quoted(text)} as ${what}: give ${give}`);
}

function parseRange(text: string, what: string): string {
  new AddressRanges([text], what);
  return text;
}

/** A host name as browsers send it: in lower case, and in Punycode. */
function parseName(text: string, what: string): string {
  const name = URL.parse(`http://${parseHost(text, what)}`)?.hostname;
  if (name !== undefined) return name;
  throw new InletError("usage", `Cannot use ${quoted(text)} as ${what}: give a host name`);
}
