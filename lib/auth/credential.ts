/**
 * What a client knows by its key: the server's public key, and how to prove itself there.
 *
 * Loaded on demand: a client without a key needs none of it.
 *
 * @module
 */

import { proofText } from "../../protocol.ts";
import {
  type KeyPair,
  keyPairOf,
  type PublicIdentity,
  publicIdentityOf,
  sign,
} from "./identity.ts";
import { checkKey, USER_TOKEN } from "./key.ts";
import { weaknessOf } from "./secret.ts";
import { derive } from "./shared_key.ts";
import { parseToken } from "./user_token.ts";

/** A key, as the client uses it. */
export interface Credential {
  /** The one server to talk to. */
  readonly server: PublicIdentity;
  /** What to say of a key that can be guessed. */
  readonly warning: string | undefined;
  /** The name that the server knows the key by; `undefined` if all clients share it. */
  readonly userName: string | undefined;
  /** The key pair of that user. */
  readonly userKey: KeyPair | undefined;
  /** Answers a challenge of that server. */
  prove(nonce: string): Promise<string>;
}

/** Most keys whose credential is kept: a program that sends often derives it once. */
const MAX_KEPT = 8;

/** The credentials of the keys that were used first, for the life of the process. */
const kept = new Map<string, Promise<Credential>>();

/**
 * Makes what a client needs of a key, or of the token of a user.
 *
 * @throws {InletError} `usage` if it is no key, or a token that is broken
 */
export async function credentialOf(text: string): Promise<Credential> {
  const key = checkKey(text, 'the option "key"');
  const known = kept.get(key);
  if (known) return await known;
  const coming = key.startsWith(USER_TOKEN) ? userCredential(key) : sharedCredential(key);
  if (kept.size < MAX_KEPT) kept.set(key, coming);
  coming.catch(() => kept.delete(key));
  return await coming;
}

async function sharedCredential(key: string): Promise<Credential> {
  const { identity: server, proofKey } = await derive(key);
  return {
    server,
    warning: weaknessOf(key),
    userName: undefined,
    userKey: undefined,
    prove: async (nonce) => {
      const text = proofText(server.pin, nonce);
      return new Uint8Array(await crypto.subtle.sign("HMAC", proofKey, text)).toHex();
    },
  };
}

async function userCredential(token: string): Promise<Credential> {
  const { name, server: spki, secret } = parseToken(token);
  const [server, userKey] = await Promise.all([publicIdentityOf(spki), keyPairOf(secret)]);
  return {
    server,
    warning: undefined,
    userName: name,
    userKey,
    prove: async (nonce) =>
      (await sign(userKey.privateKey, proofText(server.pin, nonce, name))).toHex(),
  };
}
