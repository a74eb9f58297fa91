/**
 * Serves downloads: `get`, and `reget` to continue the client's partial file.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { encodeBodyLine, encodeReply, formatCrc, STOP, STOPPED } from "../../protocol.ts";
import { partDigest } from "../../lib/body/fingerprint.ts";
import { BeginningCrc, type Reading } from "../../lib/body/reading.ts";
import { Tally } from "../../lib/body/streams.ts";
import { clientOf } from "../../lib/address.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import type { Asker, Maybe, StoredFile } from "../../lib/store/store.ts";
import { formatBytes, quoted } from "../../lib/text.ts";
import { attempt } from "./admission.ts";
import { chunked, trailerOf } from "./framing.ts";
import { patiently } from "./wait.ts";

/** The client's partial file: its size in bytes, and the digest of its ranges, or its CRC-32. */
interface Kept {
  offset: number;
  digest: string;
}

/** Size of the largest file that is read before it is sent, in bytes: a client may read slowly. */
const MAX_WHOLE_BYTES = 64 * 1024;

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
  const open = (): Maybe<StoredFile> => {
    const opening = context.store.open(name);
    return opening instanceof Promise ? patiently(connection, what, () => opening) : opening;
  };
  const opened = await attempt(connection, context, type, what, open);
  if (!opened) return;
  using stored = opened.value;
  if (!kept && stored.size <= MAX_WHOLE_BYTES) {
    await giveWhole(connection, context, name, stored);
  } else {
    const offset = kept &&
      await patiently(connection, what, (asker) => offsetOf(stored, kept, asker));
    await giveChunks(connection, context, name, stored, offset);
  }
}

/** @param offset How much the client has already, for a `reget`. */
async function giveChunks(
  connection: Connection,
  { log }: ServerContext,
  name: string,
  stored: StoredFile,
  offset: number | undefined,
): Promise<void> {
  const { size } = stored;
  log.sized(size, offset);
  const detail = offset === undefined ? String(size) : `${size} ${offset}`;
  await connection.write(encodeReply({ type: "ok", detail }));
  const known = offset ? await stored.knownCrc() : undefined;
  // It is needed for the end, and read while the rest is on its way.
  using beginning = offset && known === undefined
    ? beginningOf(connection, stored, offset)
    : undefined;
  let tally = new Tally();
  let stopped = false;
  let failure: InletError | undefined;
  const isOver = (): boolean => stopped ||= connection.takeLine(STOP);
  const onFailure = (error: unknown): void => {
    failure = explain(error, `Cannot read ${quoted(name)}`);
  };
  await connection.send(chunked(stored.stream(offset ?? 0), { isOver, onFailure, tally }));
  if (beginning && !stopped && !failure) {
    const whole = (): Promise<Tally> => beginning.whole(tally);
    const sent = await unlessOver(connection, name, whole, beginning.reading, isOver)
      .catch(onFailure);
    if (connection.failure) throw connection.failure;
    tally = sent ?? tally;
  } else if (known !== undefined && !stopped) {
    tally = Object.assign(new Tally(), { bytes: size, crc: known });
  }
  await connection.write(trailerOf(tally, stopped ? STOPPED : failure?.message, stored));
  if (failure) return log.failure(failure);
  const { bytes } = tally;
  if (!stopped) return log.got(name, bytes);
  log.info("stopped", `stopped getting ${quoted(name)}, ${formatBytes(bytes)}`, {
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
  log.got(name, size);
}

/** How much of a file the client has: all of its partial file, or nothing if it is another's. */
async function offsetOf(
  stored: StoredFile,
  { offset, digest }: Kept,
  asker: Asker,
): Promise<number> {
  if (offset === 0 || offset > stored.size) return 0;
  if (digest.length === CRC_DIGITS) {
    const { bytes, crc } = await stored.beginning(offset, asker);
    return bytes === offset && formatCrc(crc) === digest ? offset : 0;
  }
  const ours = await partDigest(offset, async (from, into) => await stored.read(from, into));
  return ours === digest ? offset : 0;
}

function beginningOf(connection: Connection, stored: StoredFile, offset: number): BeginningCrc {
  const client = clientOf(connection);
  return new BeginningCrc(offset, async (options) => {
    const { bytes, crc } = await stored.beginning(offset, { ...options, client });
    if (bytes === offset) return crc;
    throw new InletError("changed", "it became shorter while it was sent");
  });
}

/**
 * Waits for what the end of a body needs. Notes tell the client meanwhile that the server works.
 *
 * @param isOver Whether the client has stopped the body.
 * @returns `undefined` if it has.
 */
async function unlessOver<T>(
  connection: Connection,
  name: string,
  work: () => Promise<T>,
  reading: Reading,
  isOver: () => boolean,
): Promise<T | undefined> {
  const stopped = Promise.withResolvers<undefined>();
  return await patiently(
    connection,
    `get ${quoted(name)}`,
    () => Promise.race([work(), stopped.promise]),
    {
      told: () => {
        if (isOver()) stopped.resolve(undefined);
        return reading.toString();
      },
    },
  );
}

/** Digits of a CRC-32. */
const CRC_DIGITS = 8;
