/**
 * What a mode is: one conversation, both halves, and what the programs need to know about its wire.
 *
 * @module
 */

import type { Source } from "../lib/body/sources.ts";
import type { ClientContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import type { Stored } from "../protocol.ts";

/** One conversation. To add one, add a file here and a row to the table. */
export interface Mode {
  /** The name that `--mode` takes. */
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** Whether the server half stores files. One that does not needs no directory. */
  readonly stores: boolean;
  /** Whether the wire carries a name to store under. */
  readonly named: boolean;
  /** Whether the wire carries the size ahead of the first byte, so that no stream can be sent. */
  readonly needsSize: boolean;
  /** Whether the wire opens with a greeting, which has a time limit. */
  readonly greets: boolean;
  /** Whether the wire answers with data. */
  readonly answers: boolean;
  /**
   * Serves one connection. It never listens, parses options or exits. Missing on the native wire, whose
   * server half shares its port with other wires: see wires.ts.
   */
  serve?(connection: Connection, context: ServerContext): Promise<void>;
  /**
   * Sends one file or message over one connection. Missing on the native wire, whose client half
   * sends many over one connection.
   *
   * @returns What was stored, as far as the wire says.
   */
  send?(connection: Connection, source: Source, context: ClientContext): Promise<Partial<Stored>>;
}
