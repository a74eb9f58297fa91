/**
 * The result of sending or downloading one file or empty folder.
 *
 * @module
 */

import type { InletError } from "../lib/errors.ts";
import type { Stored } from "../protocol.ts";

/** The result for one file or empty folder. */
export interface SendResult {
  /** The item: a path, or `standard input`. */
  readonly label: string;
  /** The name to store it under. A name that is taken gets a number: see `stored`. */
  readonly name?: string;
  /** The folder it belongs to, as the caller wrote it. */
  readonly folder?: string;
  /** The file that the server acknowledged. A mode may not report every field. */
  readonly stored?: Partial<Stored>;
  /** Set if the file existed already: see `skipSame`. */
  readonly same?: true;
  /** Why the item was not stored. */
  readonly error?: InletError;
}
