/**
 * Bodies of the native protocol: framing, sending and receiving.
 *
 * @module
 */

import {
  type BodyLine,
  decodeBodyLine,
  decodeReply,
  encodeBodyLine,
  ProtocolError,
  type Reply,
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
export const MAX_PUSHED_BYTES = 512 * 1024;

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
  // Of a file that is resumed, somebody has to know the beginning.
  const sent = "whole" in body ? await body.whole(refused) : tally;
  let failure: InletError | undefined;
  if (cancelled?.aborted) failure = explain(cancelled.reason);
  else failure = failureOf(source, body, growth);
  await connection.write(trailerOf(sent, failure?.message, source));
  return { sent, failure };
}

/** What the receiver of a body does besides storing it. */
export interface Attendance {
  /** Called when all bytes of a body of known size are there. */
  onWhole?(): void;
  /** Waits for the next line of the body; for longer than for others, if the sender has to read. */
  nextLine?(): Promise<void>;
  /** Called with a note that stands in front of such a line. Without it, none may. */
  onNote?(note: Note): void;
}

/** A line that tells a person that the peer is at work. */
export type Note = Extract<Reply, { type: "note" }>;

/** Passes the bytes of a body to `write` as they arrive, and returns the line that ended it. */
export async function receiveBody(
  connection: Connection,
  size: number | null,
  write: (chunk: Uint8Array) => void | Promise<void>,
  attendance: Attendance = {},
): Promise<BodyLine> {
  if (size === null) return await receiveChunks(connection, write, attendance);
  await connection.body(size).pipeTo(new WritableStream({ write }));
  attendance.onWhole?.();
  const trailer = await readBodyLine(connection, attendance);
  if (trailer.type === "data") throw new ProtocolError("a body of known size has no chunks");
  return trailer;
}

/** Reads chunks without a stream, which for a small file would cost more than all the rest. */
async function receiveChunks(
  connection: Connection,
  write: (chunk: Uint8Array) => void | Promise<void>,
  attendance: Attendance,
): Promise<BodyLine> {
  for (let left = 0;;) {
    if (left === 0) {
      const line = await readBodyLine(connection, attendance);
      if (line.type !== "data") return line;
      left = line.size;
    }
    const piece = await connection.piece(left);
    left -= piece.length;
    await write(piece);
  }
}

async function readBodyLine(
  connection: Connection,
  { nextLine, onNote }: Attendance,
): Promise<BodyLine> {
  for (;;) {
    await nextLine?.();
    const line = await connection.readLine();
    if (line === null) throw new InletError("lost", "The connection ended before its body did");
    const note = onNote && /^note(?:[; ]|$)/.test(line) ? decodeReply(line) : undefined;
    if (note?.type !== "note") return decodeBodyLine(line);
    onNote!(note);
  }
}
