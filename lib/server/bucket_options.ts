/**
 * The options for a store in a bucket. What they hold is looked at in full where the bucket is opened,
 * which is loaded on demand.
 *
 * @module
 */

import { parseText } from "../cli/option_values.ts";
import { option, type Values } from "../cli/options.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { ServeOptions } from "./serve_options.ts";

/** What the address of a bucket begins with. */
const SCHEME = "s3://";

/** How to write the address of a bucket. */
export const BUCKET_ADDRESS = `${SCHEME}BUCKET/PREFIX`;

/** Whether a text is meant for the address of a bucket. */
export function isBucketAddress(text: unknown): text is string {
  return typeof text === "string" && text.startsWith(SCHEME);
}

/** The modes that store files. The others have no use for a bucket. */
const STORING = ["files", "upload", "raw", "talk"];

/** The declared options. */
export const BUCKET = {
  "store": option({
    value: "ADDRESS",
    parse: parseStore,
    help: `store files in a bucket in place of a directory: ${BUCKET_ADDRESS} (or in INLET_STORE)`,
    modes: STORING,
    conflictsWith: ["dir", "fsync"],
  }),
  "s3-endpoint": option({
    value: "URL",
    parse: parseText,
    help: "the object store that has the bucket (or in AWS_ENDPOINT_URL_S3)",
    note: "default: that of AWS",
    modes: STORING,
  }),
  "s3-region": option({
    value: "REGION",
    parse: parseText,
    help: "the region of the bucket (or in AWS_REGION)",
    note: "default us-east-1",
    modes: STORING,
  }),
};

/** Converts the command line to options of the library. */
export function bucketOptionsOf(values: Values<typeof BUCKET>) {
  return {
    store: values.store,
    s3Endpoint: values["s3-endpoint"],
    s3Region: values["s3-region"],
  } satisfies ServeOptions;
}

function parseStore(text: string, what: string): string {
  if (isBucketAddress(text)) return text;
  const other = /^https?:\/\//.test(text)
    ? "and the URL of the object store as --s3-endpoint"
    : "or a directory as --dir";
  const give = `give ${BUCKET_ADDRESS}, ${other}`;
  throw new InletError("usage", `Cannot use ${quoted(text)} as the ${what}: ${give}`);
}
