/**
 * What a client sends: files of a known size, and streams that end when they end.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { explain, InletError } from "./errors.ts";
import { readStdin } from "./stdio.ts";
import { type FileBody, fileBody, type OnBytes, readerBody, readWhole } from "./streams.ts";
import { quoted } from "./text.ts";

/** Something to send, not opened yet. */
export type Source = FileSource | StreamSource;

/** An open source: with a tally where its size is known, without where it is not. */
export type OpenBody = { stream: ReadableStream<Uint8Array> } | FileBody;

/** A regular file. */
export interface FileSource {
  /** What the person calls it. */
  readonly label: string;
  /** The name that the other side is given. */
  readonly name: string;
  /** Size in bytes when it was measured. */
  readonly size: number;
  /** Opens the file. Dispose of the body to close it. */
  open(onBytes: OnBytes): FileBody & Disposable;
  /**
   * Reads all of a small file.
   *
   * @param room More bytes than it had when it was measured.
   * @returns Whether it still has exactly so many. Zeros stand for what is missing.
   */
  read(room: Uint8Array): boolean;
}

/** Standard input, a pipe or a device. */
export interface StreamSource {
  readonly label: string;
  readonly name: string;
  readonly size: null;
  open(onBytes: OnBytes): { stream: ReadableStream<Uint8Array> } & Disposable;
}

/**
 * Measures what is at a path.
 *
 * @param as The name for the other side, instead of the last part of the path.
 * @throws {InletError} `usage` if there is nothing that can be sent
 */
export function pathSource(path: string, as: string = basename(path)): Source {
  const what = `Cannot send ${quoted(path)}`;
  const info = measure(path, what);
  if (info.isDirectory) throw new InletError("usage", `${what}: it is a folder, give files`);
  const label = path;
  const open = (): Deno.FsFile => {
    try {
      return Deno.openSync(path);
    } catch (error) {
      throw unusable(error, what);
    }
  };
  if (!info.isFile) {
    return {
      label,
      name: as,
      size: null,
      open(onBytes) {
        const file = open();
        return { stream: readerBody(file, onBytes), [Symbol.dispose]: () => file.close() };
      },
    };
  }
  const { size } = info;
  return {
    label,
    name: as,
    size,
    open(onBytes) {
      const file = open();
      return { ...fileBody(file, size, onBytes), [Symbol.dispose]: () => file.close() };
    },
    read(room) {
      using file = open();
      return readWhole(file, room, size);
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
function measure(path: string, what: string): Deno.FileInfo {
  try {
    return Deno.statSync(path);
  } catch (error) {
    throw unusable(error, what);
  }
}

/** The failure of this side's own file is wrong use, whatever the system calls it. */
function unusable(error: unknown, what: string): InletError {
  const { message, cause } = explain(error, what);
  return new InletError("usage", message, { cause });
}
