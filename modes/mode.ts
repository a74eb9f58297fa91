/**
 * The interface of a mode: both halves of one conversation, and the properties of its protocol.
 *
 * @module
 */

import type { Source } from "../lib/body/sources.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";
import type { Caller } from "../lib/server/waiting_room.ts";
import type { WireSettings } from "../lib/server/wire_options.ts";
import type { Stored } from "../protocol.ts";

/** One conversation. To add a mode, add a file here and a row to the table. */
export interface Mode {
  /** Value of `--mode`. */
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** Whether the server half stores files, and so needs a directory. */
  readonly stores: boolean;
  /** Whether the client sends a name to store under. */
  readonly named: boolean;
  /** Whether the client sends the size before the first byte, which rules out streams. */
  readonly needsSize: boolean;
  /** Whether the client opens with a greeting, which has a time limit. */
  readonly greets: boolean;
  /** Whether the server answers with data. */
  readonly answers: boolean;
  /**
   * Whether its client asks, and cannot send: it lists, gets and holds sessions. The native client does
   * both.
   */
  readonly asks?: boolean;
  /** Most clients that are served at once where the operator says nothing. */
  readonly maxClients?: number;
  /**
   * Serves one connection. It never listens, parses options or exits. Missing on the native wire, whose
   * server half shares its port with other wires: see wires.ts.
   */
  serve?(connection: Connection, context: ServerContext): Promise<void>;
  /**
   * Finds out who is calling a full server, and consumes nothing. Missing on wires whose clients do not
   * say their name first.
   */
  peekCaller?(connection: Connection, wire: WireSettings): Promise<Caller>;
  /**
   * Loads what sends: that takes place before there is a server that waits. Missing in the native mode,
   * whose client half sends many files over one connection.
   */
  send?(): Promise<SendsOne>;
}

/**
 * Sends one file or message over one connection.
 *
 * @returns The stored file. A mode may not report every field.
 */
export type SendsOne = (
  connection: Connection,
  source: Source,
  context: WireContext,
) => Promise<Partial<Stored>>;
