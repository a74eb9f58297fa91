/**
 * Clears away what broke off: uploads that nobody goes on with, and what dead servers have left.
 *
 * Any server may do it, several at once too: whoever clears an upload away has taken over its state
 * first. Ages are by the clock of the store.
 *
 * - An upload that is being published is completed: all of it was verified.
 * - One that has expired is removed, and its name is given up.
 * - An upload in parts that no state names was begun by a server that was killed then, or by another
 *   program. It is aborted only if it is old and its name is marked as inlet's.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { OpenUpload } from "../s3/bucket.ts";
import { mapAtOnce } from "../store/at_once.ts";
import type { BucketContext } from "./context.ts";
import { abandon, removeTails, rollForward } from "./ending.ts";
import { markOf, META, OWN_PREFIX } from "./layout.ts";
import { type FoundState, isFree, LeasedState, readState } from "./leased.ts";
import { isName } from "./odd_names.ts";
import { ownObjects } from "./own_objects.ts";
import { freePlaceholder } from "./placeholder.ts";
import { ONGOING_REFERENCE, ongoingKey, type UploadState } from "./state.ts";

const HOUR_MS = 3_600_000;

/** How long a published upload is known, for a client that was not told. */
const KNOWN_MS = HOUR_MS;

/** How long an upload that is not kept is left to a server that was only stopped for a while. */
const UNKEPT_MS = 10 * 60_000;

/** How far the clock of this machine can be from that of the store, which refuses requests beyond. */
const SKEW_MS = HOUR_MS / 4;

/** How long the store may take to complete an upload. The next sweep tries again. */
const PATIENCE_MS = 20_000;

/** States that are read at once, and objects that are removed. */
const MOST_AT_ONCE = 16;

/** What is known of an upload, in short. */
interface Known {
  readonly key: string;
  readonly id: string;
  readonly uploadId: string | undefined;
  readonly isDue: boolean;
}

/**
 * Clears away what broke off. It may be called at any time.
 *
 * @throws what went wrong with an upload, once all others are cleared away
 */
export async function sweep(context: BucketContext): Promise<void> {
  // Before the states: an upload that is not among those by then has ended.
  const uploads = await openUploads(context);
  const tails = await oldKeys(context, "tail/");
  const { all, areAllKnown, failures } = await knownStates(context);
  const failed = (error: unknown): void => void failures.push(error);
  // First, since what no state named may have got one by the end of the rest.
  if (areAllKnown) {
    const named = new Set(all.map(({ uploadId }) => uploadId));
    const unnamed = uploads.filter(({ uploadId }) => !named.has(uploadId));
    const ids = new Set(all.map(({ id }) => id));
    for (const upload of unnamed) await abortMarked(context, upload, ids).catch(failed);
    for (const key of tails) {
      if (!ids.has(key.split("/").at(-2)!)) await context.bucket.delete(key);
    }
  } else {
    context.warnOnce(
      "the bucket has the state of an upload that only a server of another version can read; " +
        "what may belong to it is not cleared away",
    );
  }
  for (const { key, isDue } of all) if (isDue) await settle(context, key).catch(failed);
  await removeReferences(context);
  for (const path of ["probe/", "sent/"]) {
    const keys = await oldKeys(context, path);
    await mapAtOnce(keys, MOST_AT_ONCE, (key) => context.bucket.delete(key));
  }
  if (failures.length > 0) throw failures[0];
}

/** Uploads in parts that this store may have begun. */
async function openUploads({ bucket, prefix }: BucketContext): Promise<OpenUpload[]> {
  const all: OpenUpload[] = [];
  for await (const page of bucket.uploads(prefix)) {
    all.push(...page.filter(({ key }) => isName(key.slice(prefix.length))));
  }
  return all;
}

/** The keys of objects of the store's own that are old. */
async function oldKeys(context: BucketContext, path: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const objects of ownObjects(context, context.key(OWN_PREFIX + path))) {
    for (const { key, modified } of objects) {
      if (Date.now() - modified.getTime() > longest(context) + SKEW_MS) keys.push(key);
    }
  }
  return keys;
}

/** Milliseconds after which nothing is in use that no state names. */
function longest({ keepPartialsMs }: BucketContext): number {
  return Math.max(keepPartialsMs, HOUR_MS);
}

