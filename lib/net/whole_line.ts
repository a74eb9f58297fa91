/**
 * Lines that have arrived whole, and those that a peer may send a byte at a time.
 *
 * @module
 */

import { decodeUtf8, MAX_LINE_BYTES } from "../../protocol.ts";
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
const CR = 0x0d;

/**
 * The line at an offset of a buffer, without its ending, and where the next one begins; `undefined` if
 * it is not whole, or longer than any line.
 *
 * @throws {ProtocolError} if it is not UTF-8
 */
export function lineAt(
  buffer: Uint8Array,
  start: number,
): { text: string; end: number } | undefined {
  const end = buffer.indexOf(LF, start);
  if (end < 0 || end - start >= MAX_LINE_BYTES) return undefined;
  const line = buffer.subarray(start, buffer[end - 1] === CR ? end - 1 : end);
  return { text: decodeUtf8(line), end: end + 1 };
}

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
