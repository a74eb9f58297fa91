/**
 * The result of sending or downloading one file, empty folder or symbolic link.
 *
 * @module
 */

import type { InletError } from "../lib/errors.ts";
import type { Stored } from "../protocol.ts";

/** The file, empty folder or link that a result is about. */
export interface ResultItem {
  /** The item: a path, or `standard input`. */
  readonly label: string;
  /** The name to store it under. A name that is taken gets a number: see `stored`. */
  readonly name?: string;
  /** The folder it belongs to, as the caller wrote it. */
  readonly folder?: string;
  /** Set for a symbolic link. */
  readonly isLink?: true;
}

/** An item that the server acknowledged. */
export interface SentItem extends ResultItem {
  /** The stored file. A mode may not report every field. */
  readonly stored: Partial<Stored>;
  /** Set if the file existed already: see `skipSame` and `resume`. */
  readonly same?: true;
  /** Set in a {@linkcode FailedItem}. */
  readonly error?: undefined;
  /** Set in a {@linkcode FailedItem}. */
  readonly untried?: undefined;
}

/** An item that the server did not acknowledge. */
export interface FailedItem extends ResultItem {
  /** Why the item was not stored. */
  readonly error: InletError;
  /** Set if nothing of the item was sent: what ended the transfer came before it. */
  readonly untried?: true;
  /** Set in a {@linkcode SentItem}. */
  readonly stored?: undefined;
  /** Set in a {@linkcode SentItem}. */
  readonly same?: undefined;
}

/** The result for one file, empty folder or symbolic link. */
export type SendResult = SentItem | FailedItem;
