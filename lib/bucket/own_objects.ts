/**
 * Lists what servers keep for themselves in a bucket.
 *
 * @module
 */

import type { ListedObject } from "../s3/bucket.ts";
import type { BucketContext } from "./context.ts";
import { isRewritten } from "./odd_names.ts";

/**
 * Lists the objects whose keys begin with a prefix, page by page, but for those with a part `.` or `..`:
 * no server has written them, and no request can name them.
 *
 * @param prefix Of the bucket, below the folder of the store's own.
 */
export async function* ownObjects(
  { bucket }: Pick<BucketContext, "bucket">,
  prefix: string,
): AsyncGenerator<readonly ListedObject[]> {
  for await (const { objects } of bucket.list({ prefix })) {
    yield objects.filter(({ key }) => !isRewritten(key));
  }
}
