/**
 * The server half of TLS: what arrives on a connection is TLS 1.3, or is refused.
 *
 * Loaded on demand: a server without a key needs none of it.
 *
 * @module
 */

import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { Certified } from "../auth/named_certificate.ts";
import { InletError } from "../errors.ts";
import { formatSeconds } from "../text.ts";
import { AwakeTimer } from "./awake.ts";
import type { ByteStream } from "./byte_stream.ts";
import { type Refusal, TlsStream } from "./tls_stream.ts";

/** First byte of a record that begins a handshake: RFC 8446, section 5.1. */
const HANDSHAKE = 0x16;

/** What a server needs to accept TLS. */
export interface AcceptOptions {
  /** What is shown to clients that send no name, or a name that {@linkcode named} does not know. */
  identity(): Promise<Certified>;
  /** What is shown to clients that send this host name (SNI). */
  named?: ((name: string) => Certified | undefined) | undefined;
  /** Milliseconds from the first byte within which the handshake must be complete. */
  handshakeMs: number;
}

/** Puts TLS on a connection that was accepted. The handshake begins with the first byte. */
export function acceptTls(stream: ByteStream, options: AcceptOptions): ByteStream {
  return new AcceptedStream(stream, options);
}

/**
 * A stream that begins as TLS does, or is `isEncrypted: false` after its first read: then it gives the
 * peer's bytes as they are, so that whoever reads them can refuse the peer in words that it knows.
 */
class AcceptedStream implements ByteStream {
  readonly remote: string;
  readonly #stream: ByteStream;
  readonly #options: AcceptOptions;
  /** The stream to read and write: decided by the first byte. */
  #chosen: ByteStream | undefined;
  #isClosed = false;

  constructor(stream: ByteStream, options: AcceptOptions) {
    this.#stream = stream;
    this.remote = stream.remote;
    this.#options = options;
  }

  get isEncrypted(): boolean {
    return this.#chosen !== undefined && this.#chosen !== this.#stream;
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#chosen) return await this.#chosen.read(into);
    const read = await this.#stream.read(into);
    if (read === null) return null;
    if (into[0] !== HANDSHAKE) {
      this.#chosen = this.#stream;
      return read;
    }
    this.#chosen = await this.#shakeHands(into.slice(0, read));
    return await this.#chosen.read(into);
  }

  async write(bytes: Uint8Array): Promise<number> {
    // A peer that has not said what it speaks understands nothing.
    return this.#chosen ? await this.#chosen.write(bytes) : bytes.length;
  }

  async touch(): Promise<void> {
    await this.#stream.touch();
  }

  async closeWrite(): Promise<void> {
    await (this.#chosen ?? this.#stream).closeWrite();
  }

  close(): void {
    this.#isClosed = true;
    this.#chosen?.close();
    this.#stream.close();
  }

  reset(): void {
    this.#stream.reset();
    this.close();
  }

  async #shakeHands(head: Uint8Array): Promise<ByteStream> {
    const { identity, named, handshakeMs } = this.#options;
    const late = `No complete TLS handshake within ${formatSeconds(handshakeMs)} s`;
    const { promise: isLate, reject } = Promise.withResolvers<never>();
    using _ = new AwakeTimer(handshakeMs, () => reject(new InletError("timeout", late)));
    const secureContext = contextOf(await Promise.race([identity(), isLate]));
    const secured = new TlsStream(this.#stream, {
      open: (encrypted) =>
        new TLSSocket(encrypted, { isServer: true, secureContext, ...named && byName(named) }),
      event: "secure",
      head,
      explain: explainHandshake,
    });
    try {
      await Promise.race([secured.secured, isLate]);
    } catch (error) {
      secured.close();
      throw error;
    }
    if (this.#isClosed) secured.close();
    return secured;
  }
}

/** What is shown by the name that a client sends. */
function byName(named: (name: string) => Certified | undefined) {
  return {
    SNICallback(name: string, done: (error: Error | null, context?: SecureContext) => void): void {
      const identity = named(name);
      if (identity) done(null, contextOf(identity));
      else done(null);
    },
  };
}

const contexts = new WeakMap<Certified, SecureContext>();

/** The context of a certificate, which is made once. */
function contextOf(identity: Certified): SecureContext {
  const known = contexts.get(identity);
  if (known) return known;
  const { certificate: cert, privateKey: key } = identity;
  const context = createSecureContext({ cert, key, minVersion: "TLSv1.3" });
  contexts.set(identity, context);
  return context;
}

/** Alerts by which a client says that it knows another key. */
const DISTRUST = /alert: \w*(?:Certificate|UnknownCA)/;

/** Alerts: RFC 8446, section 6.2. */
const HANDSHAKE_FAILURE = 40;
const PROTOCOL_VERSION = 70;

function explainHandshake(cause?: Error & { code?: string }): Refusal {
  if (cause === undefined || cause.code === "ECONNRESET") {
    return { error: new InletError("lost", "The client left in the TLS handshake", { cause }) };
  }
  const { message } = cause;
  if (DISTRUST.test(message)) {
    const what = "The client does not trust this server: the client has another key, or none";
    return { error: new InletError("denied", what, { cause }) };
  }
  const broken = (why: string): InletError =>
    new InletError("bad-request", `Cannot complete the TLS handshake: ${why}`, { cause });
  if (/incompatible: (?:SupportedVersions|SignatureAlgorithms)|Tls13/.test(message)) {
    return { error: broken("the client does not speak TLS 1.3"), alert: PROTOCOL_VERSION };
  }
  if (/peer is incompatible/.test(message)) {
    const why = "the client and this server have no algorithm in common";
    return { error: broken(why), alert: HANDSHAKE_FAILURE };
  }
  const isAlert = /received fatal alert/.test(message);
  return {
    error: broken(
      isAlert
        ? "the client broke it off"
        : "what the client sends is no TLS, or was changed on its way",
    ),
  };
}
