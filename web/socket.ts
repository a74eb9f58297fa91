/**
 * A connection of ours as `node:http` wants to have one: a Duplex.
 *
 * The connection stays the owner of the stream below, so that its limits on silence and rate, its
 * last words and its orderly end hold for HTTP too; nothing else reads it while this does. What is
 * read is memory of the connection's, which the next read overwrites: so that read waits until the
 * parser, which copies bodies, has taken all of the last one. Requests of one connection are answered
 * one after another, whatever `node:http` has parsed ahead.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { explain, InletError } from "../lib/errors.ts";
import { awakeNow, AwakeTimer } from "../lib/net/awake.ts";
import type { Connection } from "../lib/net/connection.ts";
import type { ServerContext } from "../lib/server/context.ts";

/**
 * Most bytes that are parsed at once where requests can be in them. All of them are parsed before the
 * first is answered.
 */
const PARSED_BYTES = 16 * 1024;

/** The same within a body. The parser copies it: larger copies get new pages of memory each time. */
const PARSED_BODY_BYTES = 64 * 1024;

/** Bytes up to which pieces of a response are joined to be written at once. */
const JOINED_BYTES = 16 * 1024;

const NOTHING = new Uint8Array(0);

/** Requests that wait for their turn beyond which nothing is read. */
const MOST_WAITING = 16;

/** A connection as a stream of node's. */
export class HttpSocket extends Duplex {
  readonly connection: Connection;
  readonly context: ServerContext;
  /** Settles once the stream is destroyed. */
  readonly gone: Promise<void>;
  /** Why no request and no rest of a body can follow. */
  broken: InletError | undefined;
  /** Called at that moment. */
  onBroken: ((error: InletError) => void) | undefined;
  /** Called when the client takes too long over the head of a request, with its limit. */
  onLateHead: ((limitMs: number) => void) | undefined;
  /** The response that is being made. */
  response: ServerResponse | undefined;
  /**
   * Makes what ends that response in order, if it can end at any time: one that tells what happens, and
   * is no transfer.
   */
  ending: (() => Uint8Array) | undefined;
  /** The scheme of the present request's address, as its client has it. */
  scheme: "http" | "https" = "http";
  /** How many requests have come, the present one included. */
  requests = 0;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #isWanted = false;
  #reading: Promise<void> | undefined;
  #isOver = false;
  #isPast = false;
  #successor: HttpSocket | undefined;
  /** Milliseconds that the client has left to send the rest of a head. */
  #headLeftMs: number | undefined;
  /** What was read and is not parsed. */
  #rest: Uint8Array = NOTHING;
  /** Reads larger pieces, within a body. */
  #body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Bytes that can still come of it; `undefined` if that is not known. */
  #bodyLeft: number | undefined = 0;

  constructor(connection: Connection, context: ServerContext) {
    // One byte that waits is enough to read no further.
    super({ readableHighWaterMark: 1, allowHalfOpen: true });
    this.connection = connection;
    this.context = context;
    this.gone = new Promise((resolve) => this.once("close", resolve));
    // node:http takes its own listener away at CONNECT, and a reset after that would end the process.
    this.on("error", () => {});
    // The parser does not say so.
    this.once("end", () => this.breakOff(new InletError("lost", "The client left in the body")));
    // Behind the last response there is nothing to wait for: the connection closes in order by itself.
    this.once("finish", () => this.destroy());
  }

  /** Whether a request is being answered, or waits for its turn. */
  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  /** Settles when every request that has come is answered. */
  get idle(): Promise<void> {
    return this.#turn;
  }

