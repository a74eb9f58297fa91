/**
 * A connection to one peer: it reads lines and bodies ({@linkcode BufferedReader}), writes bytes
 * and streams, and closes when the peer is silent or slow for too long.
 *
 * A watchdog closes an idle connection, unless this side causes the silence: a standard input
 * without data, or a standard output that is not read.
 *
 * @module
 */

import { explain, type InletError } from "../errors.ts";
import { systemCode } from "../system_errors.ts";
import { takeTurns } from "../turns.ts";
import { awakeNow, AwakeTimer } from "./awake.ts";
import { BufferedReader } from "./buffered_reader.ts";
import type { ByteStream } from "./byte_stream.ts";
import { Departure, discard, type Presence } from "./departure.ts";
import type { ConnectionOptions, Rest } from "./connection_options.ts";
import { type MinRate, MinRateMeter } from "./min_rate.ts";
import type { RateLimit } from "./rate_limit.ts";
import { Watchdog } from "./watchdog.ts";

/** Milliseconds that sending the farewell may take. */
const FAREWELL_MS = 250;

/** Milliseconds that the peer has to close after the end, while this process runs. */
const LINGER_MS = 1000;

/** A connection to one peer. Dispose of it to close it. */
export class Connection extends BufferedReader implements Disposable {
  /** The peer, as `HOST:PORT`. */
  readonly remote: string;
  /** Encodes the last message to the peer when this side aborts, on wires that have one. */
  farewell: ((error: InletError) => Uint8Array) | undefined;
  /** Whether no transfer is under way, so that closing loses nothing. */
  resting = false;
  /**
   * Whether this side is within a body that the end of the stream would end. Then closing resets the
   * connection, so that the peer does not take what it has for the whole.
   */
  unfinished = false;
  /** When the peer was asked to prove its key, by {@linkcode awakeNow}. */
  challengedAt: number | undefined;
  /** The minimum rate of bodies. */
  readonly minRate: MinRate | undefined;
  readonly #stream: ByteStream;
  readonly #signal: AbortSignal | undefined;
  readonly #rate: RateLimit | undefined;
  readonly #onAbort = (): void => this.abort(explain(this.#signal?.reason));
  readonly #watchdog: Watchdog;
  readonly #waits = new Set<(error: InletError) => void>();
  #onBegun: (() => void) | undefined;
  #rateIn: MinRateMeter | undefined;
  #rateOut: MinRateMeter | undefined;
  /** Whether the last window of a body was below the minimum rate. */
  #isSlow = false;
  #unsent = 0;
  #sending = false;
  #writes = 0;
  #failure: InletError | undefined;
  #closed = false;
  /** That the peer has reset the connection, once a call was told so. */
  #reset: InletError | undefined;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    super({ read: (into) => this.#read(into), pause: (bytes) => this.#pause(bytes) });
    this.#stream = stream;
    this.remote = stream.remote;
    this.#onBegun = options.onBegun;
    this.minRate = options.minRate;
    this.#rate = options.rate;
    this.#watchdog = new Watchdog({
      idleTimeoutMs: options.idleTimeoutMs,
      greetingTimeoutMs: options.greetingTimeoutMs ?? Infinity,
      patienceMs: options.patienceMs,
      isOwnSilence: () => this.#isOwnSilence(),
      onTimeout: (error) => this.abort(error),
    });
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#onAbort);
  }

  /** The error that ended the connection, if one did. */
  get failure(): InletError | undefined {
    return this.#failure;
  }

  /** Whether what was read has come encrypted. */
  get isEncrypted(): boolean {
    return this.#stream.isEncrypted ?? false;
  }

  /** Bytes passed to `write` that the system has not accepted yet. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Whether the peer must reply. Then its silence counts, even while this side sends. */
  set awaitingReply(awaiting: boolean) {
    this.#watchdog.awaitingReply = awaiting;
  }

  /**
   * Whether a peer that exceeds the limits on silence and rate is only
   * {@linkcode Connection.overdueMs}, and not dropped: on wires that people type on.
   */
  get patient(): boolean {
    return this.#watchdog.patient;
  }

  set patient(patient: boolean) {
    this.#watchdog.patient = patient;
  }

  /** Milliseconds of silence of a peer that exceeds the limits on silence or rate. */
  get overdueMs(): number | undefined {
    if (this.#isOwnSilence()) return undefined;
    return this.#watchdog.overdueMs ?? (this.#isSlow ? 0 : undefined);
  }

  /** Records that the peer's greeting is complete. */
  begun(): void {
    this.#watchdog.greeted();
    this.#onBegun?.();
    this.#onBegun = undefined;
  }

  /** Enforces the minimum rate on the body that the peer sends, until this is disposed of. */
  enforceMinRate(): Disposable {
    this.#rateIn = this.minRate && new MinRateMeter(this.minRate);
    return {
      [Symbol.dispose]: () => {
        this.#rateIn = undefined;
        this.#isSlow = false;
      },
    };
  }

  /** The same for a body that the peer takes. {@linkcode Connection.send} does it by itself. */
  enforceMinRateOut(): Disposable {
    this.#rateOut = this.minRate && new MinRateMeter(this.minRate);
    return { [Symbol.dispose]: () => this.#rateOut = undefined };
  }

  /** Waits for the peer's next request, with an idle timeout of its own. */
  async rest({ limitMs, warnAfterMs, warning, until }: Rest): Promise<void> {
    if (this.buffered.length > 0) return;
    this.shrink();
    const usualMs = this.#watchdog.allowSilence(limitMs);
    // Written past the watchdog: the warning is no sign of life of the peer.
    const warn = (): void => void this.#stream.write(warning).catch(() => {});
    using _ = new AwakeTimer(warnAfterMs, warn);
    try {
      await Promise.race([this.arrival(), ...until ? [until] : []]);
    } finally {
      this.#watchdog.allowSilence(usualMs);
    }
  }

  /** Also while it writes something, behind which it reads on. */
  override get isPausing(): boolean {
    return super.isPausing || this.#writes > 0;
  }

  /** Writes all bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#unsent += bytes.length;
    if (this.#failure) throw this.#failure;
    this.#writes++;
    try {
      this.#watchdog.sent();
      for (let written = 0; written < bytes.length;) {
        const end = this.#rate ? written + this.#rate.pieceBytes : undefined;
        const asked = awakeNow();
        const wrote = await this.#stream.write(bytes.subarray(written, end));
        written += wrote;
        this.#unsent -= wrote;
        this.traffic.out += wrote;
        this.#watchdog.sent();
        this.#checkRate(this.#rateOut, wrote, asked);
        await this.#pause(wrote);
      }
    } catch (error) {
      throw this.#broken(error);
    } finally {
      this.#writes--;
    }
  }

  /**
   * Sends a stream. Each chunk is written before the next one is requested.
   *
   * While a body is under way, and after an incomplete one, no farewell is sent: the peer would
   * read it as a part of the body.
   *
   * @param signal Stops between two chunks.
   */
  async send(body: ReadableStream<Uint8Array>, signal?: AbortSignal): Promise<void> {
    this.#sending = true;
    this.#rateOut = this.minRate && new MinRateMeter(this.minRate);
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
   * Waits for an event on this side, such as input. The idle timeout is suspended meanwhile. The
   * wait fails if the connection is aborted.
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
   * Does work that the peer waits for, as {@linkcode Connection.unwatched} waits. If the peer leaves
   * meanwhile, the connection ends at once, and the work is told by its signal. A result that comes
   * after that is disposed of.
   *
   * @throws {InletError} `lost` if the peer left, or what ended the connection, or what the work threw
   */
  async whilePresent<T>(
    work: (gone: AbortSignal) => T | Promise<T>,
    { probe, endIsLeaving = false, usesChunk = false }: Presence = {},
  ): Promise<T> {
    const gone = new AbortController();
    using _ = new Departure({
      readAhead: () => usesChunk ? new Promise(() => {}) : this.readAhead(),
      touch: () => this.#stream.touch(),
      probe: probe && (() => this.write(probe())),
      endIsLeaving,
      onGone: (error) => {
        this.farewell = undefined;
        this.abort(error);
      },
    });
    const working = (async () => await work(gone.signal))();
    try {
      return await this.unwatched(working);
    } finally {
      if (this.#failure) {
        gone.abort(this.#failure);
        working.then(discard).catch(() => {});
      }
    }
  }

  /**
   * Closes this side's direction. Reading continues.
   *
   * @throws {InletError} `lost` if the peer has disconnected
   */
  async closeWrite(): Promise<void> {
    try {
      await this.#stream.closeWrite();
      this.unfinished = false;
    } catch (error) {
      throw this.#broken(error);
    }
  }

  /**
   * Aborts the connection: pending calls fail with this error. A farewell is sent first, if it can
   * be written within {@linkcode FAREWELL_MS}.
   */
  abort(error: InletError): void {
    if (this.#failure || this.#closed) return;
    this.#failure = error;
    this.#waits.forEach((reject) => reject(error));
    const farewell = this.#sending ? undefined : this.farewell?.(error);
    if (!farewell) return this.#close();
    const timer = setTimeout(() => this.#close(), FAREWELL_MS);
    const saying = this.#stream.write(farewell).then(() => this.#stream.closeWrite());
    saying.catch(() => {}).finally(() => {
      clearTimeout(timer);
      this.#close();
    });
  }

  /**
   * Ends the conversation: sends the farewell, if there is one, closes this side's direction, and
   * waits briefly for the peer to close. A socket that is closed with unread bytes sends a reset,
   * which can discard data that the peer has not read yet.
   */
  async finish(error?: InletError): Promise<void> {
    if (this.#closed) return;
    if (this.unfinished) return this.#close();
    using _ = new AwakeTimer(LINGER_MS, () => this.#close());
    try {
      // An aborted connection has sent its farewell already.
      const farewell = error && !this.#failure && this.farewell?.(error);
      if (farewell) await this.#stream.write(farewell);
      await this.#stream.closeWrite();
      await this.drain();
    } catch {
      // The connection is closed below in any case.
    } finally {
      this.#close();
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchdog.stop();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.abandon();
    if (this.unfinished) this.#stream.reset();
    else this.#stream.close();
  }

  /**
   * Counts transferred bytes of a body.
   *
   * @throws {InletError} `timeout`, after aborting the connection, if the peer is too slow
   */
  #checkRate(meter: MinRateMeter | undefined, bytes: number, asked: number): void {
    const tooSlow = meter?.count(bytes, awakeNow() - asked);
    if (tooSlow !== undefined) this.#isSlow = tooSlow !== null;
    if (!tooSlow || this.patient) return;
    this.abort(tooSlow);
    throw tooSlow;
  }

  /** Whether the peer waits for this side: to consume what it sent, or to send more. */
  #isOwnSilence(): boolean {
    const isIdle = this.#sending && this.#writes === 0 && !this.#watchdog.awaitingReply;
    return this.#waits.size > 0 || isIdle;
  }

  async #pause(bytes: number): Promise<void> {
    await this.#rate?.take(bytes);
    await takeTurns({ waits: true });
  }

  async #read(into: Uint8Array): Promise<number | null> {
    const asked = awakeNow();
    try {
      const read = await this.#stream.read(into.subarray(0, this.#rate?.pieceBytes));
      // While a farewell is under way, the end of the stream is not an orderly end.
      if (this.#failure) throw this.#failure;
      if (read === null && this.#reset) throw this.#reset;
      this.#watchdog.received();
      if (this.#watchdog.hasGreeted) this.begun();
      this.#checkRate(this.#rateIn, read ?? 0, asked);
      return read;
    } catch (error) {
      throw this.#broken(error);
    }
  }

  /** Why a call failed. The system tells of a reset once, and what it says after that is an end. */
  #broken(error: unknown): InletError {
    if (systemCode(error) === "ECONNRESET") this.#reset ??= explain(error);
    return this.#failure ?? explain(error);
  }
}
