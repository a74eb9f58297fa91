/**
 * The interface of a store of received files, independent of the medium: a directory, or a bucket.
 *
 * No path and no open file of the system crosses this interface. A method that needs no wait
 * returns the value itself ({@linkcode Maybe}): a directory stores a small file without a promise,
 * and without yielding to the event loop.
 *
 * Names are names from the wire. Each method converts a name to its stored form, or refuses it with
 * `bad-name`. Failures of a disk or a network are thrown as InletError.
 *
 * @module
 */

import type { DiffEntry, FolderFacts, ListEntry } from "../../protocol.ts";
import type { Facts, SmallReader } from "../body/file_facts.ts";
import type { Extent, ReadOptions } from "../body/reading.ts";
import type { Maybe } from "./maybe.ts";
import type { StoreBatch } from "./store_batch.ts";

export type { Maybe } from "./maybe.ts";

/** The properties by which a file is recognized as the same. */
export interface Fingerprint {
  /** In bytes. */
  size: number;
  /** CRC-32 of the whole file; `null` if it was not computed. */
  crc: number | null;
  /** Time of the last change, compared as finely as the disk keeps it. */
  modified: Date;
  /** Permission bits, if they are compared. */
  mode?: number | undefined;
  /** Whether only the content can tell, whatever the time says. */
  byContent?: boolean | undefined;
}

/** A file that is the same as another, or has the same size, and its CRC-32 would tell. */
export type Found = { readonly name: string; readonly isSame: boolean };

/** The stored name of a folder or symbolic link, and whether it was missing before. */
export type MadeFolder = { readonly name: string; readonly isNew: boolean };

/** How an upload can be resumed. */
export interface Resumable {
  /** Identifies the file that is sent, whatever its name: a partial file is found by it. */
  readonly fingerprint: string;
  /** Bytes of the whole file, if known. */
  readonly size?: number;
  /** Called when another client takes the upload over. The upload has ended then. */
  onTaken?(): void;
}

/** How to find a partial file. */
export interface PartialQuery {
  /** Identifies the file that is sent, as in {@linkcode Resumable}. */
  readonly fingerprint: string;
  /** That of the interrupted upload, if the client knows it. */
  readonly ticket?: string | undefined;
}

/** Who asks for work that can take long. */
export interface Asker extends ReadOptions {
  /**
   * Tells clients apart: each of them gets one long reading at a time. Without it, nobody else is
   * taken for the same one.
   */
  readonly client?: string | undefined;
}

/** How entries of a client are compared with what is stored. */
export interface DiffOptions extends Asker {
  /** Whether the content of files is compared, whatever their times say. */
  readonly byContent?: boolean | undefined;
}

/** A store of published files, uploads and partial files. */
export interface Store {
  /**
   * Checks that the store is usable, and removes the remains of a crash.
   *
   * @throws {InletError} `usage` if it is not
   */
  prepare(): Promise<void>;

  /** Removes the remains of a crash, and expired partial files. */
  sweep(): Promise<void>;

  /**
   * Starts an upload. Dispose of it to discard it if it was not published.
   *
   * @param size In bytes; `null` if the sender does not know it.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  receive(name: string, size: number | null): Maybe<Upload>;

  /**
   * Starts an upload that becomes a partial file if it is disposed of unpublished. It has a ticket
   * then: where there are too many of one fingerprint, a further one is not kept.
   *
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  receiveResumable(name: string, size: number | null, how: Resumable): Promise<Upload>;

  /**
   * Finds the partial files of interrupted uploads of one file, the most promising first: others can
   * have sent wrong bytes under its fingerprint. One that another client is uploading is found by its
   * ticket, or if nothing of it has arrived for 5 seconds. Each is valid until the next is requested.
   *
   * @param name The name to publish under; it may differ from that of the interrupted upload.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  findPartials(name: string, query: PartialQuery): AsyncIterable<PartialFile>;

  /**
   * Starts an upload named after the next unused number, such as `7.file`.
   *
   * @param ending The part of the name behind the number.
   * @throws {InletError} `denied` or `no-space`
   */
  receiveNumbered(ending: string): Maybe<Upload>;

  /**
   * Publishes a file that is complete in memory.
   *
   * @returns The published name: the first free one. No file is ever replaced.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  put(name: string, content: Uint8Array, facts?: Facts): Maybe<string>;

  /**
   * Makes a folder and its parents, as far as they are missing. One that is there already is not
   * changed, unless it was made for the same id: with a time, it then gets its permission bits and
   * that time. Until it has its time, the permission bits of its owner are added.
   *
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  makeFolder(name: string, facts?: FolderFacts): Maybe<MadeFolder>;

  /**
   * Opens the current version of a published file.
   *
   * @throws {InletError} `bad-name`, `denied` or `not-found`
   */
  open(name: string): Maybe<StoredFile>;

  /** Reads small files of one folder, up to one that cannot be read at once. Returns how many. */
  readSmall(names: readonly string[], reader: SmallReader): Maybe<number>;

  /**
   * Finds the same file under its name or a numbered variant, by CRC-32 or, without one, by time.
   *
   * @returns The file, or one that may be it; `undefined` if there is no such file.
   * @throws {InletError} `bad-name` or `denied`
   */
  find(name: string, same: Fingerprint, asker?: Asker): Promise<Found | undefined>;

