/**
 * Reads what a server of mode talk sends: as much as comes before a pause, within limits.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import type { InletError } from "../../lib/errors.ts";
import { awakeNow } from "../../lib/net/awake.ts";
import type { Connection } from "../../lib/net/connection.ts";

/** What comes next: data, a pause, or the end of the stream. */
export type Arrival = "bytes" | "pause" | "end";

/** Waits for data, at most this time. It consumes nothing. */
export async function nextWithin(connection: Connection, milliseconds: number): Promise<Arrival> {
  if (connection.buffered.length > 0) return "bytes";
  const atEnd = connection.peek().then((byte) => byte === null);
  atEnd.catch(() => {});
  if (await connection.moreWithin(milliseconds)) return "bytes";
  // Both wait for the same read, which has told the end by now, if there is one.
  const asYet = new Promise<false>((resolve) => setTimeout(() => resolve(false), 0));
  if (await Promise.race([atEnd, asYet])) return "end";
  return connection.buffered.length > 0 ? "bytes" : "pause";
}

/** The limits of {@linkcode readToPause}. */
export interface Limits {
  /** Milliseconds without data after which it is complete. */
  gapMs: number;
  /** Most bytes. */
  mostBytes: number;
  /** Most milliseconds from the first byte to the last. */
  mostMs: number;
  /** Makes the error for what exceeds a limit. */
  endless(): InletError;
}

/** Reads what is buffered and what follows, up to the first pause. */
export async function readToPause(
  connection: Connection,
  { gapMs, mostBytes, mostMs, endless }: Limits,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const began = awakeNow();
  let size = 0;
  do {
    const piece = connection.takeBuffered().slice();
    size += piece.length;
    if (size > mostBytes || awakeNow() - began > mostMs) throw endless();
    pieces.push(piece);
  } while (await nextWithin(connection, gapMs) === "bytes");
  return concat(pieces);
}
