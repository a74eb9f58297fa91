/**
 * What stands where in a bucket, and the marks by which objects are told apart.
 *
 * Below the prefix of the store:
 *
 * - `NAME` is a published file: complete and verified. Its metadata has its id, and if it was written
 *   at once its time, permission bits and CRC-32; if in parts, `.inlet/facts/ID` has them.
 * - `NAME` of exactly {@linkcode MARKED_BYTES} bytes may be marked instead: claimed by an upload, free
 *   for the next (a final name is never deleted), or a symbolic link. Only a HEAD tells.
 * - `NAME/`, without content, is a folder with facts of its own. A folder needs none.
 * - `.inlet/swept` is written by the server whose turn it is to clear away what broke off (turns.ts).
 * - `.inlet/facts/ID` has what is known of a file in parts only behind its last byte (facts.ts).
 * - `.inlet/up/HASH/ID` says how far an upload is. HASH is that of its fingerprint, or `unkept`.
 * - `.inlet/ongoing/HASH` says that of an upload which goes on over several requests. HASH is that of
 *   its id. The empty `.inlet/up/HASH/ongoing-HASH` finds it by the fingerprint.
 * - `.inlet/tail/ID/N` holds what has arrived behind the last whole part.
 * - `.inlet/sent/HASH` has the number of a small file whose name is taken. HASH is that of its client's id
 *   for it, its size and its CRC-32 (sent_again.ts).
 *
 * @module
 */

import type { ObjectHead } from "../s3/bucket.ts";
import { OWN_FOLDER } from "../store/names.ts";

/** The size of every marked object, so that a list tells which few need a HEAD. */
export const MARKED_BYTES = 1031;

/** A link whose target is too long for {@linkcode MARKED_BYTES} has this size. */
export const LONG_LINK_BYTES = 4219;

/** Names of metadata. */
export const META = {
  /** Random, of one attempt to write the object: tells a lost answer from a lost race. */
  id: "inlet-id",
  /** One of {@linkcode Mark}. */
  mark: "inlet-mark",
  /** Time of the last change, as RFC 3339 in UTC. */
  modified: "inlet-modified",
  /** Permission bits, in octal digits. */
  mode: "inlet-mode",
  /** CRC-32 of the content, as 8 hexadecimal digits. */
  crc: "inlet-crc",
  /** The id that its client gave the upload, to send it again and have it stored once. */
  sent: "inlet-sent",
  /** Where a link leads to, if that is short, as a part of a URL is encoded. */
  target: "inlet-target",
} as const;

/** What a marked object is. */
export type Mark = "claimed" | "free" | "link";

/** Whether an object of a list can be marked: only a look at it tells then. */
export function mayBeMarked(size: number): boolean {
  return size === MARKED_BYTES || size === LONG_LINK_BYTES;
}

/** What an object is marked as; `undefined` for a file. */
export function markOf({ size, meta }: Pick<ObjectHead, "size" | "meta">): Mark | undefined {
  const mark = meta[META.mark];
  if (!mayBeMarked(size)) return undefined;
  return mark === "claimed" || mark === "free" || mark === "link" ? mark : undefined;
}

/** Where the store keeps what is its own. */
export const OWN_PREFIX = `${OWN_FOLDER}/`;
