/**
 * Checksums of stored files that take long: few are computed at once, and each of them for all who
 * ask for it meanwhile. A thousand clients that ask for the checksum of one large file cost as much
 * as one client.
 *
 * @module
 */

import { type Tally, tallyOf } from "../body/streams.ts";
import { Semaphore } from "../semaphore.ts";
import { SharedWork } from "../shared_work.ts";

/** Reading this many bytes takes a few milliseconds, and needs no turn. */
const LIGHT_BYTES = 8 * 1024 * 1024;

/** Readings that are under way at once. More would not be faster, and would leave others less. */
const readings = new Semaphore(2);

const sums = new SharedWork<Tally>();

/** A file that is open for reading. */
export interface OpenFile extends Disposable {
  /** Reads from the current position. `null` at the end. */
  readNext(into: Uint8Array): number | null | Promise<number | null>;
}

/**
 * Reads much, when it is this reading's turn.
 *
 * @param bytes How much it reads, at most. A small reading takes no turn.
 * @param signal Leaves the queue, with its reason. The reading has to heed it itself.
 */
export async function readInTurn<T>(
  bytes: number,
  read: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  if (bytes <= LIGHT_BYTES) return await read();
  using _ = await readings.acquire(signal);
  return await read();
}

/**
 * Returns the size and the CRC-32 of the first bytes of a file, or of the whole file if it is
 * shorter.
 *
 * @param version A key of the file's content: the same key means the same bytes.
 * @param open Opens that version at its beginning. It is not called if somebody else's reading of
 * the same bytes is under way.
 * @param signal Gives up, with its reason. The reading ends when the last caller has given up.
 */
export async function checksumOf(
  version: string,
  bytes: number,
  open: () => OpenFile,
  signal?: AbortSignal,
): Promise<Tally> {
  const work = async (abandoned?: AbortSignal): Promise<Tally> =>
    await readInTurn(bytes, async () => {
      using file = open();
      return await tallyOf((buffer) => file.readNext(buffer), bytes, abandoned);
    }, abandoned);
  return bytes <= LIGHT_BYTES
    ? await work(signal)
    : await sums.get(`${bytes} ${version}`, work, signal);
}
