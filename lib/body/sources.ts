/**
 * The sources of what a client sends: files of a known size, streams of an unknown one, and empty
 * folders.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import type { ContentSource, GivenStream } from "./given_body.ts";
import type { ReadOptions } from "./reading.ts";
import type { StreamSource } from "./stream_source.ts";
import {
  type Change,
  changeOf,
  type FileBody,
  fileBody,
  type OnBytes,
  readWhole,
  type Tally,
  tallyOf,
} from "./streams.ts";
import { quoted } from "../text.ts";

/** A file or stream to send, not opened yet. */
export type Source = FileSource | StreamSource | ContentSource | GivenStream;

/** One item to send. */
export type Item = Source | EmptyFolder | SymbolicLink;

/** An open source. It has a tally if its size is known. */
export type OpenBody = { stream: ReadableStream<Uint8Array> } | FileBody | RestBody;

/** The body behind the first bytes of a file, which its tally does not include. */
export interface RestBody extends FileBody {
  /**
   * The size and the CRC-32 of the whole file, once its beginning has been read too.
   *
   * @param refused The peer needs neither.
   */
  whole(refused: AbortSignal): Promise<Tally>;
}

/** The measured properties of a file. */
type FileFacts = Pick<Deno.FileInfo, "size" | "mtime" | "mode">;

/** A folder that items are sent in. */
export interface Parent {
  /** The name sent to the peer. */
  readonly name: string;
  /** Its permission bits, if it has any. */
  readonly mode: number | undefined;
  /** Time of the last change, if it has one. */
  readonly modified: Date | undefined;
  /** The folder that it is in, unless it is the one that the user gave. */
  readonly parent: Parent | undefined;
  /** How many files were found in it, not counting those of its subfolders. */
  readonly files: number;
  /** Whether nothing was found in it but those. */
  readonly isLeaf: boolean;
}

/** The folders that one run of the client makes, over all its connections. */
export interface SentFolders {
  /** By which the server knows them. */
  readonly id: string;
  /** Those that do not have their permission bits and times yet. */
  readonly open: Set<Parent>;
}

/** A regular file. It is measured when its size or time is first requested. */
export class FileSource {
  /** The path as the user gave it. */
  readonly label: string;
  /** The name sent to the peer. */
  readonly name: string;
  /** The folder that it is sent with, as the user gave it. */
  readonly folder: string | undefined;
  /** The folder that it is in, if it is sent with one. */
  readonly parent: Parent | undefined;
  // Numbers, because thousands of measurements with their dates would take far more memory.
  #size = 0;
  #modifiedMs = 0;
  #mode: number | null = null;
  #isMeasured = false;
  #isBegun = false;

  /**
   * @param info The measurement, if known. Thousands of files take longer to measure than to find.
   */
  constructor(label: string, name: string, info?: FileFacts, folder?: string, parent?: Parent) {
    this.parent = parent;
    this.label = label;
    this.name = name;
    this.folder = folder;
    if (info) this.#note(info);
  }

