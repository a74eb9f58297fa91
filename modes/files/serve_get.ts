/**
 * Serves downloads: `get`, and `reget` to continue the client's partial file.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { encodeBodyLine, encodeReply, STOP, STOPPED } from "../../protocol.ts";
import { Tally } from "../../lib/body/streams.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import type { Asker, StoredFile } from "../../lib/store/store.ts";
import { formatBytes, quoted } from "../../lib/text.ts";
import { attempt } from "./admission.ts";
import { chunked, MAX_PUSHED_BYTES, trailerOf } from "./framing.ts";
import { patiently } from "./wait.ts";

/** The client's partial file: its size in bytes, and its CRC-32. */
interface Kept {
  offset: number;
  crc: number;
}

/**
 * Sends a file.
 *
 * @param kept The client's partial file from an earlier attempt.
 */
export async function serveGet(
  connection: Connection,
  context: ServerContext,
  name: string,
  kept?: Kept,
): Promise<void> {
  const what = `get ${quoted(name)}`;
  const type = kept ? "reget" : "get";
  const opened = await attempt(connection, context, type, what, () => context.store.open(name));
  if (!opened) return;
  using stored = opened.value;
  if (!kept && stored.size <= MAX_PUSHED_BYTES) {
    await giveWhole(connection, context, name, stored);
  } else {
    const begun = kept &&
      await patiently(connection, what, (asker) => beginningOf(stored, kept, asker));
    await giveChunks(connection, context, name, stored, begun);
  }
}

/** @param begun The part that the client has already, for a `reget`. */
async function giveChunks(
  connection: Connection,
  { log }: ServerContext,
  name: string,
  stored: StoredFile,
  begun: Tally | undefined,
): Promise<void> {
  const { size } = stored;
  const tally = begun ?? new Tally();
  const detail = begun ? `${size} ${begun.bytes}` : String(size);
  await connection.write(encodeReply({ type: "ok", detail }));
  let stopped = false;
  let failure: InletError | undefined;
  await connection.send(chunked(stored.stream(tally.bytes), {
    isOver: () => stopped ||= connection.takeLine(STOP),
    onFailure: (error) => failure = explain(error, `Cannot read ${quoted(name)}`),
    tally,
  }));
  await connection.write(trailerOf(tally, stopped ? STOPPED : failure?.message, stored));
  if (failure) return log.failure(failure);
  const [event, did] = stopped ? ["stopped", "stopped getting"] as const : ["got", "got"] as const;
  const { bytes } = tally;
  log.info(event, `${did} ${quoted(name)}, ${formatBytes(bytes)}`, {
    file: name,
    bytes,
    ms: log.ms,
  });
}

/** Sends a small file with one write. */
async function giveWhole(
  connection: Connection,
  { log }: ServerContext,
  name: string,
  stored: StoredFile,
): Promise<void> {
  const { size } = stored;
  const room = new Uint8Array(size + 1);
  const isThere = await stored.read(0, room) >= size;
  const content = room.subarray(0, size);
  const tally = new Tally();
  tally.add(content);
  const abort = isThere ? undefined : `${quoted(name)} changed while it was sent`;
  await connection.write(concat([
    encodeReply({ type: "ok", detail: String(size) }),
    ...size > 0 ? [encodeBodyLine({ type: "data", size }), content] : [],
    trailerOf(tally, abort, stored),
  ]));
  if (abort !== undefined) return log.failure(new InletError("changed", abort));
  log.info("got", `got ${quoted(name)}, ${formatBytes(size)}`, {
    file: name,
    bytes: size,
    ms: log.ms,
  });
}

/** The tally of the client's partial file if the file begins with it; an empty tally otherwise. */
async function beginningOf(
  stored: StoredFile,
  { offset, crc }: Kept,
  asker: Asker,
): Promise<Tally> {
  const tally = new Tally();
  if (offset > stored.size) return tally;
  const begun = await stored.beginning(offset, asker);
  return begun.bytes === offset && begun.crc === crc
    ? Object.assign(tally, { bytes: offset, crc })
    : tally;
}
