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
import { explain, InletError } from "../errors.ts";
import type { ByteStream } from "./byte_stream.ts";

/** Bytes of one read of the encrypted stream. */
const READ_BYTES = 64 * 1024;

/**
 * Decrypted bytes beyond which the encrypted stream is not read until somebody takes them, and under
 * which it is read again. A `TLSSocket` itself reads on whatever waits.
 */
const MOST_WAITING_BYTES = 512 * 1024;
const FEW_WAITING_BYTES = 256 * 1024;

/** What precedes the number of an alert that ends a handshake: RFC 8446, sections 5.1 and 6. */
const ALERT = [0x15, 3, 3, 0, 2, 2];

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
  /** Called at the end of the handshake. What it throws ends the connection before anything is said. */
  checkPeer?(socket: TLSSocket): void;
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
  readonly #writing = new Set<(error: Error) => void>();
  #isSecure = false;
  #isRefusing = false;
  #failure: Error | undefined;

  constructor(stream: ByteStream, options: TlsOptions) {
    this.#stream = stream;
    this.remote = stream.remote;
    this.#handshake.promise.catch(() => {});
    this.#encrypted = new EncryptedStream(stream, {
      head: options.head,
      checkFirst: options.checkFirst,
      hasRoom: () => this.#waiting.bytes <= MOST_WAITING_BYTES,
      onFailure: (error) => this.#fail(error),
    });
    const socket = options.open(this.#encrypted);
    this.#socket = socket;
    socket.once(options.event, () => this.#complete(options));
    socket.on("data", (chunk: Uint8Array) => this.#waiting.add(chunk));
    socket.on("end", () => {
      if (this.#isSecure) this.#waiting.end("end");
      else this.#refuse(options.explain(undefined));
    });
    socket.on("error", (error: Error) => {
      if (this.#isSecure) this.#fail(changedOnTheWay(error));
      else this.#refuse(options.explain(error));
    });
    socket.on("close", () => {
      if (!this.#isRefusing) this.#fail(new InletError("lost", "The connection is closed"));
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
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#writing.add(reject);
    try {
      this.#socket.write(bytes, () => resolve());
      await promise;
      await this.#encrypted.written;
    } finally {
      this.#writing.delete(reject);
    }
    if (this.#failure) throw this.#failure;
    return bytes.length;
  }

  async touch(): Promise<void> {
    await this.#stream.touch();
  }

  async closeWrite(): Promise<void> {
    await this.touch();
    if (this.#failure) throw this.#failure;
    // Tells the peer by a message of TLS, and then by the end of the stream below.
    this.#socket.end();
    await this.#encrypted.ended;
  }

  close(): void {
    this.#stream.close();
    this.#fail(new InletError("closed", "The connection is closed"));
  }

  reset(): void {
    this.#stream.reset();
    this.close();
  }

  #complete({ checkPeer }: TlsOptions): void {
    try {
      checkPeer?.(this.#socket);
    } catch (error) {
      return this.#fail(explain(error));
    }
    this.#isSecure = true;
    this.#handshake.resolve();
  }

  /** Ends the handshake, and tells the peer why, which `node:tls` does not. */
  async #refuse({ error, alert }: Refusal): Promise<void> {
    this.#isRefusing = true;
    try {
      if (alert !== undefined) await this.#stream.write(Uint8Array.of(...ALERT, alert));
    } catch {
      // It has left.
    }
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#handshake.reject(error);
    this.#waiting.end(error);
    this.#writing.forEach((reject) => reject(error));
    this.#encrypted.release();
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
  onFailure(error: Error): void;
}

/** A stream of bytes as `node:tls` wants to have it. */
class EncryptedStream extends Duplex {
  readonly #stream: ByteStream;
  readonly #options: EncryptedOptions;
  readonly #ended = Promise.withResolvers<void>();
  #head: Uint8Array | undefined;
  #isFirst = true;
  #isWanted = false;
  #isReading = false;
  #written: Promise<void> = Promise.resolve();

  constructor(stream: ByteStream, options: EncryptedOptions) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    this.#options = options;
    this.#head = options.head;
    this.#ended.promise.catch(() => {});
  }

  /** Settles when the stream below has taken all that was written. */
  get written(): Promise<void> {
    return this.#written;
  }

  /** Settles when the stream below has been told that no more follows. */
  get ended(): Promise<void> {
    return this.#ended.promise;
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
      this.push(chunk);
      this.pump();
    }).catch((error) => this.#options.onFailure(error));
  }

  /** Lets go of whoever waits. */
  release(): void {
    this.#ended.resolve();
  }

  override _read(): void {
    this.#isWanted = true;
    this.pump();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#written = this.#writeAll(chunk).catch((error) => this.#options.onFailure(error));
    this.#written.then(done);
  }

  override _final(done: () => void): void {
    const closed = this.#stream.closeWrite();
    closed.catch((error) => this.#options.onFailure(error)).finally(done);
    closed.then(this.#ended.resolve, this.#ended.reject);
  }

  /** The next bytes; `null` at the end. */
  async #next(): Promise<Buffer | null> {
    const head = this.#head;
    this.#head = undefined;
    if (head) {
      // Never at once: bytes that are there when the socket is made, and are no TLS, end the process.
      await new Promise<void>((resolve) => setImmediate(resolve));
      return Buffer.from(head);
    }
    // A new one each time: the socket keeps what it is given.
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const read = await this.#stream.read(buffer);
    return read === null ? null : buffer.subarray(0, read);
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.length;) {
      written += await this.#stream.write(chunk.subarray(written));
    }
  }
}
