/**
 * A TLS 1.3 server by hand (RFC 8446), which does what no TLS library lets anybody do: it shows a
 * certificate whose private key it does not have. Everybody can get that of a server by connecting.
 *
 * It knows one group, X25519, and one suite of ciphers, TLS_AES_128_GCM_SHA256.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { sendTo } from "./helpers.ts";
import { Wire } from "./wire.ts";

// Types of records.
const CHANGE = 20;
const HANDSHAKE = 22;
const DATA = 23;

const X25519 = 0x1d;
const KEY_SHARE = 51;
const SUPPORTED_VERSIONS = 43;
const NOTHING = new Uint8Array(0);
const ZEROS = new Uint8Array(32);

/** Where a public key of X25519 begins in SubjectPublicKeyInfo. */
const SPKI_HEAD_BYTES = 12;

/**
 * Serves one connection until the client closes it, or has said a line.
 *
 * @param certificate In DER.
 * @param privateKey What signs the handshake, in PEM; without it, it signs nothing right.
 * @returns What the client has said within TLS.
 */
export async function serveByHand(
  conn: Deno.TcpConn,
  certificate: Uint8Array,
  privateKey?: string,
): Promise<string> {
  using wire = new Wire(conn);
  const hello = (await readRecord(wire))!.subarray(5);
  const { session, share } = parseHello(hello);
  const pair = generateKeyPairSync("x25519");
  const [head, own] = split(spkiOf(pair.publicKey), SPKI_HEAD_BYTES);
  const publicKey = createPublicKey({
    ...{ key: Buffer.from(concat([head, share])), format: "der", type: "spki" },
  });
  const shared = Uint8Array.from(diffieHellman({ privateKey: pair.privateKey, publicKey }));
  const answer = message(
    2,
    concat([Uint8Array.of(3, 3), crypto.getRandomValues(new Uint8Array(32)), vector(1, session)]),
    Uint8Array.of(0x13, 1, 0),
    vector(
      2,
      ...[number(SUPPORTED_VERSIONS), vector(2, Uint8Array.of(3, 4))],
      ...[number(KEY_SHARE), vector(2, number(X25519), vector(2, own))],
    ),
  );
  const begun = digest(hello, answer);
  const handshake = hmac(derive(hmac(ZEROS, ZEROS), "derived", digest()), shared);
  const serverSecret = derive(handshake, "s hs traffic", begun);
  const flight = [message(8, vector(2)), message(11, NOTHING_ASKED, listOf(certificate))];
  const signed = signatureOf(digest(hello, answer, ...flight), privateKey);
  flight.push(message(15, Uint8Array.of(4, 3), vector(2, signed)));
  const finished = expand(serverSecret, "finished", NOTHING, 32);
  flight.push(message(20, hmac(finished, digest(hello, answer, ...flight))));
  await sendTo(
    conn,
    concat([
      record(HANDSHAKE, answer),
      record(CHANGE, Uint8Array.of(1)),
      new Sealed(serverSecret).seal(HANDSHAKE, concat(flight)),
    ]),
  );
  const master = hmac(derive(handshake, "derived", digest()), ZEROS);
  const whole = digest(hello, answer, ...flight);
  const ways = ["c hs traffic", "c ap traffic"].map((label, index) =>
    new Sealed(index === 0 ? derive(handshake, label, begun) : derive(master, label, whole))
  );
  let said = "";
  for (let next; !said.endsWith("\n") && (next = await readRecord(wire));) {
    if (next[0] !== DATA) continue;
    const { type, body } = ways[0]!.open(next);
    if (type === HANDSHAKE) ways.shift();
    if (type === DATA) said += new TextDecoder().decode(body);
  }
  return said;
}

const NOTHING_ASKED = vector(1);

function listOf(certificate: Uint8Array): Uint8Array {
  return vector(3, vector(3, certificate), vector(2));
}

