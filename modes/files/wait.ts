/**
 * How a server waits: for the next request of a session, and for its own disk.
 *
 * @module
 */

import { decodeRequest, encodeReply, type Request } from "../../protocol.ts";
import type { Connection, Rest } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { formatSeconds } from "../../lib/text.ts";

/** A session is warned so long before its rest ends, or half-way where it is short. Milliseconds. */
const WARNING_MS = 60_000;

/** A client whose answer takes long is told so every so many milliseconds. */
const NOTE_MS = 1000;

/** Waits until a client begins something, or leaves. */
export async function nextArrival(
  connection: Connection,
  context: ServerContext,
  rest: Rest,
): Promise<void> {
  if (context.signal.aborted) throw context.signal.reason;
  connection.resting = true;
  try {
    await connection.rest(rest);
  } finally {
    connection.resting = false;
  }
}

/** The next request, or `null` where the client has left. */
export async function nextRequest(connection: Connection): Promise<Request | null> {
  connection.resting = true;
  try {
    const line = await connection.readLine();
    return line === null ? null : decodeRequest(line);
  } finally {
    connection.resting = false;
  }
}

/** How long a session may be idle, and what it is told before that ends. */
export function restOf(limitMs: number): Rest {
  const leftMs = Math.min(WARNING_MS, limitMs / 2);
  const text = `This session closes in ${formatSeconds(leftMs)} s: it has been idle for ` +
    `${formatSeconds(limitMs - leftMs)} s`;
  return {
    limitMs,
    warnAfterMs: limitMs - leftMs,
    warning: encodeReply({ type: "note", text }),
  };
}

/** Waits for the disk, and lets the client know that its answer is on the way. */
export async function patiently<T>(
  connection: Connection,
  what: string,
  work: Promise<T>,
): Promise<T> {
  const note = encodeReply({ type: "note", text: `Wait: it takes a while to ${what}` });
  const timer = setInterval(() => connection.write(note).catch(() => {}), NOTE_MS);
  try {
    return await connection.unwatched(work);
  } finally {
    clearInterval(timer);
  }
}
