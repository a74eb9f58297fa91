/**
 * Errors of the client's own machine: its disk and its standard output. Their codes and texts are
 * those of a server's errors too, so they get a code of their own and say whose disk it is.
 *
 * @module
 */

import { type Code, explain, InletError } from "./errors.ts";

/** Codes that a store, or the standard output, gives only to its own failures. */
const OF_DISKS: readonly Code[] = ["no-space", "denied", "not-found", "disk", "overloaded"];

/**
 * Explains what a system call on this machine threw, as `local-disk`; a missing permission is `usage`. An
 * {@linkcode InletError} passes unchanged: the connection or the server may have thrown it.
 *
 * @param what The first half of the message: the action that failed.
 */
export function localError(error: unknown, what: string): InletError {
  return error instanceof InletError ? error : toLocal(explain(error, what));
}

/**
 * Converts a failure of a store or an output that is known to be on this machine, as
 * {@linkcode localError} does. What is no fault of the disk, such as a refused name, passes
 * unchanged.
 */
export function toLocal(error: unknown): InletError {
  const known = explain(error);
  const { code, message, cause } = known;
  if (cause instanceof Deno.errors.NotCapable) return new InletError("usage", message, { cause });
  const isOfSystem = typeof (cause as { code?: unknown } | undefined)?.code === "string";
  if (!isOfSystem && !OF_DISKS.includes(code) && !(code === "internal" && !cause)) return known;
  return new InletError("local-disk", `${message} (this machine's disk)`, { cause });
}

/** Converts a failure of the standard output to `local-disk`. */
export function outputError(error: unknown): InletError {
  const { code, message, cause } = explain(error);
  return code === "closed" ? new InletError("local-disk", message, { cause }) : toLocal(error);
}
