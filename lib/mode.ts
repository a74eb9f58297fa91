/**
 * What a conversation is made of, and what it is handed.
 *
 * @module
 */

import type { Access } from "./access.ts";
import type { Client, Clients } from "./clients.ts";
import type { Connection } from "./connection.ts";
import type { InletError } from "./errors.ts";
import type { Gate } from "./gate.ts";
import type { Log } from "./log.ts";
import type { Messages } from "./messages.ts";
import type { Progress } from "./progress.ts";
import type { Source } from "./sources.ts";
import type { Store } from "./store.ts";
import type { Stored } from "../protocol.ts";

/** What the server half of a mode may use. */
export interface ServerContext {
  readonly store: Store;
  readonly messages: Messages;
  readonly log: Log;
  readonly clients: Clients;
  /** The client that is being served. */
  readonly client: Client;
  /** Most bytes of one file. */
  readonly maxBytes: number;
  /** What clients may do. */
  readonly access: Access;
  /** Checks keys; missing where none is asked for. */
  readonly gate: Gate | undefined;
  /** Milliseconds that a session may rest between two requests. */
  readonly sessionTimeoutMs: number;
  /** Aborted when the server is to stop: nothing new is begun then. */
  readonly signal: AbortSignal;
  /** Ends the server, because it cannot do any more what it is for. */
  giveUp(reason: InletError): void;
}

/** What the client half of a mode may use. */
export interface ClientContext {
  readonly progress: Progress;
  /** Takes the data that a server answers, on wires that answer with data. */
  output(chunk: Uint8Array): Promise<void>;
  /** The key of the server, where it asks for one. */
  readonly key?: string | undefined;
  /** Told what the server says unasked. */
  readonly onNote?: (text: string) => void;
  /** Whether both sides keep what arrived of a file when the connection breaks, and go on with it. */
  readonly resume?: boolean;
  /**
   * Told where a file goes on of which something was kept: behind so many bytes; 0 where that was
   * another file.
   */
  readonly onResume?: (label: string, offset: number, size: number) => void;
}

/** One conversation. Adding one is adding a file here and a row to the table. */
export interface Mode {
  /** One line for the help. */
  readonly summary: string;
  /** Whether its server half stores files. One that does not needs no directory. */
  readonly stores: boolean;
  /** Whether its wire tells the server a name to store under. */
  readonly named: boolean;
  /** Whether its wire tells the server a size before the first byte, so that no stream can be sent. */
  readonly needsSize: boolean;
  /** Whether its wire opens with a greeting, for which there is a time limit. */
  readonly greets: boolean;
  /** Whether its wire answers with data. */
  readonly answers: boolean;
  /** Serves one connection. It never listens, parses flags or exits. */
  serve(connection: Connection, context: ServerContext): Promise<void>;
  /**
   * Sends one thing over one connection. Missing where the client half does more than that: the
   * native conversation.
   *
   * @returns What was stored, as far as the wire says.
   */
  send?(connection: Connection, source: Source, context: ClientContext): Promise<Partial<Stored>>;
}
