/**
 * The credentials of a request: Basic (RFC 7617) or Bearer (RFC 6750).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Password } from "../lib/auth/authenticator.ts";

/** The challenge that browsers show to nobody: RFC 6750, section 3. */
export const BEARER = 'Bearer realm="inlet"';

/** The challenge of a server with a key: RFC 9110, section 11.6.1. */
export const CHALLENGE = `Basic realm="inlet", charset="UTF-8", ${BEARER}`;

/** The challenge behind a wrong key. Of a token it tells that: RFC 6750, section 3.1. */
export function challengeAfter(field: string | undefined, challenge: string): string {
  return /^bearer /i.test(field ?? "") ? `${challenge}, error="invalid_token"` : challenge;
}

/**
 * Reads an `Authorization`.
 *
 * @param field Its characters are bytes.
 * @returns `undefined` if it is none, or in another scheme.
 */
export function parseCredentials(field: string | undefined): Password | undefined {
  const [, scheme = "", text = ""] = /^(\S+) +(.+)$/.exec(field ?? "") ?? [];
  try {
    if (scheme.toLowerCase() === "basic") return parseBasic(Uint8Array.fromBase64(text));
    if (scheme.toLowerCase() === "bearer") {
      return { name: "", password: utf8.decode(Buffer.from(text, "latin1")) };
    }
  } catch {
    // It is no base64, or no UTF-8.
  }
  return undefined;
}

function parseBasic(bytes: Uint8Array): Password | undefined {
  const pair = utf8.decode(bytes);
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : { name: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