  /** Runs what belongs behind the requests before it. It must not reject. */
  inTurn(work: () => Promise<void>): void {
    this.#waiting++;
    this.#turn = this.#turn.then(async () => {
      // Behind the last response nothing is done, though it was parsed.
      if (!this.destroyed && !this.writableEnded) await work();
      this.#waiting--;
      this.#pump();
    });
  }

  /** Records that the parser has the first byte of a head. */
  headBegan(): void {
    this.#headLeftMs = this.context.greetingTimeoutMs;
  }

  /** Records that it has all of it. */
  headEnded(): void {
    this.#headLeftMs = undefined;
  }

  /**
   * Reads larger pieces, for a body.
   *
   * @param size Bytes of the body; `null` if that is not known.
   * @returns Ends that.
   */
  expectBody(size: number | null): Disposable {
    this.#bodyLeft = size ?? undefined;
    this.#body = this.connection.body().getReader();
    return {
      [Symbol.dispose]: () => {
        this.#bodyLeft = 0;
        this.#body = undefined;
      },
    };
  }

  /** Whether a body was taken past the parser, which then cannot go on behind it. */
  get isPast(): boolean {
    return this.#isPast;
  }

  /** The stream for the requests behind such a body. */
  get successor(): HttpSocket | undefined {
    return this.#successor;
  }

  /**
   * Takes the rest of a body past the parser, which copies all that it is given. What it was given
   * before comes first, and from the request.
   *
   * @returns Reads the next bytes, at most so many. They are valid until the next call.
   */
  takePast(): (most: number) => Promise<Uint8Array> {
    this.#isPast = true;
    return async (most) => {
      await this.#reading;
      if (this.#rest.length === 0) return await this.connection.piece(most);
      const piece = this.#rest.subarray(0, most);
      this.#rest = this.#rest.subarray(piece.length);
      return piece;
    };
  }

  /** Ends this stream, but not the connection, which its successor goes on with. */
  handOver(): void {
    const next = new HttpSocket(this.connection, this.context);
    next.requests = this.requests;
    this.#successor = next;
    this.destroy();
  }

  /** Reads nothing any more: what follows is no HTTP, or there is nothing. */
  breakOff(error: InletError): void {
    this.#isOver = true;
    this.broken ??= error;
    this.onBroken?.(error);
  }

  /** Ends this side behind what was written, and then the connection. */
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end();
  }

  // What follows is asked of a socket by node:http. The timeouts are the connection's own.
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {
    this.#isWanted = true;
    this.#pump();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.connection.write(chunk).then(() => done(), done);
  }

  override _writev(
    pieces: { chunk: Buffer | string; encoding: BufferEncoding }[],
    done: (error?: Error) => void,
  ): void {
    this.#writeAll(pieces.map(({ chunk, encoding }) => toBytes(chunk, encoding)))
      .then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#isOver = true;
    done(error);
  }

  async #writeAll(pieces: readonly Uint8Array[]): Promise<void> {
    let joined: Uint8Array[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      if (joined.length > 0) await this.connection.write(Buffer.concat(joined));
      joined = [];
      bytes = 0;
    };
    for (const piece of pieces) {
      if (bytes + piece.length > JOINED_BYTES) await flush();
      if (piece.length > JOINED_BYTES) await this.connection.write(piece);
      else bytes += joined.push(piece) && piece.length;
    }
    await flush();
  }

  /** Gives the parser what it wants, or reads it. Later: `_read` comes before the last piece is out. */
  #pump(): void {
    queueMicrotask(() => {
      if (!this.#isWanted || this.#reading || this.#isOver || this.readableLength > 0) return;
      if (this.#isPast || this.#waiting >= MOST_WAITING) return;
      if (this.#rest.length > 0) return this.#parse();
      this.#reading = this.#waitFor(this.#read()).then((chunk) => {
        this.#reading = undefined;
        if (this.destroyed) return;
        if (!chunk) return void this.push(null);
        this.#rest = chunk;
        this.#pump();
      }, (error) => {
        this.#reading = undefined;
        this.destroy(explain(error));
      });
    });
  }

  #parse(): void {
    const left = this.#bodyLeft;
    const most = Math.min(Math.max(left ?? PARSED_BODY_BYTES, PARSED_BYTES), PARSED_BODY_BYTES);
    const piece = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(piece.length);
    if (left !== undefined) this.#bodyLeft = Math.max(left - piece.length, 0);
    this.#isWanted = false;
    this.push(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
    this.#pump();
  }

  /** Waits for the client. Time in which it is not read is not its own, and no part of its limit. */
  async #waitFor<T>(reading: Promise<T>): Promise<T> {
    const left = this.#headLeftMs;
    if (left === undefined) return await reading;
    const began = awakeNow();
    using _ = new AwakeTimer(left, () => this.#headIsLate());
    const read = await reading;
    this.#headLeftMs = left - (awakeNow() - began);
    // The timer looks twice, which a client that sends a byte now and then would always prevent.
    if (this.#headLeftMs <= 0) this.#headIsLate();
    return read;
  }

  #headIsLate(): void {
    if (!this.#isOver) this.onLateHead?.(this.context.greetingTimeoutMs);
  }

  async #read(): Promise<Uint8Array | null> {
    const { connection } = this;
    if (this.#body) return (await this.#body.read()).value ?? null;
    if (this.#waiting === 0) connection.shrink();
    if (connection.buffered.length === 0 && !await connection.more()) return null;
    return connection.takeBuffered();
  }
}

function toBytes(chunk: Buffer | string, encoding: BufferEncoding): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
}
