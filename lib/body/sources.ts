/**
 * The sources of what a client sends: files of a known size, streams of an unknown one, and empty
 * folders.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { explain, InletError } from "../errors.ts";
import { Prefix } from "./prefix_crc.ts";
import { readStdin } from "./stdio.ts";
import { type StreamSource, streamSource } from "./stream_source.ts";
import { type FileBody, fileBody, type OnBytes, readWhole, Tally, tallyOf } from "./streams.ts";
import { quoted } from "../text.ts";

/** A file or stream to send, not opened yet. */
export type Source = FileSource | StreamSource;

/** One item to send. */
export type Item = Source | EmptyFolder;

/** An open source. It has a tally if its size is known. */
export type OpenBody = { stream: ReadableStream<Uint8Array> } | FileBody;

/** The measured properties of a file. */
type FileFacts = Pick<Deno.FileInfo, "size" | "mtime">;

/** A regular file. It is measured when its size or time is first requested. */
export class FileSource {
  /** The path as the user gave it. */
  readonly label: string;
  /** The name sent to the peer. */
  readonly name: string;
  /** The folder that it is sent with, as the user gave it. */
  readonly folder: string | undefined;
  #info: FileFacts | undefined;

  /**
   * @param info The measurement, if known. Thousands of files take longer to measure than to find.
   */
  constructor(label: string, name: string, info?: FileFacts, folder?: string) {
    this.label = label;
    this.name = name;
    this.folder = folder;
    this.#info = info;
  }

  /** Size in bytes. */
  get size(): number {
    return this.#measured.size;
  }

  /** Time of the last change. */
  get modified(): Date {
    return this.#measured.mtime ?? new Date(0);
  }

  get #measured(): FileFacts {
    return this.#info ??= factsOf(this.label);
  }

  /** Opens the file. Dispose of the body to close it. */
  open(onBytes: OnBytes): FileBody & Disposable {
    const file = openPath(this.label);
    return { ...fileBody(file, this.size, onBytes), [Symbol.dispose]: () => file.close() };
  }

  /**
   * Reads all of a small file.
   *
   * @param room Larger than the measured size.
   * @returns Whether the file still has exactly its measured size. Missing bytes become zeros.
   */
  read(room: Uint8Array): boolean {
    using file = openPath(this.label);
    return readWhole(file, room, this.size);
  }

  /** Opens the file to resume it, if the peer has its beginning. */
  openBeginning(): Beginning {
    return new Beginning(openPath(this.label), openPath(this.label), this.size);
  }

  /**
   * Computes the CRC-32 of the whole file.
   *
   * @throws {InletError} `changed` if the file has become shorter
   */
  async crc(): Promise<number> {
    using file = openPath(this.label);
    const { bytes, crc } = await tallyOf((buffer) => file.readSync(buffer), this.size);
    if (bytes !== this.size) throw changed(this);
    return crc;
  }
}

/** Measures a file. An error is ignored here, because opening the file reports it. */
function factsOf(path: string): FileFacts {
  try {
    return Deno.lstatSync(path);
  } catch {
    return { size: 0, mtime: null };
  }
}

/** A folder without anything to send in it. */
export class EmptyFolder {
  readonly label: string;
  readonly name: string;
  readonly size = 0;
  /** The folder that it is sent with, as the user gave it. */
  readonly folder: string;

  constructor(label: string, name: string, folder: string) {
    this.label = label;
    this.name = name;
    this.folder = folder;
  }
}

/** An open file whose beginning the peer may have. Dispose of it to close the file. */
export class Beginning implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #ranges: Deno.FsFile;
  readonly #size: number;
  readonly #prefix: Prefix;

  /** @param ranges The same file, opened once more: each has a position of its own. */
  constructor(file: Deno.FsFile, ranges: Deno.FsFile, size: number) {
    this.#file = file;
    this.#ranges = ranges;
    this.#size = size;
    this.#prefix = new Prefix(file);
  }

  /** Computes the CRC-32 ahead, while the peer checks its partial file. */
  readAhead(): void {
    this.#prefix.readAhead(this.#size);
  }

  /** Computes the CRC-32 of the first bytes; `undefined` if the file has become shorter. */
  async crc(bytes: number): Promise<number | undefined> {
    return await this.#prefix.crc(bytes);
  }

  /** Reads from an offset until the buffer is full or the file ends. */
  readAt(offset: number, into: Uint8Array): number {
    let filled = 0;
    if (offset >= this.#size) return filled;
    this.#ranges.seekSync(offset, Deno.SeekMode.Start);
    while (filled < into.length) {
      const read = this.#ranges.readSync(into.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    return filled;
  }

  /** Returns the body behind the first bytes. Its tally includes them. */
  rest({ bytes, crc }: { bytes: number; crc: number }, onBytes: OnBytes): FileBody {
    this.#file.seekSync(bytes, Deno.SeekMode.Start);
    const tally = new Tally();
    tally.bytes = bytes;
    tally.crc = crc;
    return fileBody(this.#file, this.#size - bytes, onBytes, tally);
  }

  [Symbol.dispose](): void {
    this.#prefix[Symbol.dispose]();
    this.#file.close();
    this.#ranges.close();
  }
}

/**
 * Returns the source at a path.
 *
 * @param as The name sent to the peer, instead of the last part of the path.
 * @throws {InletError} `usage` if the path cannot be read, or is a folder
 */
export function pathSource(path: string, as?: string): Source {
  const source = sourceAt(path, as);
  if (source !== "folder") return source;
  throw new InletError("usage", `Cannot send ${quoted(path)}: it is a folder, give files`);
}

/**
 * Returns the source at a path, or `"folder"`. A symbolic link is followed, because the user named
 * it.
 *
 * @param as The name sent to the peer, instead of the last part of the path.
 * @throws {InletError} `usage` if the path cannot be read
 */
export function sourceAt(path: string, as: string = basename(path)): Source | "folder" {
  const info = measure(path);
  if (info.isDirectory) return "folder";
  if (info.isFile) return new FileSource(path, as, info);
  return streamSource(path, as, () => openPath(path));
}

/** Returns standard input as a source with a name. */
export function stdinSource(name: string): StreamSource {
  return streamSource("standard input", name, () => ({ read: readStdin, close: () => {} }));
}

/** The error for a file that changed while it was sent. */
export function changed(source: Source): InletError {
  return new InletError(
    "changed",
    `Cannot send ${quoted(source.label)}: it changed while it was sent`,
  );
}

/**
 * Checks that a source did not change while it was sent.
 *
 * @throws {InletError} `changed`
 */
export function checkUnchanged(source: Source, body: OpenBody): void {
  if ("changed" in body && body.changed()) throw changed(source);
}

/**
 * Synchronous, because an asynchronous call takes ten times as long, and there may be thousands.
 */
function measure(path: string): Deno.FileInfo {
  if (path === "") throw new InletError("usage", "Cannot send a file without a name");
  try {
    return Deno.statSync(path);
  } catch (error) {
    throw unusable(error, path);
  }
}

/** Converts an error of a local file to `usage`, whatever its own code. */
export function unusable(error: unknown, path: string): InletError {
  const { message, cause } = explain(error, `Cannot send ${quoted(path)}`);
  return new InletError("usage", message, { cause });
}

function openPath(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path);
  } catch (error) {
    throw unusable(error, path);
  }
}

/** The total size in bytes, or `null` if a size is unknown. */
export function totalSize(items: readonly Item[]): number | null {
  return items.reduce<number | null>(
    (sum, { size }) => sum === null || size === null ? null : sum + size,
    0,
  );
}
