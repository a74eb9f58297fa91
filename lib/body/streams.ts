/**
 * Streams of bodies: reading, writing, counting and checksums.
 *
 * File reads and writes are synchronous on purpose: through the page cache they take less time than
 * a switch to another thread. bench/README.md has the figures.
 *
 * @module
 */

// Deno's own API has no CRC-32.
import { crc32 } from "node:zlib";
import { takeTurns } from "../turns.ts";
import { buffers, LARGE_BUFFER_BYTES } from "./buffer_pool.ts";

/** Called with the number of bytes just transferred. */
export type OnBytes = (bytes: number) => void;

/** Counts bytes and computes their CRC-32 (the polynomial of ISO 3309, as in gzip and zip). */
export class Tally {
  bytes = 0;
  crc = 0;

  /** Adds the next bytes. */
  add(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.crc = crc32(chunk, this.crc);
  }
}

/** Writes a chunk completely. */
export function writeFully(
  file: { writeSync(bytes: Uint8Array): number },
  chunk: Uint8Array,
): void {
  for (let written = 0; written < chunk.length;) {
    written += file.writeSync(written === 0 ? chunk : chunk.subarray(written));
  }
}

/** Milliseconds between two attempts to write to a pipe that is full and does not block. */
const RETRY_MS = 20;

/** Writes a chunk completely, without holding up the event loop while the consumer is slow. */
export async function writeAll(
  stream: { write(bytes: Uint8Array): Promise<number> },
  chunk: Uint8Array,
): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    try {
      written += await stream.write(written === 0 ? chunk : chunk.subarray(written));
    } catch (error) {
      // Another program that shares the pipe can have made it one that does not block.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/**
 * Computes the size and CRC-32 of at most `most` bytes. It yields to the event loop meanwhile.
 *
 * @param read Reads into a buffer; `null` at the end.
 * @param signal Aborts the read, with its reason.
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
 * What became of a file since its size was announced: it got more bytes at its end, as a log does,
 * or it is shorter, or was written within what was announced.
 */
export type Change = "grew" | "changed";

/**
 * Tells what became of an open file while it was read. Of a file that grew nobody knows whether its
 * beginning stayed as it was, unless all is read again: it is taken for a log, as tar and rsync do.
 *
 * @param before The file when the reading began.
 * @param size The announced size in bytes.
 */
export function changeOf(
  file: { statSync(): Pick<Deno.FileInfo, "size" | "mtime"> },
  before: Pick<Deno.FileInfo, "mtime">,
  size: number,
): Change | undefined {
  const now = file.statSync();
  if (now.size !== size) return now.size > size ? "grew" : "changed";
  return now.mtime?.getTime() === before.mtime?.getTime() ? undefined : "changed";
}

/**
 * Reads a small file. Bytes missing from the announced size become zeros.
 *
 * @param room Larger than the file, so that one read also finds its end.
 * @param size The announced size in bytes.
 */
export function readWhole(
  file: Deno.FsFile,
  room: Uint8Array,
  size: number,
): Change | undefined {
  let filled = 0;
  do {
    const read = file.readSync(room.subarray(filled, size + 1));
    if (read === null) break;
    filled += read;
  } while (filled < size);
  if (filled < size) room.fill(0, filled, size);
  if (filled === size) return undefined;
  return filled > size ? "grew" : "changed";
}

/** The body of a file whose size was announced. */
export interface FileBody {
  /** Exactly the announced number of bytes. */
  stream: ReadableStream<Uint8Array>;
  /** Size and CRC-32 of what was read so far. */
  tally: Tally;
  /** What became of the file while it was read. Missing bytes became zeros. */
  change(): Change | undefined;
}

/**
 * Streams exactly `size` bytes of an open file, so that the conversation stays in step even if the
 * file changes meanwhile. The caller asks for its `change` afterwards.
 *
 * @param begun Where in the file the body begins, and the file as it was when it was opened.
 */
export function fileBody(
  file: Deno.FsFile,
  size: number,
  onBytes?: OnBytes,
  { offset, before }: { offset: number; before: Pick<Deno.FileInfo, "mtime"> } = {
    offset: 0,
    before: file.statSync(),
  },
): FileBody {
  const tally = new Tally();
  const whole = offset + size;
  let change: Change | undefined;
  let left = size;
  const stream = bufferedStream(Math.min(size, LARGE_BUFFER_BYTES), (buffer) => {
    if (left === 0) {
      change ??= changeOf(file, before, whole);
      return null;
    }
    const wanted = buffer.subarray(0, Math.min(left, buffer.length));
    const read = change ? null : file.readSync(wanted);
    if (read === null) {
      change = "changed";
      wanted.fill(0);
    }
    const chunk = wanted.subarray(0, read ?? wanted.length);
    left -= chunk.length;
    tally.add(chunk);
    onBytes?.(chunk.length);
    return chunk;
  });
  return { stream, tally, change: () => change };
}

/** Streams a reader to its end: standard input, a pipe or a device. */
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
 * Makes a stream whose chunks are parts of one buffer. A large buffer is borrowed from the pool.
 *
 * @param bufferBytes Size of the buffer in bytes. It is smaller if the pool has none to lend.
 * @param fill Fills the buffer and returns the chunk; `null` at the end.
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
 * Makes a stream over one buffer, which is refilled only after the previous chunk was consumed:
 * with nothing queued ahead, `pipeTo` requests a chunk when the sink has finished with the last
 * one.
 *
 * @param next Fills the buffer and returns the chunk; `null` at the end.
 * @param release Called once, when the stream is done with the buffer.
 */
function lendingStream(
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
      // A read under way still writes into the buffer, so it is released after that.
      if (!filling) release();
    },
  }, { highWaterMark: 0 });
}

/** A stream that a signal ends. It does not wait for a read under way: a pipe may never deliver. */
export function untilAborted(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  if (!signal) return stream;
  const reader = stream.getReader();
  let end = (): void => {};
  const onAbort = (): void => end();
  // The signal may outlive many streams.
  const leave = (): void => signal.removeEventListener("abort", onAbort);
  signal.addEventListener("abort", onAbort);
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const chunk = signal.aborted ? undefined : await new Promise<Uint8Array | undefined>(
        (resolve, reject) => {
          end = () => resolve(undefined);
          reader.read().then(({ value }) => resolve(value), reject);
        },
      ).catch((error) => {
        leave();
        throw error;
      });
      if (chunk) return controller.enqueue(chunk);
      leave();
      // Nothing comes of a source that has ended.
      reader.cancel().catch(() => {});
      controller.close();
    },
    cancel(reason): Promise<void> {
      leave();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
