/**
 * Turns of the servers of one bucket at what one of them does for all: each would otherwise read the state
 * of every upload.
 *
 * @module
 */

import type { BucketContext } from "./context.ts";
import { OWN_PREFIX } from "./layout.ts";
import { newId } from "./state.ts";

/**
 * Takes the turn, unless another server has done so lately, by the clock of the store.
 *
 * @param withinMs How long a turn lasts. The store tells times in whole seconds.
 * @returns Whether it is this server's turn. It is nobody's if the store gave no clear answer.
 */
export async function takeTurn(
  context: BucketContext,
  withinMs: number,
): Promise<boolean> {
  const { bucket, signal } = context;
  const key = context.key(`${OWN_PREFIX}swept`);
  const head = await bucket.head(key, signal);
  if (head && head.answered.getTime() - head.modified.getTime() < withinMs) return false;
  const put = await bucket.put(key, new TextEncoder().encode(newId()), {
    condition: head ? { etag: head.etag } : { absent: true },
    signal,
  });
  return typeof put === "object";
}
