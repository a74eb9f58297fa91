/**
 * TLS 1.3 over a stream of bytes, as another stream of bytes. `node:tls` does the cryptography on a
 * stream of `node:stream` that this file puts around ours, because `Deno.listenTls` and
 * `Deno.startTls` cannot be told which key to trust alone, nor to let go of a silent peer.
 *
 * Loaded on demand, with `node:tls`: a connection without a key needs none of it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { InletError } from "../errors.ts";
import type { ByteStream } from "./byte_stream.ts";

/** Most bytes of one read of the encrypted stream, and bytes of one on a quiet connection. */
const READ_BYTES = 64 * 1024;
const QUIET_READ_BYTES = 4 * 1024;

/**
 * Decrypted bytes beyond which the encrypted stream is not read until somebody takes them, and under
 * which it is read again. A `TLSSocket` itself reads on whatever waits.
 */
const MOST_WAITING_BYTES = 512 * 1024;
const FEW_WAITING_BYTES = 256 * 1024;

/** What precedes the number of an alert that ends a handshake: RFC 8446, sections 5.1 and 6. */
const ALERT = [0x15, 3, 3, 0, 2, 2];

/** What {@linkcode TlsOptions.explain} is given for a peer that is not trusted. */
const NOT_TRUSTED = new Error("not the certificate of this peer");

/** How {@linkcode TlsStream} gets its socket, and what it does before and after the handshake. */
export interface TlsOptions {
  /** Makes the socket over the encrypted stream. */
  open(encrypted: Duplex): TLSSocket;
  /** The event of the socket that tells that the handshake is complete. */
  event: "secure" | "secureConnect";
  /** Bytes of the encrypted stream that were read already. */
  head?: Uint8Array;
  /**
   * Called with the first bytes of the peer. What it throws ends the handshake.
   */
  checkFirst?(bytes: Uint8Array): void;
  /** Whether the peer that has shown this certificate, in DER, is the right one. */
  trusts?(certificate: Uint8Array): boolean;
  /** Converts an error of the handshake; `undefined` is the end of the peer's bytes. */
  explain(error: Error | undefined): Refusal;
}

/** Why a handshake is over. */
export interface Refusal {
  readonly error: InletError;
  /** What tells the peer (RFC 8446, section 6.2), where it can still be told in the clear. */
  readonly alert?: number;
}

