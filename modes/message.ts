/**
 * Mode message: bytes until the sender closes, written to the server's stdout.
 *
 * 1. C: bytes, as many as it likes.
 * 2. C: closes its side.
 * 3. S: closes, once all of them are written.
 *
 * The server adds and drops no byte. It reads messages beside each other, and writes them one at a
 * time, as lib/server/stdout_queue.ts tells. A message whose connection is lost, or that times out,
 * is not written, or, if it has its turn, up to its last received byte.
 *
 * A server that refuses sends `busy …` or `error CODE …`, and closes. Otherwise it sends nothing.
 * The server exits when the reader of its stdout is gone.
 *
 * @module
 */

import { checkSize } from "../lib/server/size_limit.ts";
import type { Connection } from "../lib/net/connection.ts";
import { encodeError, InletError } from "../lib/errors.ts";
import type { StdoutMessage } from "../lib/server/stdout_queue.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { openOnServer } from "./opening.ts";
import { noteStranger } from "./strangers.ts";

export { sendToEnd as sendMessage } from "./send_only.ts";

/** Server half: writes one message. */
export async function serveMessage(connection: Connection, context: ServerContext): Promise<void> {
  connection.farewell = encodeError;
  await openOnServer(connection, context);
  await noteStranger(connection, context, { mode: "message", answers: false });
  using message = context.stdout.begin({ connection, log: context.log });
  try {
    await write(connection, message, context.maxBytes);
  } catch (error) {
    if (error instanceof InletError && error.code === "closed") context.giveUp(error);
    throw error;
  }
}

async function write(
  connection: Connection,
  message: StdoutMessage,
  maxBytes: number,
): Promise<void> {
  let size = 0;
  await connection.body().pipeTo(
    new WritableStream({
      async write(chunk): Promise<void> {
        size += chunk.length;
        checkSize("take the message", size, maxBytes);
        await connection.whilePresent(() => message.write(chunk), { usesChunk: true });
      },
    }),
  );
  await connection.whilePresent(() => message.end());
}
