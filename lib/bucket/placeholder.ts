/**
 * Gives up a name that an upload has claimed.
 *
 * @module
 */

import type { BucketContext } from "./context.ts";
import { markOf, META } from "./layout.ts";
import { placeholder } from "./marks.ts";

/**
 * Leaves a name to the next upload that wants it, if the placeholder of this one is there. It is not
 * deleted, as nothing at the name of a file ever is: the request could arrive when the next owner's
 * file is there.
 */
export async function freePlaceholder(
  context: BucketContext,
  name: string,
  id: string,
): Promise<void> {
  const key = context.key(name);
  const head = await context.bucket.head(key);
  if (head?.meta[META.id] !== id || markOf(head) !== "claimed") return;
  const { id: free, content, meta } = placeholder("free", crypto.randomUUID());
  await context.bucket.put(key, content, {
    meta: { ...meta, [META.id]: free },
    condition: { etag: head.etag },
  });
}
