/**
 * What the four secret words of a code make of the two who know them: the P-256 key pair by which the
 * offering client is recognised, and the proof by which the accepting one is. PROTOCOL.md has the
 * derivation with an example.
 *
 * Loaded on demand: only clients that meet by a code need it.
 *
 * @module
 */

import { scrypt } from "node:crypto";
import { InletError } from "../errors.ts";
import { type Identity, identityOf, proofKeyOf } from "./identity.ts";

/** Bytes of the salt that each offer has of its own. */
export const SALT_BYTES = 16;

/** Parameters of scrypt (RFC 7914): a guess costs 32 MiB and about a tenth of a second. */
const STRETCHING = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

/** What both ends of a tunnel know. */
export interface CodeSecret {
  /** That of the offering client, which is the server of the TLS between the two. */
  readonly identity: Identity;
  /** What the accepting client shows within it: 64 hexadecimal digits. */
  readonly proof: string;
}

/**
 * Derives what both ends need. It takes about a tenth of a second, and 32 MiB meanwhile.
 *
 * @param words The secret words, joined by a hyphen.
 * @param salt {@linkcode SALT_BYTES} bytes, which the offering client has drawn.
 * @throws {InletError} `internal` if there is no memory for it
 */
export async function codeSecret(words: string, salt: Uint8Array): Promise<CodeSecret> {
  const secret = await stretch(words, salt);
  const identity = await identityOf(secret, "inlet 2 offer");
  const key = await proofKeyOf(secret, "inlet 2 accept proof");
  const proof = await crypto.subtle.sign("HMAC", key, identity.pin);
  return { identity, proof: new Uint8Array(proof).toHex() };
}

function stretch(words: string, salt: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  scrypt(words, salt, 32, STRETCHING, (cause, derived) => {
    if (cause) reject(new InletError("internal", "Cannot stretch the code", { cause }));
    else resolve(new Uint8Array(derived));
  });
  return promise;
}
