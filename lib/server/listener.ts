/**
 * The listening side: accepts connections, enforces the connection limits, and shuts down.
 *
 * @module
 */

import { encodeReply } from "../../protocol.ts";
import type { ServerContext } from "./context.ts";
import type { Client } from "./clients.ts";
import { TcpStream } from "../net/byte_stream.ts";
import { Connection, type ConnectionOptions } from "../net/connection.ts";
import { explain, InletError } from "../errors.ts";
import { formatSeconds } from "../text.ts";

/** What a listener needs to serve. */
export interface ListenerOptions {
  /** Serves one connection. */
  serve(connection: Connection, context: ServerContext): Promise<void>;
  /** The part of the context that all connections share. */
  context: Omit<ServerContext, "client" | "signal" | "giveUp">;
  /** Timeouts and minimum rate of every connection. */
  limits: Pick<ConnectionOptions, "idleTimeoutMs" | "greetingTimeoutMs" | "minRate">;
}

/** Milliseconds to wait after a failed accept, such as one that lacks a file descriptor. */
const ACCEPT_PAUSE_MS = 100;

/** Milliseconds that a connection has for its greeting before a full server may drop it. */
const BEGIN_MS = 1000;

/** Most connections that wait at their end for the peer to close. */
const MAX_LEAVING = 256;

/** Milliseconds that a failed server has to notify its clients. */
const GIVE_UP_MS = 1000;

/** Accepts connections until it is shut down. */
export class Listener {
  readonly #socket: Deno.TcpListener;
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  /** Connections without a complete greeting, the oldest first. */
  readonly #ungreeted = new Map<Connection, { client: Client; since: number }>();
  readonly #leaving = new Set<Connection>();
  readonly #serving = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #failure: InletError | undefined;
  /** Settles when the last connection closes after a shutdown; rejects if a failure caused it. */
  readonly finished: Promise<void>;

  constructor(socket: Deno.TcpListener, options: ListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.finished = this.#acceptAll();
  }

  /**
   * Stops accepting, closes idle connections, and lets transfers in flight finish.
   *
   * @param graceMs Milliseconds after which the remaining connections are closed.
   */
  async shutdown(graceMs: number): Promise<void> {
    const { log } = this.#options.context;
    if (!this.#stop.signal.aborted) {
      const reason = new InletError("shutdown", "The server is shutting down");
      this.#stop.abort(reason);
      this.#socket.close();
      const resting = [...this.#connections].filter((connection) => connection.resting);
      const moving = [...this.#connections].filter((connection) =>
        !connection.resting && !this.#leaving.has(connection)
      ).length;
      for (const connection of resting) {
        connection.abort(reason);
      }
      if (moving > 0 && graceMs > 0) {
        const whose = moving === 1 ? "1 transfer has" : `${moving} transfers have`;
        log.info("stopping", `stopping: ${whose} ${formatSeconds(graceMs)} s to finish`, {
          moving,
          graceMs,
        });
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
    const { log } = this.#options.context;
    let pausing = false;
    while (!this.#stop.signal.aborted) {
      try {
        const conn = await this.#socket.accept();
        if (pausing) log.notice("accepting", "accepting clients again");
        pausing = false;
        this.#begin(conn);
      } catch (error) {
        if (this.#stop.signal.aborted) break;
        const failure = explain(error, "Cannot accept a client");
        // A client that gave up in the backlog is no reason to pause.
        if (failure.code === "lost") continue;
        if (!pausing) log.failure(failure);
        pausing = true;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
    while (this.#serving.size > 0) await Promise.all(this.#serving);
    log.flush();
    if (this.#failure) throw this.#failure;
  }

  #giveUp(reason: InletError): void {
    this.#failure ??= reason;
    this.shutdown(GIVE_UP_MS);
  }

  #begin(conn: Deno.TcpConn): void {
    const { limits, context: { clients } } = this.#options;
    const connection = new Connection(new TcpStream(conn), {
      ...limits,
      onBegun: () => this.#ungreeted.delete(connection),
    });
    const address = connection.remote;
    if (clients.connected >= clients.limit && !clients.isCrowded(address)) this.#evictUngreeted();
    const client = clients.admit(address);
    this.#connections.add(connection);
    if (client) this.#ungreeted.set(connection, { client, since: performance.now() });
    const serving = client ? this.#serve(connection, client) : this.#rejectBusy(connection);
    this.#serving.add(serving);
    serving.finally(() => {
      this.#serving.delete(serving);
      this.#connections.delete(connection);
      this.#ungreeted.delete(connection);
    });
  }

  /** Drops the oldest connection without a greeting, so that silent ones cannot fill the server. */
  #evictUngreeted(): void {
    const [oldest] = this.#ungreeted;
    if (oldest === undefined) return;
    const [connection, { client, since }] = oldest;
    const waitedMs = performance.now() - since;
    if (waitedMs < BEGIN_MS) return;
    this.#ungreeted.delete(connection);
    this.#options.context.clients.leave(client);
    const waited = formatSeconds(waitedMs);
    const reason = `Dropped to admit another client: no greeting within ${waited} s`;
    connection.abort(new InletError("timeout", reason));
  }

  async #serve(connection: Connection, client: Client): Promise<void> {
    using _ = connection;
    const { serve, context } = this.#options;
    const { clients } = context;
    const log = context.log.forClient(client.number, client.address);
    log.info("connected", `connected from ${client.address}, ${clients.connected} connected`);
    let failure: InletError | undefined;
    try {
      await serve(connection, {
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
      log.info("left", `left, ${clients.connected} connected`, { name: client.name });
    }
    await this.#closeGracefully(connection, failure);
  }

  async #rejectBusy(connection: Connection): Promise<void> {
    const { clients, log } = this.#options.context;
    const crowded = clients.isCrowded(connection.remote);
    const [connected, limit] = crowded
      ? [clients.connectedFrom(connection.remote), clients.limitPerHost]
      : [clients.connected, clients.limit];
    const whose = crowded ? "clients from its address" : "clients";
    log.forAddress(connection.remote)
      .info("busy", `rejected ${connection.remote}: ${connected} of ${limit} ${whose} connected`);
    connection.farewell = () => encodeReply({ type: "busy", clients: connected, limit });
    await this.#closeGracefully(connection, new InletError("busy", "The server is full"));
  }

  /** Waits for the peer to close. Beyond {@linkcode MAX_LEAVING} it closes the oldest at once. */
  async #closeGracefully(connection: Connection, failure: InletError | undefined): Promise<void> {
    this.#leaving.add(connection);
    if (this.#leaving.size > MAX_LEAVING) {
      const oldest = this.#leaving.values().next().value!;
      oldest[Symbol.dispose]();
      this.#leaving.delete(oldest);
    }
    await connection.finish(failure);
    this.#leaving.delete(connection);
  }
}
