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
import { encodeFacts } from "./facts.ts";
import { markOf, META } from "./layout.ts";
import type { LeasedState } from "./leased.ts";
import { ownObjects } from "./own_objects.ts";
import { freePlaceholder } from "./placeholder.ts";
import { bytesOf, factsKey, tailKey, type UploadState } from "./state.ts";

/** Most Aborts of an upload. What is left then is left to the sweep. */
const MOST_ABORTS = 5;

/**
 * Completes an upload that is being published, or is already, by whomever it was begun.
 *
 * @returns The published name.
 * @throws {InletError} `overloaded` if the store cannot do it yet; `aborted` if another program has
 * replaced the file, `internal` if it has removed the parts: nobody goes on with it then
 */
export async function rollForward(
  context: BucketContext,
  leased: LeasedState,
  options: CompletingOptions = {},
): Promise<string> {
  const { state } = leased;
  if (state.outcome) return state.outcome.name;
  // Before the file: it is not seen without them.
  await context.bucket.put(factsKey(context.prefix, state.id), encodeFacts(state.facts!));
  const completed = await completeUpload(context, state, options);
  if (completed !== "done") {
    await leased.save((state) => ({ ...state, stage: "discarding" }));
    const [code, why] = WHY_NOT[completed];
    throw new InletError(code, `Cannot store ${quoted(state.want)}: ${why}`);
  }
  const name = state.name!;
  const outcome = { name, size: bytesOf(state) };
  await leased.save((state) => ({ ...state, stage: "published", outcome }));
  return name;
}

/** Why an upload cannot become a file any more. */
const WHY_NOT = {
  lost: ["aborted", "another program has written an object of that name"],
  gone: ["internal", "the object store has lost its parts"],
} as const;

/** Keeps what became of an upload that was published in another way, and nothing of its content. */
export async function conclude(
  context: BucketContext,
  leased: LeasedState,
  outcome: Outcome,
): Promise<void> {
  const { state } = leased;
  if (state.facts) return await leased.release();
  if (state.name !== undefined) {
    await leased.save((state) => ({ ...state, stage: "discarding" }));
    await removeRemains(context, state);
  }
  // Before the tails: a client that does not find its upload any more would send it again.
  await leased.save((state) => ({ ...state, ...NOTHING_LEFT, stage: "published", outcome }));
  await removeTails(context, state.id);
  await leased.release();
}

const NOTHING_LEFT: Partial<UploadState> = {
  ...{ name: undefined, uploadId: undefined, parts: [], tail: undefined, samples: [] },
  certain: undefined,
};

/**
 * Removes all of an upload, and gives its name up. One that is being published is left as it is:
 * whoever finds it completes it.
 *
 * @throws {InletError} if the store does not do it. The sweep tries again.
 */
export async function abandon(context: BucketContext, leased: LeasedState): Promise<void> {
  const { facts, stage } = leased.state;
  if (facts && stage !== "discarding") return await leased.release();
  await leased.save((state) => ({ ...state, stage: "discarding" }));
  await removeRemains(context, leased.state);
  await leased.remove();
}

/** Removes what there is of an upload that is being discarded, but for its state. */
async function removeRemains(context: BucketContext, state: UploadState): Promise<void> {
  const { id, name, uploadId, facts } = state;
  if (name !== undefined) {
    if (uploadId === undefined) await abortBegun(context, { name, id });
    // Of one with facts a Complete may have been sent.
    else if (!facts) await abort(context, { key: context.key(name), uploadId });
    await freePlaceholder(context, name, id);
  }
  await removeTails(context, id);
  await context.bucket.delete(factsKey(context.prefix, id));
}

/** Aborts what a server has begun at a name that it had claimed, and which was killed before the state told it. */
export async function abortBegun(
  context: BucketContext,
  { name, id }: { readonly name: string; readonly id: string },
): Promise<void> {
  const { bucket } = context;
  const key = context.key(name);
  const head = await bucket.head(key);
  if (!head || markOf(head) !== "claimed" || head.meta[META.id] !== id) return;
  for await (const page of bucket.uploads(key)) {
    for (const upload of page) if (upload.key === key) await abort(context, upload);
  }
}

/** Aborts an upload. On Ceph a part that arrives at the same moment can bring it back, for once. */
async function abort(
  { bucket }: BucketContext,
  upload: { readonly key: string; readonly uploadId: string },
): Promise<void> {
  for (let attempt = 0; attempt < MOST_ABORTS; attempt++) {
    await bucket.abort(upload);
    if (!await bucket.parts(upload)) return;
  }
}

/**
 * Aborts an upload that another server or another program has removed meanwhile, for the parts that arrived
 * behind that, and gives its name up. If its state is gone and its name has no file, nobody has completed
 * it, nor will.
 *
 * @param leased Its state, as it was before the lease was lost. This server has not begun to complete it.
 */
export async function abortLate(context: BucketContext, leased: LeasedState): Promise<void> {
  const { id, name, uploadId } = leased.state;
  if (name === undefined) return;
  if (await context.bucket.head(leased.key)) return;
  const key = context.key(name);
  const head = await context.bucket.head(key);
  if (uploadId === undefined) await abortBegun(context, { name, id });
  else if (!head || markOf(head)) await abort(context, { key, uploadId });
  await freePlaceholder(context, name, id);
}

/** Removes what was set aside of an upload. */
export async function removeTails(context: BucketContext, id: string): Promise<void> {
  for await (const objects of ownObjects(context, tailKey(context.prefix, id, ""))) {
    for (const { key } of objects) await context.bucket.delete(key);
  }
}

/** What had arrived of an upload before an attempt that proved wrong. */
export type Before = Pick<UploadState, "parts" | "tail" | "samples">;

/** The state after an attempt to resume an upload with wrong content: as before, and one failure more. */
export function reverted(state: UploadState, { parts, tail, samples }: Before): UploadState {
  return { ...state, parts, tail, samples, certain: undefined, failures: state.failures + 1 };
}
