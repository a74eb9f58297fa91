/**
 * Reads small published files one after another, while the next ones are on their way.
 *
 * @module
 */

import type { SmallReader } from "../body/file_facts.ts";
import type { ObjectBody } from "../s3/bucket.ts";
import type { BucketContext } from "./context.ts";
import type { Looks, Seen } from "./looks.ts";

/** Most bytes of a file that is read so. */
const MOST_BYTES = 512 * 1024;

/** Most files that are on their way at once. What has come of them waits in the buffers of the system. */
const MOST_AHEAD = 32;

/** An answer whose content has not been read. */
interface Answer extends Pick<ObjectBody, "size" | "body"> {
  readonly seen: Seen;
}

/**
 * Reads files, as `Store.readSmall` does. The first that is large ends it: few are asked for in vain, as
 * each that is small doubles how many are.
 */
export async function readSmall(
  context: BucketContext,
  looks: Looks,
  names: readonly string[],
  reader: SmallReader,
): Promise<number> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, context.signal]);
  const ahead: Promise<Answer | undefined>[] = [];
  let count = 0;
  let next = 0;
  try {
    for (; count < names.length; count++) {
      while (next < names.length && ahead.length < Math.min(MOST_AHEAD, 2 * count + 1)) {
        const asking = ask(context, looks, names[next++]!, signal);
        // Whoever opens it is told.
        ahead.push(asking.catch(() => undefined));
      }
      const answer = await ahead.shift();
      if (!answer || !await take(answer, reader)) break;
    }
  } finally {
    over.abort();
  }
  return count;
}

async function ask(
  context: BucketContext,
  looks: Looks,
  name: string,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const key = context.key(context.safe(name));
  const range = { offset: 0, bytes: MOST_BYTES };
  const object = await context.bucket.get(key, { range, signal });
  if (!object) return undefined;
  const seen = await looks.ofHead(key, object, signal);
  const isFile = typeof seen === "object" && seen.to === undefined;
  if (isFile && object.size <= MOST_BYTES) return { size: object.size, body: object.body, seen };
  await object.body.cancel();
  return undefined;
}

/** Reads an answer into the room that it gets. Returns whether it is whole, and was wanted. */
async function take({ size, body, seen }: Answer, reader: SmallReader): Promise<boolean> {
  let room = reader.room(size);
  if (!room) {
    await reader.flush?.();
    room = reader.room(size);
  }
  if (!room) return false;
  let filled = 0;
  try {
    for await (const chunk of body) {
      room.set(chunk, filled);
      filled += chunk.length;
    }
  } catch {
    return false;
  }
  if (filled !== size) return false;
  const { modified, mode } = seen;
  reader.add({ content: room.subarray(0, size), modified, ...mode !== undefined && { mode } });
  return true;
}
