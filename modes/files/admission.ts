/**
 * What is checked before a request is served, and what is said of it after: the rules of access, in one
 * place for every request, so that none can be forgotten in one of them.
 *
 * @module
 */

import { encodeReply, formatStored, type Request, type Stored } from "../../protocol.ts";
import { checkAccess } from "../../lib/auth/access.ts";
import { encodeError, explain, type InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import { safeName } from "../../lib/store/names.ts";

/**
 * Checks that a client may store a file of this size.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @param size In bytes; `null` where it is not known.
 * @throws {InletError} `denied` or `too-large`
 */
export function admit(
  { access, maxBytes }: ServerContext,
  type: "put" | "push" | "reput",
  what: string,
  size: number | null,
): void {
  checkAccess(access, type, what);
  checkSize(what, size ?? 0, maxBytes);
}

/**
 * Logs a file that is stored, and gives the line that tells the client of it.
 *
 * @param name The name that was asked for. Where files are only dropped, the one that the file got would
 * tell which were there before.
 */
export function acknowledge(
  { access, log }: ServerContext,
  stored: Stored,
  name: string,
): Uint8Array {
  log.stored(stored);
  const shown = access === "drop-only" ? { ...stored, name: safeName(name) } : stored;
  return encodeReply({ type: "ok", detail: formatStored(shown) });
}

/**
 * Does what a request without a body asks for, or refuses it, and the conversation goes on.
 *
 * @param what The action, for the message: `get "a.txt"`.
 * @returns What came of it, or `undefined` after a refusal.
 */
export async function attempt<T>(
  connection: Connection,
  context: ServerContext,
  type: Request["type"],
  what: string,
  action: () => T | Promise<T>,
): Promise<{ value: T } | undefined> {
  try {
    checkAccess(context.access, type, what);
    return { value: await action() };
  } catch (error) {
    await refuse(connection, context, explain(error, `Cannot ${what}`));
    return undefined;
  }
}

/** Says no to one request. The conversation goes on. */
export async function refuse(
  connection: Connection,
  { log }: ServerContext,
  error: InletError,
): Promise<void> {
  log.failure(error);
  await connection.write(encodeError(error));
}
