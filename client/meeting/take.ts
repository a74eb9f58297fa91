/**
 * The accepting end of a tunnel once it is proved: the server half of the native conversation, for one
 * client that may only store what a person has agreed to.
 *
 * @module
 */

import {
  decodeReply,
  encodeReply,
  MAX_LINE_BYTES,
  type Request,
  type Stored,
} from "../../protocol.ts";
import { encodeError, explain, InletError, refusalIn } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { AcknowledgedUploads } from "../../lib/server/acknowledged.ts";
import { Clients } from "../../lib/server/clients.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { Log, type LoggedEvent } from "../../lib/server/log.ts";
import type { StdoutQueue } from "../../lib/server/stdout_queue.ts";
import { webSettings } from "../../lib/server/web_options.ts";
import { serveFiles } from "../../modes/files/serve.ts";
import type { TakenStore } from "./taken_store.ts";

/** Milliseconds that the offering client may be idle between two requests. */
const SESSION_MS = 600_000;

/** None of them is served in a tunnel. */
const NO_WIRES = {
  ...{ dialogue: [], banner: undefined, lineGapMs: undefined, keepEmpty: false },
  ...{ getMarker: new Uint8Array(0), bareNames: false, web: false },
};

const NO_WEB = webSettings({
  ...{ hostname: "", publicNames: [], basePath: undefined, proxyFrom: [] },
});

const NOTHING = new Uint8Array(0);

/** Most requests that are refused in one tunnel, beside one for each file and folder: each is a line. */
const MOST_REFUSED = 100;

/** What the one who offers is told of a receiver that was interrupted. */
const STOPPED = new InletError("aborted", "The receiver has stopped");

/** What is received, and who is told. */
export interface TakeOptions {
  readonly store: TakenStore;
  readonly stdout: StdoutQueue;
  readonly shortage?: ((bytes: number) => string | undefined) | undefined;
  readonly signal: AbortSignal;
  /** Whether the offering client is told here that the receiver was interrupted. */
  readonly tellsStop: boolean;
  /** Milliseconds of silence within a request or a body. */
  readonly timeoutMs: number;
  /**
   * Decides whether to receive what is offered.
   *
   * @throws {InletError} why it is not received
   */
  consent(hello: Request): Promise<void>;
  onStored(stored: Stored): void;
  onLink(name: string): void;
  /** A message was written. */
  onMessage(): void;
  /** Something was not stored. */
  onFailure(error: InletError): void;
}

/** Receives one offer, over as many tunnels as it takes. */
export class Taking {
  readonly #options: TakeOptions;
  readonly #acknowledged = new AcknowledgedUploads();

  constructor(options: TakeOptions) {
    this.#options = options;
  }

  /**
   * Receives over one tunnel, until the offering client is done.
   *
   * @throws {InletError} what broke off, or why nothing is received
   */
  async take(connection: Connection): Promise<void> {
    const { store, stdout, signal, shortage, consent, tellsStop } = this.#options;
    let isDone = false;
    connection.farewell = (error) => {
      if (error.code !== "interrupted") return encodeError(error);
      return tellsStop ? encodeError(STOPPED) : NOTHING;
    };
    const clients = new Clients(1);
    const client = clients.admit(connection.remote)!;
    const context: ServerContext = {
      ...{ store, stdout, clients, client, signal, ...shortage && { shortage } },
      meetings: undefined,
      log: new TakingLog(this.#options, connection),
      acknowledged: this.#acknowledged,
      // The store knows better how much was offered.
      maxBytes: Number.MAX_SAFE_INTEGER,
      access: "all",
      authenticator: undefined,
      greetingTimeoutMs: SESSION_MS,
      timeoutMs: this.#options.timeoutMs,
      sessionTimeoutMs: SESSION_MS,
      wire: NO_WIRES,
      web: NO_WEB,
      consent: (hello) =>
        connection.whilePresent(() => consent(hello), {
          probe: () => encodeReply({ type: "note", text: "the receiver is being asked" }),
        }),
      onExit: () => isDone = true,
      giveUp: (reason) => connection.abort(reason),
      leavePlace: () => {},
      takePlace: () => true,
    };
    let failure: InletError | undefined;
    try {
      await checkTaken(connection);
      await serveFiles(connection, context);
    } catch (error) {
      failure = explain(error);
    }
    await connection.finish(failure);
    // Whatever breaks off behind the last word breaks nothing.
    if (!isDone) throw failure ?? new InletError("lost", "The one who offers has left");
  }
}

/** Refuses what the offering client refuses, in place of its greeting. */
async function checkTaken(connection: Connection): Promise<void> {
  const line = await connection.peekLine(MAX_LINE_BYTES);
  if (!/^error[; ]/.test(line)) return;
  const refusal = refusalIn(decodeReply(line.trimEnd()));
  if (refusal) throw refusal;
}

/** Tells of what happens, in place of a log. */
class TakingLog extends Log {
  readonly #options: TakeOptions;
  readonly #connection: Connection;
  #refused = 0;

  constructor(options: TakeOptions, connection: Connection) {
    super(({ event, file }: LoggedEvent) => {
      if (event === "link" && file !== undefined) options.onLink(file);
      if (event === "message") options.onMessage();
    });
    this.#options = options;
    this.#connection = connection;
  }

  override stored(stored: Stored): void {
    this.#options.onStored(stored);
  }

  override failure(error: InletError): void {
    const most = MOST_REFUSED + this.#options.store.most;
    if (this.#refused > most) return;
    this.#options.onFailure(error);
    if (++this.#refused <= most) return;
    const why = "the other side goes on asking for what was not offered";
    this.#connection.abort(new InletError("denied", `Cannot go on: ${why}`));
  }
}
