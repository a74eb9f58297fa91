/**
 * The listening side: this file alone accepts connections, counts them and closes them.
 *
 * @module
 */

import { encodeReply } from "../protocol.ts";
import type { Mode, ServerContext } from "./mode.ts";
import type { Client } from "./clients.ts";
import { Connection, formatAddress } from "./connection.ts";
import { explain, InletError } from "./errors.ts";

/** What a listener needs to serve. */
export interface ListenerOptions {
  mode: Mode;
  /** What every connection is handed, but for what is its own. */
  context: Omit<ServerContext, "client" | "signal" | "giveUp">;
  /** Milliseconds of silence after which a connection is cut. */
  idleTimeoutMs: number;
}

/** Milliseconds to wait before accepting again when the system has no socket to give. */
const ACCEPT_PAUSE_MS = 100;

/** Milliseconds that a server which gives up has to tell its clients. */
const GIVE_UP_MS = 1000;

/** Accepts connections until it is told to stop. */
export class Listener {
  readonly #socket: Deno.TcpListener;
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  readonly #serving = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #failure: InletError | undefined;
  /**
   * Settles when nothing is accepted and nobody is served any more; fails if the server gave up.
   */
  readonly finished: Promise<void>;

  constructor(socket: Deno.TcpListener, options: ListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.finished = this.#acceptAll();
  }

  /**
   * Accepts no more, cuts those who rest, and gives the transfers in flight a time to end.
   *
   * @param graceMs How long, in milliseconds.
   */
  async shutdown(graceMs: number): Promise<void> {
    if (!this.#stop.signal.aborted) {
      const reason = new InletError("shutdown", "The server is shutting down");
      this.#stop.abort(reason);
      this.#socket.close();
      for (const connection of this.#connections) {
        if (connection.resting) connection.abort(reason);
      }
    }
    const timer = setTimeout(() => this.#cutAll(), graceMs);
    await this.finished.catch(() => {});
    clearTimeout(timer);
  }

  #cutAll(): void {
    const reason = new InletError("shutdown", "The server shut down before this was complete");
    for (const connection of this.#connections) connection.abort(reason);
  }

  async #acceptAll(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        this.#begin(await this.#socket.accept());
      } catch (error) {
        if (this.#stop.signal.aborted) break;
        const failure = explain(error, "Cannot accept a client");
        this.#options.context.log.failure(failure);
        // Whoever left while waiting to be accepted is no reason to keep the others waiting.
        if (failure.code === "lost") continue;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
    while (this.#serving.size > 0) await Promise.all(this.#serving);
    if (this.#failure) throw this.#failure;
  }

  #giveUp(reason: InletError): void {
    this.#failure ??= reason;
    this.shutdown(GIVE_UP_MS);
  }

  #begin(conn: Deno.TcpConn): void {
    const { idleTimeoutMs, context } = this.#options;
    const connection = new Connection(conn, { idleTimeoutMs });
    const client = context.clients.admit(formatAddress(conn.remoteAddr));
    this.#connections.add(connection);
    const serving = client ? this.#serve(connection, client) : this.#turnAway(connection);
    this.#serving.add(serving);
    serving.finally(() => {
      this.#serving.delete(serving);
      this.#connections.delete(connection);
    });
  }

  async #serve(connection: Connection, client: Client): Promise<void> {
    using _ = connection;
    const { mode, context } = this.#options;
    const { clients } = context;
    const log = context.log.forClient(client.number, client.address);
    log.info("connected", `connected from ${client.address}, ${clients.connected} in`);
    let failure: InletError | undefined;
    try {
      await mode.serve(connection, {
        ...context,
        log,
        client,
        signal: this.#stop.signal,
        giveUp: (reason) => this.#giveUp(reason),
      });
    } catch (error) {
      failure = explain(error);
      log.failure(failure);
    } finally {
      clients.leave(client);
      log.info("left", `left, ${clients.connected} in`, { name: client.name });
    }
    await connection.finish(failure);
  }

  async #turnAway(connection: Connection): Promise<void> {
    const { connected, limit } = this.#options.context.clients;
    const { log } = this.#options.context;
    log.info("busy", `turned ${connection.remote} away: ${connected} of ${limit} clients are in`);
    connection.farewell = () => encodeReply({ type: "busy", clients: connected, limit });
    await connection.finish(new InletError("busy", "The server is full"));
  }
}
