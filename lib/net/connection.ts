/**
 * One TCP connection, read as lines and as bodies. This file alone reads sockets.
 *
 * A connection has one buffer, for lines and for bodies, that grows with what comes. A body is a
 * `ReadableStream` of exactly its bytes, each chunk a part of that buffer, which is filled again only
 * after the chunk was consumed. So a chunk is valid until the next one is asked for, and a body has
 * to be consumed or cancelled before the next line is read.
 *
 * One watchdog per connection cuts it when nothing has moved for too long, unless the silence is this
 * side's own: a standard input that says nothing yet, a standard output that nobody reads. It cuts
 * one that has not begun in time, too, however steadily the bytes of its greeting drip.
 *
 * @module
 */

import { decodeUtf8, MAX_LINE_BYTES, ProtocolError } from "../../protocol.ts";
import { formatAddress } from "../address.ts";
import { explain, InletError } from "../errors.ts";
import { type MinRate, MinRateMeter } from "./min_rate.ts";
import type { RateLimit } from "./rate_limit.ts";
import { ReadBuffer, SMALL_BUFFER_BYTES } from "./read_buffer.ts";
import { nextTurn } from "../body/streams.ts";
import { formatSeconds } from "../text.ts";

/**
 * Milliseconds that connections move bytes before everything else gets its turn. What is there already,
 * and what the system takes at once, moves without the event loop: neither a timer nor a connection
 * that has waited would ever go on.
 */
const TURN_MS = 5;

/** When everything else had its last turn. */
let lastTurn = 0;

/** Most bytes that are buffered ahead where small things follow each other. */
const GATHERED_BYTES = 256 * 1024;

/** How long a farewell may take to leave, in milliseconds. */
const FAREWELL_MS = 250;

/** How long the other side may take to close after the end, in milliseconds. */
const LINGER_MS = 1000;

/** Takes no byte order mark off: a line that begins with one is another line. */
const verbatim = new TextDecoder("utf-8", { ignoreBOM: true });

const LF = 0x0a;
const CR = 0x0d;

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

/** A TCP connection. Dispose of it to close it. */
export class Connection implements Disposable {
  /** The other side, as `HOST:PORT`. */
  readonly remote: string;
  /** Last words for the other side when this one gives up, where the wire has such words. */
  farewell: ((error: InletError) => Uint8Array) | undefined;
  /** Whether it is between two transfers, so that nothing is lost by cutting it. */
  resting = false;
  readonly #conn: Deno.TcpConn;
  readonly #signal: AbortSignal | undefined;
  readonly #rate: RateLimit | undefined;
  readonly #onAbort = (): void => this.abort(explain(this.#signal?.reason));
  readonly #minRate: MinRate | undefined;
  readonly #buffer = new ReadBuffer();
  #idleTimeoutMs: number;
  #greetingTimeoutMs: number;
  #onBegun: (() => void) | undefined;
  #rateIn: MinRateMeter | undefined;
  #rateOut: MinRateMeter | undefined;
  #reading: Promise<boolean> | undefined;
  #received = 0;
  #unsent = 0;
  #sending = false;
  #writes = 0;
  #awaitingReply = false;
  readonly #waits = new Set<(error: InletError) => void>();
  readonly #opened = performance.now();
  #lastMove = this.#opened;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #failure: InletError | undefined;
  #closed = false;

  constructor(conn: Deno.TcpConn, options: ConnectionOptions) {
    this.#conn = conn;
    sendAtOnce(conn);
    this.remote = formatAddress(conn.remoteAddr);
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#greetingTimeoutMs = options.greetingTimeoutMs ?? Infinity;
    this.#onBegun = options.onBegun;
    this.#minRate = options.minRate;
    this.#rate = options.rate;
    this.#watch();
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#onAbort);
  }

