/**
 * Failures as HTTP tells them: a status, and a problem in JSON (RFC 9457) with inlet's own stable
 * code, or a page for people. Each code has one status; a {@linkcode Refusal} has one of its own.
 *
 * @module
 */

import { STATUS_CODES } from "node:http";
import { concat } from "@std/bytes/concat";
import { type Code, InletError } from "../lib/errors.ts";
import { printableJson } from "../lib/text.ts";
import { errorPage } from "./error_page.ts";
import { HTML_TYPE } from "./html.ts";

/** The status of each code: RFC 9110, section 15, and RFC 4918, section 11.5. */
export const STATUSES: Readonly<Record<Code, number>> = {
  "aborted": 400,
  "bad-name": 400,
  "bad-request": 400,
  "busy": 503,
  "changed": 409,
  "checksum": 400,
  "closed": 500,
  "denied": 403,
  "disk": 500,
  "internal": 500,
  "interrupted": 503,
  "listen": 500,
  "local-disk": 500,
  "lost": 400,
  "no-space": 507,
  "not-found": 404,
  "overloaded": 503,
  "shutdown": 503,
  "timeout": 408,
  "too-large": 413,
  "untrusted": 403,
  "usage": 400,
  "version": 505,
  "wait": 429,
};

/** The reason phrases of statuses. tus adds one of its own. */
export const REASONS: Readonly<Record<number, string | undefined>> = {
  ...STATUS_CODES,
  460: "Checksum Mismatch",
};

/** Seconds after which a client may try again what failed with status 503 or 429. */
const RETRY_SECONDS = 1;

/** Fields of a response, by name. */
export type Headers = Readonly<Record<string, string | number>>;

/** A failure with a status that is not that of its code, or with fields of its own. */
export class Refusal extends InletError {
  /** The status of the response: 400 to 599. */
  readonly status: number;
  readonly headers: Headers;

  constructor(
    status: number,
    message: string,
    { code = "bad-request", headers = {} }: { code?: Code; headers?: Headers } = {},
  ) {
    super(code, message);
    this.status = status;
    this.headers = headers;
  }
}

/** A failure as a response. */
export interface Problem {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * Encodes a failure. Its message tells the client what, and why, and never a stack.
 *
 * @param base What precedes every path of the server, for a page in the place of JSON.
 */
export function problemOf(error: InletError, base?: string): Problem {
  const { code, message } = error;
  const status = error instanceof Refusal ? error.status : STATUSES[code];
  const title = REASONS[status]!;
  const text = base === undefined
    ? `${printableJson({ title, status, detail: message, code })}\n`
    : errorPage(status, error, base);
  const body = new TextEncoder().encode(text);
  return {
    status,
    headers: {
      "Content-Type": base === undefined ? "application/problem+json" : HTML_TYPE,
      "Content-Length": body.length,
      "Cache-Control": "no-store",
      ...(status === 503 || status === 429) && { "Retry-After": RETRY_SECONDS },
      ...error instanceof Refusal && error.headers,
    },
    body,
  };
}

/** Encodes a failure as a whole response that ends its connection: RFC 9112, section 4. */
export function lastWords(error: InletError): Uint8Array<ArrayBuffer> {
  const { status, headers, body } = problemOf(error);
  const now = new Date().toUTCString();
  const fields = Object.entries({ ...headers, "Date": now, "Connection": "close" })
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `HTTP/1.1 ${status} ${REASONS[status]}\r\n${fields}\r\n`;
  return concat([new TextEncoder().encode(head), body]);
}
