/**
 * Tells the wires of one port apart by the first bytes of a connection.
 *
 * Both functions are given all that has arrived so far, and answer as soon as it decides. They never
 * see a connection.
 *
 * @module
 */

import { MAX_LINE_BYTES } from "../protocol.ts";
import { InletError } from "../lib/errors.ts";

/** What a connection begins with: a wire of the default mode, one that it refuses, or neither. */
export type Opening = "native" | "upload" | "tls" | "http" | "proxy" | "other";

/** What bytes of no known wire look like: a line, a short text without an ending, or neither. */
export type Look = "line" | "text" | "bytes";

/** Most bytes of a text without a line ending. More look like the bytes of a file. */
const MAX_TEXT_BYTES = 256;

const LF = 0x0a;

/** The methods of RFC 9110, RFC 5789 and RFC 4918 (WebDAV), and the one that begins HTTP/2. */
const METHODS = ("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI " +
  "PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK").split(" ");

const METHOD = `^(?:${METHODS.join("|")})`;

/** How a wire begins, and what may still become such a beginning. */
const OPENINGS: readonly { opening: Opening; whole: RegExp; part: RegExp }[] = [
  // deno-lint-ignore no-control-regex -- no size up to 2^53 - 1 begins with another byte
  { opening: "upload", whole: /^\x00/, part: /^$/ },
  // deno-lint-ignore no-control-regex -- a record of a TLS handshake: RFC 8446, section 5.1
  { opening: "tls", whole: /^\x16\x03/, part: /^\x16$/ },
  // deno-lint-ignore no-control-regex -- version 2 of the PROXY protocol; it comes as a whole
  { opening: "proxy", whole: /^\r\n\r\n\x00\r\nQUIT\n/, part: /^$/ },
  { opening: "native", whole: /^hello(?: \d|;)/, part: prefixesOf("hello ") },
  { opening: "http", whole: new RegExp(`${METHOD} [^ \\r\\n]+ HTTP/`), part: httpPart() },
];

/**
 * Returns what a connection begins with, or `undefined` while it can still become more than one of
 * them.
 *
 * @param head All bytes that have arrived.
 */
export function openingOf(head: Uint8Array): Opening | undefined {
  const text = latin1.decode(head.subarray(0, MAX_LINE_BYTES));
  const known = OPENINGS.find(({ whole }) => whole.test(text));
  if (known) return known.opening;
  const open = OPENINGS.filter(({ part }) => part.test(text));
  if (head.length < MAX_LINE_BYTES) return open.length > 0 ? undefined : "other";
  // No line of ours is as long as this: it is an address that has no end yet.
  return open.some(({ opening }) => opening === "http") ? "http" : "other";
}

/**
 * Returns what bytes of no known wire look like, or `undefined` while that depends on what follows.
 *
 * @param head All bytes that have arrived.
 * @param then Whether nothing more follows: for now, or at all.
 */
export function lookOf(head: Uint8Array, then?: "silence" | "end"): Look | undefined {
  const text = head.subarray(0, MAX_TEXT_BYTES);
  const end = text.indexOf(LF) + 1;
  if (!isText(text.subarray(0, end || undefined), end === 0 && !then)) return "bytes";
  if (end > 0) return "line";
  if (text.length === MAX_TEXT_BYTES || then === "end") return "bytes";
  return then && "text";
}

/** The modes whose clients begin so, and what such a client sends. */
const LIKELY: Readonly<Record<Look, string>> = {
  line: "a client that sends lines needs a server with --mode raw, --mode message or " +
    "--mode reverse",
  text: "a client that sends text without line ends needs a server with --mode talk or " +
    "--mode reverse",
  bytes: "a client that sends bytes needs a server with --mode raw or --mode message",
};

/**
 * The error for bytes of no known wire, which tells the mode that they look like.
 *
 * @param begins How a client of this server begins.
 * @param canFallBack Whether the server could serve that mode beside its own.
 */
export function unknownOpening(look: Look, begins: string, canFallBack: boolean): InletError {
  const beside = canFallBack ? ", or with --fallback and that mode" : "";
  return new InletError(
    "bad-request",
    `Cannot understand the first ${look}: ${begins}; ${LIKELY[look]}${beside}`,
  );
}

/** Whether bytes are UTF-8 without control characters other than those of a text. */
function isText(bytes: Uint8Array, goesOn: boolean): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: goesOn });
    // deno-lint-ignore no-control-regex -- control characters are what is looked for
    return !/[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]/.test(text);
  } catch {
    return false;
  }
}

/** Matches the proper beginnings of a word, the empty one too. */
function prefixesOf(word: string): RegExp {
  const parts = Array.from(word, (_, length) => word.slice(0, length));
  return new RegExp(`^(?:${[...parts, word].join("|")})$`);
}

/** Matches what may become the request line of HTTP. */
function httpPart(): RegExp {
  const methods = METHODS.flatMap((method) =>
    Array.from(method, (_, index) => method.slice(0, index + 1))
  );
  const version = "(?: (?:H(?:T(?:TP?)?)?)?)?";
  return new RegExp(`^(?:${methods.join("|")})$|${METHOD} $|${METHOD} [^ \\r\\n]+${version}$`);
}

const latin1 = new TextDecoder("latin1");
