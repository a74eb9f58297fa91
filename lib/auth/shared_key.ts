/**
 * One key for a server and all its clients.
 *
 * Loaded on demand: a server without a key needs none of it.
 *
 * @module
 */

import { timingSafeEqual } from "node:crypto";
import { isDigest, proofText } from "../../protocol.ts";
import type { Answer, Authenticator, Password } from "./authenticator.ts";
import { type Identity, identityOf, proofKeyOf, sha256 } from "./identity.ts";
import { secretOf, weaknessOf } from "./secret.ts";

/** What is derived from a key. */
export interface Derived {
  readonly identity: Identity;
  readonly proofKey: CryptoKey;
}

/** Admits whoever holds the key. */
export class SharedKey implements Authenticator {
  readonly #key: () => string;
  readonly #onKey: (identity: Identity, warning?: string) => void;
  /** What was derived last, and of which key: deriving takes long for some. */
  #last: { key: string; derived: Promise<Derived> } | undefined;

  /**
   * @param key Returns the key that the server and its clients share at that moment.
   * @param onKey Called with each identity, and with what is wrong with its key.
   */
  constructor(key: () => string, onKey: (identity: Identity, warning?: string) => void) {
    this.#key = key;
    this.#onKey = onKey;
  }

  async identity(): Promise<Identity> {
    return (await this.#derived()).identity;
  }

  async verify({ nonce, proof }: Answer): Promise<boolean> {
    const { identity, proofKey } = await this.#derived();
    if (!isDigest(proof)) return false;
    const bytes = Uint8Array.fromHex(proof);
    return await crypto.subtle.verify("HMAC", proofKey, bytes, proofText(identity.pin, nonce));
  }

  async verifyPassword({ password }: Password): Promise<boolean> {
    const [given, key] = await Promise.all([password.trim(), this.#key()].map(digestOf));
    return timingSafeEqual(given!, key!);
  }

  #derived(): Promise<Derived> {
    const key = this.#key();
    if (this.#last?.key === key) return this.#last.derived;
    const derived = this.#deriveAndTell(key);
    this.#last = { key, derived };
    // Whoever comes next tries again: there may have been no memory.
    derived.catch(() => this.#last?.derived === derived && (this.#last = undefined));
    return derived;
  }

  async #deriveAndTell(key: string): Promise<Derived> {
    const derived = await derive(key);
    this.#onKey(derived.identity, weaknessOf(key));
    return derived;
  }
}

/** Derives from a key what both of its sides need. */
export async function derive(key: string): Promise<Derived> {
  const secret = await secretOf(key);
  const [identity, proofKey] = await Promise.all([identityOf(secret), proofKeyOf(secret)]);
  return { identity, proofKey };
}

/** Of texts of any length, a digest of one. */
async function digestOf(text: string): Promise<Uint8Array> {
  return await sha256(new TextEncoder().encode(text.normalize("NFC")));
}
