/**
 * The options for HTTP: by which names the server is called.
 *
 * @module
 */

import { parseHost } from "../cli/option_values.ts";
import { list, type Values } from "../cli/options.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { ServeOptions } from "./serve_options.ts";

/** Settings of HTTP. */
export interface WebSettings {
  /** The names that a client may call this server by, in lower case. Addresses are not among them. */
  readonly names: ReadonlySet<string>;
}

/** The declared options. */
export const WEB = {
  "public-name": list({
    value: "NAME",
    parse: parseName,
    help: "take requests of HTTP for this host name too; addresses and localhost always do",
    modes: ["files"],
  }),
};

/** Converts the command line to options of the library. */
export function webOptionsOf(values: Values<typeof WEB>) {
  return { publicNames: values["public-name"] } satisfies ServeOptions;
}

/**
 * Parses the options of the library.
 *
 * @param options.hostname What the server listens on.
 * @throws {InletError} `usage`
 */
export function webSettings(
  { hostname, publicNames }: ReturnType<typeof webOptionsOf> & { hostname: string },
): WebSettings {
  const names = publicNames.map((name) => parseName(name, "publicNames"));
  return { names: new Set(["localhost", hostname.toLowerCase(), ...names]) };
}

/** A host name as browsers send it: in lower case, and in Punycode. */
function parseName(text: string, what: string): string {
  const name = URL.parse(`http://${parseHost(text, what)}`)?.hostname;
  if (name !== undefined) return name;
  throw new InletError("usage", `Cannot use ${quoted(text)} as ${what}: give a host name`);
}
