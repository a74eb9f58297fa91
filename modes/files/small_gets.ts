/**
 * The client half of downloads of small files that are asked for one after another.
 *
 * An answer that has arrived whole is verified in place: no promise is made for it, and its bytes are
 * not copied. Anything else stays in the buffer for `receive()`, which takes every answer.
 *
 * @module
 */

import {
  type BodyLine,
  decodeBodyLine,
  decodeNumber,
  decodeReply,
  factsOf,
} from "../../protocol.ts";
import { Tally } from "../../lib/body/streams.ts";
import type { ClientContext } from "../../lib/cli/client_context.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { lineAt } from "../../lib/net/whole_line.ts";
import { checkTrailer, type Received } from "./answers.ts";
import { MAX_PUSHED_BYTES } from "./framing.ts";

/** A small file that has arrived. */
export interface ReceivedWhole extends Received {
  /** Valid until the connection reads again. */
  readonly content: Uint8Array;
}

/** An answer that has arrived whole. */
interface Answer {
  readonly content: Uint8Array;
  readonly trailer: BodyLine;
  /** Its length in bytes. */
  readonly bytes: number;
}

/**
 * Takes the answer to the next request for a file out of the buffer, once its head is there.
 *
 * @returns The file, or `undefined` if it is another answer, or does not arrive in one piece.
 * @throws {InletError} as `receive()` does: the file is not as it was sent
 */
export async function takeWhole(
  connection: Connection,
  context: ClientContext,
  name: string,
): Promise<ReceivedWhole | undefined> {
  let answer = answerIn(connection.buffered);
  if (typeof answer === "number") {
    // A connection that ends meanwhile is told of by who reads on.
    if (!await connection.gather(answer)) return undefined;
    answer = answerIn(connection.buffered);
  }
  if (typeof answer !== "object") return undefined;
  const { content, trailer, bytes } = answer;
  const size = content.length;
  connection.skip(bytes);
  const tally = new Tally();
  tally.add(content);
  context.progress.expect(size);
  context.progress.name(name);
  context.progress.add(size);
  checkTrailer(name, size, tally, trailer, context);
  return { content, size, crc: tally.crc, ...factsOf(trailer) };
}

/**
 * The answer at the start of a buffer: `ok SIZE`, `data SIZE`, the bytes, and `end`.
 *
 * @returns How many bytes it takes at least, if its head is there; `undefined` if it is not, or if it is
 * no such answer.
 */
function answerIn(buffer: Uint8Array): Answer | number | undefined {
  try {
    const ok = lineAt(buffer, 0);
    const reply = ok && decodeReply(ok.text);
    if (reply?.type !== "ok") return undefined;
    const size = decodeNumber(reply.detail, "size");
    if (size > MAX_PUSHED_BYTES) return undefined;
    const data = size > 0 ? lineAt(buffer, ok!.end) : undefined;
    const chunk = data && decodeBodyLine(data.text);
    // The whole in one chunk, as this server sends a small file.
    if (size > 0 && !(chunk?.type === "data" && chunk.size === size)) return undefined;
    const start = (data ?? ok!).end;
    const trailer = lineAt(buffer, start + size);
    if (!trailer) return buffer.length < start + size + 1 ? start + size + 1 : undefined;
    const line = decodeBodyLine(trailer.text);
    if (line.type === "data") return undefined;
    return { content: buffer.subarray(start, start + size), trailer: line, bytes: trailer.end };
  } catch {
    // Whoever reads on tells what is wrong with it.
    return undefined;
  }
}
