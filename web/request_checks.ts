/**
 * What `node:http` lets in and a server must not: requests that another program on the way could
 * read as something else (RFC 9112, section 11.2), and bodies without an end of their own.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { Refusal } from "./problem.ts";
import type { HttpSocket } from "./socket.ts";

/** The methods of RFC 9110, section 9, and RFC 5789. */
export const METHODS: readonly string[] = [
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"],
];

/** Most digits of a length. 2^53 has 16. */
const MAX_LENGTH_DIGITS = 15;

/**
 * Checks what of the request's head does not depend on the route.
 *
 * @throws {Refusal}
 */
export function checkRequest(request: IncomingMessage, { requests }: HttpSocket): void {
  const { method, httpVersion, headers, rawHeaders } = request;
  // The parser takes RTSP/1.0 for HTTP/1.0. On a new connection modes/wires.ts has looked for HTTP.
  const isOld = httpVersion === "1.0" && requests === 1;
  if (httpVersion !== "1.1" && !isOld) {
    throw new Refusal(505, `Cannot speak HTTP/${httpVersion} here: use HTTP/1.1`, {
      code: "version",
    });
  }
  if (!METHODS.includes(method!)) {
    throw new Refusal(501, `Cannot ${method}: this server does not know that method`);
  }
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host");
  if (hosts.length > 1) throw new Refusal(400, "Cannot take two Host fields: give one");
  if (hosts.length === 0 && !isOld) throw new Refusal(400, "Cannot go on without a Host field");
  const encoding = headers["transfer-encoding"];
  if (encoding !== undefined && isOld) {
    throw new Refusal(400, "Cannot take a Transfer-Encoding: HTTP/1.0 has none");
  }
  if (encoding !== undefined && encoding.toLowerCase() !== "chunked") {
    throw new Refusal(501, "Cannot take this Transfer-Encoding: only chunked is known");
  }
  const length = headers["content-length"];
  if (length !== undefined && !(/^\d+$/.test(length) && length.length <= MAX_LENGTH_DIGITS)) {
    throw new Refusal(413, "Cannot take this Content-Length: it is too long", {
      code: "too-large",
    });
  }
}

/**
 * The size of a body that the request must have; `null` if it comes in chunks.
 *
 * @throws {Refusal} 411 if nothing tells where it ends
 */
export function bodySize({ headers }: IncomingMessage): number | null {
  const length = headers["content-length"];
  if (length !== undefined) return Number(length);
  if (headers["transfer-encoding"] !== undefined) return null;
  throw new Refusal(411, "Cannot take a body: give its Content-Length, or send it in chunks");
}
