/**
 * Waits for what a server of mode talk sends, and reads as much as comes before a pause, within limits.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import type { InletError } from "../../lib/errors.ts";
import { awakeNow } from "../../lib/net/awake.ts";
import type { Arrival } from "../../lib/net/buffered_reader.ts";
import type { Connection } from "../../lib/net/connection.ts";

/** Waits for data, at most this time. It consumes nothing. */
export async function nextWithin(connection: Connection, milliseconds: number): Promise<Arrival> {
  return connection.buffered.length > 0 ? "bytes" : await connection.arrivalWithin(milliseconds);
}

/** Ends a server that only drips: a time of waiting has to bring so many bytes. */
export class Drip {
  readonly #limits: { windowMs: number; leastBytes: number };
  readonly #tooSlow: () => InletError;
  #bytes = 0;
  #waitedMs = 0;

  constructor(limits: { windowMs: number; leastBytes: number }, tooSlow: () => InletError) {
    this.#limits = limits;
    this.#tooSlow = tooSlow;
  }

  /** Waits for data, as one of the functions that wait does. */
  async waiting<T>(connection: Connection, wait: () => Promise<T>): Promise<T> {
    const before = connection.buffered.length;
    const asked = awakeNow();
    const result = await wait();
    this.count(connection.buffered.length - before, awakeNow() - asked);
    return result;
  }

  /**
   * Counts bytes, and the time for which they were awaited.
   *
   * @throws {InletError} if they come too slowly
   */
  count(bytes: number, waitedMs: number): void {
    this.#bytes += bytes;
    this.#waitedMs += waitedMs;
    // What nothing follows has ended, and does not drip.
    if (bytes === 0 || this.#waitedMs < this.#limits.windowMs) return;
    if (this.#bytes < this.#limits.leastBytes) throw this.#tooSlow();
    this.#bytes = this.#waitedMs = 0;
  }
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
