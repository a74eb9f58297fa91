/**
 * Reads what comes as lines and as bodies. It is handed bytes by one function, and sees no socket.
 *
 * There is one buffer, for lines and for bodies, that grows with what comes. A body is a
 * `ReadableStream` of exactly its bytes, each chunk a part of that buffer, which is filled again only
 * after the chunk was consumed. So a chunk is valid until the next one is asked for, and a body has
 * to be consumed or cancelled before the next line is read.
 *
 * @module
 */

import { decodeUtf8, MAX_LINE_BYTES, ProtocolError } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { ReadBuffer, SMALL_BUFFER_BYTES } from "./read_buffer.ts";

/** Most bytes that are buffered ahead where small things follow each other. */
const GATHERED_BYTES = 256 * 1024;

/** Takes no byte order mark off: a line that begins with one is another line. */
const verbatim = new TextDecoder("utf-8", { ignoreBOM: true });

const LF = 0x0a;
const CR = 0x0d;

/** Where the bytes come from. */
export interface ByteSource {
  /** Reads at least one byte into a buffer; `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Called once so many bytes are in the buffer, for a pause before more is read. */
  pause(bytes: number): Promise<void>;
}

/** Lines and bodies, one after the other. */
export class BufferedReader {
  readonly #buffer = new ReadBuffer();
  readonly #source: ByteSource;
  #reading: Promise<boolean> | undefined;
  #received = 0;

  constructor(source: ByteSource) {
    this.#source = source;
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

  /** Gives memory back while nothing is expected. */
  protected shrink(): void {
    if (!this.#reading && this.#buffer.length === 0) this.#buffer.rest();
  }

  /** Waits for a read that is under way, and takes out everything that is buffered, as a copy. */
  protected async settle(): Promise<Uint8Array> {
    await this.#reading?.catch(() => {});
    return this.takeBuffered().slice();
  }

  /** Drops everything that comes, until the end. */
  protected async drain(): Promise<void> {
    do this.#buffer.clear(); while (await this.#more());
  }

  /** Gives up the buffer. Whoever was handed a chunk of it may still be busy with that. */
  protected abandon(): void {
    this.#buffer.abandon();
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
    const room = this.#buffer.room(most);
    const read = room.length > 0 ? await this.#source.read(room) : null;
    if (read === null) return false;
    this.#buffer.filled(read);
    this.#received += read;
    await this.#source.pause(read);
    return true;
  }
}
