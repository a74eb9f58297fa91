/**
 * Gives up a name that an upload has claimed.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import type { BucketContext } from "./context.ts";
import { markOf, META } from "./layout.ts";
import { placeholder } from "./marks.ts";
import { newId } from "./state.ts";

/** How often it is tried. */
const MOST_ATTEMPTS = 8;

/**
 * Leaves a name to the next upload that wants it, if the placeholder of this one is there. It is not
 * deleted, as nothing at the name of a file ever is: the request could arrive when the next owner's
 * file is there.
 *
 * @throws {InletError} `overloaded` if no attempt got a clear answer
 */
export async function freePlaceholder(
  context: BucketContext,
  name: string,
  id: string,
): Promise<void> {
  const key = context.key(name);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const head = await context.bucket.head(key);
    if (head?.meta[META.id] !== id || markOf(head) !== "claimed") return;
    const { id: free, content, meta } = placeholder("free", newId());
    const put = await context.bucket.put(key, content, {
      meta: { ...meta, [META.id]: free },
      condition: { etag: head.etag },
    });
    if (typeof put === "object") return;
    await delay(Math.random() * Math.min(50 * 2 ** attempt, 2000));
  }
  throw new InletError("overloaded", "The object store gave no clear answer");
}
