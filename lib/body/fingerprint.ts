/**
 * What a client shows of a file to resume its upload: a fingerprint that finds the partial file, and
 * a digest of ranges that proves that the client has the file. A digest of ranges also tells whether a
 * file begins with what is kept of a download.
 *
 * @module
 */

/** Most bytes of one range that a peer may ask for. */
export const MAX_RANGE_BYTES = 64 * 1024;

/** Bytes at each end of a file that its fingerprint covers. */
const END_BYTES = 1024 * 1024;

/** Reads bytes from an offset until the buffer is full or the file ends. */
export type ReadAt = (offset: number, into: Uint8Array) => number | Promise<number>;

/**
 * Computes the SHA-256 of a file's size, its time of last change in milliseconds, and its first and
 * last MiB, in hexadecimal.
 */
export async function fingerprintOf(
  { size, modified }: { size: number; modified: Date },
  read: ReadAt,
): Promise<string> {
  const head = new TextEncoder().encode(`inlet file ${size} ${modified.getTime()}\n`);
  const ends = Math.min(size, END_BYTES);
  const content = new Uint8Array(head.length + 2 * ends);
  content.set(head);
  await read(0, content.subarray(head.length, head.length + ends));
  await read(size - ends, content.subarray(head.length + ends));
  return await digestOf(content);
}

/**
 * Computes the SHA-256 of a nonce and of ranges of a file, in hexadecimal.
 *
 * @param nonce 64 hexadecimal digits, chosen by the peer that asks; empty if none does.
 * @param length Of each range, in bytes.
 */
export async function rangesDigest(
  nonce: string,
  length: number,
  offsets: readonly number[],
  read: ReadAt,
): Promise<string> {
  const bytes = Uint8Array.fromHex(nonce);
  const content = new Uint8Array(bytes.length + offsets.length * length);
  content.set(bytes);
  for (const [index, offset] of offsets.entries()) {
    const start = bytes.length + index * length;
    await read(offset, content.subarray(start, start + length));
  }
  return await digestOf(content);
}

/** Ranges of a partial file that its digest covers. */
const RANGES = 16;

/**
 * Computes the SHA-256 of ranges of a partial file, in hexadecimal: as far apart as its length
 * permits, the first at its beginning, and the last at its end.
 *
 * @param bytes Its length, at least 1.
 */
export async function partDigest(bytes: number, read: ReadAt): Promise<string> {
  const length = Math.min(bytes, MAX_RANGE_BYTES);
  const last = bytes - length;
  const step = Math.floor(last / (RANGES - 1));
  const offsets = Array.from({ length: RANGES - 1 }, (_, index) => index * step);
  return await rangesDigest("", length, [...offsets, last], read);
}

async function digestOf(content: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
}