/** The parts of a ClientHello that are answered. */
function parseHello(hello: Uint8Array): { session: Uint8Array; share: Uint8Array } {
  let at = 4 + 2 + 32;
  const take = (bytes: number): Uint8Array => hello.subarray(at, at += bytes);
  const takeNumber = (): number => take(1)[0]! << 8 | take(1)[0]!;
  const session = take(take(1)[0]!);
  take(takeNumber());
  take(take(1)[0]!);
  takeNumber();
  while (at < hello.length) {
    const isShare = takeNumber() === KEY_SHARE;
    const end = takeNumber() + at;
    if (isShare) takeNumber();
    while (isShare && at < end) {
      const group = takeNumber();
      const share = take(takeNumber());
      if (group === X25519) return { session, share };
    }
    at = end;
  }
  throw new Error("the client offers no X25519");
}

/** The signature of CertificateVerify: section 4.4.3. */
function signatureOf(transcript: Uint8Array, privateKey: string | undefined): Uint8Array {
  const text = concat([
    new Uint8Array(64).fill(0x20),
    ascii("TLS 1.3, server CertificateVerify\0"),
    transcript,
  ]);
  const own = privateKey ?? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  return Uint8Array.from(sign("sha256", text, own));
}

/** One direction under one secret. */
class Sealed {
  readonly #key: Uint8Array;
  readonly #nonce: Uint8Array;
  #count = 0;

  constructor(secret: Uint8Array) {
    this.#key = expand(secret, "key", NOTHING, 16);
    this.#nonce = expand(secret, "iv", NOTHING, 12);
  }

  seal(type: number, body: Uint8Array): Uint8Array {
    const head = Uint8Array.of(DATA, 3, 3, ...number(body.length + 17));
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#next());
    cipher.setAAD(head);
    const sealed = cipher.update(concat([body, Uint8Array.of(type)]));
    cipher.final();
    return concat([head, Uint8Array.from(sealed), Uint8Array.from(cipher.getAuthTag())]);
  }

  open(whole: Uint8Array): { type: number; body: Uint8Array } {
    const [sealed, tag] = split(whole.subarray(5), whole.length - 5 - 16);
    const decipher = createDecipheriv("aes-128-gcm", this.#key, this.#next());
    decipher.setAAD(whole.subarray(0, 5));
    decipher.setAuthTag(tag);
    const [body, type] = split(Uint8Array.from(decipher.update(sealed)), sealed.length - 1);
    decipher.final();
    return { type: type[0]!, body };
  }

  #next(): Uint8Array {
    const nonce = this.#nonce.slice();
    nonce[11]! ^= this.#count++;
    return nonce;
  }
}

async function readRecord(wire: Wire): Promise<Uint8Array | undefined> {
  const head = await wire.bytes(5);
  if (head.length < 5) return undefined;
  return concat([head, await wire.bytes(head[3]! << 8 | head[4]!)]);
}

function record(type: number, body: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(type, 3, 3), vector(2, body)]);
}

function message(type: number, ...body: readonly Uint8Array[]): Uint8Array {
  return concat([Uint8Array.of(type), vector(3, ...body)]);
}

/** Its length in so many bytes, and then the content. */
function vector(lengthBytes: number, ...content: readonly Uint8Array[]): Uint8Array {
  const { length } = concat(content);
  const bytes = [length >> 16, length >> 8 & 0xff, length & 0xff].slice(3 - lengthBytes);
  return concat([Uint8Array.from(bytes), ...content]);
}

function number(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function split(bytes: Uint8Array, at: number): [Uint8Array, Uint8Array] {
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

function spkiOf(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ type: "spki", format: "der" }) as Buffer);
}

function digest(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(concat(parts)).digest());
}

function hmac(key: Uint8Array, text: Uint8Array): Uint8Array {
  return Uint8Array.from(createHmac("sha256", key).update(text).digest());
}

/** HKDF-Expand-Label of section 7.1, for at most 32 bytes. */
function expand(secret: Uint8Array, label: string, context: Uint8Array, bytes: number): Uint8Array {
  const info = [number(bytes), vector(1, ascii(`tls13 ${label}`)), vector(1, context)];
  return hmac(secret, concat([...info, Uint8Array.of(1)])).subarray(0, bytes);
}

function derive(secret: Uint8Array, label: string, transcript: Uint8Array): Uint8Array {
  return expand(secret, label, transcript, 32);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
