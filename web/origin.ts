/**
 * Keeps web pages of others out. A browser on this machine sends what any page tells it to, to
 * 127.0.0.1 too, and says what page that is: in `Host`, where a name of the page's own leads here (DNS
 * rebinding), or in `Origin` and `Sec-Fetch-Site` (requests across sites, forms among them). Programs
 * send neither of those two, and need not. No response permits anything to another origin: there are
 * no fields of CORS.
 *
 * @module
 */

import { isIP, isIPv6 } from "node:net";
import { quoted } from "../lib/text.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";

/** What `Sec-Fetch-Site` is for a page of this server, and for what a person typed or clicked. */
const OWN_SITES: readonly string[] = ["same-origin", "none"];

/** The ports that no origin names: RFC 6454, section 6.2. */
const DEFAULT_PORTS = { http: "80", https: "443" } as const;

/**
 * Checks the name by which the client calls this server. An address is no name that somebody else
 * could let lead here.
 *
 * @throws {Refusal} 421 for one that is not this server's: RFC 9110, section 15.5.20
 */
export function checkHost({ request, context }: Exchange): void {
  const { host } = request.headers;
  // Only HTTP/1.0 can do without, which no browser speaks.
  if (host === undefined) return;
  const { name } = split(host);
  if (isAddress(name) || context.web.names.has(name)) return;
  throw new Refusal(
    421,
    `Cannot take requests for ${quoted(name || host)}: use the server's address, ` +
      "or start it with --public-name NAME",
    { code: "denied" },
  );
}

/**
 * Checks that no page of another origin has caused the request.
 *
 * @throws {Refusal} 403
 */
export function checkOrigin(exchange: Exchange): void {
  const site = exchange.header("Sec-Fetch-Site");
  const origin = exchange.header("Origin");
  const isOwnSite = site === undefined || OWN_SITES.includes(site);
  const isOwnOrigin = origin === undefined || origin.toLowerCase() === ownOrigin(exchange);
  if (isOwnSite && isOwnOrigin) return;
  if (isOwnOrigin && isLinkToStart(exchange)) return;
  throw new Refusal(
    403,
    "Cannot take a request that a page of another origin makes: open the address itself",
    { code: "denied" },
  );
}

/**
 * Whether a person follows a link from elsewhere to a page that is there in any case: whether a file is
 * there would be told to the page that has the link, by what the browser does then.
 */
function isLinkToStart(exchange: Exchange): boolean {
  const { isHead, request: { method, url }, context: { web: { base } } } = exchange;
  return (method === "GET" || isHead) && [`${base}/`, `${base}/files/`].includes(url!) &&
    exchange.header("Sec-Fetch-Mode") === "navigate" &&
    exchange.header("Sec-Fetch-Dest") === "document";
}

/** The origin of a page that this server would serve to such a request; in lower case. */
function ownOrigin({ request, socket: { scheme } }: Exchange): string {
  const { name, port } = split(request.headers.host ?? "");
  const behind = port === "" || port === DEFAULT_PORTS[scheme] ? "" : `:${port}`;
  return `${scheme}://${name}${behind}`;
}

/** The port of a page that this server would serve to such a request. */
export function portOf({ request, socket: { scheme } }: Exchange): string {
  return split(request.headers.host ?? "").port || DEFAULT_PORTS[scheme];
}

/** The parts of a `Host`: RFC 9110, section 7.2. */
function split(host: string): { name: string; port: string } {
  const [, name = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host) ?? [];
  return { name: name.toLowerCase(), port };
}

function isAddress(name: string): boolean {
  const within = /^\[(.*)\]$/.exec(name)?.[1];
  return within === undefined ? isIP(name) === 4 : isIPv6(within);
}
