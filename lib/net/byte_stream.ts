/**
 * A duplex stream of bytes to one peer, the transport of a {@linkcode Connection}. This file has
 * sockets of the system, TCP and others; tls_stream.ts has TLS over another stream of bytes.
 *
 * @module
 */

import { formatAddress, inZone } from "../address.ts";

/** A duplex stream of bytes. */
export interface ByteStream {
  /** The peer, as `HOST:PORT` or `unix:N`: for the log, for `status`, and for limits by address. */
  readonly remote: string;
  /** This machine's own address, without its port, where the transport has one. */
  readonly local?: string;
  /** Whether the peer's bytes are encrypted: known once some have been read. */
  readonly isEncrypted?: boolean;
  /**
   * Reads at least one byte. Calls must not overlap.
   *
   * @returns The number of bytes, or `null` once the peer has closed its direction.
   */
  read(into: Uint8Array): Promise<number | null>;
  /**
   * Writes at least one byte.
   *
   * @returns The number of bytes.
   */
  write(bytes: Uint8Array): Promise<number>;
  /** Writes nothing. It fails if it is known by then that the peer has reset the stream. */
  touch(): Promise<void>;
  /**
   * Closes this side's direction after the written bytes. It fails if it is known by then that the peer
   * has disconnected; else the next read does.
   */
  closeWrite(): Promise<void>;
  /** Closes both directions. Calls under way fail; a second call has no effect. */
  close(): void;
  /**
   * Closes so that the peer reads an error instead of an end (TCP: RST), where the transport can.
   */
  reset(): void;
}

const NOTHING = new Uint8Array(0);

/**
 * A connection of the system as a stream of bytes. It cannot be reset: see node_stream.ts for one that
 * can.
 */
export class SocketStream implements ByteStream {
  readonly remote: string;
  readonly #conn: Deno.Conn;
  #closed = false;

  constructor(conn: Deno.Conn, remote: string) {
    this.#conn = conn;
    this.remote = remote;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#conn.read(into);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  async touch(): Promise<void> {
    await this.#conn.write(NOTHING);
  }

  async closeWrite(): Promise<void> {
    // `closeWrite` succeeds on a connection that was reset.
    await this.touch();
    await this.#conn.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  reset(): void {
    this.close();
  }
}

/** A TCP connection as a stream of bytes. */
export class TcpStream extends SocketStream {
  readonly local: string;

  /** @param zone That of the address that was listened on or connected to. */
  constructor(conn: Deno.TcpConn, zone?: string) {
    super(conn, formatAddress(inZone(conn.remoteAddr, zone)));
    this.local = conn.localAddr.hostname;
    try {
      // Lines are short, and the peer waits for each: Nagle's algorithm would delay one by 40 ms.
      conn.setNoDelay();
    } catch {
      // If the connection is already closed, the first read reports it.
    }
  }
}

/** An end of a connection, as far as it is known. */
interface End {
  readonly hostname: string | undefined;
  readonly port: number | undefined;
}

/**
 * The refusal, if a socket is connected to itself: where nothing listens on a port that the system hands
 * out, it can hand out just that one to whoever connects to it (RFC 9293, section 3.5).
 */
export function refusalOfItself(local: End, remote: End): Error | undefined {
  if (local.port !== remote.port || local.hostname !== remote.hostname) return undefined;
  const refusal = new Deno.errors.ConnectionRefused("Cannot connect a socket to itself");
  return Object.assign(refusal, { code: "ECONNREFUSED" });
}
