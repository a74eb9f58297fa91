/**
 * Opens a bucket: {@linkcode openBucket}.
 *
 * @module
 */

import { locate } from "./address.ts";
import { type CredentialSource, findCredentials } from "./credentials.ts";
import { PATIENCE, type Patience, Requests } from "./requests.ts";
import { S3Bucket } from "./s3_bucket.ts";
import { signerFor } from "./signing.ts";

/** Which bucket, and how it is reached. */
export interface BucketOptions {
  /** Its name. */
  readonly bucket: string;
  /** Of a store other than Amazon's, such as `http://127.0.0.1:9000`. */
  readonly endpoint?: string | undefined;
  /** @default AWS_REGION or AWS_DEFAULT_REGION of the environment, or `us-east-1` */
  readonly region?: string | undefined;
  /** @default those of the environment, or of the file that Amazon's tools share */
  readonly credentials?: CredentialSource | undefined;
  /** @default {@linkcode PATIENCE} */
  readonly patience?: Patience | undefined;
}

/**
 * Opens a bucket. Nothing is asked of the store yet.
 *
 * @throws {InletError} `usage` if an option is wrong, or there are no credentials; `internal` if the
 * package that signs requests cannot be loaded
 */
export async function openBucket(options: BucketOptions): Promise<S3Bucket> {
  const { base, region } = locate(options.bucket, options.endpoint, options.region);
  const source = options.credentials ?? findCredentials();
  const { patience = PATIENCE } = options;
  return new S3Bucket(new Requests(base, await signerFor(region), source, patience));
}
