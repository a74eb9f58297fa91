/**
 * Reads a line that a peer may send a byte at a time.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { formatSeconds } from "../text.ts";
import { AwakeTimer } from "./awake.ts";
import type { Connection } from "./connection.ts";

/** Limit on silence of a client that was given none, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** Milliseconds of silence after which the user is told what it may mean, at most. */
const HINT_MS = 5000;

/** Milliseconds of silence after which the user is told what it may mean: before the limit ends it. */
export function silenceHintMs(limitMs: number = DEFAULT_TIMEOUT_MS): number {
  return Math.min(HINT_MS, limitMs / 2);
}

const LF = 0x0a;

/**
 * Like `readLine()`, but the line has to be complete in a time that begins with its first byte. On
 * the connection, every byte counts as a sign of life, so that a line could take for ever.
 *
 * @throws {InletError} `timeout`, which ends the connection
 */
export async function readWholeLine(
  connection: Connection,
  limitMs: number = DEFAULT_TIMEOUT_MS,
): Promise<string | null> {
  if (await connection.peek() === null || connection.buffered.includes(LF)) {
    return await connection.readLine();
  }
  const late = `No complete line within ${formatSeconds(limitMs)} s`;
  using _ = new AwakeTimer(limitMs, () => connection.abort(new InletError("timeout", late)));
  return await connection.readLine();
}
