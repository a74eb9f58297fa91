/**
 * Opens the bucket of a server, and says which permissions that takes. A module of its own, because only
 * a server with a bucket needs it.
 *
 * @module
 */

import { BucketStore, type BucketStoreOptions } from "../bucket/bucket_store.ts";
import { OWN_PREFIX } from "../bucket/layout.ts";
import type { Need } from "../cli/permissions.ts";
import { variable } from "../environment.ts";
import { explain, InletError } from "../errors.ts";
import { locate, parseBucketAddress } from "../s3/address.ts";
import { CHECK_PATIENCE_MS, checkBucket } from "../s3/check.ts";
import { findCredentials } from "../s3/credentials.ts";
import { openBucket } from "../s3/open_bucket.ts";
import type { ServerStore } from "../store/ongoing.ts";
import { printable, quoted } from "../text.ts";

/** Where a bucket is. */
export interface BucketPlace {
  /** `s3://BUCKET/PREFIX` */
  readonly address: string;
  /** As of `ServeOptions`. */
  readonly s3Endpoint?: string | undefined;
  /** As of `ServeOptions`. */
  readonly s3Region?: string | undefined;
}

/** What signs requests. The last one is there for keys that expire. */
const KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] as const;

/** Milliseconds without an answer after which whoever starts a server is told what it waits for. */
const TOLD_AFTER_MS = 1000;

/** What is read of the environment besides, as far as Deno permits it. */
const OTHERS = [
  "AWS_ENDPOINT_URL_S3",
  "AWS_ENDPOINT_URL",
  "AWS_REGION",
  "AWS_DEFAULT_REGION",
  "AWS_SHARED_CREDENTIALS_FILE",
  "AWS_PROFILE",
] as const;

/**
 * The permissions that a bucket takes: to reach it, and to read what signs requests. Deno asks for none of
 * them.
 *
 * @throws {InletError} `usage` if the place is none
 */
export function needsOfBucket(place: BucketPlace): Need[] {
  const { bucket } = parseBucketAddress(place.address);
  const { base } = locate(bucket, endpointOf(place), place.s3Region);
  const { host, port, protocol } = new URL(base);
  const whole = port === "" ? `${host}:${protocol === "https:" ? 443 : 80}` : host;
  const used = [...KEYS, ...OTHERS].filter((name) => variable(name) !== undefined);
  const missing = hasCredentials() ? [] : [
    ...KEYS,
    // They may be set where Deno may not read them. Without them it would be AWS that is asked.
    ...(place.s3Endpoint === undefined ? ["AWS_ENDPOINT_URL_S3", "AWS_REGION"] : []),
  ];
  const variables = [...new Set([...used, ...missing])];
  return [
    { name: "net", host: whole, isUnasked: true },
    ...variables.map((variable): Need => ({ name: "env", variable })),
  ];
}

/**
 * Opens a bucket, once it has turned out to be usable.
 *
 * @throws {InletError} `usage` if it is not, `lost` if the object store cannot be reached
 */
export async function openBucketStore(
  place: BucketPlace,
  options: Omit<BucketStoreOptions, "bucket" | "prefix">,
): Promise<ServerStore> {
  const { bucket: name, prefix } = parseBucketAddress(place.address);
  const { s3Region: region } = place;
  const endpoint = endpointOf(place);
  const bucket = await openBucket({ bucket: name, endpoint, region });
  const where = printable(endpoint ?? new URL(locate(name, endpoint, region).base).origin);
  const seconds = CHECK_PATIENCE_MS / 1000;
  using silence = new Silence(() =>
    options.warn?.(
      `waiting for the object store at ${where}: the server gives up after ${seconds} s without an answer`,
    )
  );
  try {
    await checkBucket(
      bucket,
      prefix,
      options.readOnly ? undefined : `${prefix}${OWN_PREFIX}probe/`,
      () => silence.broken(),
    );
  } catch (error) {
    throw refusal(place, error);
  }
  return new BucketStore({ ...options, bucket, prefix });
}

/** Tells once that nothing has been heard for {@linkcode TOLD_AFTER_MS}. */
class Silence implements Disposable {
  readonly #tell: () => void;
  #isTold = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: () => void) {
    this.#tell = tell;
    this.broken();
  }

  /** Something was heard. */
  broken(): void {
    clearTimeout(this.#timer);
    if (this.#isTold) return;
    this.#timer = setTimeout(() => {
      this.#isTold = true;
      this.#tell();
    }, TOLD_AFTER_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** The object store that was given, or that the environment names. */
function endpointOf({ s3Endpoint }: BucketPlace): string | undefined {
  const named = variable("AWS_ENDPOINT_URL_S3") || variable("AWS_ENDPOINT_URL") || undefined;
  return s3Endpoint ?? named;
}

/** Whether what Deno may read already has credentials. */
function hasCredentials(): boolean {
  try {
    findCredentials();
    return true;
  } catch {
    return false;
  }
}

/** Says which bucket cannot be used, and by its code what a server exits with. */
function refusal(place: BucketPlace, error: unknown): InletError {
  const { code, message, cause } = explain(error);
  const isPassing = ["overloaded", "lost", "timeout"].includes(code);
  const isWhole = message.startsWith("Cannot ");
  const why = message.replace(/^The /, "the ");
  const what = isWhole ? message : `Cannot use ${quoted(place.address)}: ${why}`;
  const endpoint = endpointOf(place);
  let hint = "";
  if (endpoint === undefined) {
    hint = "; give --s3-endpoint if the object store is not that of AWS";
  } else if (isPassing || !isWhole) {
    // It may come from a variable that was set long ago.
    hint = ` (the endpoint is ${printable(endpoint)})`;
  }
  return new InletError(isPassing ? "lost" : "usage", what + hint, { cause });
}
