/**
 * Finds what was stored already: a client that got no answer sends its file again, with the same id, and
 * maybe to another server.
 *
 * @module
 */

import type { ListedObject, ObjectHead } from "../s3/bucket.ts";
import type { BucketContext } from "./context.ts";
import { factsOf } from "./facts.ts";
import { markOf } from "./layout.ts";
import type { NameList, Same } from "./placing.ts";
import { variantsOf } from "./variants.ts";

/** What identifies an upload: the random id that its client chose, and its verified content. */
export interface SentUpload {
  readonly id: string;
  /** In bytes. */
  readonly size: number;
  /** CRC-32 of the content. */
  readonly crc: number;
}

/** Milliseconds for which a client sends a file again. */
const SENT_MS = 3_600_000;

/** Most pages of a list that are read, and most of its objects that are looked at: the newest. */
const MOST_PAGES = 2;
const MOST_LOOKED_AT = 32;

/**
 * Finds the same upload among the objects of a name and its numbers.
 *
 * @param name A name of those that is taken.
 * @param head The object that is there.
 * @param collisions How many of the names were taken before. At the first one the others are listed.
 */
export async function findSent(
  context: BucketContext,
  names: NameList,
  sent: SentUpload,
  { name, head, collisions }: { name: string; head: ObjectHead; collisions: number },
): Promise<Same | undefined> {
  if (await isSent(context, head, sent)) return { name, etag: head.etag };
  if (collisions > 0) return undefined;
  for (const key of await candidates(context, names, sent, head)) {
    const other = await context.bucket.head(key);
    if (!other || !await isSent(context, other, sent)) continue;
    return { name: key.slice(context.prefix.length), etag: other.etag };
  }
  return undefined;
}

/** Whether an object is an upload. */
async function isSent(
  context: BucketContext,
  head: ObjectHead,
  { id, size, crc }: SentUpload,
): Promise<boolean> {
  if (head.size !== size || markOf(head) !== undefined) return false;
  const facts = await factsOf(context, head);
  return facts.id === id && facts.crc === crc;
}

/** The keys of numbered names whose objects have the size of the upload, the newest first. */
async function candidates(
  context: BucketContext,
  { series }: NameList,
  { size }: SentUpload,
  { answered }: ObjectHead,
): Promise<string[]> {
  const since = answered.getTime() - SENT_MS;
  const isWanted = (object: ListedObject): boolean =>
    object.size === size && object.modified.getTime() >= since;
  const { objects } = await variantsOf(context, series, isWanted, undefined, MOST_PAGES);
  return [...objects.values()]
    .sort((one, other) => other.modified.getTime() - one.modified.getTime())
    .slice(0, MOST_LOOKED_AT)
    .map(({ key }) => key);
}
