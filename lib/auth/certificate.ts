/**
 * Builds the certificate of a server: X.509 version 3 (RFC 5280), self-signed, for a P-256 key.
 *
 * Only its public key means anything. The rest is what browsers and TLS libraries want to see, and but
 * for the signature it is the same in every certificate of inlet. So a client that knows the public key
 * can build one too, without the private key, and compare.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { equals } from "@std/bytes/equals";

/** Length of a P-256 public key as SubjectPublicKeyInfo (RFC 5480), in bytes. */
export const SPKI_BYTES = 91;

/** Signs bytes, and returns the signature as `r` and `s`, 32 bytes each. */
export type Sign = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

/** The names that a browser on the server's own machine may use. */
const NAMES = ["localhost"];
const ADDRESSES = [[127, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]];

/** Some boards have no clock, and begin in 1970. The end is the "no end" of RFC 5280, 4.1.2.5. */
const FROM = "700101000000Z";
const UNTIL = "99991231235959Z";

/**
 * Builds a certificate.
 *
 * @param spki The public key, {@linkcode SPKI_BYTES} bytes.
 * @returns The certificate in DER.
 */
export async function makeCertificate(
  spki: Uint8Array,
  sign: Sign,
): Promise<Uint8Array<ArrayBuffer>> {
  const body = bodyOf(spki);
  return signed(body, await sign(body));
}

/**
 * Whether a certificate is the one of a public key, as {@linkcode makeCertificate} makes it: byte for
 * byte, but for the two numbers of its signature.
 *
 * Nothing less will do. Of a certificate that it cannot parse, Deno 2.9's TLS takes every signature,
 * that of the handshake too: whoever appends two bytes to a server's certificate could pass for it.
 */
export function isCertificateOf(spki: Uint8Array, certificate: Uint8Array): boolean {
  const body = bodyOf(spki);
  // Behind the head of the sequence, 4 bytes, and of the bit string and its sequence, 5 bytes.
  const numbers = certificate.subarray(4 + body.length + ECDSA_WITH_SHA256.length + 5);
  const r = unsignedAt(numbers);
  const s = unsignedAt(numbers.subarray(2 + (numbers[1] ?? 0)));
  return equals(signed(body, concat([r, s])), certificate);
}

/** What is signed in a certificate. */
function bodyOf(spki: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = sequence(der(SET, sequence(COMMON_NAME, der(UTF8_STRING, ascii("inlet")))));
  const names = [
    ...NAMES.map((dns) => der(CONTEXT | 2, ascii(dns))),
    ...ADDRESSES.map((ip) => der(CONTEXT | 7, Uint8Array.from(ip))),
  ];
  return sequence(
    der(CONTEXT | CONSTRUCTED | 0, der(INTEGER, Uint8Array.of(2))),
    der(INTEGER, Uint8Array.of(1)),
    ECDSA_WITH_SHA256,
    name,
    sequence(der(UTC_TIME, ascii(FROM)), der(GENERALIZED_TIME, ascii(UNTIL))),
    name,
    spki,
    der(
      CONTEXT | CONSTRUCTED | 3,
      sequence(
        extension(SUBJECT_ALT_NAME, sequence(...names)),
        extension(EXTENDED_KEY_USAGE, sequence(SERVER_AUTH)),
      ),
    ),
  );
}

/** @param signature `r` and `s`, 32 bytes each. */
function signed(body: Uint8Array, signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  const pair = sequence(unsigned(r), unsigned(s));
  return sequence(body, ECDSA_WITH_SHA256, der(BIT_STRING, Uint8Array.of(0), pair));
}

/** Wraps DER as PEM (RFC 7468). */
export function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** The SHA-256 of a certificate in PEM, as browsers show it: `0A:1B:…`. */
export async function certificateFingerprint(certificate: string): Promise<string> {
  const bytes = Uint8Array.fromBase64(certificate.replace(/-----[^-]+-----/g, ""));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex().toUpperCase().replace(/..(?=.)/g, "$&:");
}

// Tags of ITU-T X.690.
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const CONSTRUCTED = 0x20;
const SEQUENCE = CONSTRUCTED | 0x10;
const SET = CONSTRUCTED | 0x11;
const CONTEXT = 0x80;

const COMMON_NAME = identifier("550403");
const SUBJECT_ALT_NAME = identifier("551d11");
const EXTENDED_KEY_USAGE = identifier("551d25");
const SERVER_AUTH = identifier("2b06010505070301");
const ECDSA_WITH_SHA256 = sequence(identifier("2a8648ce3d040302"));

function identifier(hex: string): Uint8Array<ArrayBuffer> {
  return der(OBJECT_IDENTIFIER, Uint8Array.fromHex(hex));
}

function extension(id: Uint8Array, value: Uint8Array): Uint8Array<ArrayBuffer> {
  return sequence(id, der(OCTET_STRING, value));
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return der(SEQUENCE, ...parts);
}

/** A number without a sign: its leading zeros are left out, and one is added before a high bit. */
function unsigned(number: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = number.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Uint8Array.of(0) : number.subarray(start);
  return digits[0]! < 0x80 ? der(INTEGER, digits) : der(INTEGER, Uint8Array.of(0), digits);
}

/** The number at the beginning of some bytes, in 32 bytes: its last ones, or with zeros before it. */
function unsignedAt(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const digits = bytes.subarray(2, 2 + (bytes[1] ?? 0)).slice(-32);
  return concat([new Uint8Array(32 - digits.length), digits]);
}

/** One element: its tag, its length, and its content. */
function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = concat(content);
  const { length } = bytes;
  const size = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return concat([Uint8Array.of(tag, ...size), bytes]);
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
