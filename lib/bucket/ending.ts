/**
 * How an upload in parts ends: its file is there, or nothing is left of it.
 *
 * Its state decides which, and only whoever holds that may: nobody aborts an upload that may have been
 * completed, and nobody completes one that may have been aborted.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Outcome } from "../store/ongoing.ts";
import { quoted } from "../text.ts";
import { completeUpload, type CompletingOptions } from "./completing.ts";
import type { BucketContext } from "./context.ts";
import type { LeasedState } from "./leased.ts";
import { freePlaceholder } from "./placeholder.ts";
import { bytesOf, factsKey, tailKey, type UploadState } from "./state.ts";

/**
 * Completes an upload that is being published, or is already, by whomever it was begun.
 *
 * @returns The published name.
 * @throws {InletError} `overloaded` if the store cannot do it yet; `aborted` if another program has
 * replaced the file
 */
export async function rollForward(
  context: BucketContext,
  leased: LeasedState,
  options: CompletingOptions = {},
): Promise<string> {
  const { state } = leased;
  if (state.outcome) return state.outcome.name;
  const name = state.name!;
  if (await completeUpload(context, state, options) === "lost") {
    const why = "another program has written an object of that name";
    throw new InletError("aborted", `Cannot store ${quoted(name)}: ${why}`);
  }
  const outcome = { name, size: bytesOf(state) };
  await leased.save((state) => ({ ...state, stage: "published", outcome }));
  return name;
}

/** Keeps what became of an upload that was published in another way, and nothing of its content. */
export async function conclude(
  context: BucketContext,
  leased: LeasedState,
  outcome: Outcome,
): Promise<void> {
  const { state } = leased;
  await leased.save((state) => ({ ...state, stage: "discarding" }));
  await removeRemains(context, state);
  const nothing = { name: undefined, uploadId: undefined, parts: [], tail: undefined, samples: [] };
  await leased.release((state) => ({ ...state, ...nothing, stage: "published", outcome }));
}

/**
 * Removes all of an upload, and gives its name up. One that is being published is left as it is:
 * whoever finds it completes it.
 *
 * @throws {InletError} if the store does not do it. The sweep tries again.
 */
export async function abandon(context: BucketContext, leased: LeasedState): Promise<void> {
  if (leased.state.facts) return await leased.release();
  await leased.save((state) => ({ ...state, stage: "discarding" }));
  await removeRemains(context, leased.state);
  await leased.remove();
}

/** Removes what there is of an upload that is being discarded, but for its state. */
async function removeRemains(context: BucketContext, state: UploadState): Promise<void> {
  const { id, name, uploadId } = state;
  if (name !== undefined) {
    if (uploadId !== undefined) await context.bucket.abort({ key: context.key(name), uploadId });
    await freePlaceholder(context, name, id);
  }
  await removeTails(context, id);
  await context.bucket.delete(factsKey(context.prefix, id));
}

/** Removes what was set aside of an upload. */
export async function removeTails({ bucket, prefix }: BucketContext, id: string): Promise<void> {
  for await (const { objects } of bucket.list({ prefix: tailKey(prefix, id, "") })) {
    for (const { key } of objects) await bucket.delete(key);
  }
}

/** What had arrived of an upload before an attempt that proved wrong. */
export type Before = Pick<UploadState, "parts" | "tail" | "samples">;

/** The state after an attempt to resume an upload with wrong content: as before, and one failure more. */
export function reverted(state: UploadState, { parts, tail, samples }: Before): UploadState {
  return { ...state, parts, tail, samples, certain: undefined, failures: state.failures + 1 };
}
