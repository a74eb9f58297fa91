/**
 * Waiting on the server: for the next request of a session, and for slow disk work.
 *
 * @module
 */

import { isDropOnly } from "../../lib/auth/access.ts";
import { decodeNumber, decodeRequest, encodeReply, type Request } from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { Rest } from "../../lib/net/connection_options.ts";
import { decodePeopleRequest, type PeopleRequest } from "../../protocol/people_lines.ts";
import { clientOf } from "../../lib/address.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { Asker } from "../../lib/store/store.ts";
import { formatSeconds } from "../../lib/text.ts";

/** Time between the warning and the end of an idle session, in milliseconds; at most half of it. */
const WARNING_MS = 60_000;

/** Milliseconds in which a server that stops reads what has arrived. */
const LOOK_MS = 10;

/** Waits until a client sends something or closes. Meanwhile it is sent what others tell it. */
export async function nextArrival(
  connection: Connection,
  context: ServerContext,
  rest: Rest,
): Promise<void> {
  using _ = betweenRequests(connection);
  if (context.signal.aborted && !await isLeaving(connection)) throw context.signal.reason;
  if (connection.buffered.length === 0) await restWithMail(connection, context, rest);
}

/** Has a client whose session ends be told that no request of it is under way, until it is disposed of. */
function betweenRequests(connection: Connection): Disposable {
  const { farewell } = connection;
  connection.resting = true;
  connection.farewell = farewell && ((error) => {
    if (error.code !== "timeout") return farewell(error);
    const { code, message: text } = error;
    return encodeReply({ type: "error", code, text, fields: { unread: "yes" } });
  });
  return {
    [Symbol.dispose]: () => {
      connection.resting = false;
      connection.farewell = farewell;
    },
  };
}

async function restWithMail(
  connection: Connection,
  { client: { mailbox } }: ServerContext,
  rest: Rest,
): Promise<void> {
  if (!mailbox) return await connection.rest(rest);
  try {
    do {
      const until = mailbox.open();
      if (mailbox.waiting > 0) {
        connection.resting = false;
        await connection.write(mailbox.take());
        connection.resting = true;
      }
      await connection.rest({ ...rest, until });
    } while (mailbox.waiting > 0 && connection.buffered.length === 0);
  } finally {
    mailbox.close();
  }
}

/** Whether a client, which need not wait for an answer to it, has sent an `exit`. */
async function isLeaving(connection: Connection): Promise<boolean> {
  if (connection.buffered.length === 0) await connection.moreWithin(LOOK_MS).catch(() => {});
  return /^exit\r?\n/.test(new TextDecoder().decode(connection.buffered.subarray(0, 6)));
}

/** Reads the next request; `null` if the client has closed. */
export async function nextRequest(
  connection: Connection,
  context: ServerContext,
): Promise<Request | PeopleRequest | null> {
  using _ = betweenRequests(connection);
  const line = await connection.readLine();
  if (line === null) return null;
  const asked = context.client.mailbox?.attends ? decodePeopleRequest(line) : undefined;
  if (asked) return asked;
  const request = decodeRequest(line);
  if (request.fields?.total !== undefined) await warnOfSpace(connection, context, request);
  return request;
}

/** Tells a client whose files will probably not all fit. */
async function warnOfSpace(
  connection: Connection,
  context: ServerContext,
  { fields }: Request,
): Promise<void> {
  const why = context.shortage?.(decodeNumber(fields!.total!, "total"));
  if (why === undefined) return;
  const text = isDropOnly(rightsOf(context))
    ? "Not all of the files may fit"
    : `Not all of the files may fit: ${why}`;
  await connection.write(encodeReply({ type: "note", text, fields: { kind: "warning" } }));
}

/** The idle limit of a session, and the warning before it. */
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

/**
 * Does slow work for a client. Notes tell it meanwhile that the server works. A client that leaves
 * ends the work, which is told by its signal.
 *
 * @param told Tells how far the work is, if it reads much.
 * @param usesChunk Whether the work uses the last chunk of a body that is under way.
 */
export async function patiently<T>(
  connection: Connection,
  what: string,
  work: (asker: Asker) => T | Promise<T>,
  { told, usesChunk }: { told?: (() => string) | undefined; usesChunk?: boolean } = {},
): Promise<T> {
  const probe = (): Uint8Array => {
    const far = told ? ` (reading: ${told()})` : "";
    return encodeReply({ type: "note", text: `Please wait: it takes a while to ${what}${far}` });
  };
  const client = clientOf(connection);
  const presence = { probe, ...usesChunk && { usesChunk } };
  return await connection.whilePresent((signal) => work({ signal, client }), presence);
}
