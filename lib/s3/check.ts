/**
 * Looks whether a bucket can hold files that nothing replaces: {@linkcode checkBucket}. What a store says
 * that it can do and what it does are two things, so it is tried.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import type { ObjectHead, Put } from "./bucket.ts";
import { askForXml } from "./listing.ts";
import { Refusal } from "./refusal.ts";
import { pauseBefore } from "./requests.ts";
import { S3Bucket } from "./s3_bucket.ts";
import { textOf } from "./xml.ts";

/** Milliseconds for which an answer is waited for: somebody waits for a server to start. */
export const CHECK_PATIENCE_MS = 10_000;

const HURRIED = { answerMs: CHECK_PATIENCE_MS, repeatMs: CHECK_PATIENCE_MS };

/** How often it is tried at least, and beyond that for {@linkcode CHECK_PATIENCE_MS}, without a clear answer. */
const FEWEST_TRIES = 3;

/**
 * Looks whether a bucket can be used, and finds out how it takes `If-Match`.
 *
 * @param prefix Of all keys that are used.
 * @param folder Where objects may be written to try it, which are removed again; ends with a slash.
 * Without it nothing is written.
 * @param onAnswer Called with each answer.
 * @throws {InletError} `usage` if the store lacks something; otherwise as its requests
 */
export async function checkBucket(
  bucket: S3Bucket,
  prefix: string,
  folder?: string,
  onAnswer?: () => void,
): Promise<void> {
  const hurried = new S3Bucket(bucket.requests.with(HURRIED, onAnswer));
  await refuseVersions(hurried, prefix);
  if (folder === undefined) return;
  const end = performance.now() + CHECK_PATIENCE_MS;
  for (let tries = 1;; tries++) {
    const key = `${folder}${crypto.randomUUID()}`;
    try {
      const ifMatch = await tryConditions(hurried, key);
      if (ifMatch) return void (bucket.ifMatch = ifMatch);
    } finally {
      await hurried.delete(key);
    }
    if (tries >= FEWEST_TRIES && performance.now() > end) {
      throw new InletError(
        "overloaded",
        "The object store gave no clear answer to its first requests",
      );
    }
    await delay(pauseBefore(tries));
  }
}

/** Refuses a bucket that keeps versions: it takes each conditional PUT for a new one. */
async function refuseVersions(bucket: S3Bucket, prefix: string): Promise<void> {
  // Whoever may not list the bucket cannot use it. It is asked first, for the reason that it gives.
  for await (const _ of bucket.list({ prefix, limit: 1 })) break;
  let status;
  try {
    const query = { versioning: "" };
    status = textOf(await askForXml(bucket.requests, "VersioningConfiguration", query), "Status");
  } catch (error) {
    // A store without versions may not know the question, and a policy may forbid it: the tries tell.
    if ((error as Error).cause instanceof Refusal) return;
    throw error;
  }
  if (status !== "Enabled" && status !== "Suspended") return;
  const why = "with versions a file could be replaced; use a bucket that never had them";
  throw new InletError("usage", `The versioning of the bucket is ${status.toLowerCase()}: ${why}`);
}

/** Tries what the store of files rests on; `undefined` if some answer was not clear. */
async function tryConditions(
  bucket: S3Bucket,
  key: string,
): Promise<S3Bucket["ifMatch"] | undefined> {
  const meta = { "inlet-probe": key.slice(-36) };
  const put = (content: string, condition?: { absent: true } | { etag: string }): Promise<Put> =>
    bucket.put(key, new TextEncoder().encode(content), { meta, condition });
  const first = await put("1", { absent: true });
  if (first === "unclear") return undefined;
  const head = await bucket.head(key);
  if (!isWritten(head, "1", meta)) throw lacking("an object that was written is not there");
  // A proxy has repeated the request, and gave the second answer.
  if (first === "refused") return undefined;
  const second = await put("2", { absent: true });
  if (second === "unclear") return undefined;
  if (second !== "refused") {
    throw lacking("it ignores If-None-Match, so that files could be replaced");
  }
  for await (const { objects } of bucket.list({ prefix: key })) {
    if (objects[0]?.key !== key) throw lacking("its lists lag behind what is written");
  }
  for (const form of ["quoted", "bare"] as const) {
    bucket.ifMatch = form;
    const wrong = await put("3", { etag: "0123456789abcdef0123456789abcdef" });
    if (wrong === "unclear") return undefined;
    if (wrong !== "refused") throw lacking("it ignores If-Match");
    const right = await put("4", { etag: head.etag });
    if (right === "unclear") return undefined;
    if (right !== "refused") return form;
  }
  // It may have taken one, of which a proxy gave the second answer.
  if ((await bucket.head(key))?.etag !== head.etag) return undefined;
  throw lacking("it takes no If-Match, neither with quotes nor without");
}

function isWritten(
  head: ObjectHead | undefined,
  content: string,
  meta: Readonly<Record<string, string>>,
): head is ObjectHead {
  return head?.size === content.length &&
    Object.entries(meta).every(([name, value]) => head.meta[name] === value);
}

function lacking(why: string): InletError {
  return new InletError("usage", `The object store cannot be used: ${why}`);
}