/** Reads all states. */
async function knownStates(context: BucketContext): Promise<{
  readonly all: readonly Known[];
  /** Whether each could be read: one of another version cannot. */
  readonly areAllKnown: boolean;
  /** Why some could not be read. */
  readonly failures: unknown[];
}> {
  const all: Known[] = [];
  const failures: unknown[] = [];
  let areAllKnown = true;
  const look = async (key: string): Promise<void> => {
    const found = await readState(context.bucket, key);
    if (!found) {
      if (await context.bucket.head(key)) areAllKnown = false;
      return;
    }
    const { id, uploadId } = found.state;
    all.push({ key, id, uploadId, isDue: isDue(context, found) });
  };
  const lookOrNote = async (key: string): Promise<void> => {
    try {
      await look(key);
    } catch (error) {
      // One that another program wrote may belong to another account.
      if (!(error instanceof InletError) || error.code !== "denied") throw error;
      areAllKnown = false;
      failures.push(error);
    }
  };
  for (const path of ["up/", "ongoing/"]) {
    for await (const objects of ownObjects(context, context.key(OWN_PREFIX + path))) {
      const keys = objects.map(({ key }) => key).filter((key) => !isReference(key));
      await mapAtOnce(keys, MOST_AT_ONCE, lookOrNote);
    }
  }
  return { all, areAllKnown, failures };
}

/** Whether an object only finds a state. */
function isReference(key: string): boolean {
  return key.slice(key.lastIndexOf("/") + 1).startsWith(ONGOING_REFERENCE);
}

/** Whether an upload is to be cleared away, or completed. */
function isDue({ keepPartialsMs }: BucketContext, found: FoundState): boolean {
  const { stage, ongoing, ticket } = found.state;
  if (!isFree(found)) return false;
  if (stage === "publishing" || stage === "discarding") return true;
  if (ongoing) return found.ageMs > keepPartialsMs;
  if (stage === "published") return found.ageMs > KNOWN_MS;
  return found.ageMs >
    (ticket === undefined ? Math.min(UNKEPT_MS, keepPartialsMs) : keepPartialsMs);
}

/** Clears an upload away, or completes it, unless another is faster. */
async function settle(context: BucketContext, key: string): Promise<void> {
  const found = await readState(context.bucket, key);
  if (!found || !isDue(context, found)) return;
  const { stage } = found.state;
  const change = (state: UploadState): UploadState =>
    stage === "open" ? { ...state, stage: "discarding" } : state;
  const leased = await LeasedState.adopt(context, found, change);
  if (!leased) return;
  try {
    if (stage === "publishing") return await complete(context, leased, found);
    if (stage === "published") return await forget(context, leased);
    await abandon(context, leased);
  } finally {
    await leased.release();
  }
}

async function complete(
  context: BucketContext,
  leased: LeasedState,
  { ageMs }: FoundState,
): Promise<void> {
  try {
    await rollForward(context, leased, { signal: leased.signal, patienceMs: PATIENCE_MS });
    await removeTails(context, leased.state.id);
  } catch (error) {
    if (!(error instanceof InletError) || error.code === "overloaded") throw error;
    // Another program has replaced it, or removed its parts. Nobody may abort it, even so.
    if (ageMs > longest(context)) await forget(context, leased);
  }
}

async function forget(context: BucketContext, leased: LeasedState): Promise<void> {
  await removeTails(context, leased.state.id);
  await leased.remove();
}

/**
 * Aborts an upload in parts that no state names, if it is old and at a name that is marked, and gives the
 * name up.
 *
 * @param ids Of the uploads that have a state.
 */
async function abortMarked(
  context: BucketContext,
  upload: OpenUpload,
  ids: ReadonlySet<string>,
): Promise<void> {
  const head = await context.bucket.head(upload.key);
  const mark = head && markOf(head);
  if (mark !== "claimed" && mark !== "free") return;
  const ageMs = head!.answered.getTime() - upload.begun.getTime();
  if (ageMs <= longest(context) || await isOfAnother(context, upload.key)) return;
  await context.bucket.abort(upload);
  const id = head!.meta[META.id];
  if (id === undefined || ids.has(id)) return;
  await freePlaceholder(context, upload.key.slice(context.prefix.length), id);
}

/** Whether a key belongs to another store, with a longer prefix: states of its own tell of its uploads. */
async function isOfAnother({ bucket, prefix }: BucketContext, key: string): Promise<boolean> {
  for (let end = prefix.length; (end = key.indexOf("/", end) + 1) > 0;) {
    for await (
      const { objects } of bucket.list({ prefix: key.slice(0, end) + OWN_PREFIX, limit: 1 })
    ) {
      if (objects.length > 0) return true;
      break;
    }
  }
  return false;
}

/** Removes what finds uploads by their files that are not there any more. */
async function removeReferences(context: BucketContext): Promise<void> {
  const { bucket, prefix } = context;
  for (const key of await oldKeys(context, "up/")) {
    if (!isReference(key)) continue;
    const hash = key.slice(key.lastIndexOf("/") + 1 + ONGOING_REFERENCE.length);
    if (!await bucket.head(ongoingKey(prefix, hash))) await bucket.delete(key);
  }
}
