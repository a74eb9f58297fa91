/**
 * The tail of an upload: what has arrived behind its last whole part, set aside as an object of its own.
 *
 * A tail is never written again: a late request of an earlier holder of the upload must not change what
 * the next one has set aside. So its number is random.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { InletError } from "../errors.ts";
import type { BucketContext } from "./context.ts";
import { type NotedTail, tailKey } from "./state.ts";
import { unbroken } from "./whole_object.ts";

/** Sets a tail aside. @param content It may not change before this has settled. */
export async function putTail(
  context: BucketContext,
  id: string,
  content: Uint8Array<ArrayBuffer>,
): Promise<NotedTail> {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  await context.bucket.put(tailKey(context.prefix, id, number), content);
  return { number, size: content.length, crc: crc32(content) };
}

/**
 * Takes a tail up again.
 *
 * @param into At least as long as the tail.
 * @throws {InletError} `aborted` if it is not there any more
 */
export async function takeTail(
  context: BucketContext,
  id: string,
  { number, size, crc }: NotedTail,
  into: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const filled = await unbroken(async () => {
    const object = await context.bucket.get(tailKey(context.prefix, id, number), { signal });
    let filled = 0;
    if (object?.size !== size) await object?.body.cancel();
    else {
      for await (const chunk of object.body) {
        into.set(chunk, filled);
        filled += chunk.length;
      }
    }
    return filled;
  });
  if (filled === size && crc32(into.subarray(0, size)) === crc) return;
  throw new InletError("aborted", "Cannot store the file: what had arrived of it has been removed");
}

/** Removes a tail. */
export async function deleteTail(
  context: BucketContext,
  id: string,
  { number }: NotedTail,
): Promise<void> {
  await context.bucket.delete(tailKey(context.prefix, id, number));
}
