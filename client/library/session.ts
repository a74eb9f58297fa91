/**
 * The session of a client of the library: one connection, on which requests take turns. It is made again
 * where it has ended.
 *
 * @module
 */

import type { ServerAddress } from "../../lib/address.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { Semaphore } from "../../lib/semaphore.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { DEFAULT_TIMEOUT_MS } from "../../lib/net/whole_line.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import { Calls } from "../calls.ts";
import { type ClientOptions, Dialer } from "../dialer.ts";
import { Meter } from "./meter.ts";

/** How a request is run. */
export interface RequestOptions {
  /** Gives it up: it rejects at once, with the reason. */
  readonly signal?: AbortSignal | undefined;
  /** Whether giving it up ends the connection, because it cannot be left half done. */
  readonly cuts?: boolean;
  /** Whether it may be run again after a failure that may pass. */
  readonly isRepeatable?: () => boolean;
}

/** An open connection, and the conversation on it. */
interface Open {
  readonly connection: Connection;
  readonly client: FilesClient;
}

/** A connection that is there while there are requests. Dispose of it to end all. */
export class Session implements AsyncDisposable {
  /** Counts the bytes of the request that is under way. */
  readonly meter: Meter = new Meter();
  /** Milliseconds that one side waits for the other. */
  readonly timeoutMs: number;
  readonly #dialer: Dialer;
  readonly #turns = new Semaphore(1);
  readonly #closing = new AbortController();
  /** How many requests are under way, or wait for their turn. */
  #wanted = 0;
  /** Has each call reject. A signal takes longer for each listener that it has already. */
  readonly #calls = new Set<(reason: unknown) => void>();
  #open: Open | undefined;
  /** Whether the request that is under way was sent on the connection of one before. */
  #isReused = false;
  /** Settles when nothing is under way any more on the connections that have ended. */
  #dropped: Promise<void> | undefined;
  #endRest: (() => Promise<void>) | undefined;
  #closed: Promise<void> | undefined;
  /** Those of the program's function for notices in this turn. */
  #notices = new Calls();

  constructor(address: ServerAddress, options: ClientOptions) {
    const { signal } = this.#closing;
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const onNotice = (text: string): void => this.#notices.make(() => options.onNotice?.(text));
    this.#dialer = new Dialer(address, { ...options, onNotice, signal, progress: this.meter });
  }

  /** Whether a request waits for the one that is under way. */
  get isWanted(): boolean {
    return this.#wanted > 1;
  }

  /** Whether another attempt is to follow a failure. */
  allows(error: InletError): boolean {
    if (this.#closing.signal.aborted) return false;
    return this.#hasCrossed(error) || this.#dialer.retries.allows(error);
  }

  /**
   * Runs a request after those before it, and again where retries are allowed.
   *
   * @throws {InletError} why it failed; `closed` after the end
   * @throws the reason of the signal
   */
  async run<T>(
    action: (client: FilesClient) => Promise<T>,
    options: RequestOptions = {},
  ): Promise<T> {
    if (this.#closed) throw closed();
    const { signal } = options;
    signal?.throwIfAborted();
    const { promise: over, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    this.#calls.add(reject);
    try {
      return await Promise.race([this.#run(action, options), over]);
    } finally {
      this.#calls.delete(reject);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Ends what is under way, and the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    // From here on no request comes in.
    if (this.#wanted === 0) await (await this.#rested())?.client.exit();
    this.#closing.abort(closed());
    this.#calls.forEach((reject) => reject(this.#closing.signal.reason));
    // Whatever was under way has let go of the connection then.
    using _ = await this.#turns.acquire();
    await this.#rested();
    this.#drop();
    await this.#dropped;
  }

  async #run<T>(
    action: (client: FilesClient) => Promise<T>,
    options: RequestOptions,
  ): Promise<T> {
    const { result, notices } = await this.#inTurn(action, options);
    await notices.check();
    return result;
  }

  async #inTurn<T>(
    action: (client: FilesClient) => Promise<T>,
    options: RequestOptions,
  ): Promise<{ result: T; notices: Calls }> {
    using stack = new DisposableStack();
    this.#wanted++;
    stack.defer(() => this.#wanted--);
    stack.use(await this.#turns.acquire(options.signal));
    const notices = this.#notices = new Calls();
    stack.defer(() => {
      this.meter.watch(undefined);
      this.#dialer.retries.progressed();
      this.#rest();
    });
    return { result: await this.#repeat(action, options), notices };
  }

  async #repeat<T>(
    action: (client: FilesClient) => Promise<T>,
    { signal, cuts = false, isRepeatable = () => true }: RequestOptions,
  ): Promise<T> {
    const { retries } = this.#dialer;
    const closing = this.#closing.signal;
    for (;;) {
      try {
        closing.throwIfAborted();
        const { client, connection } = await this.#ready();
        signal?.throwIfAborted();
        using _ = cuts && signal ? cutOnAbort(connection, signal) : undefined;
        return await action(client);
      } catch (error) {
        const failure = explain(error);
        if (signal?.aborted || !this.allows(failure) || !isRepeatable()) throw failure;
        if (this.#hasCrossed(failure)) this.#drop();
        else await retries.wait(failure, signal ? AbortSignal.any([closing, signal]) : closing);
      }
    }
  }

  /** Whether a request has crossed the end of a session that was idle: the server has not read it. */
  #hasCrossed({ code }: InletError): boolean {
    return this.#isReused && code === "timeout" && this.#open?.client.unread === true;
  }

  /** The connection: that of the request before, or another one if it has ended. */
  async #ready(): Promise<Open> {
    const before = await this.#rested();
    this.#isReused = before !== undefined && !isOver(before);
    if (before && this.#isReused) return before;
    this.#drop();
    const { connection, client } = await this.#connect();
    return this.#open = { connection, client };
  }

  async #connect(): Promise<Open> {
    using guard = new DisposableStack();
    const connection = guard.use(await this.#dialer.open());
    const client = await this.#dialer.greet(connection);
    guard.move();
    return { connection, client };
  }

  /** Listens between two requests, so that what ends the connection meanwhile is known. */
  #rest(): void {
    if (!this.#open || isOver(this.#open)) return this.#drop();
    const { promise, resolve } = Promise.withResolvers<void>();
    const resting = this.#open.client.rest(promise).catch(() => this.#drop());
    this.#endRest = () => {
      resolve();
      return resting;
    };
  }

  async #rested(): Promise<Open | undefined> {
    const endRest = this.#endRest;
    this.#endRest = undefined;
    await endRest?.();
    return this.#open;
  }

  #drop(): void {
    if (!this.#open) return;
    const { connection } = this.#open;
    connection[Symbol.dispose]();
    this.#open = undefined;
    // A last read may be pausing.
    const before = this.#dropped;
    this.#dropped = connection.settled().then(() => before);
  }
}

function closed(): InletError {
  return new InletError("closed", "The client is closed");
}

function isOver({ client, connection }: Open): boolean {
  return client.ended || connection.failure !== undefined;
}

/** Ends a connection when a signal is aborted, until it is disposed of. */
function cutOnAbort(connection: Connection, signal: AbortSignal): Disposable {
  const cut = (): void => connection.abort(interrupted(signal.reason));
  signal.addEventListener("abort", cut);
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", cut) };
}

/** The error of what a program has given up. */
export function interrupted(cause: unknown): InletError {
  return new InletError("interrupted", "Interrupted", { cause });
}