/** The decrypted side of a TLS connection. */
export class TlsStream implements ByteStream {
  readonly isEncrypted = true;
  readonly remote: string;
  readonly #stream: ByteStream;
  readonly #encrypted: EncryptedStream;
  readonly #socket: TLSSocket;
  readonly #waiting = new Waiting();
  readonly #handshake = Promise.withResolvers<void>();
  /** What waits for the socket, and is told when it fails. */
  readonly #calls = new Set<(error: Error) => void>();
  #isSecure = false;
  #isRefusing = false;
  /** Whether the peer has closed its direction. */
  #isEnded = false;
  /** Set once this side closes its direction. */
  #ending: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(stream: ByteStream, options: TlsOptions) {
    this.#stream = stream;
    this.remote = stream.remote;
    this.#handshake.promise.catch(() => {});
    this.#encrypted = new EncryptedStream(stream, {
      head: options.head,
      checkFirst: options.checkFirst,
      hasRoom: () => this.#waiting.bytes <= MOST_WAITING_BYTES,
      onEnd: () => this.#isSecure || this.#refuse(options.explain(undefined)),
      onFailure: (error) => this.#fail(error),
    });
    const socket = options.open(this.#encrypted);
    this.#socket = socket;
    socket.once(options.event, () => this.#complete(options));
    socket.on("data", (chunk: Uint8Array) => this.#waiting.add(chunk));
    socket.on("end", () => this.#ended());
    const onError = (error: Error): void => {
      if (this.#isSecure) this.#fail(changedOnTheWay(error));
      else this.#refuse(options.explain(error));
    };
    socket.on("error", onError);
    // After the handshake the server half tells of bad records by this one alone.
    socket.on("_tlsError", onError);
    socket.on("close", () => {
      // It closes by itself once both directions are closed. Then nothing is lost.
      const isOver = this.#isEnded && this.#ending;
      if (!isOver && !this.#isRefusing) {
        this.#fail(new InletError("lost", "The connection is closed"));
      }
    });
  }

  /** Settles once the handshake is complete; rejects if it fails. */
  get secured(): Promise<void> {
    return this.#handshake.promise;
  }

  async read(into: Uint8Array): Promise<number | null> {
    await this.#handshake.promise;
    const read = await this.#waiting.take(into);
    if (this.#waiting.bytes < FEW_WAITING_BYTES) this.#encrypted.pump();
    return read;
  }

  /** Writes all bytes, and returns once the stream below has taken what they were encrypted to. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#ending) throw new InletError("closed", "This direction is closed");
    // The socket would never be done with nothing.
    if (bytes.length > 0) await this.#call((done) => this.#socket.write(bytes, done));
    return bytes.length;
  }

  async touch(): Promise<void> {
    await this.#stream.touch();
  }

  async closeWrite(): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  close(): void {
    this.#stream.close();
    this.#fail(new InletError("closed", "The connection is closed"));
  }

  reset(): void {
    this.#stream.reset();
    this.close();
  }

  #ended(): void {
    this.#isEnded = true;
    this.#waiting.end("end");
  }

  /** The end of the handshake. Nothing is said to a peer that is not the right one. */
  #complete({ trusts, explain }: TlsOptions): void {
    const { raw = new Uint8Array() } = this.#socket.getPeerCertificate() ?? {};
    if (trusts && !trusts(raw)) {
      return this.#fail(explain(NOT_TRUSTED).error);
    }
    this.#isSecure = true;
    this.#handshake.resolve();
  }

  /** Ends the handshake, and tells the peer why, which `node:tls` does not. */
  async #refuse({ error, alert }: Refusal): Promise<void> {
    if (this.#isRefusing) return;
    this.#isRefusing = true;
    try {
      if (alert !== undefined) await this.#stream.write(Uint8Array.of(...ALERT, alert));
    } catch {
      // It has left.
    }
    this.#fail(error);
  }

  /** Tells the peer by a message of TLS, and then by the end of the stream below. */
  async #end(): Promise<void> {
    await this.touch();
    await this.#call((done) => this.#socket.end(done));
    this.#encrypted.isOver = true;
    await this.#stream.closeWrite();
  }

  /**
   * Calls a method of the socket, and waits until the stream below has taken what comes of it, or the
   * connection has failed.
   */
  async #call(method: (done: (error?: Error | null) => void) => unknown): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#calls.add(reject);
    method((error) => error ? reject(error) : resolve());
    try {
      await promise;
    } finally {
      this.#calls.delete(reject);
    }
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#handshake.reject(error);
    this.#waiting.end(error);
    this.#calls.forEach((reject) => reject(error));
    this.#socket.destroy();
    this.#encrypted.destroy();
  }
}

/** The error for a record that is not what the peer has sent. */
function changedOnTheWay(cause: Error): InletError {
  const what = "The encrypted connection was changed on its way, or broken off";
  return new InletError("untrusted", what, { cause });
}

/** The decrypted bytes that wait to be read. One reader at a time. */
class Waiting {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #over: "end" | Error | undefined;
  #wake: (() => void) | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#wake?.();
  }

  end(why: "end" | Error): void {
    this.#over ??= why;
    this.#wake?.();
  }

  /** Takes as many bytes as there are, at least one; `null` at the end. */
  async take(into: Uint8Array): Promise<number | null> {
    while (this.#bytes === 0) {
      if (this.#over === "end") return null;
      if (this.#over) throw this.#over;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    let taken = 0;
    while (taken < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(0, into.length - taken);
      into.set(part, taken);
      taken += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#bytes -= taken;
    return taken;
  }
}

/** What {@linkcode EncryptedStream} needs. */
interface EncryptedOptions {
  head: Uint8Array | undefined;
  checkFirst: ((bytes: Uint8Array) => void) | undefined;
  hasRoom(): boolean;
  /** Called at the end of the stream, when all before it has been decrypted. */
  onEnd(): void;
  onFailure(error: Error): void;
}

/** A stream of bytes as `node:tls` wants to have it. */
class EncryptedStream extends Duplex {
  /** Whether what the socket still says, such as an alert, has nowhere to go. */
  isOver = false;
  readonly #stream: ByteStream;
  readonly #options: EncryptedOptions;
  #head: Uint8Array | undefined;
  #isFirst = true;
  #isWanted = false;
  #isReading = false;
  #buffer: Buffer | undefined;
  /** Expected size of the next read in bytes: many connections are open and say little. */
  #expected = QUIET_READ_BYTES;

  constructor(stream: ByteStream, options: EncryptedOptions) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    this.#options = options;
    this.#head = options.head;
  }

  /** Reads on, if that is wanted and there is room for it. */
  pump(): void {
    if (!this.#isWanted || this.#isReading || this.destroyed || !this.#options.hasRoom()) return;
    this.#isReading = true;
    this.#isWanted = false;
    this.#next().then((chunk) => {
      this.#isReading = false;
      if (this.destroyed) return;
      if (chunk && this.#isFirst) this.#options.checkFirst?.(chunk);
      this.#isFirst = false;
      if (chunk === null) this.#options.onEnd();
      if (this.destroyed) return;
      this.push(chunk);
      // What does not wait here has been decrypted, and its buffer is free: a new one is slow to touch.
      if (this.readableLength > 0) this.#buffer = undefined;
      this.pump();
    }).catch((error) => this.#options.onFailure(error));
  }

  override _read(): void {
    this.#isWanted = true;
    this.pump();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    if (this.isOver) return done();
    this.#writeAll(chunk).then(done, (error) => this.#options.onFailure(error));
  }

  /** The next bytes; `null` at the end. */
  async #next(): Promise<Buffer | null> {
    const head = this.#head;
    this.#head = undefined;
    if (head) {
      // Never at once: bytes that are there when the socket is made, and are no TLS, end the process.
      await nextTurn();
      return Buffer.from(head);
    }
    if (this.#buffer?.length !== this.#expected) this.#buffer = Buffer.allocUnsafe(this.#expected);
    const buffer = this.#buffer;
    const read = await this.#stream.read(buffer);
    this.#expected = Math.min(Math.max(4 * (read ?? 0), QUIET_READ_BYTES), READ_BYTES);
    if (read !== null) return buffer.subarray(0, read);
    // Until then the socket has told what it has made of all before.
    await nextTurn();
    return null;
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.length;) {
      written += await this.#stream.write(chunk.subarray(written));
    }
  }
}

/** Settles when all that can go on now has done so. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
