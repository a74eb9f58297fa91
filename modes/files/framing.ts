/**
 * Bodies of the native protocol: framing, receiving, verification, and stopping a download.
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
  trailerFacts,
} from "../../protocol.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { explain, InletError } from "../../lib/errors.ts";
import {
  failureOf,
  type GrowthOptions,
  type OpenBody,
  type Source,
} from "../../lib/body/sources.ts";
import { Tally, untilAborted } from "../../lib/body/streams.ts";
import type { Facts } from "../../lib/body/file_facts.ts";

/** Maximum size of a push, in bytes. Sending it in vain costs less than asking first. */
export const MAX_PUSHED_BYTES = 64 * 1024;

/**
 * Frames a body as chunks. Cancelling does not wait for the next chunk, as an async generator
 * would: a stalled pipe may never deliver one.
 *
 * @param options.isOver Called before each chunk. If it returns true, the body ends there.
 * @param options.onFailure Called with the error if the source fails; the body then ends. Without
 * it, the returned stream fails.
 * @param options.tally Counts the framed bytes.
 */
export function chunked(
  stream: ReadableStream<Uint8Array>,
  { isOver, onFailure, tally }: {
    isOver?(): boolean;
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
      const over = value !== undefined && isOver?.();
      if (over) await reader.cancel();
      if (!value || over) return controller.close();
      tally?.add(value);
      framed = value;
      controller.enqueue(encodeBodyLine({ type: "data", size: value.length }));
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/** The line that ends a body: the checksum and the file's facts, or the reason for an abort. */
export function trailerOf(
  { crc }: Tally,
  abort: string | undefined,
  facts: Omit<Facts, "crc">,
): Uint8Array {
  if (abort !== undefined) return encodeBodyLine({ type: "abort", text: abort });
  return encodeBodyLine({ type: "end", crc, ...trailerFacts(facts) });
}

/**
 * Sends a body and its trailer.
 *
 * @param size Size in bytes; `null` sends chunks, which `cancelled` requires.
 * @param refused Stops sending at once, after a refusal by the server.
 * @param cancelled Aborts the body; the session stays usable.
 * @returns What was sent, and why it was aborted, if it was.
 */
export async function sendBody(
  connection: Connection,
  source: Source,
  body: OpenBody,
  growth: GrowthOptions,
  size: number | null,
  refused: AbortSignal,
  cancelled?: AbortSignal,
): Promise<{ sent: Tally; failure: InletError | undefined }> {
  const tally = "tally" in body ? body.tally : new Tally();
  const count = "tally" in body ? undefined : tally;
  const stream = size === null
    ? chunked(untilAborted(body.stream, cancelled), { tally: count })
    : body.stream;
  await connection.send(stream, refused);
  let failure: InletError | undefined;
  if (cancelled?.aborted) failure = explain(cancelled.reason);
  else failure = failureOf(source, body, growth);
  await connection.write(trailerOf(tally, failure?.message, source));
  return { sent: tally, failure };
}

/** Passes the bytes of a body to `write` as they arrive, and returns the line that ended it. */
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

/** Reads chunks without a stream, which for a small file would cost more than all the rest. */
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

/**
 * Compares the checksums of the received and the sent bytes.
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

/** Asks the server to stop a download, when the signal aborts or the target fails. */
export class Stop {
  /** Reason of the request. */
  reason: InletError | undefined;
  readonly #connection: Connection | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.because(this.#signal?.reason);

  /** @param connection Missing if the body cannot be stopped, and must be read to its end. */
  constructor(connection: Connection | undefined, signal: AbortSignal | undefined) {
    this.#connection = connection;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  because(error: unknown): void {
    if (this.reason) return;
    this.reason = explain(error);
    // If this write fails, so does reading the body, which reports the error.
    this.#connection?.write(encodeLine(STOP)).catch(() => {});
  }

  /** Runs an action on received bytes. If it fails (a full disk), the server is asked to stop. */
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
