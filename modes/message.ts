/**
 * Bytes until the sender closes, written to the server's stdout.
 *
 * 1. C: bytes, as many as it likes.
 * 2. C: closes its side.
 * 3. S: closes, once all of them are written.
 *
 * Not a byte is added or left out. Messages come one after the other, in the order in which they
 * began: whoever begins while another speaks waits, with what it sends in the buffers of TCP. So a
 * message that breaks off, or is cut because it stalled, has been written as far as it came.
 *
 * A server that refuses says `busy …` or `error CODE …`, and closes. Otherwise it says nothing. When
 * nobody reads its stdout any more, it ends.
 *
 * @module
 */

import { checkSize } from "../lib/access.ts";
import type { Connection } from "../lib/connection.ts";
import { encodeError, InletError } from "../lib/errors.ts";
import type { Turn } from "../lib/messages.ts";
import type { ServerContext } from "../lib/mode.ts";

export { sendToEnd as sendMessage } from "../lib/one_way.ts";

/** Server half: writes one message. */
export async function serveMessage(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  // Whoever has nothing to say yet keeps nobody from speaking.
  await connection.arrival();
  using turn = context.messages.turn();
  await connection.unwatched(turn.ready);
  try {
    const size = await write(connection, turn, context.maxBytes);
    context.log.info("message", `sent a message of ${size} bytes`, { size });
  } catch (error) {
    if (error instanceof InletError && error.code === "closed") context.giveUp(error);
    throw error;
  }
}

async function write(connection: Connection, turn: Turn, maxBytes: number): Promise<number> {
  let size = 0;
  await connection.body().pipeTo(
    new WritableStream({
      async write(chunk): Promise<void> {
        size += chunk.length;
        checkSize("take the message", size, maxBytes);
        await connection.unwatched(turn.write(chunk));
      },
    }),
  );
  return size;
}
