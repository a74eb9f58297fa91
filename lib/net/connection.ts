/**
 * One connection to a peer: lines and bodies are read from it ({@linkcode BufferedReader}), bytes and
 * streams are written to it, and it is cut when the peer is silent or slow for too long. This file and
 * byte_stream.ts alone touch sockets.
 *
 * A watchdog cuts it when nothing has moved for too long, unless the silence is this side's own: a
 * standard input that says nothing yet, a standard output that nobody reads.
 *
 * @module
 */

import { explain, type InletError } from "../errors.ts";
import { takeTurns } from "../turns.ts";
import { BufferedReader } from "./buffered_reader.ts";
import type { ByteStream } from "./byte_stream.ts";
import { type MinRate, MinRateMeter } from "./min_rate.ts";
import type { RateLimit } from "./rate_limit.ts";
import { Watchdog } from "./watchdog.ts";

/** How long a farewell may take to leave, in milliseconds. */
const FAREWELL_MS = 250;

/** How long the other side may take to close after the end, in milliseconds. */
const LINGER_MS = 1000;

/** Options of a {@linkcode Connection}. */
export interface ConnectionOptions {
  /** Milliseconds without a byte in either direction after which the connection is cut. */
  idleTimeoutMs: number;
  /**
   * Milliseconds after which it is cut unless it has begun, see {@linkcode Connection.begun}. Without
   * it there is no such limit, and the first byte is the beginning.
   */
  greetingTimeoutMs?: number | undefined;
  /** Told once, when the other side has begun. */
  onBegun?: () => void;
  /** The floor on the speed of bodies; missing where they may be as slow as they like. */
  minRate?: MinRate | undefined;
  /** Aborts the connection, with its reason. */
  signal?: AbortSignal;
  /** The limit of bytes a second, both ways. */
  rate?: RateLimit | undefined;
}

/** How long the other side may rest, and how it is told that this ends soon. */
export interface Rest {
  /** Milliseconds of silence that are allowed. */
  limitMs: number;
  /** Milliseconds of silence after which the warning is sent. */
  warnAfterMs: number;
  warning: Uint8Array;
}

/** A stream that a connection gave away, and the bytes that it had read ahead. */
export interface Detached {
  readonly stream: ByteStream;
  readonly head: Uint8Array;
}

