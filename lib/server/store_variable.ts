/**
 * The store of received files from the environment, where the command line does not give it.
 *
 * @module
 */

import { contradiction } from "../cli/command_line.ts";
import { parseDirectory } from "../cli/option_values.ts";
import { STORE_VARIABLE, variable } from "../environment.ts";
import { BUCKET, isBucketAddress } from "./bucket_options.ts";

/** Options that mean nothing without a bucket. */
const OF_BUCKETS = ["s3-endpoint", "s3-region"] as const;

/**
 * @param given The names of the options that were given.
 * @param stores Whether the mode stores files. If not, the variable means nothing to it.
 * @returns The directory or the bucket in `INLET_STORE`, if Deno may read that, and it is not empty.
 * @throws {InletError} `usage` if it is neither, or an option contradicts it
 */
export function storeInEnvironment(
  given: ReadonlySet<string>,
  stores: boolean,
): { directory?: string; store?: string } {
  if (given.has("store") || !stores) return {};
  const text = given.has("dir") ? undefined : variable(STORE_VARIABLE);
  if (isBucketAddress(text)) {
    const other = BUCKET.store.conflictsWith?.find((name) => given.has(name));
    if (other === undefined) return { store: text };
    throw contradiction(`--${other} with a bucket, which ${STORE_VARIABLE} names`);
  }
  const alone = OF_BUCKETS.find((name) => given.has(name));
  if (alone !== undefined) throw contradiction(`--${alone} without --store`);
  return text ? { directory: parseDirectory(text, STORE_VARIABLE) } : {};
}
