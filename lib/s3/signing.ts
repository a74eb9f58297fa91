/**
 * Signatures of requests, version 4, by aws4fetch. It is loaded when the first bucket is opened.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { load } from "../packages.ts";
import { takeTurns } from "../turns.ts";
import type { Credentials } from "./credentials.ts";

/** A request, ready to be sent. */
export interface SignedRequest {
  /** In capitals. */
  readonly method: string;
  /** Whole, with each byte that needs it as `%XX`. */
  readonly url: string;
  /** With the signature. */
  readonly headers: Headers;
  /** It is not copied. */
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
}

/** Signs requests. */
export type Sign = (
  request: SignedRequest,
  credentials: Credentials,
) => Promise<SignedRequest>;

/** The SHA-256 of nothing. */
const OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Makes what signs for a region. Bodies are signed with their SHA-256. */
export async function signerFor(region: string): Promise<Sign> {
  const { AwsV4Signer } = await load("aws4fetch");
  // Of keys derived from the secret, one a day.
  const cache = new Map<string, ArrayBuffer>();
  let day = "";
  return async (request, credentials) => {
    const { method, url, body } = request;
    const datetime = new Date().toISOString().replace(/[:-]|\.\d{3}/g, "");
    if (day !== datetime.slice(0, 8)) cache.clear();
    day = datetime.slice(0, 8);
    const headers = new Headers(request.headers);
    headers.set("x-amz-content-sha256", body ? await sha256(body) : OF_NOTHING);
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const signer = new AwsV4Signer({
      method,
      url,
      headers,
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      service: "s3",
      region,
      cache,
      datetime,
    });
    return { method, url, headers: (await signer.sign()).headers, body };
  };
}

/**
 * The SHA-256 in hexadecimal digits. WebCrypto copies the bytes first, and takes twice the time of the
 * processor. In between others get a turn, for the longest parts take 50 ms.
 */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = createHash("sha256");
  for (let offset = 0; offset < bytes.length; offset += SLICE_BYTES) {
    hash.update(bytes.subarray(offset, offset + SLICE_BYTES));
    await takeTurns();
  }
  return hash.digest("hex");
}

/** What is hashed in about a millisecond. */
const SLICE_BYTES = 2 * 1024 * 1024;

/** The path of a key in a URL: each of its bytes that may not stand there as `%XX`. */
export function encodeKey(key: string): string {
  return key.split("/").map(encodeURIComponent).join("/");
}
