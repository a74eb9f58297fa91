/**
 * Where a bucket is: `s3://BUCKET/PREFIX` names it, and an endpoint and a region say whose it is.
 *
 * @module
 */

import { variable } from "../environment.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** A bucket, and the beginning of the keys in it. */
export interface BucketAddress {
  /** Its name. */
  readonly bucket: string;
  /** Ends with a slash, or is empty. */
  readonly prefix: string;
}

/** Where the requests for a bucket go. */
export interface Location {
  /** Of every object: `http://127.0.0.1:9000/BUCKET`, or `https://BUCKET.s3.REGION.amazonaws.com`. */
  readonly base: string;
  /** What requests are signed for. */
  readonly region: string;
}

/** The longest key of a store, in bytes. */
export const MAX_KEY_BYTES = 1024;

/** What such an address begins with. */
export const SCHEME = "s3://";

const USUAL_REGION = "us-east-1";

/**
 * Takes `s3://BUCKET/PREFIX` apart.
 *
 * @throws {InletError} `usage` if it is none
 */
export function parseBucketAddress(text: string): BucketAddress {
  const refuse = (why: string): InletError =>
    new InletError("usage", `Cannot use ${quoted(text)}: ${why}`);
  const [, bucket = "", rest = ""] = /^s3:\/\/([^/]*)\/?(.*)$/is.exec(text) ?? [];
  if (/[:@]/.test(bucket)) {
    // It is not shown: keys may stand in front of the name.
    const how = "the keys of a bucket are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    throw new InletError("usage", `Cannot use the address of the bucket: ${how}`);
  }
  if (bucket === "") throw refuse("an address of a bucket is s3://BUCKET/PREFIX");
  if (!/^[a-z\d](?:[a-z\d._-]{1,61})[a-z\d]$/i.test(bucket) || bucket.includes("..")) {
    throw refuse("the name of a bucket is 3 to 63 letters, digits, dots and hyphens");
  }
  const segments = rest === "" ? [] : rest.replace(/(?<=[^/])\/$/, "").split("/");
  // deno-lint-ignore no-control-regex -- those are what is refused
  if (!rest.isWellFormed() || /[\0-\x1f\x7f]/.test(rest)) {
    throw refuse("the prefix contains a control character");
  }
  if (segments.some((segment) => ["", ".", ".."].includes(segment))) {
    throw refuse("the prefix has a part that is empty, . or ..");
  }
  return { bucket, prefix: segments.map((segment) => `${segment}/`).join("") };
}

/**
 * Says where the requests for a bucket go.
 *
 * @param endpoint Of a store other than Amazon's, such as `http://127.0.0.1:9000`. The bucket is the
 * first part of the path there.
 * @param region As in AWS_REGION or AWS_DEFAULT_REGION, and else us-east-1.
 * @throws {InletError} `usage` if one of them is none
 */
export function locate(bucket: string, endpoint?: string, region?: string): Location {
  const ofBucket = region ??
    (variable("AWS_REGION") || variable("AWS_DEFAULT_REGION") || USUAL_REGION);
  if (!/^[a-z\d-]{1,64}$/i.test(ofBucket)) {
    const why = "a region is a word such as eu-central-1";
    throw new InletError("usage", `Cannot use the region ${quoted(ofBucket)}: ${why}`);
  }
  if (endpoint !== undefined) return { base: `${originOf(endpoint)}/${bucket}`, region: ofBucket };
  const host = `s3.${ofBucket}.amazonaws.com${ofBucket.startsWith("cn-") ? ".cn" : ""}`;
  // The certificate of *.s3.REGION.amazonaws.com is valid for one further label.
  const base = bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`;
  return { base, region: ofBucket };
}

/** The origin of an endpoint. */
function originOf(endpoint: string): string {
  const refuse = (why: string): InletError =>
    new InletError("usage", `Cannot use the endpoint ${quoted(endpoint)}: ${why}`);
  if (!URL.canParse(endpoint)) throw refuse("an endpoint is https://HOST or http://HOST:PORT");
  const { protocol, username, password, origin, pathname, search, hash } = new URL(endpoint);
  if (username !== "" || password !== "") {
    // It is not shown: it may be a secret.
    throw new InletError("usage", "Cannot use the endpoint: it has a user or a password in it");
  }
  if (!/^https?:$/.test(protocol)) throw refuse("an endpoint begins with https:// or http://");
  if (pathname !== "/" || search !== "" || hash !== "") {
    throw refuse(`give ${origin}, and the bucket as the store: ${SCHEME}BUCKET/PREFIX`);
  }
  return origin;
}