  /** Bytes that are being written, and have not left yet. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Whether the other side owes an answer. Then its silence counts, whatever this side sends. */
  set awaitingReply(awaiting: boolean) {
    if (awaiting && !this.#awaitingReply) this.#lastMove = performance.now();
    this.#awaitingReply = awaiting;
  }

  /** Notes that the other side has begun: its greeting is complete. */
  begun(): void {
    this.#greetingTimeoutMs = Infinity;
    this.#onBegun?.();
    this.#onBegun = undefined;
  }

  /** Holds the other side to the floor on speed while it sends a body, until this is disposed of. */
  enforceMinRate(): Disposable {
    this.#rateIn = this.#minRate && new MinRateMeter(this.#minRate);
    return { [Symbol.dispose]: () => this.#rateIn = undefined };
  }

  /** The next byte, left where it is, or `null` at the end. */
  async peek(): Promise<number | null> {
    while (this.#buffer.length === 0) {
      if (!await this.#more()) return null;
    }
    return this.#buffer.content[0]!;
  }

  /** The next line with its ending, or what comes of it within so many bytes: left where it is. */
  async peekLine(most: number): Promise<string> {
    for (;;) {
      const ahead = this.#buffer.content.subarray(0, most);
      const end = ahead.indexOf(LF) + 1;
      if (end > 0 || ahead.length === most || !await this.#more()) {
        return verbatim.decode(ahead.subarray(0, end || most));
      }
    }
  }

  /** Settles when there is something to read, or the end. It takes nothing, and never fails. */
  async arrival(): Promise<void> {
    if (this.#buffer.length === 0) await this.#more().catch(() => {});
  }

  /** Waits for the other side to begin something, for longer than silence is allowed elsewhere. */
  async rest({ limitMs, warnAfterMs, warning }: Rest): Promise<void> {
    if (this.#buffer.length > 0) return;
    if (!this.#reading) this.#buffer.rest();
    const usualMs = this.#idleTimeoutMs;
    this.#allowSilence(limitMs);
    // Our own warning is no sign of life of the other side, so it does not count as a move.
    const warn = (): void => void this.#conn.write(warning).catch(() => {});
    const timer = setTimeout(warn, warnAfterMs);
    try {
      await this.arrival();
    } finally {
      clearTimeout(timer);
      this.#allowSilence(usualMs);
    }
  }

  /**
   * Takes the next line if it is this one and is there already. It never waits: a line that comes
   * later is found by a later call.
   */
  takeLine(expected: string): boolean {
    const { content } = this.#buffer;
    const end = content.indexOf(LF);
    if (end < 0) {
      if (!this.#reading && content.length < MAX_LINE_BYTES) this.#more().catch(() => {});
      return false;
    }
    const line = content.subarray(0, content[end - 1] === CR ? end - 1 : end);
    if (verbatim.decode(line) !== expected) return false;
    this.#buffer.take(end + 1);
    return true;
  }

  /** Whether more than what is buffered arrives within so many milliseconds. */
  async moreWithin(milliseconds: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), milliseconds);
    });
    try {
      return await Promise.race([this.#more(), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What is buffered now, left where it is. */
  get buffered(): Uint8Array {
    return this.#buffer.content;
  }

  /** Takes so many bytes of what is buffered, which stay valid until the next read. */
  skip(bytes: number): void {
    this.#buffer.take(bytes);
  }

  /**
   * Waits until so many bytes are buffered, with whatever else is on its way.
   *
   * @returns `false` if that cannot be: the stream ended before, or there is no memory to lend.
   */
  async gather(bytes: number): Promise<boolean> {
    while (this.#buffer.length < bytes) {
      if (!await this.#more(GATHERED_BYTES)) return false;
    }
    return true;
  }

  /** Everything that is buffered now, taken out of the buffer. */
  takeBuffered(): Uint8Array {
    return this.#buffer.take(this.#buffer.length);
  }

  /**
   * The next line without its LF or CR LF, or `null` at the end of the stream.
   *
   * @throws {ProtocolError} if it is longer than {@linkcode MAX_LINE_BYTES} or not UTF-8
   * @throws {InletError} `lost` if the stream ends within it
   */
  async readLine(): Promise<string | null> {
    let searched = 0;
    for (;;) {
      const end = this.#buffer.indexOf(LF, searched);
      if (end >= 0 && end < MAX_LINE_BYTES) {
        const line = this.#buffer.take(end + 1);
        return decodeUtf8(line.subarray(0, line.at(-2) === CR ? -2 : -1));
      }
      searched = this.#buffer.length;
      if (searched >= MAX_LINE_BYTES) {
        throw new ProtocolError(`the line is longer than ${MAX_LINE_BYTES} bytes`);
      }
      if (!await this.#more()) {
        if (searched === 0) return null;
        throw new InletError("lost", "The connection ended within a line");
      }
    }
  }

  /**
   * Exactly `size` bytes, valid until the next read.
   *
   * @param size At most the size of the small buffer.
   * @throws {InletError} `lost` if the stream ends before
   */
  async readExactly(size: number): Promise<Uint8Array> {
    while (this.#buffer.length < size) {
      if (!await this.#more()) throw new InletError("lost", "The connection ended within a header");
    }
    return this.#buffer.take(size);
  }

  /**
   * The next `size` bytes as a stream; without a size, all bytes until the other side closes.
   *
   * The stream fails with {@linkcode InletError} `lost` if the connection ends before its size.
   */
  body(size?: number): ReadableStream<Uint8Array> {
    let left = size ?? Infinity;
    return new ReadableStream<Uint8Array>({
      pull: async (controller): Promise<void> => {
        if (left === 0) return controller.close();
        const chunk = size === undefined ? await this.#chunk(left, false) : await this.piece(left);
        if (!chunk) return controller.close();
        left -= chunk.length;
        controller.enqueue(chunk);
      },
    }, { highWaterMark: 0 });
  }

  /**
   * The next bytes of a body of which so many are to come: as many of them as come together.
   *
   * @throws {InletError} `lost` if the stream ends before
   */
  async piece(left: number): Promise<Uint8Array> {
    const chunk = await this.#chunk(left, true);
    if (chunk) return chunk;
    throw new InletError("lost", `The connection ended ${left} bytes before the end of the body`);
  }

  /** Writes all bytes, however many writes that takes. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#writes++;
    try {
      this.#moved();
      this.#unsent += bytes.length;
      for (let written = 0; written < bytes.length;) {
        const end = this.#rate ? written + this.#rate.pieceBytes : undefined;
        const asked = performance.now();
        const wrote = await this.#conn.write(bytes.subarray(written, end));
        written += wrote;
        this.#unsent -= wrote;
        this.#moved();
        this.#checkRate(this.#rateOut, wrote, asked);
        await this.#rate?.take(wrote);
        await takeTurns();
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
      this.#lastMove = performance.now();
    }
  }

  /**
   * Tells the other side that no more comes. Reading goes on.
   *
   * @throws {InletError} `lost` if the other side is known to be gone
   */
  async closeWrite(): Promise<void> {
    try {
      // `closeWrite` succeeds on a connection that was reset; a write fails there, even an empty one.
      await this.#conn.write(new Uint8Array(0));
      await this.#conn.closeWrite();
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
    this.#conn.write(farewell).catch(() => {}).finally(() => {
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
    const timer = setTimeout(() => this.#close(), LINGER_MS);
    try {
      // Whoever was aborted has had its last words.
      const farewell = error && !this.#failure && this.farewell?.(error);
      if (farewell) await this.#conn.write(farewell);
      await this.#conn.closeWrite();
      do this.#buffer.clear(); while (await this.#more());
    } catch {
      // Whatever ends the wait is good enough: nothing more is owed.
    } finally {
      clearTimeout(timer);
      this.#close();
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#watchdog);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    // Whoever was handed a chunk of it may still be busy with that.
    this.#buffer.abandon();
    this.#conn.close();
  }

  /** Counts silence anew, against this limit. */
  #allowSilence(limitMs: number): void {
    clearTimeout(this.#watchdog);
    this.#idleTimeoutMs = limitMs;
    this.#lastMove = performance.now();
    if (!this.#closed) this.#watch();
  }

  /** The timer is set again for what is left of the nearest limit, not on every read. */
  #watch(): void {
    const now = performance.now();
    if (this.#silentItself()) this.#lastMove = now;
    const silentBy = this.#lastMove + this.#idleTimeoutMs;
    const greetBy = this.#opened + this.#greetingTimeoutMs;
    if (now < silentBy && now < greetBy) {
      this.#watchdog = setTimeout(() => this.#watch(), Math.min(silentBy, greetBy) - now + 1);
    } else if (now < silentBy) {
      const seconds = formatSeconds(this.#greetingTimeoutMs);
      this.abort(new InletError("timeout", `No whole greeting came within ${seconds} s`));
    } else {
      const what = this.#awaitingReply ? "No answer came" : "Nothing moved on the connection";
      const seconds = formatSeconds(this.#idleTimeoutMs);
      this.abort(new InletError("timeout", `${what} for ${seconds} s`));
    }
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
  #silentItself(): boolean {
    return this.#waits.size > 0 || (this.#sending && this.#writes === 0 && !this.#awaitingReply);
  }

  /** Notes that the other side took something. Where it owes an answer, that is not enough. */
  #moved(): void {
    if (!this.#awaitingReply) this.#lastMove = performance.now();
  }

  /**
   * At most `most` bytes: those buffered, else those of one read. `null` at the end.
   *
   * @param joined Whether a little that is buffered waits for more of a large body, so that a large
   * write does not follow a small one. Not where somebody may look at each piece as it comes.
   */
  async #chunk(most: number, joined: boolean): Promise<Uint8Array | null> {
    const buffer = this.#buffer;
    const waits = joined && most > SMALL_BUFFER_BYTES && !this.#reading &&
      buffer.length <= SMALL_BUFFER_BYTES;
    if ((buffer.length === 0 || waits) && !await this.#more(most) && buffer.length === 0) {
      return null;
    }
    return buffer.take(Math.min(buffer.length, most));
  }

  /**
   * Reads more into the buffer than what was received before this call. There is one read at a time:
   * one whose wait was given up is still under way, and the next caller waits for that one. One that
   * has its bytes already, and pauses, does not count.
   *
   * @param most Bytes that may be there then.
   */
  async #more(most = SMALL_BUFFER_BYTES): Promise<boolean> {
    const before = this.#received;
    do {
      this.#reading ??= this.#readMore(most).finally(() => this.#reading = undefined);
      if (!await this.#reading) return false;
    } while (this.#received === before);
    return true;
  }

  async #readMore(most: number): Promise<boolean> {
    const room = this.#buffer.room(most).subarray(0, this.#rate?.pieceBytes);
    const read = room.length > 0 ? await this.#read(room) : null;
    if (read === null) return false;
    this.#buffer.filled(read);
    this.#received += read;
    await this.#rate?.take(read);
    await takeTurns();
    return true;
  }

  async #read(into: Uint8Array): Promise<number | null> {
    const asked = performance.now();
    try {
      const read = await this.#conn.read(into);
      // A farewell under way must not be taken for an orderly end.
      if (this.#failure) throw this.#failure;
      this.#lastMove = performance.now();
      if (this.#greetingTimeoutMs === Infinity) this.begun();
      this.#checkRate(this.#rateIn, read ?? 0, asked);
      return read;
    } catch (error) {
      throw this.#failure ?? explain(error);
    }
  }
}

/** Lets everything else have its turn, when it is due. */
async function takeTurns(): Promise<void> {
  if (performance.now() - lastTurn < TURN_MS) return;
  await nextTurn();
  lastTurn = performance.now();
}

/** Lines are short, and each is waited for: holding one back to fill a segment costs 40 ms. */
function sendAtOnce(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay();
  } catch {
    // A connection that is gone already says so when it is read.
  }
}
