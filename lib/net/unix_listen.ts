/**
 * Listens on a Unix socket.
 *
 * The socket is a file, which outlives a server that is killed. So one that nobody listens on any more
 * is replaced, and one that somebody listens on is not, nor a file that is no socket. What decides is
 * whether it can be connected to.
 *
 * Who may connect is decided by the permissions of the file. They are set right after it is made: in
 * the moment between, those hold that the umask leaves.
 *
 * Loaded on demand: most servers listen on a port.
 *
 * @module
 */

import { resolve } from "@std/path/resolve";
import { unixPeer } from "../address.ts";
import { InletError } from "../errors.ts";
import { systemCode } from "../system_errors.ts";
import { unixReason } from "./address_reasons.ts";
import { type ByteStream, SocketStream } from "./byte_stream.ts";
import { cannotListen, type ListeningSocket } from "./listening_socket.ts";

/** How often a socket is replaced that others replace at the same time. */
const ATTEMPTS = 10;

const IN_USE = "another server listens there; stop it, or choose another path";

/**
 * Opens a listening socket.
 *
 * @param mode The permissions of the file.
 * @throws {InletError} `listen`, with the reason
 */
export async function listenUnix(relative: string, mode: number): Promise<ListeningSocket> {
  const path = resolve(relative);
  try {
    const listener = await bind(path);
    try {
      Deno.chmodSync(path, mode);
      return new UnixListeningSocket(listener, path);
    } catch (error) {
      listener.close();
      throw error;
    }
  } catch (cause) {
    if (cause instanceof InletError) throw cause;
    const isFolderMissing = systemCode(cause) === "ENOENT";
    const why = isFolderMissing ? "its folder does not exist" : unixReason(cause);
    throw cannotListen({ path }, why, cause);
  }
}

async function bind(path: string): Promise<Deno.UnixListener> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      return Deno.listen({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
    await removeStale(path);
  }
  throw cannotListen({ path }, IN_USE);
}

/**
 * Removes a socket that nobody listens on.
 *
 * @throws {InletError} `listen` if somebody does, or if it is no socket
 */
async function removeStale(path: string): Promise<void> {
  const found = fileAt(path);
  if (!found) return;
  if (!found.isSocket) throw cannotListen({ path }, "there is a file that is no socket");
  if (await isListenedOn(path)) throw cannotListen({ path }, IN_USE);
  // A server that starts at the same time may have replaced it since it was looked at.
  if (!isSame(found, fileAt(path))) return;
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const what = "a server that is gone has left its socket there, and it cannot be removed";
    throw cannotListen({ path }, `${what}: ${unixReason(error)}`, error);
  }
}

async function isListenedOn(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === "ECONNREFUSED" || code === "ENOENT") return false;
    // Its queue is full.
    if (code === "EAGAIN") return true;
    throw error;
  }
}

function fileAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether two looks found the same file. The number of a file that is gone is given to a new one. */
function isSame(one: Deno.FileInfo, other: Deno.FileInfo | undefined): boolean {
  return one.dev === other?.dev && one.ino === other?.ino &&
    one.mtime?.getTime() === other?.mtime?.getTime();
}

class UnixListeningSocket implements ListeningSocket {
  readonly address: Deno.UnixAddr;
  readonly #listener: Deno.UnixListener;
  readonly #file: Deno.FileInfo;
  #connections = 0;
  #isClosed = false;
  /** Ends the wait for a connection. */
  #reject: ((error: Error) => void) | undefined;

  constructor(listener: Deno.UnixListener, path: string) {
    this.#listener = listener;
    this.address = { transport: "unix", path };
    this.#file = Deno.lstatSync(path);
  }

  async accept(): Promise<ByteStream> {
    const { promise, resolve, reject } = Promise.withResolvers<Deno.UnixConn>();
    this.#reject = reject;
    this.#listener.accept().then((conn) => this.#isClosed ? conn.close() : resolve(conn), reject);
    return new SocketStream(await promise, unixPeer(++this.#connections));
  }

  close(): void {
    this.#isClosed = true;
    const now = fileAt(this.address.path);
    if (!now || isSame(this.#file, now)) return this.#listener.close();
    // Somebody has put another file there, which Deno would remove. So the socket, which nobody can
    // reach any more, stays open until the process ends.
    this.#listener.unref();
    this.#reject?.(new Deno.errors.Interrupted("The socket is closed"));
  }
}
