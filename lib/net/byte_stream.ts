/**
 * Bytes both ways with one peer: what a {@linkcode Connection} stands on. TCP is here; TLS and a peer
 * that is reached over a relay are others.
 *
 * @module
 */

import { formatAddress } from "../address.ts";

/** A duplex stream of bytes. */
export interface ByteStream {
  /** The peer, as `HOST:PORT`: for the log, for `status`, and for limits by address. */
  readonly remote: string;
  /**
   * Reads at least one byte. One call at a time.
   *
   * @returns How many bytes, or `null` at the end of what the peer sends.
   */
  read(into: Uint8Array): Promise<number | null>;
  /**
   * Writes at least one byte.
   *
   * @returns How many bytes.
   */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends this side behind what was written. It fails if the peer is known to be gone. */
  closeWrite(): Promise<void>;
  /** Drops both directions. Calls under way fail; a second time is harmless. */
  close(): void;
}

/** A TCP connection as a stream of bytes. */
export class TcpStream implements ByteStream {
  readonly remote: string;
  readonly #conn: Deno.TcpConn;
  #closed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.remote = formatAddress(conn.remoteAddr);
    try {
      // Lines are short, and each is waited for: holding one back to fill a segment costs 40 ms.
      conn.setNoDelay();
    } catch {
      // A connection that is gone already says so when it is read.
    }
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#conn.read(into);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  async closeWrite(): Promise<void> {
    // `closeWrite` succeeds on a connection that was reset; a write fails there, even an empty one.
    await this.#conn.write(new Uint8Array(0));
    await this.#conn.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }
}
