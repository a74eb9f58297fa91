/**
 * What a store says when it does not do what it was asked, and what that means to people.
 *
 * @module
 */

import { type Code, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Answer } from "./transport.ts";
import { parseXml, textOf } from "./xml.ts";

/** An answer that is no success. */
export class Refusal extends Error {
  /** The same for all of them. */
  override readonly name = "Refusal";
  /** The status of HTTP. */
  readonly status: number;
  /** The store's word for it, such as `NoSuchKey`; empty if it gave none, as to each HEAD. */
  readonly code: string;
  /** The region that the bucket is in, where it is another. */
  readonly region: string | undefined;

  /** @param code As it was sent. */
  constructor(status: number, code: string, region?: string) {
    super(code === "" ? `HTTP ${status}` : `${status} ${code}`);
    this.status = status;
    this.code = code;
    this.region = region;
  }
}

/** The most of a failure that is read, in bytes. */
const MAX_TEXT_BYTES = 64 * 1024;

/** Reads why a store refused. */
export async function refusalOf(answer: Answer): Promise<Refusal> {
  const text = await textUpTo(answer.body, MAX_TEXT_BYTES);
  const root = parseXml(text);
  const code = root?.name === "Error" ? textOf(root, "Code") : "";
  const region = answer.headers.get("x-amz-bucket-region") ?? (textOf(root, "Region") || undefined);
  return new Refusal(answer.status, code.slice(0, 100), region);
}

/** Reads text, and no more of it than so many bytes. */
export async function textUpTo(body: Answer["body"], maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    bytes += chunk.length;
    if (bytes > maxBytes) break;
  }
  return text + decoder.decode();
}

/** Whether the same request may succeed a little later. */
export function mayPass({ status, code }: Refusal): boolean {
  return status === 429 || status >= 500 || PASSING.has(code);
}

const PASSING = new Set(["RequestTimeout", "OperationAborted", "XAmzContentSHA256Mismatch"]);

/** Codes that say that a key has expired, and another may have taken its place. */
export function isExpired({ code }: Refusal): boolean {
  return ["ExpiredToken", "TokenRefreshRequired", "InvalidAccessKeyId", "InvalidToken"].includes(
    code,
  );
}

/** The refusals that have words of their own. */
const WORDS: Readonly<Record<string, readonly [Code, string]>> = {
  NoSuchBucket: ["denied", "The object store has no such bucket"],
  AccessDenied: ["denied", "The object store does not permit it"],
  AllAccessDisabled: ["denied", "The object store does not permit it"],
  AccountProblem: ["denied", "The object store does not permit it"],
  InvalidAccessKeyId: ["denied", "The object store does not know the access key"],
  SignatureDoesNotMatch: ["denied", "The object store does not accept the secret access key"],
  ExpiredToken: ["denied", "The credentials for the object store have expired"],
  TokenRefreshRequired: ["denied", "The credentials for the object store have expired"],
  InvalidToken: ["denied", "The object store does not accept the session token"],
  RequestTimeTooSkewed: [
    "denied",
    "The clocks of this server and of the object store differ by more than 15 minutes",
  ],
  KeyTooLongError: ["bad-name", "The name is too long for the object store"],
  InvalidObjectName: ["bad-name", "The object store does not accept the name"],
  QuotaExceeded: ["no-space", "The quota of the object store is used up"],
  EntityTooLarge: ["too-large", "The object store does not accept so large an object"],
  XMinioStorageFull: ["no-space", "The object store is full"],
  SlowDown: ["overloaded", "The object store is too busy"],
};

/** Says what a refusal means. */
export function explainRefusal(refusal: Refusal): InletError {
  const { status, code, region } = refusal;
  const known = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
  if (known) return new InletError(known[0], `${known[1]}: ${code}`, { cause: refusal });
  if (region !== undefined && (status < 400 || WRONG_REGION.has(code))) {
    const why = `The bucket is in the region ${quoted(region)}: give that one`;
    return new InletError("denied", why, { cause: refusal });
  }
  const said = code === "" ? `it answered with status ${status}` : `${status} ${code}`;
  const [is, why] = status === 403 || status === 401
    ? ["denied", "does not permit it"] as const
    : mayPass(refusal)
    ? ["overloaded", "is too busy, or has a failure"] as const
    : ["internal", "gave an unexpected answer"] as const;
  return new InletError(is, `The object store ${why}: ${said}`, { cause: refusal });
}

const WRONG_REGION = new Set([
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
  "PermanentRedirect",
  "TemporaryRedirect",
  "Redirect",
]);
