/**
 * What the store still has of an upload that is taken over: its state tells what was stored, and others
 * may have removed or replaced that.
 *
 * @module
 */

import type { BucketContext } from "./context.ts";
import { abortBegun } from "./ending.ts";
import type { LeasedState } from "./leased.ts";
import { cutSamples } from "./samples.ts";
import {
  type Arrived,
  bytesOf,
  certainOf,
  type NotedTail,
  tailKey,
  type UploadState,
} from "./state.ts";

/** A state without what was not confirmed. */
export function withoutDoubt(state: UploadState): UploadState {
  return { ...cutTo(state, certainOf(state)), certain: undefined };
}

/** Has a state tell no more than what the store has: the first parts that are there as they were noted. */
export async function cutToStored(context: BucketContext, leased: LeasedState): Promise<void> {
  const { id, name, uploadId, parts, tail } = leased.state;
  const key = context.key(name ?? "");
  if (name !== undefined && uploadId === undefined) await abortBegun(context, { name, id });
  const there = uploadId === undefined ? [] : await context.bucket.parts({ key, uploadId });
  const stored = new Map(there?.map((part) => [part.number, part]));
  const wrong = parts.findIndex(({ etag, size }, index) => {
    const part = stored.get(index + 1);
    return part?.etag !== etag || part.size !== size;
  });
  const hasTail = wrong < 0 && await isThere(context, id, tail);
  if (there && wrong < 0 && (hasTail || !tail)) return;
  const kept = wrong < 0 ? parts : parts.slice(0, wrong);
  await leased.save((state) => ({
    ...cutTo(state, { parts: kept, tail: hasTail ? tail : undefined }),
    // It is begun anew where it is gone.
    uploadId: there && uploadId,
  }));
}

function cutTo(state: UploadState, { parts, tail }: Arrived): UploadState {
  return { ...state, parts, tail, samples: cutSamples(state.samples, bytesOf({ parts, tail })) };
}

async function isThere(
  context: BucketContext,
  id: string,
  tail: NotedTail | undefined,
): Promise<boolean> {
  if (!tail) return false;
  const head = await context.bucket.head(tailKey(context.prefix, id, tail.number));
  return head?.size === tail.size;
}
