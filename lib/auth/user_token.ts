/**
 * The token of a user: one line with all that the user's client needs, which only the user may have.
 *
 * `inlet-user NAME SERVER SECRET`: the server's public key as base64 of its SubjectPublicKeyInfo, and
 * the user's private key as 64 hexadecimal digits. The first word sees to it that it is never taken
 * for a shared key.
 *
 * @module
 */

import { isDigest, MAX_CLIENT_NAME_BYTES } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { isScalar, parsePublicKey } from "./identity.ts";
import { USER_TOKEN } from "./key.ts";

/** The parts of a token. */
export interface UserToken {
  readonly name: string;
  /** The server's public key as SubjectPublicKeyInfo. */
  readonly server: Uint8Array<ArrayBuffer>;
  /** The user's private key, 32 bytes. */
  readonly secret: Uint8Array<ArrayBuffer>;
}

/** A user's name: it also names a file, and stands in a line of words. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*$/u;

/** Writes a token. */
export function formatToken({ name, server, secret }: UserToken): string {
  return `${USER_TOKEN}${name} ${server.toBase64()} ${secret.toHex()}`;
}

/**
 * Reads a token.
 *
 * @throws {InletError} `usage` if it is none
 */
export function parseToken(text: string): UserToken {
  const [name = "", spki = "", secret = "", ...more] = text.slice(USER_TOKEN.length).split(/\s+/);
  const server = parsePublicKey(spki);
  const isWhole = isUserName(name) && server && isDigest(secret) && more.length === 0;
  if (!isWhole || !isScalar(Uint8Array.fromHex(secret))) {
    throw new InletError(
      "usage",
      "Cannot use the token of a user: it is damaged, ask for a new one",
    );
  }
  return { name, server, secret: Uint8Array.fromHex(secret) };
}

/** Whether a text can be the name of a user. */
export function isUserName(text: string): boolean {
  const { length } = new TextEncoder().encode(text);
  return NAME.test(text) && length <= MAX_CLIENT_NAME_BYTES && text === text.normalize("NFC");
}
