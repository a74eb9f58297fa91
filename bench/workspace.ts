/**
 * The directory of a benchmark: in memory where the system has such a place, so that no disk is
 * measured, and gone at the end.
 *
 * Below /dev, where Linux has that place, Deno opens nothing unless everything is permitted. So the
 * directory is mounted at a second path, where this user may mount.
 *
 * @module
 */

// Deno has no CRC-32 of its own.
import { crc32 } from "node:zlib";
import { OWN_FOLDER } from "../lib/store/names.ts";

/** Where Linux keeps files in memory. */
const TMPFS = "/dev/shm";

const BLOCK_BYTES = 1024 * 1024;

/** At the beginning of every block. */
const BLOCK_NUMBER_BYTES = 4;

/** Files are read into it, one after the other. */
const readBuffer = new Uint8Array(BLOCK_BYTES);

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

/** A folder to send, of files that differ. */
export interface SourceFolder {
  readonly path: string;
  /** The last part of its path. */
  readonly name: string;
  /** What each file is, by its name. */
  readonly files: ReadonlyMap<string, Content>;
}

/** Sources, and directories to receive into. */
export class Workspace implements Disposable {
  readonly path: string;
  /** Whether it is in memory. */
  readonly inMemory: boolean;
  /** Whether Deno opens what is in it without every permission. */
  readonly isOrdinary: boolean;
  /** The directory by its first path. */
  readonly #made: string;
  readonly #sources = new Map<string, SourceFile>();
  readonly #folders = new Map<string, SourceFolder>();
  #directories = 0;

  /** @param where.onDisk Whether it is where the system keeps temporary files, and not in memory. */
  constructor({ onDisk = false } = {}) {
    this.inMemory = !onDisk && isDirectory(TMPFS);
    const dir = this.inMemory ? { dir: TMPFS } : {};
    this.#made = Deno.makeTempDirSync({ prefix: "inlet-bench-", ...dir });
    this.path = this.inMemory ? mounted(this.#made) ?? this.#made : this.#made;
    this.isOrdinary = !this.path.startsWith("/dev/");
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

  /** A folder of so many files of that size, made once for all who ask for the same. */
  folder(count: number, size: number): SourceFolder {
    const name = `folder-${count}-${size}`;
    let folder = this.#folders.get(name);
    if (!folder) {
      const path = `${this.path}/${name}`;
      folder = { path, name, files: writeFiles(path, count, size) };
      this.#folders.set(name, folder);
    }
    return folder;
  }

  /** Removes a source, to make room. */
  drop(source: SourceFile): void {
    Deno.removeSync(source.path);
    this.#sources.delete(source.path);
  }

  /** Removes a folder, to make room. */
  dropFolder({ path, name }: SourceFolder): void {
    Deno.removeSync(path, { recursive: true });
    this.#folders.delete(name);
  }

  [Symbol.dispose](): void {
    if (this.path !== this.#made) {
      isDone("umount", this.path);
      Deno.removeSync(this.path);
    }
    Deno.removeSync(this.#made, { recursive: true });
  }
}

/** A second path of a directory, outside /dev; `undefined` where this user may not mount. */
function mounted(directory: string): string | undefined {
  const path = Deno.makeTempDirSync({ prefix: "inlet-bench-" });
  if (isDone("mount", "--bind", directory, path)) return path;
  Deno.removeSync(path);
  return undefined;
}

function isDone(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
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

/** Writes many files of one size in bytes, each with its own number in every block. */
function writeFiles(path: string, count: number, size: number): Map<string, Content> {
  Deno.mkdirSync(path);
  const block = randomBlock();
  const numbered = new DataView(block.buffer);
  const files = new Map<string, Content>();
  for (let number = 0; number < count; number++) {
    numbered.setUint32(BLOCK_NUMBER_BYTES, number);
    const name = `${number}.bin`;
    files.set(name, writeBlocks(`${path}/${name}`, size, block));
  }
  return files;
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
  let size = 0;
  let crc = 0;
  for (let read; (read = file.readSync(readBuffer)) !== null;) {
    size += read;
    crc = crc32(readBuffer.subarray(0, read), crc);
  }
  if (size !== expected.size) throw new Error(`it made ${size} bytes, not ${expected.size}`);
  if (crc !== expected.crc) throw new Error("it made other bytes than were sent");
}

/**
 * Compares a folder with what it should be, file by file.
 *
 * @throws {Error} if it differs
 */
export function verifyFolder(path: string, { files }: SourceFolder): void {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name)
    .filter((name) => name !== OWN_FOLDER);
  if (names.length !== files.size) {
    throw new Error(`it made ${names.length} files, not ${files.size}`);
  }
  for (const [name, expected] of files) verify(`${path}/${name}`, expected);
}

/** Removes everything from a directory. */
export function empty(directory: string): void {
  for (const { name } of Deno.readDirSync(directory)) {
    Deno.removeSync(`${directory}/${name}`, { recursive: true });
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
