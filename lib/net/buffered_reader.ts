/**
 * Splits incoming bytes into lines and bodies. The bytes come from a function, not from a socket.
 *
 * Lines and bodies share one buffer, which grows with the incoming data. A body is a
 * `ReadableStream` of exactly its bytes. Each chunk is a part of the buffer, which is refilled only
 * after the chunk was consumed. So a chunk is valid until the next one is requested, and a body
 * must be consumed or cancelled before the next line is read.
 *
 * @module
 */

import { decodeUtf8, MAX_LINE_BYTES, ProtocolError } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { LATE_MS } from "./awake.ts";
import type { ReadAhead } from "./departure.ts";
import { formatCount } from "../text.ts";
import { ReadBuffer, SMALL_BUFFER_BYTES } from "./read_buffer.ts";

/** Most bytes that {@linkcode BufferedReader.gather} reads ahead. */
const GATHERED_BYTES = 1024 * 1024;

/** Keeps a byte order mark: a line that begins with one is a different line. */
const verbatim = new TextDecoder("utf-8", { ignoreBOM: true });

const LF = 0x0a;
const CR = 0x0d;

/** What comes next: data, a pause, or the end of the stream. */
export type Arrival = "bytes" | "pause" | "end";

/** The source of the bytes. */
export interface ByteSource {
  /** Reads at least one byte into a buffer; `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Called after each read with its number of bytes; the next read waits for it. */
  pause(bytes: number): Promise<void>;
}

