/**
 * What a store of received files can do, whatever it is made of: a directory, or a bucket.
 *
 * No path and no open file of the system crosses this interface. What a directory can do without a
 * wait it does without one, and gives the value itself ({@linkcode Maybe}): a small file is stored
 * before others have their turn, and costs no promise.
 *
 * Names are names off the wire. Each method brings a name to the form that it is stored under, or
 * refuses it with `bad-name`. What a disk or a network cannot do fails with an InletError that says so.
 *
 * @module
 */

import type { ListEntry } from "../../protocol.ts";

/** A value that is there now, or a promise of it where that takes a wait. */
export type Maybe<T> = T | Promise<T>;

/** What a store keeps of a file besides its bytes. */
export interface Facts {
  /** Time of its last change. */
  modified?: Date | undefined;
  /** CRC-32 of the whole, where it is known already. A store may forget it. */
  crc?: number;
}

/** Facts by which a file is known to be the same. */
export interface Fingerprint {
  /** In bytes. */
  size: number;
  /** CRC-32 of the whole file. */
  crc: number;
  /** Time of its last change, compared to the second. */
  modified: Date;
}

/** Published files, and uploads that are not published yet. */
export interface Store {
  /**
   * Proves that the store can be written to, and removes what a crash left.
   *
   * @throws {InletError} `usage` if it cannot be used
   */
  prepare(): Promise<void>;

  /** Removes what a crash left, and partial files past their time. */
  sweep(): Promise<void>;

  /**
   * Claims a place for a file. Dispose of the upload to discard what was not published.
   *
   * @param size In bytes; `null` where the sender does not know it.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  receive(name: string, size: number | null): Maybe<Upload>;

  /**
   * The same on top of the partial file of an earlier attempt, where there is one that nobody else
   * writes. Disposed of unpublished, it becomes a partial file again.
   *
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  resume(name: string, size: number | null): Promise<Upload>;

  /**
   * Claims the number after the highest one in use, as a name like `7.file`.
   *
   * @param ending What follows the number.
   * @throws {InletError} `denied` or `no-space`
   */
  receiveNumbered(ending: string): Maybe<Upload>;

  /**
   * Publishes a file that is whole in memory.
   *
   * @returns The name that it got: the first free one, nothing is replaced.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  put(name: string, content: Uint8Array, facts?: Facts): Maybe<string>;

  /**
   * Makes a folder and those above it, where they are not there yet.
   *
   * @returns The name that it has.
   * @throws {InletError} `bad-name`, `denied` or `no-space`
   */
  makeFolder(name: string): Maybe<string>;

  /**
   * Opens a published file as it is now.
   *
   * @throws {InletError} `bad-name`, `denied` or `not-found`
   */
  open(name: string): Maybe<StoredFile>;

  /**
   * Finds a file under its name, or under one of the numbered names that follow it.
   *
   * @returns The name that it has, or `undefined` if it is not there.
   * @throws {InletError} `bad-name` or `denied`
   */
  find(name: string, same: Fingerprint): Promise<string | undefined>;

  /**
   * The published files, in pages: what `open` would open, and nothing else. They come by the UTF-8
   * bytes of the whole name, so folder by folder. It may fail at the first page or at a later one.
   */
  list(): AsyncIterable<readonly ListEntry[]>;

  /**
   * A folder and all that is published below it, in the same order, a folder as if its name ended with
   * `/`; or one file.
   *
   * @throws {InletError} `bad-name`, `denied` or `not-found`, when the first page is asked for
   */
  tree(name: string): AsyncIterable<readonly ListEntry[]>;

  /** Drops unpublished uploads, as far as that takes no wait; `sweep` does the rest. */
  discardAll(): void;
}

/** A body on its way into a store. Dispose of it: what is not published then is gone, or kept. */
export interface Upload extends AsyncDisposable {
  /** What an earlier attempt left: its size in bytes, and its CRC-32. The next write goes behind it. */
  readonly kept: { readonly bytes: number; readonly crc: number };
  /** Drops that. */
  startOver(): Maybe<void>;
  /** Appends. The chunk is the caller's again once this has settled. */
  write(chunk: Uint8Array): Maybe<void>;
  /**
   * Gives a complete file the first name that is free. Nothing is ever replaced.
   *
   * @returns The name that it got.
   */
  publish(facts?: Facts): Promise<string>;
  /** Drops it for good, kept or not. */
  discard(): Maybe<void>;
}

/** One version of a published file: reads give that version, or fail with `changed`. */
export interface StoredFile extends Disposable {
  /** In bytes. */
  readonly size: number;
  /** Time of its last change. */
  readonly modified: Date;
  /**
   * Reads from an offset until the buffer is full or the file ends.
   *
   * @param into One byte longer than what is left of the file, it tells one that grew.
   * @returns How many bytes were read.
   */
  read(offset: number, into: Uint8Array): Maybe<number>;
  /** From an offset to the end. A chunk is valid until the next one is asked for. */
  stream(offset: number): ReadableStream<Uint8Array>;
  /** CRC-32 of the whole. */
  crc(): Promise<number>;
}
