/**
 * Objects as they are there: looked at and read.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Answer } from "./answer.ts";
import type { Bucket, ObjectBody, ObjectHead } from "./bucket.ts";
import { objectBody } from "./object_body.ts";
import { headOf, lengthOf } from "./object_headers.ts";
import { Refusal } from "./refusal.ts";
import { type Asked, explainFailure, type Requests } from "./requests.ts";

/** Looks at an object, as {@linkcode Bucket.head} says. */
export async function headObject(
  requests: Requests,
  key: string,
  signal?: AbortSignal,
): Promise<ObjectHead | undefined> {
  const answer = await askAbout(requests, { method: "HEAD", key, signal });
  await answer?.cancel();
  return answer && headOf(answer);
}

/** Reads an object, as {@linkcode Bucket.get} says. */
export async function getObject(
  requests: Requests,
  key: string,
  { range, etag, lent, signal }: Parameters<Bucket["get"]>[1] = {},
): Promise<ObjectBody | undefined> {
  const { offset, bytes } = range ?? { offset: 0 };
  const nothing = (): Promise<ObjectBody | undefined> => emptyRange(requests, key, etag, signal);
  if (bytes === 0) return await nothing();
  const askFrom = (begin: number, etag: string | undefined): Promise<Answer | undefined> => {
    const end = bytes === undefined ? "" : offset + bytes - 1;
    const headers = {
      ...(begin > 0 || bytes !== undefined) && { range: `bytes=${begin}-${end}` },
      ...etag !== undefined && { "if-match": `"${etag}"` },
    };
    return askAbout(requests, { method: "GET", key, headers, signal });
  };
  let answer;
  try {
    answer = await askFrom(offset, etag);
  } catch (error) {
    if (isBehindEnd(error)) return await nothing();
    throw error;
  }
  if (!answer) return undefined;
  const head = headOf(answer);
  const length = lengthOf(answer, { offset, bytes });
  const askForRest = async (done: number): Promise<Answer> => {
    const rest = await askFrom(offset + done, head.etag);
    if (!rest) throw changed();
    lengthOf(rest, { offset: offset + done, bytes: length - done });
    return rest;
  };
  const explain = explainFailure;
  return { ...head, body: objectBody(answer, { length, lent, askForRest, explain }) };
}

/** Asks about an object; `undefined` if there is none. */
export async function askAbout(requests: Requests, asked: Asked): Promise<Answer | undefined> {
  try {
    return await requests.ask(asked);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) {
      if (error.code === "NoSuchKey" || asked.method === "HEAD" && error.code === "") {
        return undefined;
      }
    }
    if (error instanceof Refusal && error.status === 412) throw changed(error);
    throw explainFailure(error);
  }
}

/** No bytes of an object: HTTP has no range for them. */
async function emptyRange(
  requests: Requests,
  key: string,
  etag: string | undefined,
  signal: AbortSignal | undefined,
): Promise<ObjectBody | undefined> {
  const head = await headObject(requests, key, signal);
  if (head && etag !== undefined && head.etag !== etag) throw changed();
  return head && { ...head, body: new ReadableStream({ start: (body) => body.close() }) };
}

function isBehindEnd(error: unknown): boolean {
  const { cause } = error as Error;
  return cause instanceof Refusal && cause.status === 416;
}

function changed(cause?: Refusal): InletError {
  return new InletError("changed", "The file was changed meanwhile", { cause });
}
