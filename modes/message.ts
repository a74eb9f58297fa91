/**
 * Mode message: bytes until the sender closes, written to the server's stdout.
 *
 * 1. C: bytes, as many as it likes.
 * 2. C: closes its side.
 * 3. S: closes, once all of them are written.
 *
 * The server adds and drops no byte. It writes messages one at a time, in the order of their first
 * bytes. Later messages wait in the TCP buffers. A message whose connection is lost, or that times
 * out, is written up to its last received byte.
 *
 * A server that refuses sends `busy …` or `error CODE …`, and closes. Otherwise it sends nothing.
 * The server exits when the reader of its stdout is gone.
 *
 * @module
 */

import { checkSize } from "../lib/server/size_limit.ts";
import type { Connection } from "../lib/net/connection.ts";
import { encodeError, InletError } from "../lib/errors.ts";
import type { StdoutLock } from "../lib/server/stdout_queue.ts";
import type { ServerContext } from "../lib/server/context.ts";

export { sendToEnd as sendMessage } from "./send_only.ts";

/** Server half: writes one message. */
export async function serveMessage(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  // Lock only after the first byte, so that an idle client does not block the others.
  await connection.arrival();
  using lock = context.stdout.lock();
  if (lock.mustWait) context.log.info("queued", "waits until the messages before are written");
  await connection.unwatched(lock.ready);
  try {
    const size = await write(connection, lock, context.maxBytes);
    context.log.info("message", `sent a message of ${size} bytes`, { size });
  } catch (error) {
    if (error instanceof InletError && error.code === "closed") context.giveUp(error);
    throw error;
  }
}

async function write(connection: Connection, lock: StdoutLock, maxBytes: number): Promise<number> {
  let size = 0;
  await connection.body().pipeTo(
    new WritableStream({
      async write(chunk): Promise<void> {
        size += chunk.length;
        checkSize("take the message", size, maxBytes);
        await connection.unwatched(lock.write(chunk));
      },
    }),
  );
  return size;
}
