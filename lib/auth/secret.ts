/**
 * From the text of a key to the secret of 32 bytes of which everything else is derived.
 *
 * Loaded on demand: a connection without a key needs none of it.
 *
 * @module
 */

import { scrypt } from "node:crypto";
import { InletError } from "../errors.ts";

/** A key that `--generate-token` made is its own secret. */
const GENERATED = /^[0-9a-f]{64}$/;

/** Parameters of scrypt (RFC 7914): a guess costs 128 MiB and about half a second. */
const STRETCHING = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };

/** A client knows nothing of its server before the handshake, so all servers share the salt. */
const SALT = "inlet 2 key";

/** What a key of ours looks like that was cut, typed in capitals, or broken into groups. */
const DAMAGED = /^[0-9a-f\s]{24,}$/i;

/** What to say of a key that a person made up; `undefined` for one of ours. */
export function weaknessOf(key: string): string | undefined {
  if (!isWeak(key)) return undefined;
  return DAMAGED.test(key)
    ? "the key looks like a damaged copy of one that inlet made, which is 64 lower-case hexadecimal digits"
    : "the key was not made by inlet, so whoever can reach the server can try to guess it; " +
      "server.ts --generate-token makes a better one";
}

/** Whether a key was made up by a person, and is stretched. */
export function isWeak(key: string): boolean {
  return !GENERATED.test(key);
}

/**
 * The secret of a key. A key of our own making is used as it is, any other is stretched.
 *
 * @param key Without white space around it.
 */
export async function secretOf(key: string): Promise<Uint8Array<ArrayBuffer>> {
  return isWeak(key) ? await stretch(key.normalize("NFC")) : Uint8Array.fromHex(key);
}

function stretch(key: string): Promise<Uint8Array<ArrayBuffer>> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  scrypt(key, SALT, 32, STRETCHING, (cause, derived) => {
    if (cause) reject(new InletError("internal", "Cannot stretch the key", { cause }));
    else resolve(new Uint8Array(derived));
  });
  return promise;
}
