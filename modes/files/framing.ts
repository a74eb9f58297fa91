/**
 * Bodies of the native wire: how one is framed, received and verified, and how a get is stopped.
 *
 * @module
 */

import {
  type BodyLine,
  decodeBodyLine,
  encodeBodyLine,
  encodeLine,
  formatCrc,
  ProtocolError,
  STOP,
} from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { changed, type OpenBody, type Source } from "../../lib/body/sources.ts";
import { Tally } from "../../lib/body/streams.ts";
import { quoted } from "../../lib/text.ts";

/**
 * Frames a body as chunks. Cancelling it does not wait for the next chunk, which a pipe that has
 * stalled never gives: an async generator would.
 *
 * @param options.isOver Asked before each chunk: whether to leave it at that.
 * @param options.onFailure Told why the source failed. The chunks end then; without it they fail.
 * @param options.tally Counts what is framed.
 */
export function chunked(
  stream: ReadableStream<Uint8Array>,
  { isOver, onFailure, tally }: {
    isOver(): boolean;
    onFailure?(error: unknown): void;
    tally?: Tally | undefined;
  },
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let framed: Uint8Array | undefined;
  const readNext = async (): Promise<Uint8Array | undefined> => {
    try {
      return (await reader.read()).value;
    } catch (error) {
      if (!onFailure) throw error;
      return void onFailure(error);
    }
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      if (framed) {
        controller.enqueue(framed);
        framed = undefined;
        return;
      }
      const value = await readNext();
      const over = value !== undefined && isOver();
      if (over) await reader.cancel();
      if (!value || over) return controller.close();
      tally?.add(value);
      framed = value;
      controller.enqueue(encodeBodyLine({ type: "data", size: value.length }));
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/** The line that ends a body: its checksum and the time of the file, or why it broke off. */
export function trailerOf(
  tally: Tally,
  abort: string | undefined,
  modified?: Date,
): Uint8Array {
  if (abort !== undefined) return encodeBodyLine({ type: "abort", text: abort });
  return encodeBodyLine({ type: "end", crc: tally.crc, ...(modified && { modified }) });
}

/**
 * Sends a body and its trailer.
 *
 * @param size `null` sends it in chunks, as a body must be that can be broken off.
 * @param refused Stops at once, because the other side said no.
 * @param cancelled Breaks off, with the conversation still in step.
 * @returns What was sent, and what made this side break it off.
 */
export async function sendBody(
  connection: Connection,
  source: Source,
  body: OpenBody,
  size: number | null,
  refused: AbortSignal,
  cancelled?: AbortSignal,
): Promise<{ sent: Tally; failure: InletError | undefined }> {
  const tally = "tally" in body ? body.tally : new Tally();
  const count = "tally" in body ? undefined : tally;
  const stream = size === null
    ? chunked(body.stream, { isOver: () => cancelled?.aborted ?? false, tally: count })
    : body.stream;
  await connection.send(stream, refused);
  let failure: InletError | undefined;
  if (cancelled?.aborted) failure = explain(cancelled.reason);
  else if ("changed" in body && body.changed()) failure = changed(source);
  await connection.write(trailerOf(tally, failure?.message, source.modified));
  return { sent: tally, failure };
}

/** Hands over the bytes of a body as they come, and returns the line that ended it. */
export async function receiveBody(
  connection: Connection,
  size: number | null,
  write: (chunk: Uint8Array) => void | Promise<void>,
): Promise<BodyLine> {
  if (size === null) return await receiveChunks(connection, write);
  await connection.body(size).pipeTo(new WritableStream({ write }));
  const trailer = await readBodyLine(connection);
  if (trailer.type === "data") throw new ProtocolError("a body of known size has no chunks");
  return trailer;
}

/** Without a stream: to make and to pipe one costs more than all the rest of a small file does. */
async function receiveChunks(
  connection: Connection,
  write: (chunk: Uint8Array) => void | Promise<void>,
): Promise<BodyLine> {
  for (let left = 0;;) {
    if (left === 0) {
      const line = await readBodyLine(connection);
      if (line.type !== "data") return line;
      left = line.size;
    }
    const piece = await connection.piece(left);
    left -= piece.length;
    await write(piece);
  }
}

async function readBodyLine(connection: Connection): Promise<BodyLine> {
  const line = await connection.readLine();
  if (line === null) throw new InletError("lost", "The connection ended before its body did");
  return decodeBodyLine(line);
}

/** What was got is what was sent, or the reason why not. */
export function checkTrailer(name: string, size: number, tally: Tally, trailer: BodyLine): void {
  const what = `Cannot get ${quoted(name)}`;
  if (trailer.type === "abort") throw new InletError("changed", `${what}: ${trailer.text}`);
  if (tally.bytes !== size) {
    throw new InletError("checksum", `${what}: ${tally.bytes} bytes came instead of ${size}`);
  }
  checkCrc(what, tally, trailer);
}

/**
 * Compares the checksums of what arrived and of what was sent.
 *
 * @throws {InletError} `checksum`
 */
export function checkCrc(what: string, tally: Tally, trailer: BodyLine): void {
  if (trailer.type === "end" && trailer.crc !== tally.crc) {
    throw new InletError(
      "checksum",
      `${what}: it arrived with CRC-32 ${formatCrc(tally.crc)}, ` +
        `it was sent with ${formatCrc(trailer.crc)}`,
    );
  }
}

/** Asks the server to stop the body of a get: when its signal says so, or when this side fails. */
export class Stop {
  /** Why it was asked. */
  reason: InletError | undefined;
  readonly #connection: Connection | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.because(this.#signal?.reason);

  /** @param connection Missing where the body cannot be stopped any more, and is read past. */
  constructor(connection: Connection | undefined, signal: AbortSignal | undefined) {
    this.#connection = connection;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  because(error: unknown): void {
    if (this.reason) return;
    this.reason = explain(error);
    // Where this cannot be written the body ends by itself, with what happened to the connection.
    this.#connection?.write(encodeLine(STOP)).catch(() => {});
  }

  /** Does something with what came. A full disk on this side is no reason to lose step either. */
  async guard(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.because(error);
    }
  }

  release(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
