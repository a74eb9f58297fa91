/**
 * Connects to a Unix socket. Such a connection has a row of its own among the streams of bytes:
 *
 * - There is no reset. A peer that is gone shows by `EPIPE` on the next write, also on an empty one, and
 *   by `ECONNRESET` on the next read if it had not read everything; otherwise it reads as an end.
 * - There is no delay to turn off, and nothing to keep alive: the system knows when a peer is gone.
 *
 * Loaded on demand: most addresses are ports.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { formatAddress } from "../address.ts";
import { systemCode } from "../system_errors.ts";
import { type ByteStream, SocketStream } from "./byte_stream.ts";

/** Milliseconds between two attempts while the server's queue is full. */
const QUEUE_FULL_MS = 20;

/** Connects. It rejects with the error of the system, or with the reason of the signal. */
export async function dialUnix(path: string, signal: AbortSignal): Promise<ByteStream> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const conn = await Deno.connect({ transport: "unix", path });
      return new SocketStream(conn, formatAddress({ path }));
    } catch (error) {
      // Over TCP the system itself waits for a place in the queue.
      if (systemCode(error) !== "EAGAIN") throw error;
    }
    await delay(QUEUE_FULL_MS, { signal });
  }
}
