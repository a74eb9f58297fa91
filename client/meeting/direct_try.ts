/**
 * One try to connect two clients directly. Both listen, and both connect to where the other one can be
 * reached: it takes one that is not behind a firewall, whichever that is.
 *
 * Who connects says `join TICKET` in the clear, with the ticket of the one who listens, and gets nothing
 * at all for anything else. Behind it is what the two speak over the server too: TLS, and the proof.
 *
 * @module
 */

import { decodeDirect, encodeDirect, type Reach } from "../../protocol.ts";
import { InletError } from "../../lib/errors.ts";
import { AwakeTimer } from "../../lib/net/awake.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { connect } from "../../lib/net/connect.ts";
import { Connection } from "../../lib/net/connection.ts";
import { ConnectionStream } from "../../lib/net/connection_stream.ts";
import { listen } from "../../lib/net/listen.ts";
import type { ListeningSocket } from "../../lib/net/listening_socket.ts";

/** Milliseconds that connecting may take. */
export const DIAL_MS = 2000;

/** Milliseconds that a listener lives. */
const LISTEN_MS = 2500;

/** Milliseconds that who connects has for its line. */
const LINE_MS = 1500;

/** Most connections that a listener accepts. */
const MOST_CONNECTIONS = 16;

/** What a {@linkcode DirectTry} needs. */
export interface DirectOptions {
  /** The silence after which a connection that is in use is given up, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Aborts what is used of it, with its reason. */
  readonly signal: AbortSignal;
  /** Puts TLS on a connection, and proves one side to the other. */
  secure(stream: ByteStream): Promise<Connection>;
}

/** One try. Dispose of it to close all of it but what is kept. */
export class DirectTry implements Disposable {
  /** What shows that a connection is meant for this try. */
  readonly ticket: string = crypto.getRandomValues(new Uint8Array(16)).toHex();
  readonly #socket: ListeningSocket;
  readonly #options: DirectOptions;
  /** What closes each connection that is open or being made. */
  readonly #closing = new Set<() => void>();
  readonly #ways = new Map<Connection, () => void>();
  #lifetime: AwakeTimer | undefined;
  #isClosed = false;
  #isOver = false;

  private constructor(socket: ListeningSocket, options: DirectOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Listens at an address of this machine. Returns `undefined` if it cannot. */
  static async open(hostname: string, options: DirectOptions): Promise<DirectTry | undefined> {
    try {
      return new DirectTry(await listen({ hostname, port: 0, backlog: MOST_CONNECTIONS }), options);
    } catch {
      // The way over the server is left.
      return undefined;
    }
  }

  /** Where it listens. */
  get port(): number {
    return (this.#socket.address as Deno.NetAddr).port;
  }

  /**
   * Accepts connections for a while.
   *
   * @param onProved Called with each one that the other side has proved to be its own.
   */
  async accept(onProved: (way: Connection) => void): Promise<void> {
    this.#lifetime = new AwakeTimer(LISTEN_MS, () => this.#closeSocket());
    for (let count = 0; count < MOST_CONNECTIONS; count++) {
      const stream = await this.#socket.accept().catch(() => undefined);
      // A stranger who has reset a connection before it was accepted keeps nobody out.
      if (stream) this.#enter(stream).then((way) => way && onProved(way));
      else if (this.#isClosed) return;
    }
    this.#closeSocket();
  }

  /**
   * Connects to every host at once. It settles when all of that is over.
   *
   * @param onProved Called with each one that the other side has proved to be its own.
   */
  async dial(
    hosts: readonly string[],
    reach: Reach,
    onProved: (way: Connection) => void,
  ): Promise<void> {
    await Promise.all(hosts.map(async (host) => {
      const way = await this.#dialOne(host, reach);
      if (way) onProved(way);
    }));
  }

  /** Takes a connection out of what is closed with the try. */
  keep(way: Connection): void {
    this.#closing.delete(this.#ways.get(way)!);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#closeSocket();
    this.#closing.forEach((close) => close());
    this.#closing.clear();
  }

  #closeSocket(): void {
    this.#lifetime?.[Symbol.dispose]();
    if (!this.#isClosed) this.#socket.close();
    this.#isClosed = true;
  }

  async #enter(stream: ByteStream): Promise<Connection | undefined> {
    const { idleTimeoutMs, signal } = this.#options;
    const connection = new Connection(stream, { idleTimeoutMs, signal });
    const close = (): void => connection[Symbol.dispose]();
    this.#closing.add(close);
    try {
      const timer = new AwakeTimer(LINE_MS, close);
      const text = await connection.readLine().finally(() => timer[Symbol.dispose]());
      const line = decodeDirect(text ?? "");
      if (line.type !== "join" || line.ticket !== this.ticket) throw new Error("a stranger");
      return await this.#secure(connection, close);
    } catch {
      return this.#drop(close);
    }
  }

  async #dialOne(host: string, { port, ticket }: Reach): Promise<Connection | undefined> {
    const { idleTimeoutMs, signal } = this.#options;
    const dialling = new AbortController();
    const close = (): void => dialling.abort(new InletError("lost", "The way is given up"));
    this.#closing.add(close);
    try {
      const timer = new AwakeTimer(DIAL_MS, close);
      const connection = await connect({ hostname: host, port }, {
        timeoutMs: idleTimeoutMs,
        signal: AbortSignal.any([dialling.signal, signal]),
      }).finally(() => timer[Symbol.dispose]());
      await connection.write(encodeDirect({ type: "join", ticket }));
      return await this.#secure(connection, close);
    } catch {
      return this.#drop(close);
    }
  }

  async #secure(connection: Connection, close: () => void): Promise<Connection> {
    const way = await this.#options.secure(new ConnectionStream(connection));
    this.#ways.set(way, close);
    if (this.#isOver) throw new Error("too late");
    return way;
  }

  #drop(close: () => void): undefined {
    close();
    this.#closing.delete(close);
  }
}
