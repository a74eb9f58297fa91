/**
 * Verifies bodies: what arrived is compared with what was sent.
 *
 * @module
 */

import { type BodyLine, factsOf, formatCrc } from "../../protocol.ts";
import type { Facts } from "../../lib/body/file_facts.ts";
import type { Tally } from "../../lib/body/streams.ts";
import { InletError } from "../../lib/errors.ts";

/**
 * Compares the checksums of the received and the sent bytes.
 *
 * @throws {InletError} `checksum`
 */
export function checkCrc(what: string, tally: Tally, trailer: BodyLine): void {
  if (trailer.type === "end" && trailer.crc !== tally.crc) {
    throw new InletError(
      "checksum",
      `${what}: it arrived with CRC-32 ${formatCrc(tally.crc)}, ` +
        `it was sent with ${formatCrc(trailer.crc)}`,
    );
  }
}

/**
 * Checks that the sender completed a body, and that its bytes are correct.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @param isResumed Whether a partial file was resumed. Its checksum must not be told: whoever
 * lacks a few of its bytes could find them by it.
 * @returns What the sender told of the file.
 * @throws {InletError} `aborted` or `checksum`
 */
export function checkEnd(
  what: string,
  tally: Tally,
  trailer: BodyLine,
  isResumed = false,
): Facts {
  if (trailer.type === "abort") throw new InletError("aborted", `Did not ${what}: ${trailer.text}`);
  if (isResumed && trailer.type === "end" && trailer.crc !== tally.crc) {
    throw new InletError("checksum", `Cannot ${what}: its bytes are not those that were sent`);
  }
  checkCrc(`Cannot ${what}`, tally, trailer);
  return factsOf(trailer);
}
