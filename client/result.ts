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
  /** The folder it belongs to, as the caller wrote it. */
  readonly folder?: string;
  /** The file that the server acknowledged. A mode may not report every field. */
  readonly stored?: Partial<Stored>;
  /** Set if the file existed already: see `skipSame` and `resume`. */
  readonly same?: true;
  /** Why the item was not stored. */
  readonly error?: InletError;
  /** Set with `error` if nothing of the item was sent: what ended the transfer came before it. */
  readonly untried?: true;
}