  /** Size in bytes. */
  get size(): number {
    if (!this.#isMeasured) this.#note(factsOf(this.label));
    return this.#size;
  }

  /** Time of the last change. */
  get modified(): Date {
    if (!this.#isMeasured) this.#note(factsOf(this.label));
    return new Date(this.#modifiedMs);
  }

  /** Permission bits, if it has any. */
  get mode(): number | undefined {
    if (!this.#isMeasured) this.#note(factsOf(this.label));
    return permissionsOf(this.#mode);
  }

  #note({ size, mtime, mode }: FileFacts): void {
    this.#size = size;
    this.#modifiedMs = mtime?.getTime() ?? 0;
    this.#mode = mode;
    this.#isMeasured = true;
  }

  /** Opens the file. Dispose of the body to close it. */
  open(onBytes: OnBytes): FileBody & Disposable {
    const file = openPath(this.label);
    const before = this.#refresh(file);
    const body = fileBody(file, this.size, onBytes, { offset: 0, before });
    return { ...body, [Symbol.dispose]: () => file.close() };
  }

  /**
   * Reads all of a small file, right after it was measured: a look at the open file would take longer
   * than to open and read it, where not everything is permitted.
   *
   * @param room Larger than the measured size.
   * @returns How it differs from its measured size. Missing bytes become zeros.
   */
  read(room: Uint8Array): Change | undefined {
    using file = openPath(this.label);
    this.#isBegun = true;
    return readWhole(file, room, this.size);
  }

  /**
   * Takes the facts of the open file. A time or permission bits of an earlier moment would go with the
   * bytes of this one. Once its size was announced, a file of another size keeps its facts.
   *
   * @returns The file as it is now.
   */
  #refresh(file: Deno.FsFile, announced = this.#isBegun ? this.size : undefined): Deno.FileInfo {
    const now = file.statSync();
    if (announced === undefined || now.size === announced) this.#note(now);
    this.#isBegun = true;
    return now;
  }

  /**
   * Measures the file as it is now, before anything of it is sent.
   *
   * @returns Its size in bytes.
   * @throws {InletError} `changed` if a link has taken the place of a file that was found in a folder
   */
  measure(): number {
    const isNamed = this.folder === undefined;
    const info = factsOf(this.label, isNamed ? Deno.statSync : Deno.lstatSync);
    if (info.isSymlink) throw changed(this);
    this.#note(info);
    return this.size;
  }

  /** Opens the file to resume it, if the peer has its beginning. */
  openBeginning(): Beginning {
    const file = openPath(this.label);
    const before = this.#refresh(file);
    return new Beginning(file, openPath(this.label), this.size, before);
  }

  /**
   * Computes the CRC-32 of the whole file.
   *
   * @param onBytes Called with the number of bytes just read.
   * @throws {InletError} `changed` if the file has become shorter
   */
  async crc(onBytes?: OnBytes): Promise<number> {
    using file = openPath(this.label);
    const read = (buffer: Uint8Array): number | null => {
      const bytes = file.readSync(buffer);
      onBytes?.(bytes ?? 0);
      return bytes;
    };
    const { bytes, crc } = await tallyOf(read, this.size);
    if (bytes !== this.size) throw changed(this);
    return crc;
  }
}

/** Measures a file. An error is ignored here, because opening the file reports it. */
function factsOf(
  path: string,
  measure = Deno.lstatSync,
): FileFacts & { readonly isSymlink?: boolean } {
  try {
    return measure(path);
  } catch {
    return { size: 0, mtime: null, mode: null };
  }
}

/** The nine permission bits of what the system tells; `undefined` where it has none (Windows). */
export function permissionsOf(mode: number | null): number | undefined {
  return mode === null ? undefined : mode & 0o777;
}

/** A folder without anything to send in it. */
export class EmptyFolder {
  readonly label: string;
  readonly name: string;
  readonly size = 0;
  /** The folder that it is sent with, as the user gave it. */
  readonly folder: string;
  /** Its permission bits, if it has any. */
  readonly mode: number | undefined;
  /** Time of the last change, if it has one. */
  readonly modified: Date | undefined;
  /** The folder that it is in. */
  readonly parent: Parent | undefined;

  constructor(label: string, { name, mode, modified, parent }: Parent, folder: string) {
    this.label = label;
    this.name = name;
    this.mode = mode;
    this.modified = modified;
    this.parent = parent;
    this.folder = folder;
  }
}

/** A symbolic link in a folder. It is sent as it is: what it leads to is not looked at. */
export class SymbolicLink {
  readonly label: string;
  readonly name: string;
  readonly size = 0;
  /** The folder that it is sent with, as the user gave it. */
  readonly folder: string;
  /** The folder that it is in. */
  readonly parent: Parent;
  /** Where it leads to. */
  readonly target: string;
  /** Time of the last change, if it has one. */
  readonly modified: Date | undefined;

  constructor(
    { label, folder, parent }: { label: string; folder: string; parent: Parent },
    { name, target, modified }: { name: string; target: string; modified: Date | undefined },
  ) {
    this.label = label;
    this.folder = folder;
    this.parent = parent;
    this.name = name;
    this.target = target;
    this.modified = modified;
  }
}

/** An open file whose beginning the peer may have. Dispose of it to close the file. */
export class Beginning implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #ranges: Deno.FsFile;
  readonly #size: number;
  readonly #before: Deno.FileInfo;

  /**
   * @param ranges The same file, opened once more: each has a position of its own.
   * @param before The file when it was opened.
   */
  constructor(file: Deno.FsFile, ranges: Deno.FsFile, size: number, before: Deno.FileInfo) {
    this.#file = file;
    this.#ranges = ranges;
    this.#size = size;
    this.#before = before;
  }

  /**
   * Computes the CRC-32 of the first bytes, or of the whole file if it has become shorter. No range
   * is read meanwhile.
   */
  async crc(bytes: number, { signal, onBytes }: ReadOptions = {}): Promise<number> {
    const file = this.#ranges;
    file.seekSync(0, Deno.SeekMode.Start);
    const next = (buffer: Uint8Array): number | null => {
      const read = file.readSync(buffer);
      onBytes?.(read ?? 0);
      return read;
    };
    return (await tallyOf(next, bytes, signal)).crc;
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

  /** Returns the body behind the first bytes. What becomes of those counts as a change, too. */
  rest(offset: number, onBytes: OnBytes): FileBody {
    const [file, size, before] = [this.#file, this.#size, this.#before];
    file.seekSync(offset, Deno.SeekMode.Start);
    const body = fileBody(file, size - offset, onBytes, { offset, before });
    const change = (): Change | undefined => {
      const [then, now] = [body.change(), changeOf(file, before, size)];
      return then === "changed" ? then : now ?? then;
    };
    return { ...body, change };
  }

  [Symbol.dispose](): void {
    this.#file.close();
    this.#ranges.close();
  }
}

/** The error for a file that changed while it was sent. */
export function changed(source: Source): InletError {
  return new InletError(
    "changed",
    `Cannot send ${quoted(source.label)}: it changed while it was sent`,
  );
}

/** What the user wants of a file that grows while it is sent. */
export interface GrowthOptions {
  /** Whether it fails. Otherwise what it was when it was announced is sent. */
  readonly strict?: boolean | undefined;
  /** Called with the size that was announced, in bytes. */
  readonly onGrowth?: (label: string, size: number) => void;
}

/**
 * Tells the user that a file grew, or returns the failure if the user wants one.
 *
 * @param what The action, for the message: `Cannot get "a.log"`.
 */
export function failureOfGrowth(
  what: string,
  { label, size }: { label: string; size: number },
  { strict, onGrowth }: GrowthOptions,
): InletError | undefined {
  if (strict) return new InletError("changed", `${what}: it grew while it was sent`);
  onGrowth?.(label, size);
  return undefined;
}

/** Returns the failure of a source that changed while it was sent. One that grew has none. */
export function failureOf(
  source: Source,
  body: OpenBody,
  options: GrowthOptions,
): InletError | undefined {
  const change = "change" in body ? body.change() : undefined;
  const { label, size } = source;
  if (change !== "grew" || size === null) return change && changed(source);
  return failureOfGrowth(`Cannot send ${quoted(label)}`, { label, size }, options);
}

/**
 * Checks that a source did not change while it was sent.
 *
 * @throws {InletError} `changed`
 */
export function checkUnchanged(source: Source, body: OpenBody, options: GrowthOptions): void {
  const failure = failureOf(source, body, options);
  if (failure) throw failure;
}

/** Converts an error of a local file to `usage`, whatever its own code. */
export function unusable(error: unknown, path: string): InletError {
  const { message, cause } = explain(error, `Cannot send ${quoted(path)}`);
  const isHome = path.startsWith("~/") && error instanceof Deno.errors.NotFound;
  const hint = isHome ? "; ~ is not expanded here, give the whole path" : "";
  return new InletError("usage", message + hint, { cause });
}

function openPath(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path);
  } catch (error) {
    throw unusable(error, path);
  }
}
