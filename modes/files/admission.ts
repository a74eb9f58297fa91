/**
 * Access checks before a request, and acknowledgement or refusal after it. All requests share them,
 * so that no request can skip a check.
 *
 * @module
 */

import { encodeReply, formatStored, type Request, type Stored } from "../../protocol.ts";
import { checkAccess, isDropOnly } from "../../lib/auth/access.ts";
import { encodeError, explain, type InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import { safeName } from "../../lib/store/names.ts";
import type { Facts } from "../../lib/body/file_facts.ts";

/**
 * Checks that a client may store a file of this size.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @param size Size in bytes; `null` if unknown.
 * @throws {InletError} `denied` or `too-large`
 */
export function admit(
  context: ServerContext,
  type: "put" | "push" | "reput",
  what: string,
  size: number | null,
): void {
  checkAccess(rightsOf(context), type, what);
  checkSize(what, size ?? 0, context.maxBytes);
}

/**
 * What a client may tell of its file. A drop-only server, which strangers may send to, stores
 * nothing that can be executed.
 */
export function admittedFacts(context: ServerContext, facts: Facts): Facts {
  if (!isDropOnly(rightsOf(context)) || facts.mode === undefined) return facts;
  return { ...facts, mode: facts.mode & ~0o111 };
}

/**
 * Logs a stored file, and returns the line that acknowledges it.
 *
 * @param name The requested name. A drop-only server acknowledges this one, because the published
 * name would reveal which files exist.
 */
export function acknowledge(
  context: ServerContext,
  stored: Stored,
  name: string,
): Uint8Array {
  context.log.stored(stored);
  const shown = isDropOnly(rightsOf(context)) ? { ...stored, name: safeName(name) } : stored;
  return encodeReply({ type: "ok", detail: formatStored(shown) });
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
