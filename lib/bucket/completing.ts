/**
 * Makes a file of its parts.
 *
 * An answer to Complete proves nothing: radosgw answers 200 where another write has replaced the
 * object meanwhile, 500 where there is no such upload any more, and the same 500 for ten minutes
 * after a gateway was killed within it, since that one's lock on the upload has to run out. So only a
 * look at the object tells what came of it. Completing an upload again does no harm.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InletError } from "../errors.ts";
import type { ObjectHead } from "../s3/bucket.ts";
import { quoted } from "../text.ts";
import { claim } from "./claim.ts";
import type { BucketContext } from "./context.ts";
import { markOf, META } from "./layout.ts";
import { placeholder } from "./marks.ts";
import { bytesOf, type UploadState } from "./state.ts";

/** Milliseconds that a lock of radosgw outlives its gateway: rgw_mp_lock_max_time, and a margin. */
const PATIENCE_MS = 11 * 60_000;

/** Milliseconds before the second attempt, at most; twice as many before each further one. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;

/** Attempts after which the operator is told: about ten seconds. */
const TOLD_AFTER = 8;

/**
 * What became of an upload: the file is there, or another program has written its name, or removed its
 * parts.
 */
export type Completed = "done" | "lost" | "gone";

/** How an upload is completed. */
export interface CompletingOptions {
  /** Gives up, with its reason. It may be completed nevertheless. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds for which it is tried.
   *
   * @default {660_000}
   */
  readonly patienceMs?: number | undefined;
}

/**
 * Completes an upload whose state says that it is being published, by whomever.
 *
 * @throws {InletError} `overloaded` if the store does not get it done in time; another attempt may
 * later
 */
export async function completeUpload(
  context: BucketContext,
  state: UploadState,
  { signal, patienceMs = PATIENCE_MS }: CompletingOptions = {},
): Promise<Completed> {
  const { bucket } = context;
  const upload = { key: context.key(state.name!), uploadId: state.uploadId! };
  const parts = state.parts.map(({ etag }, index) => ({ number: index + 1, etag }));
  const began = performance.now();
  for (let attempt = 0;; attempt++) {
    signal?.throwIfAborted();
    const before = await look(context, state, signal);
    if (typeof before === "string") return before;
    await bucket.complete(upload, parts, before.etag);
    const after = await look(context, state, signal);
    if (typeof after === "string") return after;
    if (!await hasParts(context, state)) return "gone";
    if (attempt === TOLD_AFTER) {
      context.warnOnce(
        "the object store has not put together a file whose parts have all arrived; the server tries on",
      );
    }
    if (performance.now() - began > patienceMs) throw heldBack(state);
    const most = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
    await delay(most * (0.5 + Math.random() / 2), { ...signal && { signal } });
  }
}

/** Looks at the name. Returns the placeholder if that is still there. */
async function look(
  context: BucketContext,
  state: UploadState,
  signal: AbortSignal | undefined,
): Promise<Completed | ObjectHead> {
  const name = state.name!;
  for (;;) {
    const head = await context.bucket.head(context.key(name), signal);
    if (!head) {
      // Another program has removed the placeholder: nobody else may take the name meanwhile.
      const claimed = await claim(context, name, placeholder("claimed", state.id), signal);
      if ("taken" in claimed && claimed.taken.meta[META.id] !== state.id) return "lost";
      continue;
    }
    if (head.meta[META.id] !== state.id) return "lost";
    if (markOf(head) === "claimed") return head;
    return markOf(head) === undefined && head.size === bytesOf(state) ? "done" : "lost";
  }
}

/**
 * Whether the parts of an upload are still there, or its file is by now.
 *
 * @throws {InletError} `internal` if they are others
 */
async function hasParts(context: BucketContext, state: UploadState): Promise<boolean> {
  const upload = { key: context.key(state.name!), uploadId: state.uploadId! };
  const there = await context.bucket.parts(upload);
  if (!there) {
    const head = await context.bucket.head(upload.key);
    return head?.meta[META.id] === state.id && markOf(head) === undefined;
  }
  const isWhole = there.length === state.parts.length && there.every(({ number, etag, size }) => {
    const noted = state.parts[number - 1];
    return noted?.etag === etag && noted.size === size;
  });
  if (isWhole) return true;
  throw new InletError("internal", `${what(state)}: its parts in the object store differ`);
}

function heldBack(state: UploadState): InletError {
  const why = "the object store has not put its parts together yet: send it again, with --resume";
  return new InletError("overloaded", `${what(state)}: ${why}`);
}

/** The wanted name, since the number of the other one tells which are taken. */
function what({ want }: UploadState): string {
  return `Cannot store ${quoted(want)}`;
}
