/**
 * Who the client is behind a reverse proxy, by the fields that the proxy adds: `X-Forwarded-For` and
 * `X-Forwarded-Proto`, or `Forwarded` (RFC 7239). Anybody can send such fields, so they count from the
 * addresses of `--proxy-from` alone, and of several addresses the last one that is no proxy's.
 *
 * @module
 */

import type { IncomingHttpHeaders } from "node:http";
import { formatAddress, hostOf } from "../lib/address.ts";
import { type AddressRanges, isAddress } from "../lib/net/address_ranges.ts";
import { Refusal } from "./problem.ts";

/** What a proxy tells of its client; what it does not tell is missing. */
export interface Forwarded {
  /** `HOST:PORT`; the port is 0 if it is not known. */
  readonly address?: string;
  readonly scheme?: "http" | "https";
}

/**
 * @param remote The address that the connection comes from.
 * @throws {Refusal} 400 if it tells it in two ways: one of them may be the client's own words
 */
export function forwardedIn(
  headers: IncomingHttpHeaders,
  remote: string,
  proxies: AddressRanges,
): Forwarded {
  if (!proxies.has(hostOf(remote))) return {};
  const [xFor, xProto] = [headers["x-forwarded-for"], headers["x-forwarded-proto"]].map(String);
  const hasX = headers["x-forwarded-for"] ?? headers["x-forwarded-proto"];
  const { forwarded } = headers;
  if (hasX !== undefined && forwarded !== undefined) {
    throw new Refusal(
      400,
      "Cannot tell who the client is: both Forwarded and X-Forwarded-For; the proxy has to remove one",
    );
  }
  const elements = forwarded === undefined ? [] : elementsOf(forwarded);
  const nodes = forwarded === undefined
    ? xFor!.split(",")
    : elements.map((pairs) => pairs.for ?? "");
  const scheme = forwarded === undefined ? xProto!.split(",").at(-1) : elements.at(-1)?.proto;
  return { ...addressIn(nodes, proxies), ...schemeIn(scheme) };
}

/** The last address that is no proxy's. What follows one that cannot be read is not believed. */
function addressIn(nodes: readonly string[], proxies: AddressRanges): Pick<Forwarded, "address"> {
  let last: { hostname: string; port: number } | undefined;
  for (const node of nodes.toReversed()) {
    const known = nodeOf(node.trim());
    if (!known) break;
    last = known;
    if (!proxies.has(known.hostname)) break;
  }
  return last ? { address: formatAddress(last) } : {};
}

/** An address with or without its port: RFC 7239, section 6. Names such as `unknown` are none. */
function nodeOf(text: string): { hostname: string; port: number } | undefined {
  if (isAddress(text)) return { hostname: text.replace(/^\[(.*)\]$/, "$1"), port: 0 };
  const [, host = "", port = ""] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text) ?? [];
  if (!isAddress(host)) return undefined;
  return { hostname: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

function schemeIn(text: string | undefined): Pick<Forwarded, "scheme"> {
  const scheme = text?.trim().toLowerCase();
  return scheme === "http" || scheme === "https" ? { scheme } : {};
}

/** The pairs of each element of a `Forwarded`: RFC 7239, section 4. */
function elementsOf(text: string): Record<string, string>[] {
  const elements = text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
  return elements.map((element) => {
    const pairs = element.matchAll(/([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"]*))/g);
    return Object.fromEntries(Array.from(pairs, ([, name, quotedText, token]) => [
      name!.toLowerCase(),
      quotedText?.replace(/\\(.)/g, "$1") ?? token!.trim(),
    ]));
  });
}
