/**
 * Decodes and checks the server's answers.
 *
 * @module
 */

import {
  type BodyLine,
  decodeNumber,
  factsOf,
  formatCrc,
  parseStored,
  type Reply,
  type Stored,
} from "../../protocol.ts";
import { failureOfGrowth, type GrowthOptions } from "../../lib/body/sources.ts";
import type { Tally } from "../../lib/body/streams.ts";
import { InletError } from "../../lib/errors.ts";
import type { Facts } from "../../lib/body/file_facts.ts";
import type { Upload } from "../../lib/store/store.ts";
import { formatCount, quoted } from "../../lib/text.ts";
import { checkCrc } from "./verification.ts";
import { unexpected } from "./requester.ts";

/**
 * The result of one file or folder. `same` is set if it existed already, `untried` if nothing of it
 * was sent.
 */
export type ItemResult =
  | { stored: Partial<Stored>; same?: true }
  | { error: InletError; untried?: true };

/** A received file: size in bytes, CRC-32, and what the server told of it. */
export interface Received extends Facts {
  size: number;
  crc: number;
}

/** Target of a download: an upload of a store, or any object that accepts bytes. */
export interface Saving
  extends Pick<Upload, "write">, Partial<Pick<Upload, "kept" | "counted" | "startOver">> {
  /** Called with the size of the whole file, before its first byte. */
  expect?(size: number): void;
  /** Leaves the partial file as it was, and starts at the beginning beside it. */
  startBeside?(): Promise<void>;
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

/**
 * Decodes the detail behind the `ok` of a get, `SIZE`, or of a reget, `SIZE OFFSET`.
 *
 * @param kept Bytes of the file that the client has, if it asked for the rest.
 * @throws {InletError} `bad-request` for anything else, or an offset that was not requested
 */
export function decodeBeginning(detail: string, kept: number): { size: number; offset: number } {
  const numbers = detail.split(" ").map((number) => decodeNumber(number, "size"));
  const [size = 0, offset = 0] = numbers;
  const isExpected = numbers.length === (kept > 0 ? 2 : 1) && size >= offset;
  if (isExpected && (offset === 0 || offset === kept)) return { size, offset };
  const request = kept > 0 ? `a file from byte ${kept} on` : "a whole file";
  const reason = `The server answered a request for ${request} with ${quoted(`ok ${detail}`)}`;
  throw new InletError("bad-request", reason);
}

/**
 * Checks that a download is complete and correct.
 *
 * @throws {InletError} `changed` if the server aborted it, `checksum` if the bytes differ
 */
export function checkTrailer(
  name: string,
  size: number,
  tally: Tally,
  trailer: BodyLine,
  growth: GrowthOptions,
): void {
  const what = `Cannot get ${quoted(name)}`;
  if (trailer.type === "abort") throw new InletError("changed", `${what}: ${trailer.text}`);
  if (tally.bytes !== size) {
    throw new InletError(
      "checksum",
      `${what}: ${formatCount(tally.bytes)} bytes arrived instead of ${formatCount(size)}`,
    );
  }
  checkCrc(what, tally, trailer);
  if (!factsOf(trailer).grew) return;
  const failure = failureOfGrowth(what, { label: name, size }, growth);
  if (failure) throw failure;
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