/** A connection. Dispose of it to close it. */
export class Connection extends BufferedReader implements Disposable {
  /** The other side, as `HOST:PORT`. */
  readonly remote: string;
  /** Last words for the other side when this one gives up, where the wire has such words. */
  farewell: ((error: InletError) => Uint8Array) | undefined;
  /** Whether it is between two transfers, so that nothing is lost by cutting it. */
  resting = false;
  readonly #stream: ByteStream;
  readonly #signal: AbortSignal | undefined;
  readonly #rate: RateLimit | undefined;
  readonly #onAbort = (): void => this.abort(explain(this.#signal?.reason));
  readonly #minRate: MinRate | undefined;
  readonly #watchdog: Watchdog;
  readonly #waits = new Set<(error: InletError) => void>();
  #onBegun: (() => void) | undefined;
  #rateIn: MinRateMeter | undefined;
  #rateOut: MinRateMeter | undefined;
  #unsent = 0;
  #sending = false;
  #writes = 0;
  #failure: InletError | undefined;
  #closed = false;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    super({ read: (into) => this.#read(into), pause: (bytes) => this.#pause(bytes) });
    this.#stream = stream;
    this.remote = stream.remote;
    this.#onBegun = options.onBegun;
    this.#minRate = options.minRate;
    this.#rate = options.rate;
    this.#watchdog = new Watchdog({
      idleTimeoutMs: options.idleTimeoutMs,
      greetingTimeoutMs: options.greetingTimeoutMs ?? Infinity,
      isOwnSilence: () => this.#isOwnSilence(),
      onTimeout: (error) => this.abort(error),
    });
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#onAbort);
  }

  /** Bytes that are being written, and have not left yet. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Whether the other side owes an answer. Then its silence counts, whatever this side sends. */
  set awaitingReply(awaiting: boolean) {
    this.#watchdog.awaitingReply = awaiting;
  }

  /** Notes that the other side has begun: its greeting is complete. */
  begun(): void {
    this.#watchdog.greeted();
    this.#onBegun?.();
    this.#onBegun = undefined;
  }

  /** Holds the other side to the floor on speed while it sends a body, until this is disposed of. */
  enforceMinRate(): Disposable {
    this.#rateIn = this.#minRate && new MinRateMeter(this.#minRate);
    return { [Symbol.dispose]: () => this.#rateIn = undefined };
  }

  /** Waits for the other side to begin something, for longer than silence is allowed elsewhere. */
  async rest({ limitMs, warnAfterMs, warning }: Rest): Promise<void> {
    if (this.buffered.length > 0) return;
    this.shrink();
    const usualMs = this.#watchdog.allowSilence(limitMs);
    // Our own warning is no sign of life of the other side, so it does not count as a move.
    const warn = (): void => void this.#stream.write(warning).catch(() => {});
    const timer = setTimeout(warn, warnAfterMs);
    try {
      await this.arrival();
    } finally {
      clearTimeout(timer);
      this.#watchdog.allowSilence(usualMs);
    }
  }

  /** Writes all bytes, however many writes that takes. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#writes++;
    try {
      this.#watchdog.sent();
      this.#unsent += bytes.length;
      for (let written = 0; written < bytes.length;) {
        const end = this.#rate ? written + this.#rate.pieceBytes : undefined;
        const asked = performance.now();
        const wrote = await this.#stream.write(bytes.subarray(written, end));
        written += wrote;
        this.#unsent -= wrote;
        this.#watchdog.sent();
        this.#checkRate(this.#rateOut, wrote, asked);
        await this.#pause(wrote);
      }
    } catch (error) {
      throw this.#failure ?? explain(error);
    } finally {
      this.#writes--;
    }
  }

  /**
   * Sends a stream, each chunk written before the next is asked for.
   *
   * While a body is under way, and after one that broke off, there are no last words: they would be
   * taken for a part of it.
   *
   * @param signal Stops between two chunks. What was sent stays sent.
   */
  async send(body: ReadableStream<Uint8Array>, signal?: AbortSignal): Promise<void> {
    this.#sending = true;
    this.#rateOut = this.#minRate && new MinRateMeter(this.#minRate);
    try {
      const sink = new WritableStream<Uint8Array>({ write: (chunk) => this.write(chunk) });
      await body.pipeTo(sink, signal ? { signal } : {});
    } catch (error) {
      this.farewell = undefined;
      throw error;
    } finally {
      this.#sending = false;
      this.#rateOut = undefined;
    }
  }

  /**
   * Waits for something on this side, while the silence of the other is no fault of its own. The
   * wait ends with the connection, when that is aborted.
   */
  async unwatched<T>(waiting: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    waiting.then(resolve, reject);
    if (this.#failure) reject(this.#failure);
    this.#waits.add(reject);
    try {
      return await promise;
    } finally {
      this.#waits.delete(reject);
      this.#watchdog.received();
    }
  }

  /**
   * Tells the other side that no more comes. Reading goes on.
   *
   * @throws {InletError} `lost` if the other side is known to be gone
   */
  async closeWrite(): Promise<void> {
    try {
      await this.#stream.closeWrite();
    } catch (error) {
      throw this.#failure ?? explain(error);
    }
  }

  /**
   * Gives up: what waits on this connection fails with this error. The farewell is tried first, and
   * only as long as it takes to leave.
   */
  abort(error: InletError): void {
    if (this.#failure || this.#closed) return;
    this.#failure = error;
    this.#waits.forEach((reject) => reject(error));
    const farewell = this.#sending ? undefined : this.farewell?.(error);
    if (!farewell) return this.#close();
    const timer = setTimeout(() => this.#close(), FAREWELL_MS);
    this.#stream.write(farewell).catch(() => {}).finally(() => {
      clearTimeout(timer);
      this.#close();
    });
  }

  /**
   * Ends the conversation in order: the last words, if there are any, then the end of this side's
   * stream, then a short wait for the other side to close. A socket that is closed with unread
   * bytes in it sends a reset, which can overtake what was written before.
   */
  async finish(error?: InletError): Promise<void> {
    if (this.#closed) return;
    const timer = setTimeout(() => this.#close(), LINGER_MS);
    try {
      // Whoever was aborted has had its last words.
      const farewell = error && !this.#failure && this.farewell?.(error);
      if (farewell) await this.#stream.write(farewell);
      await this.#stream.closeWrite();
      await this.drain();
    } catch {
      // Whatever ends the wait is good enough: nothing more is owed.
    } finally {
      clearTimeout(timer);
      this.#close();
    }
  }

  /**
   * Gives the stream away, with what was read ahead, to whoever serves another wire. This connection
   * is over for its owner then: nothing is watched, and closing it closes nothing.
   *
   * A read that is under way is waited for, because its bytes would be lost; nothing may be being
   * written.
   *
   * @throws {InletError} what ended the connection, if it is over already
   */
  async detach(): Promise<Detached> {
    const head = await this.settle();
    if (this.#failure) throw this.#failure;
    this.#release();
    return { stream: this.#stream, head };
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#release();
    this.#stream.close();
  }

  #release(): void {
    this.#closed = true;
    this.#watchdog.stop();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.abandon();
  }

  /**
   * Counts what has moved of a body.
   *
   * @throws {InletError} `timeout`, once the connection is cut, if the other side is too slow
   */
  #checkRate(pace: MinRateMeter | undefined, bytes: number, asked: number): void {
    try {
      pace?.count(bytes, performance.now() - asked);
    } catch (error) {
      this.abort(explain(error));
      throw error;
    }
  }

  /** Whether the other side waits for this one: to take what it sent, or to send more. */
  #isOwnSilence(): boolean {
    const isIdle = this.#sending && this.#writes === 0 && !this.#watchdog.awaitingReply;
    return this.#waits.size > 0 || isIdle;
  }

  async #pause(bytes: number): Promise<void> {
    await this.#rate?.take(bytes);
    await takeTurns();
  }

  async #read(into: Uint8Array): Promise<number | null> {
    const asked = performance.now();
    try {
      const read = await this.#stream.read(into.subarray(0, this.#rate?.pieceBytes));
      // A farewell under way must not be taken for an orderly end.
      if (this.#failure) throw this.#failure;
      this.#watchdog.received();
      if (this.#watchdog.hasGreeted) this.begun();
      this.#checkRate(this.#rateIn, read ?? 0, asked);
      return read;
    } catch (error) {
      throw this.#failure ?? explain(error);
    }
  }
}
