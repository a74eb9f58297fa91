/**
 * The acknowledgement or refusal of a request on the native wire, and the check of requests without
 * a body. All requests share them, so that no request can skip a check.
 *
 * @module
 */

import { formatReply, formatStored, type Request, type Stored } from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import { encodeError, explain, type InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import { shownName } from "../../lib/server/admission.ts";

/**
 * The reply that acknowledges a stored file, without the end of its line.
 *
 * @param name The requested name.
 */
export function acknowledge(
  context: ServerContext,
  stored: Stored,
  name: string,
): string {
  const shown = { ...stored, name: shownName(context, stored.name, name) };
  return formatReply({ type: "ok", detail: formatStored(shown) });
}

/**
 * Runs the action of a request without a body, or refuses the request. The session continues.
 *
 * @param what The action, for the message: `get "a.txt"`.
 * @returns The result of the action, or `undefined` after a refusal.
 */
export async function attempt<T>(
  connection: Connection,
  context: ServerContext,
  type: Request["type"],
  what: string,
  action: () => T | Promise<T>,
): Promise<{ value: T } | undefined> {
  try {
    checkAccess(rightsOf(context), type, what);
    return { value: await action() };
  } catch (error) {
    // A client that has left is not refused anything.
    if (connection.failure) throw connection.failure;
    await refuse(connection, context, explain(error, `Cannot ${what}`));
    return undefined;
  }
}

/** Refuses one request. The session continues. */
export async function refuse(
  connection: Connection,
  { log }: ServerContext,
  error: InletError,
): Promise<void> {
  log.failure(error);
  await connection.write(encodeError(error));
}
