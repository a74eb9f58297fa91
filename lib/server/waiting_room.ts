/**
 * Connections that came while the server was full. Each is read for up to a second: a client that
 * greets takes the place of a connection that has not, and the log can name the client that finds
 * no place. The room is small, so that silent connections cannot fill it: the oldest is dropped.
 *
 * @module
 */

import type { InletError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";
import { Pause } from "./pause.ts";

/** Milliseconds that a connection is read. */
const WAIT_MS = 1000;

/** Most connections that are read at once. */
const MAX_WAITING = 128;

/** What a connection has said about its client. */
export interface Caller {
  /** Whether it has sent what its wire begins with. */
  readonly greeted: boolean;
  /** The client's name; empty if it has none, or has not said it. */
  readonly name: string;
  /** Whether it speaks the native wire, whose lines can have fields. */
  readonly native: boolean;
  /** Encodes the refusal of a full server, on a wire that has other words for it. */
  readonly farewell?: (error: InletError) => Uint8Array;
}

/** A connection that has said nothing. */
export const UNKNOWN: Caller = { greeted: false, name: "", native: false };

/** Waits for the greetings of connections without a place. */
export class WaitingRoom {
  readonly #pause = new Pause(WAIT_MS, MAX_WAITING);

  /**
   * Waits for a greeting.
   *
   * @param peek Reads it without consuming it.
   * @returns What is known by then, at the latest after {@linkcode WAIT_MS}.
   */
  async greeting(
    connection: Connection,
    peek: (connection: Connection) => Promise<Caller>,
  ): Promise<Caller> {
    try {
      return await this.#pause.atMost(peek(connection)) ?? UNKNOWN;
    } catch {
      // It has left, or sent what no greeting is.
      return UNKNOWN;
    }
  }
}