/** Reads lines and bodies, one after another. */
export class BufferedReader {
  readonly #buffer = new ReadBuffer();
  /** Bytes that were read, and those that a connection has written, without what encryption adds. */
  readonly traffic = { in: 0, out: 0 };
  readonly #source: ByteSource;
  #reading: Promise<boolean> | undefined;
  #isPausing = false;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Returns the next byte without consuming it, or `null` at the end. */
  async peek(): Promise<number | null> {
    while (this.#buffer.length === 0) {
      if (!await this.#more()) return null;
    }
    return this.#buffer.content[0]!;
  }

  /** Returns the next line with its ending, cut to `most` bytes, without consuming it. */
  async peekLine(most: number): Promise<string> {
    for (;;) {
      const ahead = this.#buffer.content.subarray(0, most);
      const end = ahead.indexOf(LF) + 1;
      if (end > 0 || ahead.length === most || !await this.#more()) {
        return verbatim.decode(ahead.subarray(0, end || most));
      }
    }
  }

  /**
   * Waits for bytes beyond those that are buffered. Returns false at the end.
   *
   * @param most Bytes that the buffer may hold afterwards. Beyond them they come one by one.
   */
  async more(most: number = SMALL_BUFFER_BYTES): Promise<boolean> {
    return await this.#more(most);
  }

  /**
   * Reads at least one byte into memory of the caller: what is buffered, else the next bytes without a
   * detour. Nothing else may read meanwhile.
   *
   * @returns The number of bytes, or `null` at the end.
   */
  async readInto(into: Uint8Array): Promise<number | null> {
    // Of a read that is under way already, the bytes come into the buffer.
    if (this.#reading && this.#buffer.length === 0 && !await this.#reading) return null;
    if (this.#buffer.length > 0) {
      const read = this.#buffer.take(Math.min(this.#buffer.length, into.length));
      into.set(read);
      return read.length;
    }
    const read = await this.#source.read(into);
    if (read === null) return null;
    this.traffic.in += read;
    await this.#source.pause(read);
    return read;
  }

  /** Settles when there is data to read, or the end. It consumes nothing and never rejects. */
  async arrival(): Promise<void> {
    if (this.#buffer.length === 0) await this.#more().catch(() => {});
  }

  /** Settles when no read is under way any more. It never rejects. */
  async settled(): Promise<void> {
    await this.#reading?.catch(() => {});
  }

  /**
   * Consumes the next line if it is buffered and equals `expected`. It never waits: a later call
   * finds a line that arrives later.
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

  /**
   * Whether more data arrives within this time.
   *
   * @param ahead Whether it reads as far ahead as {@linkcode BufferedReader.gather}.
   */
  async moreWithin(milliseconds: number, { ahead = false } = {}): Promise<boolean> {
    return await this.arrivalWithin(milliseconds, { ahead }) === "bytes";
  }

  /**
   * What comes within this time beyond the bytes that are buffered.
   *
   * @param ahead As of {@linkcode BufferedReader.moreWithin}.
   * @param until Ends the wait when it settles, as the time does.
   */
  async arrivalWithin(
    milliseconds: number,
    { ahead = false, until }: { ahead?: boolean; until?: Promise<unknown> | undefined } = {},
  ): Promise<Arrival> {
    const most = ahead ? GATHERED_BYTES : SMALL_BUFFER_BYTES;
    const before = this.traffic.in;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<"pause">((resolve) => {
      const due = performance.now() + milliseconds;
      const giveUp = (): void => {
        // What has come in time, and only waits for its turn, is awaited.
        if (this.traffic.in === before) resolve("pause");
      };
      timer = setTimeout(() => {
        // A timer can fire before what has arrived is read, above all after a stall of this process.
        const isLate = performance.now() - due > LATE_MS;
        timer = setTimeout(giveUp, isLate ? LATE_MS : 0);
      }, milliseconds);
    });
    try {
      // Who waits no longer may hold bytes that another read would overwrite.
      const more = this.#more(most, () => !isOver);
      const others = until ? [timeout, until.then(() => "pause" as const)] : [timeout];
      return await Promise.race([more.then((isMore) => isMore ? "bytes" : "end"), ...others]);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** Whether bytes have come that whoever waits for them is about to be given, after a pause. */
  get isPausing(): boolean {
    return this.#isPausing;
  }

  /** The buffered bytes, not consumed. */
  get buffered(): Uint8Array {
    return this.#buffer.content;
  }

  /** Consumes `bytes` buffered bytes, which stay valid until the next read. */
  skip(bytes: number): void {
    this.#buffer.take(bytes);
  }

  /**
   * Waits until at least `bytes` bytes are buffered.
   *
   * @returns `false` if the stream ended before, or the buffer pool has no memory to lend.
   */
  async gather(bytes: number): Promise<boolean> {
    while (this.#buffer.length < bytes) {
      if (!await this.#more(GATHERED_BYTES)) return false;
    }
    return true;
  }

  /** Consumes and returns all buffered bytes. */
  takeBuffered(): Uint8Array {
    return this.#buffer.take(this.#buffer.length);
  }

  /**
   * Reads the next line, without its LF or CR LF, or `null` at the end of the stream.
   *
   * @throws {ProtocolError} if the line is longer than {@linkcode MAX_LINE_BYTES} or not UTF-8
   * @throws {InletError} `lost` if the stream ends within the line
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
   * Reads exactly `size` bytes, valid until the next read.
   *
   * @param size At most {@linkcode SMALL_BUFFER_BYTES}.
   * @throws {InletError} `lost` if the stream ends before
   */
  async readExactly(size: number): Promise<Uint8Array> {
    while (this.#buffer.length < size) {
      if (!await this.#more()) throw new InletError("lost", "The connection ended within a header");
    }
    return this.#buffer.take(size);
  }

  /**
   * Returns the next `size` bytes as a stream; without a size, all bytes until the peer closes.
   *
   * The stream fails with {@linkcode InletError} `lost` if the connection ends early.
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
   * Reads the next bytes of a body, as many as are available.
   *
   * @param left Bytes of the body that are still to come.
   *
   * @throws {InletError} `lost` if the stream ends before
   */
  async piece(left: number): Promise<Uint8Array> {
    const chunk = await this.#chunk(left, true);
    if (chunk) return chunk;
    throw new InletError(
      "lost",
      `The connection ended ${formatCount(left)} bytes before the end of the body`,
    );
  }

  /** Reads into the buffer beside other work, as far as a connection without a loan has room. */
  protected async readAhead(): Promise<ReadAhead> {
    if (this.#buffer.length >= SMALL_BUFFER_BYTES) return "full";
    return await this.#more() ? "bytes" : "end";
  }

  /** Releases memory while the connection is idle. */
  shrink(): void {
    if (!this.#reading && this.#buffer.length === 0) this.#buffer.rest();
  }

  /** Discards all data until the end. */
  protected async drain(): Promise<void> {
    do this.#buffer.clear(); while (await this.#more());
  }

  /** Abandons the buffer without reusing its memory: a consumer may still hold a chunk of it. */
  protected abandon(): void {
    this.#buffer.abandon();
  }

  /**
   * Returns at most `most` bytes: those buffered, else those of one read. `null` at the end.
   *
   * @param joined Whether a few buffered bytes wait for more of a large body, so that a small write
   * does not precede a large one. Off for streams whose consumer may watch each piece arrive.
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
   * Waits until data arrives after this call. One read is under way at a time: if an earlier caller
   * stopped waiting, the next one waits for the same read. A read that has its bytes and is only
   * pausing does not count.
   *
   * @param most Bytes that the buffer may hold afterwards.
   * @param mayRead Whether a further read may begin.
   */
  async #more(most = SMALL_BUFFER_BYTES, mayRead = () => true): Promise<boolean> {
    const before = this.traffic.in;
    do {
      this.#reading ??= this.#readMore(most).finally(() => this.#reading = undefined);
      if (!await this.#reading) return false;
    } while (this.traffic.in === before && mayRead());
    return true;
  }

  async #readMore(most: number): Promise<boolean> {
    const room = this.#buffer.room(most);
    const read = room.length > 0 ? await this.#source.read(room) : null;
    if (read === null) return false;
    this.#buffer.filled(read);
    this.traffic.in += read;
    this.#isPausing = true;
    await this.#source.pause(read).finally(() => this.#isPausing = false);
    return true;
  }
}
