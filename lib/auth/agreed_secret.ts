/**
 * A secret that two people agree on through a server: each draws a key pair for one file, and sends
 * its public key (ECDH with P-256). Nobody who only listens learns it. A server that gives each of them
 * a key of its own stands between them. Where both are users, each signs its key with the user's own,
 * which stays the same: people who have compared its pin once know who is there.
 *
 * @module
 */

import { formatOfferKey, offerKeyText, parseOfferKey } from "../../protocol/people_lines.ts";
import { InletError } from "../errors.ts";
import { isSignedBy, type KeyPair, parsePublicKey, sha256, sign } from "./identity.ts";

const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;

/** Bytes of the secret. */
const SECRET_BYTES = 32;

/** What a side is in an offer. */
type Role = "send" | "take";

/** A key of the other side. */
export interface CheckedKey {
  readonly point: string;
  /** The SHA-256 of the public key of the user who has signed it, `sha256//` and base64. */
  readonly pin: string | undefined;
}

/** The pin of a public key, as people compare it. */
export async function pinOf({ spki }: Pick<KeyPair, "spki">): Promise<string> {
  return `sha256//${(await sha256(spki)).toBase64()}`;
}

/**
 * Checks a key that came through the server.
 *
 * @throws {InletError} `denied` if it is none, or a user's signature is wrong
 */
export async function checkOfferKey(role: Role, plate: string, text: string): Promise<CheckedKey> {
  const { point, user } = parseOfferKey(text) ?? refuse();
  if (!user) return { point, pin: undefined };
  const spki = parsePublicKey(user.spki) ?? refuse();
  const signature = Uint8Array.fromHex(user.signature);
  if (!await isSignedBy(spki, signature, offerKeyText(role, plate, { point }))) refuse();
  return { point, pin: await pinOf({ spki }) };
}

function refuse(cause?: unknown): never {
  throw new InletError("denied", "Cannot use the key of the other side: it is none", { cause });
}

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
      refuse(cause);
    }
  }

  /** The public key as it goes through the server: signed, if this side is a user. */
  async offered(role: Role, plate: string, user: KeyPair | undefined): Promise<string> {
    const { point } = this;
    if (!user) return formatOfferKey({ point });
    const signed = await sign(user.privateKey, offerKeyText(role, plate, { point }));
    const signature = signed.toHex();
    return formatOfferKey({ point, user: { spki: user.spki.toBase64(), signature } });
  }
}
