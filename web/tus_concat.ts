/**
 * Concatenation: joins uploads that were sent beside each other into one file.
 *
 * Joining takes long, so it goes on if its client leaves: who asks again gets the file, and would never
 * get it if each attempt began anew. Large ones take turns, so that this is never much.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { clientOf } from "../lib/address.ts";
import { Tally } from "../lib/body/streams.ts";
import { InletError } from "../lib/errors.ts";
import { admit } from "../lib/server/admission.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { publish } from "../lib/server/store_body.ts";
import { ClientTurns } from "../lib/semaphore.ts";
import type { OngoingUpload, Outcome } from "../lib/store/ongoing.ts";
import { quoted } from "../lib/text.ts";
import { takeTurns } from "../lib/turns.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";
import { refuseBusy } from "./tus_append.ts";
import { detailsOf } from "./tus_details.ts";

/** Most bytes of a part that are copied at once. */
const PIECE_BYTES = 512 * 1024;

/** Copying this many bytes takes a few milliseconds, and needs no turn. */
const LIGHT_BYTES = 8 * 1024 * 1024;

/** Large files that are joined at once. More would not be faster, and would leave others less. */
const turns = new ClientTurns(2);

/** What is to be joined. */
export interface Joinable {
  /** The ids of the parts, in their order, each of them once. */
  readonly ids: readonly string[];
  /** Of the file. */
  readonly name: string;
  /** Finds the parts, in their order. */
  find(): Promise<readonly OngoingUpload[]>;
}

/** A joining that is under way. */
interface Joining {
  readonly key: string;
  readonly result: Promise<Outcome>;
  readonly abandon: AbortController;
}

/** Those under way, by the ids of their parts. A part is in one at most. */
const joinings = new Map<string, Joining>();

/**
 * Joins parts into a file, and publishes it. Of the parts only what became of them is kept: who asks
 * again for the same gets the same, also while they are being joined.
 *
 * @throws {InletError} `bad-request` if a part is not whole, or in another file; `changed` if one is
 * removed meanwhile
 * @throws {Refusal} 423 if one is being sent, or joined with others
 */
export async function joinParts(exchange: Exchange, joinable: Joinable): Promise<Outcome> {
  const { context } = exchange;
  const client = clientOf({ remote: context.client.address });
  const key = createHash("sha256").update(joinable.ids.join(" ")).digest("hex");
  return await exchange.whileThere(async (gone) => {
    const parts = await joinable.find();
    const before = outcomeOf(parts, key) ?? await joiningOf(joinable, key)?.result;
    if (before) return before;
    using ended = endOf(exchange);
    const signal = AbortSignal.any([gone, ended.signal]);
    using _ = sizeOf(parts) > LIGHT_BYTES ? await turns.next({ client, signal }) : undefined;
    return await (joiningOf(joinable, key) ?? begin(context, joinable, key)).result;
  });
}

/**
 * Tells when a client closes its direction. Most have left then: it gives its place to others, and
 * what has not begun for it need not begin.
 */
function endOf({ context, socket }: Exchange): Disposable & { readonly signal: AbortSignal } {
  const ended = new AbortController();
  const end = (): void => {
    context.leavePlace();
    ended.abort(new InletError("lost", "The client left before the parts were joined"));
  };
  if (socket.readableEnded) end();
  else socket.once("end", end);
  return { signal: ended.signal, [Symbol.dispose]: () => socket.off("end", end) };
}

/**
 * Ends the joining of a part that is to be removed. If it is about to publish, it does so before this
 * settles, and else it does not.
 *
 * @param id That of the part.
 */
export async function stopJoining(id: string): Promise<void> {
  const joining = joinings.get(id);
  joining?.abandon.abort(new InletError("changed", "Cannot join the parts: one was removed"));
  await joining?.result.catch(() => {});
}

/** The joining of the same parts that is under way. @throws {Refusal} 423 */
function joiningOf({ ids }: Joinable, key: string): Joining | undefined {
  const found = ids.flatMap((id) => joinings.get(id) ?? []);
  if (found.every((joining) => joining.key === key)) return found[0];
  throw new Refusal(423, "Cannot join the parts: one is being joined with others", {
    code: "wait",
  });
}

/** Begins a joining, for every client that waits for it: the one that asked first may leave. */
function begin(context: ServerContext, joinable: Joinable, key: string): Joining {
  const { ids } = joinable;
  const abandon = new AbortController();
  const result = join(context, joinable, { key, signal: abandon.signal }).finally(() => {
    for (const id of ids) joinings.delete(id);
  });
  const joining = { key, result, abandon };
  for (const id of ids) joinings.set(id, joining);
  return joining;
}

async function join(
  context: ServerContext,
  { name, find }: Joinable,
  { key, signal }: { key: string; signal: AbortSignal },
): Promise<Outcome> {
  // They are looked at only now: whoever asked before may have joined them.
  const parts = await find();
  const before = outcomeOf(parts, key);
  if (before) return before;
  const what = `store ${quoted(name)}`;
  checkParts(parts, what);
  const size = sizeOf(parts);
  admit(context, "put", what, size);
  await using upload = await context.store.receive(name, size);
  const tally = new Tally();
  const room = new Uint8Array(Math.min(size, PIECE_BYTES));
  for (const part of parts) {
    if (part.bytes === 0) continue;
    using file = await part.open();
    for (let offset = 0; offset < part.bytes;) {
      await takeTurns();
      signal.throwIfAborted();
      const wanted = room.subarray(0, Math.min(room.length, part.bytes - offset));
      const read = await file?.read(offset, wanted) ?? 0;
      if (read === 0) throw new InletError("changed", `Cannot ${what}: a part is gone`);
      const piece = wanted.subarray(0, read);
      tally.add(piece);
      await upload.write(piece);
      offset += read;
    }
  }
  signal.throwIfAborted();
  // Its user may have been removed meanwhile.
  admit(context, "put", what, size);
  const stored = await publish(upload, context, tally);
  for (const part of parts) {
    await part.change({ details: JSON.stringify({ ...detailsOf(part), joined: key }) });
    await part.conclude({ name: stored.name, size: part.bytes });
  }
  return stored;
}

/**
 * The file that these parts have become, in this order; `undefined` if they have not. One of them tells
 * it: the server may have been killed before it came to the others.
 */
function outcomeOf(parts: readonly OngoingUpload[], key: string): Outcome | undefined {
  const { outcome } = parts.find((part) => part.outcome && detailsOf(part).joined === key) ?? {};
  return outcome && { name: outcome.name, size: sizeOf(parts) };
}

/** @throws {InletError} `bad-request` @throws {Refusal} 423 */
function checkParts(parts: readonly OngoingUpload[], what: string): void {
  for (const { bytes, size, outcome, quietMs } of parts) {
    // What is there may still be discarded: its checksum is verified behind it.
    if (quietMs !== undefined) refuseBusy();
    if (outcome) throw new InletError("bad-request", `Cannot ${what}: a part is in another file`);
    if (bytes !== size) throw new InletError("bad-request", `Cannot ${what}: a part is not whole`);
  }
}

function sizeOf(parts: readonly OngoingUpload[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}
