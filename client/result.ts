/**
 * What becomes of one thing that was to be sent or got.
 *
 * @module
 */

import type { InletError } from "../lib/errors.ts";
import type { Stored } from "../protocol.ts";

/** The result for one file or empty folder. */
export interface SendResult {
  /** What was sent: a path, or `standard input`. */
  readonly label: string;
  /** The folder that it was sent with, as that was given. */
  readonly folder?: string;
  /** What the server acknowledged, as far as its wire says. */
  readonly stored?: Partial<Stored>;
  /** Whether that was there before: see `skipSame`. */
  readonly same?: true;
  /** Why nothing was stored. */
  readonly error?: InletError;
}
