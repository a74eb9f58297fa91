/**
 * What a secret makes of a server: the P-256 key pair of its certificate, which both sides derive, and
 * the key by which a client proves that it holds the secret. PROTOCOL.md has the derivation with an
 * example.
 *
 * Loaded on demand: a connection without a key needs none of it.
 *
 * @module
 */

import { startsWith } from "@std/bytes/starts-with";
import { Buffer } from "node:buffer";
import { createECDH, createPublicKey } from "node:crypto";
import { makeCertificate, pem, SPKI_BYTES } from "./certificate.ts";

/** The public half of a server: what a client must know to recognise it. */
export interface PublicIdentity {
  /** The public key as SubjectPublicKeyInfo, 91 bytes. */
  readonly spki: Uint8Array<ArrayBuffer>;
  /** The SHA-256 of {@linkcode PublicIdentity.spki}. */
  readonly pin: Uint8Array<ArrayBuffer>;
  /** A certificate with that public key, in PEM. */
  readonly certificate: string;
}

/** A server's whole identity. */
export interface Identity extends PublicIdentity {
  /** The private key as PKCS #8, in PEM. */
  readonly privateKey: string;
}

/** A P-256 key pair. */
export interface KeyPair {
  readonly spki: Uint8Array<ArrayBuffer>;
  readonly privateKey: CryptoKey;
}

/** The order of P-256's base point: FIPS 186-5, SP 800-186, section 3.2.1.3. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** What precedes the 65 bytes of a point in SubjectPublicKeyInfo: RFC 5480, section 2. */
const SPKI_HEAD = Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/**
 * Derives the identity of a server from a secret of 32 bytes.
 *
 * @param info What the secret is used for: what is derived for one use tells nothing of another.
 */
export async function identityOf(
  secret: Uint8Array<ArrayBuffer>,
  info = "inlet 2 server",
): Promise<Identity> {
  const { spki, privateKey } = await keyPairOf(scalarOf(await derive(secret, info, 48)));
  const certificate = await makeCertificate(spki, (bytes) => sign(privateKey, bytes));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  return {
    spki,
    pin: await sha256(spki),
    certificate: pem("CERTIFICATE", certificate),
    privateKey: pem("PRIVATE KEY", pkcs8),
  };
}

/** What a public key tells of a server. */
export async function publicIdentityOf(spki: Uint8Array<ArrayBuffer>): Promise<PublicIdentity> {
  // Nobody verifies the signature of a certificate that is trusted itself.
  const certificate = await makeCertificate(
    spki,
    () => Promise.resolve(new Uint8Array(64).fill(1)),
  );
  return { spki, pin: await sha256(spki), certificate: pem("CERTIFICATE", certificate) };
}

/**
 * Derives the HMAC key of a client's proof from a secret of 32 bytes.
 *
 * @param info As for {@linkcode identityOf}.
 */
export async function proofKeyOf(
  secret: Uint8Array<ArrayBuffer>,
  info = "inlet 2 client proof",
): Promise<CryptoKey> {
  const bytes = await derive(secret, info, 32);
  return await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

/** Makes a key pair of a private number, 1 to the order of the curve less one. */
export async function keyPairOf(scalar: Uint8Array): Promise<KeyPair> {
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(scalar);
  const point = new Uint8Array(curve.getPublicKey());
  const [x, y, d] = [point.subarray(1, 33), point.subarray(33), scalar].map((bytes) =>
    bytes.toBase64({ alphabet: "base64url", omitPadding: true })
  );
  const jwk = { kty: "EC", crv: "P-256", x: x!, y: y!, d: d! };
  const privateKey = await crypto.subtle.importKey("jwk", jwk, ECDSA, true, ["sign"]);
  return { spki: Uint8Array.of(...SPKI_HEAD, ...point), privateKey };
}

/** Whether bytes are a private number that {@linkcode keyPairOf} takes. */
export function isScalar(bytes: Uint8Array): boolean {
  const number = BigInt(`0x${bytes.toHex()}`);
  return number > 0n && number < ORDER;
}

/** Makes a new private number. */
export function makeScalar(): Uint8Array {
  return scalarOf(crypto.getRandomValues(new Uint8Array(48)));
}

/**
 * Reads a public key in base64; `undefined` if it is not the SubjectPublicKeyInfo of a point of the
 * curve.
 */
export function parsePublicKey(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const spki = Uint8Array.fromBase64(text);
    const isOurs = spki.length === SPKI_BYTES && startsWith(spki, SPKI_HEAD) &&
      spki.toBase64() === text;
    // It refuses points that are not on the curve, which `crypto.subtle.importKey` takes.
    createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    return isOurs ? spki : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a signature is one of the holder of the private key, by {@linkcode parsePublicKey}. */
export async function isSignedBy(
  spki: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const key = await crypto.subtle.importKey("spki", spki, ECDSA, false, ["verify"]);
  return await crypto.subtle.verify(ECDSA, key, signature, bytes);
}

/** Signs bytes. */
export async function sign(key: CryptoKey, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign(ECDSA, key, bytes));
}

/** The SHA-256 of bytes. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** 48 bytes modulo the order less one, plus one: FIPS 186-5, appendix A.4.1. */
function scalarOf(bytes: Uint8Array): Uint8Array {
  const number = BigInt(`0x${bytes.toHex()}`) % (ORDER - 1n) + 1n;
  return Uint8Array.fromHex(number.toString(16).padStart(64, "0"));
}

/** HKDF-SHA-256 (RFC 5869) without a salt. */
async function derive(
  secret: Uint8Array<ArrayBuffer>,
  info: string,
  bytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const params = {
    name: "HKDF",
    hash: "SHA-256",
    salt: new Uint8Array(0),
    info: new TextEncoder().encode(info),
  };
  return new Uint8Array(await crypto.subtle.deriveBits(params, key, bytes * 8));
}
