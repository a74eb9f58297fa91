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
}

/** A file that was read whole, with its metadata. */
export interface WholeFile extends Facts {
  readonly content: Uint8Array;
}
