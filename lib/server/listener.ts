/**
 * The listening side: accepts connections, enforces the connection limits, and shuts down.
 *
 * @module
 */

import { encodeReply } from "../../protocol.ts";
import { hostOf } from "../address.ts";
import { revoked } from "../auth/access.ts";
import type { ServerContext } from "./context.ts";
import type { Client } from "./clients.ts";
import { awakeNow, lookAround } from "../net/awake.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import { Connection } from "../net/connection.ts";
import type { ConnectionOptions } from "../net/connection_options.ts";
import type { ListeningSocket } from "../net/listening_socket.ts";
import { explain, InletError } from "../errors.ts";
import { formatSeconds, quoted } from "../text.ts";
import { ProxyArrivals } from "./proxy_arrivals.ts";
import { type Caller, UNKNOWN, WaitingRoom } from "./waiting_room.ts";

/** What a listener needs to serve. */
export interface ListenerOptions {
  /** Serves one connection. */
  serve(connection: Connection, context: ServerContext): Promise<void>;
  /** Finds out who is calling a full server; missing on wires without names. */
  peekCaller?: ((connection: Connection) => Promise<Caller>) | undefined;
  /** The part of the context that all connections share. */
  context: Omit<ServerContext, "client" | "signal" | "giveUp" | "leavePlace" | "takePlace">;
  /** Puts encryption on a connection that was accepted. */
  secure?: ((stream: ByteStream) => ByteStream) | undefined;
  /** Timeouts and minimum rate of every connection. */
  limits: Pick<
    ConnectionOptions,
    "idleTimeoutMs" | "greetingTimeoutMs" | "patienceMs" | "minRate"
  >;
}

/** Milliseconds to wait after a failed accept, such as one that lacks a file descriptor. */
const ACCEPT_PAUSE_MS = 100;

/** Milliseconds that a client has to prove its key before a full server may drop it. */
const ANSWER_MS = 250;

/** Most connections that wait at their end for the peer to close. */
const MAX_LEAVING = 256;

/** Milliseconds that a failed server has to notify its clients. */
const GIVE_UP_MS = 1000;

/** Milliseconds that a proxy has to tell who its client is. */
const ARRIVAL_MS = 10_000;

/** A connection that has a place and has not greeted. */
interface Ungreeted {
  readonly connection: Connection;
  readonly client: Client;
  /** When it came, by {@linkcode awakeNow}. */
  readonly since: number;
}

/** A connection that has a place and exceeds the limits. */
interface Overdue {
  readonly connection: Connection;
  readonly client: Client;
  readonly silentMs: number;
}

/** Accepts connections until it is shut down. */
export class Listener {
  readonly #socket: ListeningSocket;
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  /** The connections that have a place. */
  readonly #places = new Map<Connection, Client>();
  /** Connections without a complete greeting, the oldest first. */
  readonly #ungreeted = new Map<Connection, Ungreeted>();
  readonly #waiting = new WaitingRoom();
  readonly #leaving = new Set<Connection>();
  readonly #arrivals: ProxyArrivals;
  readonly #serving = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #failure: InletError | undefined;
  /** Settles when the last connection closes after a shutdown; rejects if a failure caused it. */
  readonly finished: Promise<void>;

