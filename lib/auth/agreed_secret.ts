/**
 * A secret that two people agree on through a server: each draws a key pair for one file, and sends
 * its public key (ECDH with P-256). Nobody who only listens learns it. A server that gives each of them
 * a key of its own stands between them.
 *
 * @module
 */

import { InletError } from "../errors.ts";

const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;

/** Bytes of the secret. */
const SECRET_BYTES = 32;

/** One side's key pair for one file. */
export class AgreementKey {
  readonly #pair: CryptoKeyPair;
  /** The public key: an uncompressed point in 130 lower-case hexadecimal digits. */
  readonly point: string;

  private constructor(pair: CryptoKeyPair, point: string) {
    this.#pair = pair;
    this.point = point;
  }

  /** Draws a key pair. */
  static async draw(): Promise<AgreementKey> {
    const pair = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);
    const point = await crypto.subtle.exportKey("raw", pair.publicKey);
    return new AgreementKey(pair, new Uint8Array(point).toHex());
  }

  /**
   * The secret of this side and the other one, in 64 hexadecimal digits.
   *
   * @param point The public key of the other side.
   * @throws {InletError} `denied` if it is no point of the curve
   */
  async agree(point: string): Promise<string> {
    try {
      const bytes = Uint8Array.fromHex(point);
      const other = await crypto.subtle.importKey("raw", bytes, CURVE, false, []);
      const how = { name: CURVE.name, public: other };
      const bits = await crypto.subtle.deriveBits(how, this.#pair.privateKey, 8 * SECRET_BYTES);
      return new Uint8Array(bits).toHex();
    } catch (cause) {
      throw new InletError("denied", "Cannot use the key of the other side: it is none", { cause });
    }
  }
}
