/**
 * The client half of TLS: the server holds the private key to the one public key that this client
 * knows, or nothing is said to it. No certificate authority counts, and no name.
 *
 * Loaded on demand: a client without a key needs none of it.
 *
 * @module
 */

import { connect } from "node:tls";
import { isCertificateOf } from "../auth/certificate.ts";
import type { PublicIdentity } from "../auth/identity.ts";
import { WITHOUT_A_KEY } from "../auth/key.ts";
import { InletError } from "../errors.ts";
import { printable } from "../text.ts";
import type { ByteStream } from "./byte_stream.ts";
import { type Refusal, TlsStream } from "./tls_stream.ts";

/** Types of records by which a TLS server may answer: alert and handshake (RFC 8446, section 5.1). */
const RECORDS = [0x15, 0x16];

/** Most characters of what a server without TLS says that are shown. */
const SHOWN_CHARACTERS = 200;

/**
 * Puts TLS on a connection that was opened.
 *
 * @throws {InletError} `untrusted` if the server does not hold the key, or speaks no TLS; `lost` if the
 * connection ends
 */
export async function connectTls(
  stream: ByteStream,
  server: PublicIdentity,
): Promise<ByteStream> {
  const secured = new TlsStream(stream, {
    open: (encrypted) =>
      connect({
        // It replaces every root that this system, Deno or the environment has.
        ca: [server.certificate],
        socket: encrypted,
        // No name is sent, and none is compared: the public key is.
        servername: "",
        checkServerIdentity: () => undefined,
        minVersion: "TLSv1.3",
        // NODE_TLS_REJECT_UNAUTHORIZED=0 means other programs.
        rejectUnauthorized: true,
      }),
    event: "secureConnect",
    // Whatever flags, variables and oddities have made the TLS library accept.
    trusts: (certificate) => isCertificateOf(server.spki, certificate),
    checkFirst: (bytes) => {
      if (!RECORDS.includes(bytes[0]!)) throw notEncrypted(bytes);
    },
    explain: explainHandshake,
  });
  await secured.secured;
  return secured;
}

function notEncrypted(bytes: Uint8Array): InletError {
  const [line = ""] = new TextDecoder().decode(bytes).split(/\r?\n/);
  const said = line === "" ? "" : `; it says "${printable(line.slice(0, SHOWN_CHARACTERS))}"`;
  const why = line.includes(WITHOUT_A_KEY)
    ? "this inlet server has none, and does not encrypt; nothing was sent"
    : `what answers is no inlet server with a key, and does not encrypt; nothing was sent${said}`;
  return new InletError("untrusted", `Cannot use the key: ${why}`);
}

/** The alert `bad_certificate`. */
const BAD_CERTIFICATE = 42;

const OTHER_KEY = "it does not hold this key, so nothing was sent; check the address and the key";

/** What a TLS library says of a server that is none of ours, and what it means. */
const FOREIGN: readonly (readonly [said: RegExp, why: string])[] = [
  [/alert: ProtocolVersion|peer is incompatible/, "it does not speak TLS 1.3"],
  [/received fatal alert/, "it breaks the TLS handshake off"],
  [
    /corrupt|decrypt|misbehaved/,
    "its part of the TLS handshake is broken, or was changed on its way",
  ],
];

function explainHandshake(cause?: Error & { code?: string }): Refusal {
  if (cause === undefined || cause.code === "ECONNRESET") {
    const what = "The server closed the connection in the TLS handshake";
    return { error: new InletError("lost", `${what}; ${IS_IT_OURS}`, { cause }) };
  }
  const foreign = FOREIGN.find(([said]) => said.test(cause.message));
  if (foreign) return { error: untrusted(`${foreign[1]}; ${IS_IT_OURS}`, cause) };
  return { error: untrusted(OTHER_KEY, cause), alert: BAD_CERTIFICATE };
}

const IS_IT_OURS = "is it an inlet server with a key?";

function untrusted(why: string, cause?: Error): InletError {
  return new InletError("untrusted", `Cannot trust the server: ${why}`, { cause });
}
