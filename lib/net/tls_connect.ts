/**
 * The client half of TLS: the server holds the private key to the one public key that this client
 * knows, or nothing is said to it. No certificate authority counts, and no name.
 *
 * Loaded on demand: a client without a key needs none of it.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { connect, type PeerCertificate } from "node:tls";
import type { PublicIdentity } from "../auth/identity.ts";
import { InletError } from "../errors.ts";
import { printable } from "../text.ts";
import type { ByteStream } from "./byte_stream.ts";
import { TlsStream } from "./tls_stream.ts";

/** Types of records by which a TLS server may answer: alert and handshake (RFC 8446, section 5.1). */
const RECORDS = [0x15, 0x16];

/** Most characters of what a server without TLS says that are shown. */
const SHOWN_CHARACTERS = 200;

/**
 * Puts TLS on a connection that was opened.
 *
 * @throws {InletError} `untrusted` if the server does not hold the key, `denied` if it speaks no TLS,
 * `lost` if the connection ends
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
        minVersion: "TLSv1.3",
        checkServerIdentity: (_name, peer) => checkPublicKey(peer, server),
      }),
    event: "secureConnect",
    checkFirst: (bytes) => {
      if (!RECORDS.includes(bytes[0]!)) throw notEncrypted(bytes);
    },
    explain: explainHandshake,
  });
  await secured.secured;
  return secured;
}

/** Compares what the handshake has proved with what is known. */
function checkPublicKey({ raw }: PeerCertificate, { spki }: PublicIdentity): Error | undefined {
  const key = new X509Certificate(raw).publicKey.export({ type: "spki", format: "der" });
  return Buffer.from(spki).equals(key) ? undefined : new Error("another public key");
}

function notEncrypted(bytes: Uint8Array): InletError {
  const [line = ""] = new TextDecoder().decode(bytes).split(/\r?\n/);
  const said = line === "" ? "" : `; it says "${printable(line.slice(0, SHOWN_CHARACTERS))}"`;
  return new InletError(
    "denied",
    "Cannot use the key: the server has none, and does not encrypt; start it with --token-file, or " +
      `leave the key out here${said}`,
  );
}

function explainHandshake(cause: Error): InletError {
  const what = "Cannot trust the server: it does not hold this key";
  return new InletError("untrusted", what, { cause });
}
