/**
 * What a store says when it does not do what it was asked, and what that means to people.
 *
 * @module
 */

import { type Answer, NoAnswer, textUpTo } from "./answer.ts";
import { type Code, InletError } from "../errors.ts";
import { printable } from "../text.ts";

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
  const text = await textUpTo(answer, MAX_TEXT_BYTES);
  const root = parseXml(text);
  const code = root?.name === "Error" ? textOf(root, "Code") : "";
  const region = answer.headers.get("x-amz-bucket-region") ?? (textOf(root, "Region") || undefined);
  return new Refusal(answer.status, code.slice(0, 100), region);
}

/** Whether the same request may succeed a little later. */
export function mayPass(error: unknown): boolean {
  if (error instanceof NoAnswer) return !error.isFinal;
  if (!(error instanceof Refusal)) return false;
  const { status, code } = error;
  return status === 429 || status >= 500 && status !== 501 || PASSING.has(code);
}

const PASSING = new Set(["RequestTimeout", "OperationAborted", "XAmzContentSHA256Mismatch"]);

/** Codes that say that a key has expired, and another may have taken its place. */
export function isExpired({ code }: Refusal): boolean {
  return ["ExpiredToken", "TokenRefreshRequired", "InvalidAccessKeyId", "InvalidToken"].includes(
    code,
  );
}

const DENIED = ["denied", "The object store does not permit it to these credentials"] as const;
const EXPIRED = ["denied", "The credentials for the object store have expired"] as const;
const BUSY = ["overloaded", "The object store is too busy"] as const;

/** The refusals that have words of their own. */
const WORDS: Readonly<Record<string, readonly [Code, string]>> = {
  NoSuchBucket: ["denied", "The object store has no bucket of that name"],
  AccessDenied: DENIED,
  AllAccessDisabled: DENIED,
  InvalidAccessKeyId: ["denied", "The object store does not know the access key"],
  SignatureDoesNotMatch: ["denied", "The secret access key is not the one of the access key"],
  ExpiredToken: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  InvalidToken: ["denied", "The object store does not accept the session token"],
  RequestTimeTooSkewed: [
    "denied",
    "The clock of this machine is wrong: it differs too much from the object store's",
  ],
  RequestExpired: [
    "denied",
    "The clock of this machine is wrong: it differs too much from the object store's",
  ],
  KeyTooLongError: ["bad-name", "The name is too long for the object store"],
  InvalidObjectName: ["bad-name", "The object store does not accept the name"],
  QuotaExceeded: ["no-space", "The quota of the object store is used up"],
  XMinioStorageFull: ["no-space", "The object store is full"],
  EntityTooLarge: ["too-large", "The object store does not accept so large an object"],
  SlowDown: BUSY,
  ServiceUnavailable: BUSY,
};

/** What answers that are none of an object store are told as. */
export const NO_STORE = "The endpoint is no object store: its answer makes no sense";

/** Says what a refusal means. */
export function explainRefusal(refusal: Refusal): InletError {
  const [code, text] = meaningOf(refusal);
  return new InletError(code, text, { cause: refusal });
}

function meaningOf(refusal: Refusal): readonly [Code, string] {
  const { status, code, region, message } = refusal;
  if (region !== undefined && (status < 400 || WRONG_REGION.has(code))) {
    return ["denied", `The bucket is in the region ${printable(region)}, not in the given one`];
  }
  const known = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
  if (known) return known;
  const said = printable(message);
  if (mayPass(refusal)) return ["overloaded", `The object store has a failure: ${said}`];
  if (status === 401 || status === 403) {
    return ["denied", `The object store does not permit it: ${said}`];
  }
  if (code === "") return ["internal", `${NO_STORE} (${said})`];
  return ["internal", `The object store refused a request: ${said}`];
}

const WRONG_REGION = new Set([
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
  "PermanentRedirect",
  "TemporaryRedirect",
  "Redirect",
]);
