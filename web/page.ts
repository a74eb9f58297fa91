/**
 * GET / and the files of the page: they are the same for everybody, and hold nothing of this server.
 * So a client that has not signed in yet may have them: with them it signs in.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import { ifNoneMatch } from "@std/http/etag";
import { acceptsEncodings } from "@std/http/negotiation";
import { quoted } from "../lib/text.ts";
import type { Exchange } from "./exchange.ts";
import { INDEX, PAGE_FILES } from "./page_files.ts";
import { type Headers, Refusal } from "./problem.ts";

/** The media type of each kind of file. */
const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/**
 * What the page may load: what comes from here, and pictures that it makes itself. No script and no
 * style stands in it, so no name and no message can become one.
 */
const POLICY = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'"],
  ...["img-src 'self' data: blob:", "connect-src 'self'", "form-action 'self'"],
  ...["base-uri 'none'", "frame-ancestors 'none'"],
].join("; ");

/** Milliseconds until a package is fetched again that could not be. */
const AGAIN_MS = 10_000;

/** A file as it is sent. */
interface Representation {
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly packed: Uint8Array<ArrayBuffer>;
  /** What its entity tags begin with. */
  readonly digest: string;
}

/** What was made for a request before. */
const made = new Map<string, Promise<Representation>>();

/** Sends the page. */
export function getPage(exchange: Exchange): Promise<void> {
  return sendPageFile(exchange, INDEX, {
    "Content-Security-Policy": POLICY,
    // A page elsewhere that opens it in a window could lead it to another folder.
    "Cross-Origin-Opener-Policy": "same-origin",
  });
}

/** Sends a file of the page. */
export function getPageFile(exchange: Exchange): Promise<void> {
  return sendPageFile(exchange, exchange.name);
}

async function sendPageFile(
  exchange: Exchange,
  name: string,
  further: Headers = {},
): Promise<void> {
  if (!Object.hasOwn(PAGE_FILES, name)) {
    const what = `Cannot find ${quoted(name)}`;
    throw new Refusal(404, `${what}: the page has no such file`, { code: "not-found" });
  }
  const { plain, packed, digest } = await exchange.whileThere(() => representationOf(name));
  const isPacked = acceptsGzip(exchange);
  const tag = `"${digest}${isPacked ? "-gzip" : ""}"`;
  const headers = {
    ...further,
    "Cache-Control": "no-cache",
    "ETag": tag,
    "Vary": "Accept-Encoding",
  };
  const known = exchange.header("If-None-Match");
  if (known !== undefined && !ifNoneMatch(known, tag)) return exchange.send(304, headers);
  exchange.send(200, {
    ...headers,
    "Content-Type": TYPES[name.slice(name.lastIndexOf(".") + 1)]!,
    ...isPacked && { "Content-Encoding": "gzip" },
  }, isPacked ? packed : plain);
}

/** Whether the client says that it takes gzip: RFC 9110, section 12.5.3. */
function acceptsGzip(exchange: Exchange): boolean {
  const accepted = exchange.header("Accept-Encoding") ?? "identity";
  return acceptsEncodings({ headers: { get: () => accepted } }, "gzip", "identity") === "gzip";
}

/** A file as it is sent. It is made once. */
function representationOf(name: string): Promise<Representation> {
  let making = made.get(name);
  if (!making) {
    made.set(name, making = represent(name));
    // What could not be fetched can be there later. Strangers do not decide how often that is tried.
    making.catch(() => Deno.unrefTimer(setTimeout(() => made.delete(name), AGAIN_MS)));
  }
  return making;
}

async function represent(name: string): Promise<Representation> {
  const file = PAGE_FILES[name]!;
  const plain = new TextEncoder().encode(typeof file === "string" ? file : await file());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", plain));
  return {
    plain,
    // Packed once, as small as can be: CompressionStream has no levels.
    packed: new Uint8Array(gzipSync(plain, { level: 9 })),
    digest: digest.toBase64({ alphabet: "base64url", omitPadding: true }),
  };
}
