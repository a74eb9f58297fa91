/**
 * Writes an object where nothing is, or a name that was given up: the one place that does it.
 *
 * The answer to a conditional PUT can be lost, and a repeated one then meets its own object. So after
 * each answer but a clear one the object is looked at: its id tells whether it is ours.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import type { Condition, ObjectHead } from "../s3/bucket.ts";
import type { BucketContext } from "./context.ts";
import { markOf, META } from "./layout.ts";

/** An object to write. */
export interface NewObject {
  /** Random: tells this attempt from all others. It is kept as metadata. */
  readonly id: string;
  readonly content: Uint8Array<ArrayBuffer>;
  /** Further metadata. */
  readonly meta: Readonly<Record<string, string>>;
}

/** What became of it: the ETag of the object that was written, or what is there instead. */
export type Claimed = { readonly etag: string } | { readonly taken: ObjectHead };

/** How often an object is written whose fate stays unclear. */
const MOST_ATTEMPTS = 8;

/** Most milliseconds before the second attempt; twice as many before each further one. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2000;

/**
 * Writes an object at a name, unless something else is there.
 *
 * @param name A stored name; of a folder, if it ends with `/`.
 * @throws {InletError} `overloaded` if no attempt got a clear answer; then it may be there, or not
 */
export async function claim(
  context: BucketContext,
  name: string,
  { id, content, meta }: NewObject,
  signal = context.signal,
): Promise<Claimed> {
  const { bucket } = context;
  const key = context.key(name);
  const whole = { ...meta, [META.id]: id };
  let condition: Condition = { absent: true };
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const put = await bucket.put(key, content, { meta: whole, condition, signal });
    if (typeof put === "object") return put;
    const head = await bucket.head(key, signal);
    if (head && isOurs(head, whole, content.length)) return { etag: head.etag };
    if (head && markOf(head) !== "free") return { taken: head };
    condition = head ? { etag: head.etag } : { absent: true };
    if (put === "unclear") await pause(attempt, signal);
  }
  throw unclear();
}

/** Whether an object is the one that was written. */
function isOurs(head: ObjectHead, meta: Readonly<Record<string, string>>, size: number): boolean {
  return head.size === size && head.meta[META.id] === meta[META.id] &&
    head.meta[META.mark] === meta[META.mark];
}

/** The error of a write whose fate stays unclear. Not with the name: its number tells which are taken. */
export function unclear(): InletError {
  return new InletError("overloaded", "The object store gives no clear answer: try it again later");
}

/** Waits before the next attempt, longer each time, and not as long as others. */
export async function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const most = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS);
  await delay(most * (0.5 + Math.random() / 2), { signal });
}
