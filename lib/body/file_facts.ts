/**
 * What is known of a file beside its bytes.
 *
 * @module
 */

import type { TrailerFacts } from "../../protocol.ts";

/** The metadata of a file that go with it to the other side, which applies its umask to the mode. */
export interface Facts extends TrailerFacts {
  /** CRC-32 of the whole file, if known. A store need not keep it. */
  crc?: number;
  /**
   * The id that its client gave the upload, if it may send the file again after a lost answer. A store
   * that keeps it returns the name of the same upload, whichever server stored it.
   */
  id?: string | undefined;
}

/** A file that was read whole, with its metadata. */
export interface WholeFile extends Facts {
  /** All of its bytes. */
  readonly content: Uint8Array;
}

/** Takes what a store reads of small files. */
export interface SmallReader {
  /**
   * Room for the next file.
   *
   * @param size In bytes. One byte more is needed.
   * @returns `undefined` if that file is not wanted.
   */
  room(size: number): Uint8Array | undefined;
  /** Takes a file that was read into the room that was given last. */
  add(file: WholeFile): void;
  /** Makes room by passing on what was added; it counts even if this call is dropped. */
  flush?(): Promise<void>;
  /** Called if none of the files of this call may be used: they may have been read through a link. */
  drop(): void;
}