  /**
   * Compares what a client has in one folder (`/` is the root) with what is there, also under numbered
   * names. Nothing is read, except for an entry with a CRC-32.
   *
   * @returns One `DiffFlag` for each entry.
   * @throws {InletError} `bad-name`, or `denied` if the folder is behind a link
   */
  diff(folder: string, entries: readonly DiffEntry[], options?: DiffOptions): Maybe<string>;

  /**
   * Lists the published files, in pages: exactly those that `open` accepts. They are sorted by the
   * UTF-8 bytes of the whole name, and so by folder. It may fail at any page.
   *
   * @param signal Ends the list, with its reason, also between two pages.
   * @param isBare Whether names and sizes suffice. The times may be those of publishing then.
   */
  list(signal?: AbortSignal, isBare?: boolean): AsyncIterable<readonly ListEntry[]>;

  /**
   * Lists a folder and everything published below it, or one file; `/` is everything. The order is
   * that of `list`, with a folder sorted as if its name ended with `/`.
   *
   * @param isFlat Whether what is in the folders of the folder is left out.
   * @throws {InletError} `bad-name`, `denied` or `not-found`, when the first page is requested
   */
  tree(
    name: string,
    signal?: AbortSignal,
    isFlat?: boolean,
  ): AsyncIterable<readonly ListEntry[]>;

  /** Begins a batch of one sender. It never fails. Dispose of it to discard what is not committed. */
  batch(): StoreBatch;

  /** Writes down what it remembers for its next run, without a wait. Nothing is lost without it. */
  save(): void;

  /**
   * Ends all uploads, as far as that takes no wait; `sweep` of another store does the rest. The store
   * need not be usable any more.
   */
  discardAll(): void;

  /** Removes what the store needs for uploads, if there are none and no partial files. */
  close(): void;
}

/** The partial file of an interrupted upload. */
export interface PartialFile {
  /** In bytes. 0 only for the client that has its ticket. */
  readonly bytes: number;
  /** Where only some ranges can be read: at most 16, all of one length in bytes. */
  readonly samples?: { readonly length: number; readonly offsets: readonly number[] };
  /**
   * Reads a range, to compare it with what the client has.
   *
   * @returns The number of bytes read.
   */
  read(offset: number, into: Uint8Array): Maybe<number>;
  /**
   * Takes the partial file over. It is not read.
   *
   * @returns `undefined` if another client was faster, or goes on uploading it.
   */
  take(how: Resumable, asker?: Asker): Promise<Upload | undefined>;
}

/**
 * A body on its way into a store. If disposed of unpublished, it is discarded or kept to resume.
 */
export interface Upload extends AsyncDisposable {
  /** The partial file that is resumed. The next write appends to it. */
  readonly kept: Kept;
  /**
   * What was written behind that, as its writer has counted it. By this the CRC-32 of a partial file
   * is known to the process that wrote it.
   */
  counted?: Extent | undefined;
  /** A secret by which the client can resume the upload before its connection is known to be lost. */
  readonly ticket?: string | undefined;
  /** Discards the partial file, and starts at the beginning. */
  startOver(): Maybe<void>;
  /** Appends a chunk. The caller may reuse the chunk once this has settled. */
  write(chunk: Uint8Array): Maybe<void>;
  /**
   * Publishes the complete file under the first free name. No file is ever replaced.
   *
   * @param crc The CRC-32 of its content, if the caller knows it. The store may remember it.
   * @returns The published name.
   */
  publish(facts?: Facts, crc?: number): Promise<string>;
  /**
   * Discards what this upload wrote. A partial file that it resumed stays as it was, for two more
   * attempts: after that its content is taken for wrong.
   */
  discard(): Maybe<void>;
}

/** The beginning of a file that an earlier attempt left. */
export interface Kept {
  /** In bytes. */
  readonly bytes: number;
  /**
   * Reads a range. Missing where nothing can be read again.
   *
   * @returns The number of bytes read.
   */
  read?(offset: number, into: Uint8Array): Maybe<number>;
  /** Computes its CRC-32. All of it is read if this process did not write it. */
  crc(asker?: Asker): Maybe<number>;
}

/** No part of a file. */
export const NOTHING_KEPT: Kept = { bytes: 0, crc: () => 0 };

/** One version of a published file: reads return that version, or its beginning, or fail. */
export interface StoredFile extends Disposable {
  /** In bytes. */
  readonly size: number;
  /** Time of the last change. */
  readonly modified: Date;
  /** Permission bits, if it has any. */
  readonly mode: number | undefined;
  /** Whether it has been read to its end, and grew meanwhile. */
  readonly grew: boolean;
  /**
   * Reads from an offset until the buffer is full or the file ends.
   *
   * @param into If it is one byte longer than the rest of the file, it reveals a file that grew.
   * @returns The number of bytes read.
   */
  read(offset: number, into: Uint8Array): Maybe<number>;
  /** Streams from an offset to the end. A chunk is valid until the next one is requested. */
  stream(offset: number): ReadableStream<Uint8Array>;
  /** The CRC-32 of the whole file, if that takes no reading. */
  knownCrc(): Promise<number | undefined>;
  /**
   * Computes the CRC-32 of the first bytes, or of the whole file if it is shorter. That of a whole
   * file may be remembered.
   *
   * @returns How many bytes that were, and their CRC-32.
   */
  beginning(bytes: number, asker?: Asker): Promise<Extent>;
}
