/**
 * Decodes and checks the server's answers.
 *
 * @module
 */

import { formatCrc, parseStored, type Reply, type Stored } from "../../protocol.ts";
import type { Tally } from "../../lib/body/streams.ts";
import { InletError } from "../../lib/errors.ts";
import { formatCount, quoted } from "../../lib/text.ts";
import { unexpected } from "./requester.ts";

/** The result of one file or folder. `same` is set if it existed already. */
export type ItemResult = { stored: Partial<Stored>; same?: true } | { error: InletError };

/** A received file: size in bytes, CRC-32, and modification time. */
export interface Received {
  size: number;
  crc: number;
  modified: Date | undefined;
}

/**
 * The detail of an `ok`.
 *
 * @throws {InletError} the server's refusal, or `bad-request` for any other reply
 */
export function decodeOk(reply: Reply): string {
  if (reply.type !== "ok") throw unexpected(reply);
  return reply.detail;
}

/** Decodes an acknowledgement, and compares it with what was sent. */
export function decodeStored(label: string, reply: Reply, sent: Tally): Stored {
  const stored = parseStored(decodeOk(reply));
  if (stored.size === sent.bytes && stored.crc === sent.crc) return stored;
  throw new InletError(
    "checksum",
    `Cannot verify ${quoted(label)}: the server has ${
      formatCount(stored.size)
    } bytes with CRC-32 ` +
      `${formatCrc(stored.crc)}, the client sent ${formatCount(sent.bytes)} with ${
        formatCrc(sent.crc)
      }`,
  );
}
