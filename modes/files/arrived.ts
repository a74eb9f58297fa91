/**
 * Finds the requests at the start of a connection's buffer that store something and wait for nothing.
 *
 * @module
 */

import {
  type BodyLine,
  decodeBodyLine,
  decodeRequest,
  decodeUtf8,
  MAX_LINE_BYTES,
  ProtocolError,
  type Request,
} from "../../protocol.ts";
import { MAX_PUSHED_BYTES } from "./framing.ts";

const VERBS = ["push", "mkdir", "symlink"].map((verb) => new TextEncoder().encode(verb));
const LF = 0x0a;
const CR = 0x0d;

/** A complete push in a buffer. */
export interface ArrivedPush {
  readonly request: Extract<Request, { type: "push" }>;
  /** Valid until the connection reads again. */
  readonly content: Uint8Array;
  readonly trailer: BodyLine;
  /** Length from the request line to the end of the trailer, in bytes. */
  readonly bytes: number;
}

/** A request that makes a folder or a symbolic link. */
export type Making = Extract<Request, { type: "mkdir" | "symlink" }>;

/** A complete line in a buffer that makes something. */
export interface ArrivedMaking {
  readonly request: Making;
  /** Length of the line in bytes. */
  readonly bytes: number;
}

/**
 * The request at the start of a buffer.
 *
 * @returns The request; the minimum length that it needs in bytes, if it is incomplete; `undefined` if
 * it is another one, or malformed, which the code that reads every request reports.
 */
export function findArrived(buffer: Uint8Array): ArrivedPush | ArrivedMaking | number | undefined {
  if (!VERBS.some((verb) => verb.every((byte, index) => buffer[index] === byte))) return undefined;
  try {
    const head = lineIn(buffer);
    const request = head && decodeRequest(head.text);
    // Then there may be something to tell before the answer.
    if (request?.fields?.total !== undefined) return undefined;
    if (request?.type === "mkdir" || request?.type === "symlink") {
      return { request, bytes: head!.bytes };
    }
    if (request?.type !== "push" || request.size > MAX_PUSHED_BYTES) return undefined;
    const end = head!.bytes + request.size;
    const tail = lineIn(buffer.subarray(end));
    if (!tail) return Math.max(end, buffer.length) + 1;
    const trailer = decodeBodyLine(tail.text);
    if (trailer.type === "data") return undefined;
    const content = buffer.subarray(head!.bytes, end);
    return { request, content, trailer, bytes: end + tail.bytes };
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Whether a buffer holds the beginning of a line, or nothing yet. */
export function isLinePending(buffer: Uint8Array): boolean {
  return buffer.length < MAX_LINE_BYTES && !buffer.includes(LF);
}

/** The line at the start of a buffer, and its length in bytes including the ending. */
function lineIn(buffer: Uint8Array): { text: string; bytes: number } | undefined {
  const end = buffer.indexOf(LF);
  if (end < 0 && buffer.length < MAX_LINE_BYTES) return undefined;
  if (end < 0 || end >= MAX_LINE_BYTES) throw new ProtocolError("the line is too long");
  const line = buffer.subarray(0, buffer[end - 1] === CR ? end - 1 : end);
  return { text: decodeUtf8(line), bytes: end + 1 };
}
