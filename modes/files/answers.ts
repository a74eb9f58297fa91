/**
 * What the answers of a server tell the client, checked.
 *
 * @module
 */

import { formatCrc, parseStored, type Reply, type Stored } from "../../protocol.ts";
import type { Tally } from "../../lib/body/streams.ts";
import { InletError } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";
import { unexpected } from "./requester.ts";

/** What became of one file or folder: what was stored, whether it was there before, or why not. */
export type ItemResult = { stored: Partial<Stored>; same?: true } | { error: InletError };

/** A file that was received: its size in bytes, its CRC-32, and the time of its last change. */
export interface Received {
  size: number;
  crc: number;
  modified: Date | undefined;
}

/**
 * The detail of an `ok`.
 *
 * @throws {InletError} what the server said instead
 */
export function decodeOk(reply: Reply): string {
  if (reply.type !== "ok") throw unexpected(reply);
  return reply.detail;
}

/** What was acknowledged. It has to be what was sent: that line crossed the wire, too. */
export function decodeStored(label: string, reply: Reply, sent: Tally): Stored {
  const stored = parseStored(decodeOk(reply));
  if (stored.size === sent.bytes && stored.crc === sent.crc) return stored;
  throw new InletError(
    "checksum",
    `Cannot rely on ${quoted(label)}: the server has ${stored.size} bytes with CRC-32 ` +
      `${formatCrc(stored.crc)}, sent were ${sent.bytes} with ${formatCrc(sent.crc)}`,
  );
}
