/**
 * What a client may store, and what it is told of it: the same on every wire that checks rights.
 *
 * @module
 */

import { checkAccess, isDropOnly } from "../auth/access.ts";
import type { Facts } from "../body/file_facts.ts";
import { InletError } from "../errors.ts";
import { safeName } from "../store/names.ts";
import { rightsOf, type ServerContext } from "./context.ts";
import { checkSize } from "./size_limit.ts";

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
 * Checks that the disk has room for so many bytes, before they are sent. A client that may only upload is
 * not told how much is free.
 *
 * @param size In bytes; `null` if unknown.
 * @throws {InletError} `no-space`, where the free space is known
 */
export function checkSpace(context: ServerContext, what: string, size: number | null): void {
  const why = size === null ? undefined : context.shortage?.(size);
  if (why === undefined) return;
  const told = isDropOnly(rightsOf(context)) ? "the disk has no room for it" : why;
  throw new InletError("no-space", `Cannot ${what}: ${told}`);
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
 * The name of a stored file or folder that its client is told. A drop-only server tells the requested
 * one, because a number would reveal which names are taken.
 */
export function shownName(context: ServerContext, stored: string, requested: string): string {
  return isDropOnly(rightsOf(context)) ? safeName(requested) : stored;
}
