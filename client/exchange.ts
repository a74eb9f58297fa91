/**
 * What a session needs in order to move files between two people. client/meeting/exchange.ts does it.
 *
 * @module
 */

import type { InletError } from "../lib/errors.ts";
import type { Sending } from "../protocol/people_lines.ts";

/** What stops a transfer, and who is told of it. */
export interface Transfer {
  readonly signal: AbortSignal;
  onNotice(text: string): void;
}

/** By which two users know each other, as a user has it. */
export interface Pins {
  readonly own: string;
  /** `undefined` if the other side has proved none. */
  readonly other: string | undefined;
}

/** A file or folder that waits at the server until it is taken. */
export interface Offering extends Sending {
  /**
   * Settles once all was sent, with what that was: `6 B`, or `3 files, 12 kB`. Rejects with why not all of
   * it was.
   */
  readonly done: Promise<string>;
  /** Sends it to the one with a key. @throws {InletError} `denied` if the key is none */
  take(key: string): Promise<Pins | undefined>;
}

/** Somebody else's file or folder, which this side is ready to receive. */
export interface Receiving {
  /** The public key of this side. */
  readonly key: string;
  readonly pins: Pins | undefined;
  /** Receives it, and prints what was received, or why not all of it was. */
  receive(): Promise<Received>;
}

/** How receiving has ended. */
export interface Received {
  /** Why not all was received. */
  readonly failure: InletError | undefined;
  /** Whether the other side has come to its end, and so knows as much. */
  readonly isKnown: boolean;
}

/** Moves files between two people. */
export interface Exchange {
  /**
   * Offers a file or folder, until the signal is aborted.
   *
   * @throws {InletError} if it cannot be read, or the server lets nobody meet
   */
  offer(path: string, transfer: Transfer): Promise<Offering>;
  /** Gets ready to receive. @throws {InletError} `denied` if the key is none */
  accept(sending: Sending, transfer: Transfer): Promise<Receiving>;
}