  constructor(socket: ListeningSocket, options: ListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#arrivals = new ProxyArrivals(options.limits.greetingTimeoutMs ?? ARRIVAL_MS);
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
      this.#arrivals.close();
      // A client that has left may have its last words not read yet.
      const atRest = () => [...this.#connections].filter((connection) => connection.resting);
      await lookAround(atRest);
      const resting = atRest();
      const moving = [...this.#connections].filter((connection) =>
        !connection.resting && !this.#leaving.has(connection)
      ).length;
      for (const connection of resting) {
        connection.abort(reason);
      }
      if (moving > 0 && graceMs > 0) {
        const whose = moving === 1 ? "1 transfer has" : `${moving} transfers have`;
        log.info("stopping", `stopping: ${whose} ${formatSeconds(graceMs)} s to finish`, {
          transfers: moving,
          ms: graceMs,
        });
      }
    }
    const timer = setTimeout(() => this.#cutAll(), graceMs);
    await this.finished.catch(() => {});
    clearTimeout(timer);
  }

  /** Ends the connections of users who were revoked, transfers included. */
  dropRevoked(): void {
    for (const [connection, { user }] of this.#places) {
      if (!user?.isRevoked) continue;
      connection.abort(revoked(user));
    }
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
        const stream = await this.#socket.accept();
        if (pausing) log.notice("accepting", "accepting clients again");
        pausing = false;
        this.#begin(stream);
      } catch (error) {
        if (this.#stop.signal.aborted) break;
        const failure = explain(error, "Cannot accept a client");
        // A client that gave up in the backlog is no reason to pause.
        if (explain(error).code === "lost") continue;
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

  #begin(stream: ByteStream): void {
    const { context: { web } } = this.#options;
    if (!web.proxies.has(hostOf(stream.remote))) return this.#take(stream);
    const arriving = this.#identify(stream);
    this.#serving.add(arriving);
    arriving.finally(() => this.#serving.delete(arriving));
  }

  /** Begins with a connection of a proxy, once it is known whose it is. */
  async #identify(stream: ByteStream): Promise<void> {
    try {
      const known = await this.#arrivals.identify(stream);
      if (this.#stop.signal.aborted) stream.close();
      else if (known) this.#take(known);
    } catch (error) {
      const { log } = this.#options.context;
      const failure = explain(error);
      if (failure.code === "bad-request") {
        log.forClient({ address: stream.remote, name: "" }).failure(failure);
      }
    }
  }

  #take(stream: ByteStream): void {
    const { limits, secure } = this.#options;
    const connection = new Connection(secure?.(stream) ?? stream, {
      ...limits,
      onBegun: () => this.#ungreeted.delete(connection),
    });
    this.#connections.add(connection);
    const counted = this.#options.context.log.counters.connected(connection.traffic);
    const serving = this.#serveOrReject(connection);
    this.#serving.add(serving);
    serving.finally(() => {
      this.#serving.delete(serving);
      this.#connections.delete(connection);
      this.#ungreeted.delete(connection);
      counted[Symbol.dispose]();
    });
  }

  async #serveOrReject(connection: Connection): Promise<void> {
    const { clients } = this.#options.context;
    const client = clients.admit(connection.remote);
    if (client) return await this.#serve(connection, client);
    const caller = await this.#greetingOf(connection);
    // Where the server speaks first, a client cannot show that it is one.
    const counts = caller.greeted || this.#speaksFirst;
    if (caller.greeted) await this.#makeRoomFor(connection.remote);
    if (counts && !clients.hasPlaceFor(connection.remote)) this.#dropOverdue(connection.remote);
    const next = counts ? clients.admit(connection.remote) : undefined;
    if (next) await this.#serve(connection, next);
    else await this.#rejectBusy(connection, caller);
  }

  /** Whether clients wait for this server's first words. */
  get #speaksFirst(): boolean {
    const { banner, dialogue } = this.#options.context.wire;
    return banner !== undefined || dialogue[0]?.type === "send";
  }

  /** Reads the greeting of a connection without a place, if it can make a difference. */
  async #greetingOf(connection: Connection): Promise<Caller> {
    const { peekCaller } = this.#options;
    const { remote } = connection;
    if (!peekCaller && !this.#silentOne(remote) && !this.#overdueOne(remote)) return UNKNOWN;
    connection.resting = true;
    try {
      return await this.#waiting.greeting(connection, peekCaller ?? peekByte);
    } finally {
      connection.resting = false;
    }
  }

