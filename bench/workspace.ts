/**
 * The directory of a benchmark: in memory where the system has such a place, so that no disk is
 * measured, and gone at the end.
 *
 * @module
 */

// Deno has no CRC-32 of its own.
import { crc32 } from "node:zlib";

/** Where Linux keeps files in memory. */
const TMPFS = "/dev/shm";

const BLOCK_BYTES = 1024 * 1024;

/** A file to send, or what a run should make of it. */
export interface Content {
  /** Size in bytes. */
  readonly size: number;
  readonly crc: number;
}

/** A file to send. */
export interface SourceFile extends Content {
  readonly path: string;
}

/** Sources, and directories to receive into. */
export class Workspace implements Disposable {
  readonly path: string;
  /** Whether it is in memory. */
  readonly inMemory: boolean;
  readonly #sources = new Map<string, SourceFile>();
  #directories = 0;

  constructor() {
    this.inMemory = isDirectory(TMPFS);
    const dir = this.inMemory ? { dir: TMPFS } : {};
    this.path = Deno.makeTempDirSync({ prefix: "inlet-bench-", ...dir });
  }

  /** A new directory. */
  directory(): string {
    const path = `${this.path}/${++this.#directories}`;
    Deno.mkdirSync(path);
    return path;
  }

  /** A file of random bytes, made once for all who ask for that size. */
  source(size: number): SourceFile {
    const path = `${this.path}/source-${size}`;
    let source = this.#sources.get(path);
    if (!source) {
      source = { path, ...writeBlocks(path, size, randomBlock()) };
      this.#sources.set(path, source);
    }
    return source;
  }

  /** Removes a source, to make room. */
  drop(source: SourceFile): void {
    Deno.removeSync(source.path);
    this.#sources.delete(source.path);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Writes a block again and again, each time with its number in front, up to a size in bytes. */
function writeBlocks(path: string, size: number, block: Uint8Array): Content {
  const numbered = new DataView(block.buffer);
  using file = Deno.openSync(path, { write: true, createNew: true });
  let crc = 0;
  for (let written = 0; written < size; written += BLOCK_BYTES) {
    numbered.setUint32(0, written / BLOCK_BYTES);
    const chunk = block.subarray(0, Math.min(block.length, size - written));
    file.writeSync(chunk);
    crc = crc32(chunk, crc);
  }
  return { size, crc };
}

function randomBlock(): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  const most = 64 * 1024;
  for (let start = 0; start < block.length; start += most) {
    crypto.getRandomValues(block.subarray(start, start + most));
  }
  return block;
}

/** Repeats one block to a file of its own, and tells what that makes. */
export function writeRepeated(path: string, block: Uint8Array, times: number): Content {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  let crc = 0;
  for (let time = 0; time < times; time++) {
    file.writeSync(block);
    crc = crc32(block, crc);
  }
  return { size: block.length * times, crc };
}

/**
 * Compares a file with what it should be.
 *
 * @throws {Error} if it differs
 */
export function verify(path: string, expected: Content): void {
  using file = Deno.openSync(path);
  const buffer = new Uint8Array(BLOCK_BYTES);
  let size = 0;
  let crc = 0;
  for (let read; (read = file.readSync(buffer)) !== null;) {
    size += read;
    crc = crc32(buffer.subarray(0, read), crc);
  }
  if (size !== expected.size) throw new Error(`it made ${size} bytes, not ${expected.size}`);
  if (crc !== expected.crc) throw new Error("it made other bytes than were sent");
}

/** Removes every file of a directory. */
export function empty(directory: string): void {
  for (const { name } of Deno.readDirSync(directory)) Deno.removeSync(`${directory}/${name}`);
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
