/**
 * Where bodies come from and go to: sources, sinks, counting and checking, in one place.
 *
 * Reads and writes of files are synchronous on purpose: through the page cache they take less time
 * than handing them to another thread. bench/README.md has the figures.
 *
 * @module
 */

// Deno has no CRC-32 of its own.
import { crc32 } from "node:zlib";
import { takeTurns } from "../turns.ts";
import { buffers, LARGE_BUFFER_BYTES } from "./buffer_pool.ts";

/** Told how many bytes have just passed. */
export type OnBytes = (bytes: number) => void;

/** Counts bytes and carries their CRC-32 (the polynomial of ISO 3309, as in gzip and zip). */
export class Tally {
  bytes = 0;
  crc = 0;

  /** Takes the next bytes into the count and the checksum. */
  add(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.crc = crc32(chunk, this.crc);
  }
}

/** Writes all of a chunk, however many writes that takes. */
export function writeFully(
  file: { writeSync(bytes: Uint8Array): number },
  chunk: Uint8Array,
): void {
  for (let written = 0; written < chunk.length;) {
    written += file.writeSync(written === 0 ? chunk : chunk.subarray(written));
  }
}

/**
 * Counts and sums up what is read, at most so many bytes. Others have their turn meanwhile.
 *
 * @param read Reads into a buffer; `null` at the end.
 * @param signal Ends it, with its reason.
 */
export async function tallyOf(
  read: (buffer: Uint8Array) => number | null | Promise<number | null>,
  most: number,
  signal?: AbortSignal,
): Promise<Tally> {
  const tally = new Tally();
  const lent = buffers.borrow();
  const buffer = lent ?? new Uint8Array(64 * 1024);
  try {
    while (tally.bytes < most) {
      const bytes = await read(buffer.subarray(0, Math.min(most - tally.bytes, buffer.length)));
      if (bytes === null || bytes === 0) break;
      tally.add(buffer.subarray(0, bytes));
      await takeTurns();
      signal?.throwIfAborted();
    }
  } finally {
    if (lent) buffers.giveBack(lent);
  }
  return tally;
}

/**
 * Reads a small file that was measured before it was announced, with zeros for what is missing.
 *
 * @param room Longer than the file, so that one read finds its end, too.
 * @param size The bytes that were announced.
 * @returns Whether it has exactly so many.
 */
export function readWhole(file: Deno.FsFile, room: Uint8Array, size: number): boolean {
  let filled = 0;
  do {
    const read = file.readSync(room.subarray(filled, size + 1));
    if (read === null) break;
    filled += read;
  } while (filled < size);
  if (filled < size) room.fill(0, filled, size);
  return filled === size;
}

/** The body of a file that was measured before it was announced. */
export interface FileBody {
  /** Exactly the announced number of bytes. */
  stream: ReadableStream<Uint8Array>;
  /** What was read so far, and before that. */
  tally: Tally;
  /** Whether the file turned out shorter or longer than announced. Zeros stand for what was missing. */
  changed(): boolean;
}

/**
 * Streams exactly `size` bytes of an open file, so that the conversation stays in step even when
 * the file changes while it is read. The caller says afterwards whether it did.
 *
 * @param tally Goes on from what was read before.
 */
export function fileBody(
  file: Deno.FsFile,
  size: number,
  onBytes?: OnBytes,
  tally: Tally = new Tally(),
): FileBody {
  let changed = false;
  let left = size;
  const stream = bufferedStream(Math.min(size, LARGE_BUFFER_BYTES), (buffer) => {
    if (left === 0) {
      changed ||= file.readSync(new Uint8Array(1)) !== null;
      return null;
    }
    const wanted = buffer.subarray(0, Math.min(left, buffer.length));
    const read = changed ? null : file.readSync(wanted);
    if (read === null) {
      changed = true;
      wanted.fill(0);
    }
    const chunk = wanted.subarray(0, read ?? wanted.length);
    left -= chunk.length;
    tally.add(chunk);
    onBytes?.(chunk.length);
    return chunk;
  });
  return { stream, tally, changed: () => changed };
}

/** Streams what a reader gives, for as long as it gives: standard input, a pipe, a device. */
export function readerBody(
  reader: { read(buffer: Uint8Array): Promise<number | null> },
  onBytes?: OnBytes,
): ReadableStream<Uint8Array> {
  return bufferedStream(LARGE_BUFFER_BYTES, async (buffer) => {
    const read = await reader.read(buffer);
    if (read === null) return null;
    onBytes?.(read);
    return buffer.subarray(0, read);
  });
}

/**
 * A stream whose chunks are parts of one buffer, borrowed where it is a large one.
 *
 * @param bufferBytes Size of the buffer in bytes, as far as there is memory to lend.
 * @param fill Fills the buffer, and gives the chunk; `null` at the end.
 */
export function bufferedStream(
  bufferBytes: number,
  fill: (buffer: Uint8Array) => Uint8Array | null | Promise<Uint8Array | null>,
): ReadableStream<Uint8Array> {
  const lent = bufferBytes === LARGE_BUFFER_BYTES ? buffers.borrow() : undefined;
  const buffer = lent ?? new Uint8Array(Math.min(bufferBytes, 64 * 1024));
  return lendingStream(() => fill(buffer), () => lent && buffers.giveBack(lent));
}

/**
 * A stream over one buffer that is filled again only after the chunk before was consumed: with
 * nothing queued ahead, `pipeTo` asks for a chunk when the sink has done with the last one.
 *
 * @param next Fills the buffer, and gives the chunk; `null` at the end.
 * @param release Called once, when the stream is done with the buffer.
 */
export function lendingStream(
  next: () => Uint8Array | null | Promise<Uint8Array | null>,
  release: () => void,
): ReadableStream<Uint8Array> {
  let filling = false;
  let cancelled = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      let chunk: Uint8Array | null = null;
      try {
        filling = true;
        chunk = await next();
      } finally {
        filling = false;
        if (!chunk || cancelled) release();
      }
      if (cancelled) return;
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
    cancel(): void {
      cancelled = true;
      // A read that is under way still writes into the buffer: until then it is nobody else's.
      if (!filling) release();
    },
  }, { highWaterMark: 0 });
}
