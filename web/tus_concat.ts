/**
 * Concatenation: joins uploads that were sent beside each other into one file.
 *
 * @module
 */

import { Tally } from "../lib/body/streams.ts";
import { InletError } from "../lib/errors.ts";
import { admit } from "../lib/server/admission.ts";
import type { ServerContext } from "../lib/server/context.ts";
import { SharedWork } from "../lib/shared_work.ts";
import type { OngoingUpload, Outcome } from "../lib/store/ongoing.ts";
import { quoted } from "../lib/text.ts";
import type { Exchange } from "./exchange.ts";
import { refuseBusy } from "./tus_append.ts";
import { detailsOf } from "./tus_details.ts";

/** Most bytes of a part that are copied at once. */
const PIECE_BYTES = 512 * 1024;

/** What is just being joined: a client that lost its connection asks once more. */
const joining = new SharedWork<Outcome>();

/**
 * Joins parts into a file, and publishes it. Of the parts only what became of them is kept: who asks
 * again for the same gets the same, also while they are being joined.
 *
 * @param find Finds the parts, in their order. The same one may come more than once.
 * @param asked The list of the parts, as it came.
 * @throws {InletError} `bad-request` if a part is not whole
 * @throws {Refusal} 423 if one is being sent
 */
export async function joinParts(
  { connection, context }: Exchange,
  find: () => Promise<readonly OngoingUpload[]>,
  { name, asked }: { name: string; asked: string },
): Promise<Outcome> {
  return await connection.unwatched(
    // They are looked at only now: whoever asked before may have joined them.
    joining.get(asked, async () => await join(context, await find(), { name, asked })),
  );
}

/** Joins parts for every client that waits for it, though the one that asked first may have left. */
async function join(
  context: ServerContext,
  parts: readonly OngoingUpload[],
  { name, asked }: { name: string; asked: string },
): Promise<Outcome> {
  const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const before = parts[0]?.outcome;
  if (before && parts.every((part) => detailsOf(part).joined === asked)) {
    return { name: before.name, size };
  }
  const what = `store ${quoted(name)}`;
  for (const { bytes, size, outcome, quietMs } of parts) {
    // What is there may still be discarded: its checksum is verified behind it.
    if (quietMs !== undefined) refuseBusy();
    if (outcome) throw new InletError("bad-request", `Cannot ${what}: a part is in another file`);
    if (bytes !== size) throw new InletError("bad-request", `Cannot ${what}: a part is not whole`);
  }
  admit(context, "put", what, size);
  await using upload = await context.store.receive(name, size);
  const tally = new Tally();
  const room = new Uint8Array(Math.min(size, PIECE_BYTES));
  for (const part of parts) {
    if (part.bytes === 0) continue;
    using file = await part.open();
    for (let offset = 0; offset < part.bytes;) {
      const wanted = room.subarray(0, Math.min(room.length, part.bytes - offset));
      const read = await file?.read(offset, wanted) ?? 0;
      if (read === 0) throw new InletError("changed", `Cannot ${what}: a part is gone`);
      const piece = wanted.subarray(0, read);
      tally.add(piece);
      await upload.write(piece);
      offset += read;
    }
  }
  const { crc } = tally;
  const stored = { name: await upload.publish({}, crc), size };
  context.log.stored({ ...stored, crc });
  for (const part of parts) {
    part.change({ details: JSON.stringify({ ...detailsOf(part), joined: asked }) });
    await part.conclude({ name: stored.name, size: part.bytes });
  }
  return stored;
}
