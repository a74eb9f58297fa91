/**
 * What a client sends: files of a known size, streams that end when they end, and folders in which
 * there is nothing.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { explain, InletError } from "../errors.ts";
import { Prefix } from "./prefix_crc.ts";
import { readStdin } from "./stdio.ts";
import {
  type FileBody,
  fileBody,
  type OnBytes,
  readerBody,
  readWhole,
  Tally,
  tallyOf,
} from "./streams.ts";
import { quoted } from "../text.ts";

/** Something to send, not opened yet. */
export type Source = FileSource | StreamSource;

/** What a client sends in one go. */
export type Item = Source | EmptyFolder;

/** An open source: with a tally where its size is known, without where it is not. */
export type OpenBody = { stream: ReadableStream<Uint8Array> } | FileBody;

/** What is measured of a file. */
type FileFacts = Pick<Deno.FileInfo, "size" | "mtime">;

/** A regular file, as it was when it was measured: when its size was first asked for. */
export class FileSource {
  /** What the person calls it: its path. */
  readonly label: string;
  /** The name that the other side is given. */
  readonly name: string;
  /** The folder that it is sent with, as the person called that. */
  readonly folder: string | undefined;
  #info: FileFacts | undefined;

  /** @param info What is known of it already. To measure thousands takes longer than to find them. */
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

  /** The time of its last change. */
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
   * @param room More bytes than it had when it was measured.
   * @returns Whether it still has exactly so many. Zeros stand for what is missing.
   */
  read(room: Uint8Array): boolean {
    using file = openPath(this.label);
    return readWhole(file, room, this.size);
  }

  /** Opens the file where the other side may have its beginning already. */
  openBeginning(): Beginning {
    return new Beginning(openPath(this.label), this.size);
  }

  /**
   * The CRC-32 of the whole file.
   *
   * @throws {InletError} `changed` if it has become shorter
   */
  async crc(): Promise<number> {
    using file = openPath(this.label);
    const { bytes, crc } = await tallyOf((buffer) => file.readSync(buffer), this.size);
    if (bytes !== this.size) throw changed(this);
    return crc;
  }
}

/** What cannot be measured cannot be opened either, and that says why. */
function factsOf(path: string): FileFacts {
  try {
    return Deno.lstatSync(path);
  } catch {
    return { size: 0, mtime: null };
  }
}

/** Standard input, a pipe or a device. */
export interface StreamSource {
  readonly label: string;
  readonly name: string;
  readonly size: null;
  readonly modified?: undefined;
  readonly folder?: undefined;
  open(onBytes: OnBytes): { stream: ReadableStream<Uint8Array> } & Disposable;
}

/** A folder in which there is nothing to send. */
export class EmptyFolder {
  readonly label: string;
  readonly name: string;
  readonly size = 0;
  /** The folder that it is sent with, as the person called that. */
  readonly folder: string;

  constructor(label: string, name: string, folder: string) {
    this.label = label;
    this.name = name;
    this.folder = folder;
  }
}

/** A file of which the other side may have the beginning. Dispose of it to close the file. */
export class Beginning implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #size: number;
  readonly #prefix: Prefix;

  constructor(file: Deno.FsFile, size: number) {
    this.#file = file;
    this.#size = size;
    this.#prefix = new Prefix(file);
  }

  /** Reads on while the other side looks at what it has. */
  readAhead(): void {
    this.#prefix.readAhead(this.#size);
  }

  /** Whether the first bytes of the file are those that have this CRC-32. */
  async matches(bytes: number, crc: number): Promise<boolean> {
    return await this.#prefix.crc(bytes) === crc;
  }

  /** What follows the first bytes. The tally counts them, too. */
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
  }
}

/**
 * The file at a path, or whatever else can be sent.
 *
 * @param as The name for the other side, instead of the last part of the path.
 * @throws {InletError} `usage` if there is nothing that can be sent, or a folder
 */
export function pathSource(path: string, as?: string): Source {
  const source = sourceAt(path, as);
  if (source !== "folder") return source;
  throw new InletError("usage", `Cannot send ${quoted(path)}: it is a folder, give files`);
}

/**
 * Measures what is at a path. A symbolic link is followed: the person named it.
 *
 * @param as The name for the other side, instead of the last part of the path.
 * @throws {InletError} `usage` if there is nothing that can be sent
 */
export function sourceAt(path: string, as: string = basename(path)): Source | "folder" {
  const info = measure(path);
  if (info.isDirectory) return "folder";
  if (info.isFile) return new FileSource(path, as, info);
  return {
    label: path,
    name: as,
    size: null,
    open(onBytes) {
      const file = openPath(path);
      return { stream: readerBody(file, onBytes), [Symbol.dispose]: () => file.close() };
    },
  };
}

/** Standard input under a name. */
export function stdinSource(name: string): StreamSource {
  return {
    label: "standard input",
    name,
    size: null,
    open: (onBytes) => ({
      stream: readerBody({ read: readStdin }, onBytes),
      [Symbol.dispose]: () => {},
    }),
  };
}

/** A file that was not the same from its first byte to its last. */
export function changed(source: Source): InletError {
  return new InletError(
    "changed",
    `Cannot send ${quoted(source.label)}: it changed while it was sent`,
  );
}

/**
 * Makes sure that a source was the same from its first byte to its last.
 *
 * @throws {InletError} `changed`
 */
export function checkUnchanged(source: Source, body: OpenBody): void {
  if ("changed" in body && body.changed()) throw changed(source);
}

/** At once: asking another thread takes ten times as long, and there may be thousands. */
function measure(path: string): Deno.FileInfo {
  if (path === "") throw new InletError("usage", "Cannot send a file without a name");
  try {
    return Deno.statSync(path);
  } catch (error) {
    throw unusable(error, path);
  }
}

/** The failure of this side's own file is wrong use, whatever the system calls it. */
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
