/**
 * A TCP connection that can be reset. On the wires of other programs the end of the stream is the end
 * of the body, so a client that gives up must not close in order: the server would keep what it has
 * as a whole file. A `Deno.TcpConn` can only close in order; a socket of `node:net` can also be reset.
 *
 * Loaded on demand, because `node:net` takes as long to load as a small file takes to send.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import { formatAddress } from "../address.ts";
import { InletError } from "../errors.ts";
import { type ByteStream, refusalOfItself } from "./byte_stream.ts";

/** Size of the buffer that a socket reads into, in bytes. */
const BUFFER_BYTES = 256 * 1024;

const NOTHING = new Uint8Array(0);

/** Connects over TCP. It rejects with the error of the system, or with the reason of the signal. */
export function dialResettable(
  { hostname, port }: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<ByteStream> {
  const { promise, resolve, reject } = Promise.withResolvers<ByteStream>();
  if (signal.aborted) return Promise.reject(signal.reason);
  const inbox = new Inbox();
  const socket = connect({
    host: hostname,
    port,
    allowHalfOpen: true,
    noDelay: true,
    onread: { buffer: inbox.buffer, callback: (size) => inbox.filled(size) },
  });
  const abort = (): void => void socket.destroy(signal.reason);
  signal.addEventListener("abort", abort);
  socket.once("error", reject);
  socket.once("connect", () => {
    // A connection that the peer has reset already has no remote address.
    const { remoteAddress = hostname, remotePort = port, localAddress, localPort } = socket;
    const remote = { hostname: remoteAddress, port: remotePort };
    const refusal = refusalOfItself({ hostname: localAddress, port: localPort }, remote);
    if (!refusal) return resolve(new NodeStream(socket, inbox, formatAddress(remote)));
    socket.resetAndDestroy();
    reject(refusal);
  });
  return promise.finally(() => signal.removeEventListener("abort", abort));
}

/** What has arrived on a socket, and whoever waits for it. */
class Inbox {
  /** The socket reads into it, and into nothing else. */
  readonly buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #wake: (() => void) | undefined;
  /** Set once nothing more arrives. */
  over: "end" | Error | undefined;

  /** Notes that the buffer was filled. Returns whether the socket may read on into it. */
  filled(size: number): boolean {
    this.#start = 0;
    this.#end = size;
    this.#wake?.();
    return false;
  }

  /** Notes that nothing more arrives. */
  close(why: "end" | Error): void {
    this.over ??= why;
    this.#wake?.();
  }

  /** Takes bytes that have arrived; 0 if there are none. */
  take(into: Uint8Array): number {
    const taken = this.buffer.subarray(this.#start, Math.min(this.#end, this.#start + into.length));
    into.set(taken);
    this.#start += taken.length;
    return taken.length;
  }

  /** Settles when something has arrived, or nothing more does. */
  async arrival(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
  }
}

/** A socket of `node:net` as a stream of bytes. */
class NodeStream implements ByteStream {
  readonly remote: string;
  readonly #socket: Socket;
  readonly #inbox: Inbox;
  #failure: Error | undefined;
  readonly #writing = new Set<(error: Error) => void>();

  constructor(socket: Socket, inbox: Inbox, remote: string) {
    this.#socket = socket;
    this.#inbox = inbox;
    this.remote = remote;
    if (socket.destroyed) this.#fail(new InletError("lost", "The connection is closed"));
    socket.on("end", () => inbox.close("end"));
    socket.on("error", (error: Error) => this.#fail(error));
    socket.on("close", () => this.#fail(new InletError("lost", "The connection is closed")));
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const taken = this.#inbox.take(into);
      if (taken > 0) return taken;
      const { over } = this.#inbox;
      if (over) {
        if (over === "end") return null;
        throw over;
      }
      this.#socket.resume();
      await this.#inbox.arrival();
    }
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#call((done) => this.#socket.write(bytes, done));
    return bytes.length;
  }

  async touch(): Promise<void> {
    if (this.#failure) throw this.#failure;
    // The system tells of a reset once. If an empty write is told, node:net may keep it to itself, and
    // the next read finds an orderly end. So it is for reads to find out, as long as they can.
    if (this.#inbox.over) await this.#call((done) => this.#socket.write(NOTHING, done));
  }

  async closeWrite(): Promise<void> {
    // `end` succeeds on a connection that was reset.
    await this.touch();
    await this.#call((done) => this.#socket.end(done));
  }

  close(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Calls a method of the socket, and waits until it is done or the socket has failed. */
  async #call(method: (done: (error?: Error | null) => void) => unknown): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#writing.add(reject);
    method((error) => error ? reject(error) : resolve());
    try {
      await promise;
    } finally {
      this.#writing.delete(reject);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#inbox.close(error);
    this.#writing.forEach((reject) => reject(error));
  }
}
