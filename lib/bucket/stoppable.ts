/**
 * A bucket whose readers wait for no answer once their server ends.
 *
 * @module
 */

import type { Bucket } from "../s3/bucket.ts";

/**
 * Gives requests that read a signal where their caller has none.
 *
 * @param signal Of this moment.
 */
export function stoppable(bucket: Bucket, signal: () => AbortSignal): Bucket {
  return {
    head: (key, own = signal()) => bucket.head(key, own),
    get: (key, how) => bucket.get(key, { ...how, signal: how?.signal ?? signal() }),
    list: (query) => bucket.list({ ...query, signal: query.signal ?? signal() }),
    put: (...given) => bucket.put(...given),
    delete: (...given) => bucket.delete(...given),
    createUpload: (...given) => bucket.createUpload(...given),
    putPart: (...given) => bucket.putPart(...given),
    parts: (...given) => bucket.parts(...given),
    complete: (...given) => bucket.complete(...given),
    abort: (...given) => bucket.abort(...given),
    uploads: (...given) => bucket.uploads(...given),
  };
}
