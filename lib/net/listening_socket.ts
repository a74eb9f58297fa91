/**
 * What listens: a port, or a Unix socket.
 *
 * @module
 */

import { formatAddress, type ServerAddress } from "../address.ts";
import { InletError } from "../errors.ts";
import type { ByteStream } from "./byte_stream.ts";

/** A socket that accepts connections. */
export interface ListeningSocket {
  /** What it listens on: with the port that was chosen, or an absolute path. */
  readonly address: Deno.NetAddr | Deno.UnixAddr;
  /** Waits for the next connection. It rejects once the socket is closed. */
  accept(): Promise<ByteStream>;
  /** Closes it, and removes the file of a Unix socket. Connections stay open. */
  close(): void;
}

/** The error for an address that cannot be listened on. */
export function cannotListen(address: ServerAddress, why: string, cause?: unknown): InletError {
  return new InletError("listen", `Cannot listen on ${formatAddress(address)}: ${why}`, { cause });
}
