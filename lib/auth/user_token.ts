/**
 * The token of a user: one line with all that the user's client needs, which only the user may have.
 *
 * `inlet-user NAME SERVER SECRET`: the server's public key as base64 of its SubjectPublicKeyInfo, and
 * the user's private key as 64 hexadecimal digits. The first word sees to it that it is never taken
 * for a shared key. Its file is also a configuration file of curl, to which that line is a comment:
 * what follows has the pin of the server, and a password that the user's key has signed.
 *
 * @module
 */

import { isDigest, MAX_CLIENT_NAME_BYTES, passwordText } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { isScalar, keyPairOf, parsePublicKey, sha256, sign } from "./identity.ts";
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

const BASE64URL = { alphabet: "base64url" } as const;

/** Writes a token. */
export function formatToken({ name, server, secret }: UserToken): string {
  return `${USER_TOKEN}${name} ${server.toBase64()} ${secret.toHex()}`;
}

/** Writes the file of a token. */
export async function formatTokenFile(token: UserToken): Promise<string> {
  const { name, server } = token;
  const pin = (await sha256(server)).toBase64();
  // Of all certificates curl then takes that of the public key alone: `insecure` means the names in it.
  return `# ${formatToken(token)}\ninsecure\npinnedpubkey = "sha256//${pin}"\n` +
    `user = "${name}:${await passwordOf(token)}"`;
}

/** Makes the password of a user for programs that speak HTTP. */
export async function passwordOf({ name, server, secret }: UserToken): Promise<string> {
  const { privateKey } = await keyPairOf(secret);
  const signature = await sign(privateKey, passwordText(await sha256(server), name));
  return signature.toBase64({ ...BASE64URL, omitPadding: true });
}

/** The signature that a password of a user is; `undefined` if it is none. */
export function parsePassword(text: string): Uint8Array<ArrayBuffer> | undefined {
  return /^[\w-]{86}$/.test(text) ? Uint8Array.fromBase64(text, BASE64URL) : undefined;
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