  /** Drops the oldest connection without a greeting, so that silent ones cannot fill the server. */
  async #makeRoomFor(address: string): Promise<void> {
    const { clients } = this.#options.context;
    if (clients.hasPlaceFor(address)) return;
    // The oldest may have greeted, and the server not have read it yet.
    const oldest = this.#silentOne(address);
    await lookAround(() => oldest ? [oldest.connection] : []);
    const silent = clients.hasPlaceFor(address) ? undefined : this.#silentOne(address);
    if (!silent) return;
    const { connection, client, since } = silent;
    this.#drop(connection, client, `no greeting within ${formatSeconds(awakeNow() - since)} s`);
  }

  /** Drops the connection that {@linkcode Listener.#overdueOne} finds. */
  #dropOverdue(address: string): void {
    const overdue = this.#overdueOne(address);
    if (!overdue) return;
    const { connection, client, silentMs } = overdue;
    const why = silentMs > 0 ? `silent for ${formatSeconds(silentMs)} s` : "too slow";
    this.#drop(connection, client, why);
  }

  /**
   * The connection that has been silent longest beyond the limits, or that is too slow, if its place
   * would serve a client from an address.
   */
  #overdueOne(address: string): Overdue | undefined {
    const { clients } = this.#options.context;
    const host = clients.isCrowded(address) ? hostOf(address) : undefined;
    let longest: Overdue | undefined;
    for (const [connection, client] of this.#places) {
      if (host !== undefined && hostOf(client.address) !== host) continue;
      const silentMs = connection.overdueMs;
      if (silentMs === undefined || silentMs <= (longest?.silentMs ?? -1)) continue;
      longest = { connection, client, silentMs };
    }
    return longest;
  }

  #leavePlace(connection: Connection, client: Client): void {
    this.#ungreeted.delete(connection);
    this.#places.delete(connection);
    this.#options.context.clients.leave(client);
  }

  #takePlace(connection: Connection, client: Client): boolean {
    if (!this.#options.context.clients.readmit(client)) return false;
    this.#places.set(connection, client);
    return true;
  }

  #drop(connection: Connection, client: Client, why: string): void {
    this.#leavePlace(connection, client);
    const reason = `Dropped to admit another client: ${why}`;
    connection.abort(new InletError("timeout", reason));
  }

  /**
   * The oldest connection without a greeting whose place would serve a client from an address. One
   * that has been asked for its key goes after those that have said nothing, and not at once.
   */
  #silentOne(address: string): Ungreeted | undefined {
    const { clients } = this.#options.context;
    const host = clients.isCrowded(address) ? hostOf(address) : undefined;
    let late: Ungreeted | undefined;
    for (const ungreeted of this.#ungreeted.values()) {
      const { connection: { challengedAt }, client: { address: its } } = ungreeted;
      if (host !== undefined && hostOf(its) !== host) continue;
      if (challengedAt === undefined) return ungreeted;
      if (awakeNow() - challengedAt >= ANSWER_MS) late ??= ungreeted;
    }
    return late;
  }

  async #serve(connection: Connection, client: Client): Promise<void> {
    using _ = connection;
    const { serve, context, limits } = this.#options;
    this.#places.set(connection, client);
    // On wires without a greeting, the first byte counts as one. It may have been read already.
    if (connection.buffered.length === 0 || limits.greetingTimeoutMs !== undefined) {
      this.#ungreeted.set(connection, { connection, client, since: awakeNow() });
    }
    const { clients } = context;
    const log = context.log.forClient(client, connection.traffic);
    client.moving = () => connection.resting ? undefined : log.moving;
    const came = performance.now();
    log.connected(clients.connected);
    let failure: InletError | undefined;
    try {
      await serve(connection, {
        ...context,
        log,
        client,
        signal: this.#stop.signal,
        giveUp: (reason) => this.#giveUp(reason),
        leavePlace: () => this.#leavePlace(connection, client),
        takePlace: () => this.#takePlace(connection, client),
      });
    } catch (error) {
      failure = explain(error);
      log.failure(failure);
    } finally {
      this.#places.delete(connection);
      clients.leave(client);
      // It is remembered for long, which the connection must not be.
      delete client.moving;
      delete client.mailbox;
      log.disconnected(clients.connected, Math.round(performance.now() - came));
    }
    await this.#closeGracefully(connection, failure);
  }

  async #rejectBusy(connection: Connection, caller: Caller): Promise<void> {
    const { name, native } = caller;
    const { clients, log } = this.#options.context;
    const { remote } = connection;
    const crowded = clients.isCrowded(remote);
    const [connected, limit] = crowded
      ? [clients.connectedFrom(remote), clients.limitFor(remote)]
      : [clients.connected, clients.limit];
    const who = name === "" ? remote : `${quoted(name)} at ${remote}`;
    const whose = crowded ? "clients from its address" : "clients";
    log.forClient({ address: remote, name }).info(
      "busy",
      `rejected ${who}: ${connected} of ${limit} ${whose} connected`,
      { clients: connected, limit },
    );
    const fields = crowded && native ? { fields: { limit: "address" } } : {};
    connection.farewell = caller.farewell ??
      (() => encodeReply({ type: "busy", clients: connected, limit, ...fields }));
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

/** The greeting of a wire that has none: its first byte. */
async function peekByte(connection: Connection): Promise<Caller> {
  return { ...UNKNOWN, greeted: await connection.peek() !== null };
}
