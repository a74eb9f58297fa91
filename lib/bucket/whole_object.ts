/**
 * Reads small objects whole, and again where an answer breaks off.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Bucket, ObjectHead } from "../s3/bucket.ts";
import { NoAnswer } from "../s3/answer.ts";

/** How often an answer may break off. */
const MOST_BREAKS = 5;

/** An object, and what was read of it. */
export interface WholeObject extends ObjectHead {
  readonly content: Uint8Array<ArrayBuffer>;
}

/**
 * Reads an object; `undefined` if there is none.
 *
 * @param most Bytes that are read. It may have more.
 * @throws {InletError} `overloaded` if each answer breaks off
 */
export async function readWhole(
  bucket: Bucket,
  key: string,
  most: number,
  signal?: AbortSignal,
): Promise<WholeObject | undefined> {
  return await unbroken(async () => {
    const object = await bucket.get(key, { range: { offset: 0, bytes: most }, signal });
    if (!object) return undefined;
    const { body, ...head } = object;
    return { ...head, content: await new Response(body).bytes() };
  });
}

/**
 * Reads an object, and again if the answer breaks off.
 *
 * @throws {InletError} `overloaded` if each answer breaks off
 */
export async function unbroken<T>(read: () => Promise<T>): Promise<T> {
  for (let breaks = 1;; breaks++) {
    try {
      return await read();
    } catch (error) {
      if (!isBroken(error)) throw error;
      if (breaks < MOST_BREAKS) continue;
      throw new InletError("overloaded", "The object store breaks off its answers", {
        cause: error,
      });
    }
  }
}

/** Whether an answer broke off, also if the object was replaced before the rest could be asked for. */
function isBroken(error: unknown): boolean {
  return error instanceof NoAnswer || error instanceof InletError && error.code === "changed";
}
