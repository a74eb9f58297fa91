/**
 * Listens on an address. All listening sockets are opened here.
 *
 * @module
 */

import { inZone, zoneOf } from "../address.ts";
import { addressReason } from "./address_reasons.ts";
import { type ByteStream, TcpStream } from "./byte_stream.ts";
import { cannotListen, type ListeningSocket } from "./listening_socket.ts";

/** Where to listen, and how. */
export type ListenOptions =
  | {
    hostname: string;
    /** 0 for any free one. */
    port: number;
    /** Most connections that wait to be accepted. */
    backlog: number;
  }
  | {
    path: string;
    /** The permissions of the socket: to connect takes that to write. */
    mode: number;
  };

/**
 * Opens a listening socket.
 *
 * @throws {InletError} `listen`, with the reason
 */
export async function listen(options: ListenOptions): Promise<ListeningSocket> {
  if (!("path" in options)) return new TcpListeningSocket(options);
  const { listenUnix } = await import("./unix_listen.ts");
  return await listenUnix(options.path, options.mode);
}

/** A port. */
class TcpListeningSocket implements ListeningSocket {
  readonly address: Deno.NetAddr;
  readonly #listener: Deno.TcpListener;
  readonly #zone: string | undefined;

  constructor({ hostname, port, backlog }: { hostname: string; port: number; backlog: number }) {
    try {
      this.#listener = Deno.listen({ hostname, port, tcpBacklog: backlog });
    } catch (cause) {
      throw cannotListen({ hostname, port }, reason(hostname, cause), cause);
    }
    this.#zone = zoneOf(hostname);
    this.address = inZone(this.#listener.addr, this.#zone);
  }

  async accept(): Promise<ByteStream> {
    return new TcpStream(await this.#listener.accept(), this.#zone);
  }

  close(): void {
    this.#listener.close();
  }
}

function reason(hostname: string, error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the address is in use; stop the other server, or choose another port (0 for any free one)";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) return "this machine has no such address";
  return addressReason(hostname, error);
}
