/**
 * Runs of zeros, which become holes: parts of a file that take no room on the disk, and no time.
 *
 * @module
 */

// Deno's own API compares no bytes, and a loop takes six times as long. node:zlib loads it anyway.
import { Buffer } from "node:buffer";
import { writeAll, writeFully } from "../body/streams.ts";
import type { Disk } from "./disk.ts";
import type { Maybe } from "./store.ts";

/** Bytes of a block, counted from the beginning of a file. A hole begins with a whole block. */
export const BLOCK_BYTES = 64 * 1024;

/** In a block of data that is looked at, one byte in so many is not zero, or all of it is read. */
const SAMPLE_BYTES = BLOCK_BYTES / 8;

/** A part of a chunk: from and to, and whether it is left out. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly isHole: boolean;
}

/**
 * Finds the holes in what is written to the end of a file, chunk by chunk: of whatever size a chunk
 * is, a block of which all that came so far is zeros is a hole so far.
 */
export class HoleFinder {
  /** Whether the block that the next chunk begins in is a hole so far. */
  #isInHole = false;

  /**
   * Divides a chunk.
   *
   * @param offset Where in the file it begins.
   * @returns `undefined` if it has no hole.
   */
  runsOf(chunk: Uint8Array, offset: number): Run[] | undefined {
    let runs: Run[] | undefined;
    for (let from = 0, to; from < chunk.length; from = to) {
      const at = (offset + from) % BLOCK_BYTES;
      to = Math.min(from + BLOCK_BYTES - at, chunk.length);
      const isHole = (at === 0 || this.#isInHole) && isZeros(chunk, from, to);
      this.#isInHole = isHole && (at + to - from) < BLOCK_BYTES;
      if (!isHole && !runs) continue;
      runs ??= from > 0 ? [{ from: 0, to: from, isHole: false }] : [];
      const last = runs.at(-1);
      if (last?.isHole === isHole) runs[runs.length - 1] = { from: last.from, to, isHole };
      else runs.push({ from, to, isHole });
    }
    return runs;
  }

  /** Begins anew, at the end of a file that somebody else has written so far. */
  reset(): void {
    this.#isInHole = false;
  }
}

/** How {@linkcode HoleWriter.append} writes. */
export interface AppendOptions {
  /** Size of the file with the chunk. */
  end: number;
  /** Whether the disk has holes. */
  hasHoles(): boolean;
  /** Runs one of two forms of a call. */
  call(atOnce: () => void, later: () => Promise<void>): Maybe<void>;
}

/** Writes a file from its beginning to its end. */
export class HoleWriter {
  readonly #finder = new HoleFinder();

  /** Writes a chunk at the end of a file, which is where the file is positioned, before and after. */
  append(file: Deno.FsFile, chunk: Uint8Array, options: AppendOptions): Maybe<void> {
    const { end, hasHoles, call } = options;
    const write = (part: Uint8Array): Maybe<void> =>
      call(() => writeFully(file, part), () => writeAll(file, part));
    const runs = this.#finder.runsOf(chunk, end - chunk.length);
    if (!runs || !hasHoles()) return write(chunk);
    const next = (index: number): Maybe<void> => {
      for (; index < runs.length; index++) {
        const { from, to, isHole } = runs[index]!;
        if (!isHole) {
          const written = write(chunk.subarray(from, to));
          if (written) return written.then(() => next(index + 1));
          continue;
        }
        file.seekSync(to - from, Deno.SeekMode.Current);
        // Whoever looks at the file sees all that came.
        if (to === chunk.length) {
          return call(() => file.truncateSync(end), () => file.truncate(end));
        }
      }
    };
    return next(0);
  }

  /** Goes on at the end of what was written in another way. */
  reset(): void {
    this.#finder.reset();
  }
}

/** How {@linkcode createWithHoles} writes. */
export interface CreateOptions {
  /** Permission bits, if they are not those of any new file. */
  mode: number | undefined;
  abilities: { readonly hasHoles: boolean };
}

/** Creates a file, and leaves it open. */
export function createWithHoles(
  disk: Disk,
  path: string,
  content: Uint8Array,
  { mode, abilities }: CreateOptions,
): Deno.FsFile {
  const options = { write: true, createNew: true, ...mode !== undefined && { mode } };
  const file = disk.openSync(path, options);
  try {
    new HoleWriter().append(file, content, {
      end: content.length,
      hasHoles: () => abilities.hasHoles,
      call: (atOnce) => atOnce(),
    });
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Whether a part of a chunk, of a block at most, is zeros. Most data is found out by a few bytes. */
function isZeros(chunk: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += SAMPLE_BYTES) if (chunk[at] !== 0) return false;
  return Buffer.compare(chunk.subarray(from, to), ZEROS.subarray(0, to - from)) === 0;
}

const ZEROS = new Uint8Array(BLOCK_BYTES);
