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
import type { ByteStream } from "./byte_stream.ts";

const NOTHING = new Uint8Array(0);

/** Connects over TCP. It rejects with the error of the system, or with the reason of the signal. */
export function dialResettable(
  { hostname, port }: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<ByteStream> {
  const { promise, resolve, reject } = Promise.withResolvers<ByteStream>();
  if (signal.aborted) return Promise.reject(signal.reason);
  const socket = connect({ host: hostname, port, allowHalfOpen: true, noDelay: true });
  const abort = (): void => void socket.destroy(signal.reason);
  signal.addEventListener("abort", abort);
  socket.once("error", reject);
  socket.once("connect", () => {
    signal.removeEventListener("abort", abort);
    resolve(new NodeStream(socket));
  });
  return promise;
}

/** A socket of `node:net` as a stream of bytes. */
class NodeStream implements ByteStream {
  readonly remote: string;
  readonly #socket: Socket;
  /** What has arrived and was not read. */
  #arrived: Uint8Array[] = [];
  #ended = false;
  #failure: Error | undefined;
  /** Settles the waits of the reader and of writers. */
  readonly #waits = new Set<() => void>();

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remote = formatAddress({ hostname: socket.remoteAddress!, port: socket.remotePort! });
    // Data flows from the beginning, so that an early end is seen soon; some of it stops the flow.
    socket.on("data", (chunk: Uint8Array) => {
      this.#arrived.push(chunk);
      socket.pause();
      this.#wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error: Error) => this.#fail(error));
    socket.on("close", () => this.#fail(new InletError("lost", "The connection is closed")));
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#arrived.length === 0) {
      if (this.#ended) return null;
      if (this.#failure) throw this.#failure;
      this.#socket.resume();
      await new Promise<void>((resolve) => this.#waits.add(resolve));
    }
    const chunk = this.#arrived[0]!;
    const taken = chunk.subarray(0, into.length);
    into.set(taken);
    if (taken.length < chunk.length) this.#arrived[0] = chunk.subarray(taken.length);
    else this.#arrived.shift();
    return taken.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#call((done) => this.#socket.write(bytes, done));
    return bytes.length;
  }

  async touch(): Promise<void> {
    await this.#call((done) => this.#socket.write(NOTHING, done));
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
    const failed = (): void => {
      if (this.#failure) reject(this.#failure);
      else this.#waits.add(failed);
    };
    this.#waits.add(failed);
    method((error) => error ? reject(error) : resolve());
    try {
      await promise;
    } finally {
      this.#waits.delete(failed);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  #wake(): void {
    const waits = [...this.#waits];
    this.#waits.clear();
    waits.forEach((wake) => wake());
  }
}
