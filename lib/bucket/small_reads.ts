/**
 * Reads small published files one after another, while the next ones are on their way.
 *
 * @module
 */

import type { SmallReader, WholeFile } from "../body/file_facts.ts";
import type { BucketContext } from "./context.ts";
import type { Looks } from "./looks.ts";
import { FIRST_BYTES } from "./read.ts";

/** Most files that are on their way at once: 2 MiB, if all of them are as large as they can be. */
const MOST_AHEAD = 32;

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
  const ahead: Promise<WholeFile | undefined>[] = [];
  let count = 0;
  let next = 0;
  try {
    for (; count < names.length; count++) {
      while (next < names.length && ahead.length < Math.min(MOST_AHEAD, 2 * count + 1)) {
        const reading = readOne(context, looks, names[next++]!, over.signal);
        // Whoever opens it is told.
        ahead.push(reading.catch(() => undefined));
      }
      const whole = await ahead.shift();
      if (!whole) break;
      const { length } = whole.content;
      let room = reader.room(length);
      if (!room) {
        await reader.flush?.();
        room = reader.room(length);
      }
      if (!room) break;
      room.set(whole.content);
      reader.add({ ...whole, content: room.subarray(0, length) });
    }
  } finally {
    over.abort();
  }
  return count;
}

async function readOne(
  context: BucketContext,
  looks: Looks,
  name: string,
  signal: AbortSignal,
): Promise<WholeFile | undefined> {
  const key = context.key(context.safe(name));
  const range = { offset: 0, bytes: FIRST_BYTES };
  const object = await context.bucket.get(key, { range, signal });
  if (!object) return undefined;
  if (object.size > FIRST_BYTES) {
    await object.body.cancel();
    return undefined;
  }
  const content = new Uint8Array(await new Response(object.body).arrayBuffer());
  const look = await looks.ofHead(key, object, signal);
  if (typeof look !== "object" || look.to !== undefined) return undefined;
  const { modified, mode } = look;
  return { content, modified, ...mode !== undefined && { mode } };
}
