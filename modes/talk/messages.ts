/**
 * The messages of mode talk. Many programs of this kind take one `send` for one message and give it
 * no end mark; others end it with a line ending. TCP keeps no boundaries, so a message without a line
 * ending ends with a pause.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { endsWith } from "@std/bytes/ends-with";
import { startsWith } from "@std/bytes/starts-with";
import type { ClientWire } from "../../lib/cli/client_context.ts";
import { InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { formatCount } from "../../lib/text.ts";

/** The answer to a client's name. */
export const WELCOME = "Connected to the server successfully.";

/** Longest message in bytes, without its ending. */
export const MAX_MESSAGE_BYTES = 4096;

const LF = 0x0a;

const CR_LF = Uint8Array.of(0x0d, LF);

/** One message. */
export interface Message {
  /** Its bytes without the ending: mostly UTF-8, but any are possible. */
  readonly content: Uint8Array<ArrayBuffer>;
  /** `\n`, `\r\n` or nothing. The answer has the same. */
  readonly ending: Uint8Array<ArrayBuffer>;
}

/** Encodes a message of the client: many programs take one `send` for one message, others read lines. */
export function encodeMessage(text: string, { lineEnd }: ClientWire): Uint8Array {
  return new TextEncoder().encode(lineEnd ? `${text}\n` : text);
}

/**
 * Waits for the next message, without consuming it. `null` at the end of the stream.
 *
 * @param gapMs Milliseconds after which a message without a line ending is complete.
 * @throws {InletError} `bad-request` if it is longer than {@linkcode MAX_MESSAGE_BYTES}
 */
export async function peekMessage(connection: Connection, gapMs: number): Promise<Message | null> {
  if (await connection.peek() === null) return null;
  for (;;) {
    const { buffered } = connection;
    const line = buffered.subarray(0, buffered.indexOf(LF) + 1);
    if (line.length > 0) return checked(messageOf(line));
    checked(messageOf(buffered));
    const before = buffered.length;
    const isOver = !await connection.moreWithin(gapMs);
    if (isOver && connection.buffered.length === before) return messageOf(connection.buffered);
  }
}

/** Reads the next message. `null` at the end of the stream. See {@linkcode peekMessage}. */
export async function readMessage(connection: Connection, gapMs: number): Promise<Message | null> {
  const message = await peekMessage(connection, gapMs);
  if (message) connection.skip(message.content.length + message.ending.length);
  return message;
}

/**
 * Drops the next message if it is the same and comes before the pause: some programs send a request
 * once to announce it, and once more to make it.
 */
export async function dropRepetition(
  connection: Connection,
  { content, ending }: Message,
  gapMs: number,
): Promise<void> {
  // Without endings both came as one message.
  if (ending.length === 0) return;
  const same = concat([content, ending]);
  for (;;) {
    if (startsWith(connection.buffered, same)) return connection.skip(same.length);
    if (!startsWith(same, connection.buffered)) return;
    if (!await connection.moreWithin(gapMs)) return;
  }
}

function messageOf(bytes: Uint8Array): Message {
  const size = endsWith(bytes, CR_LF) ? 2 : bytes.at(-1) === LF ? 1 : 0;
  const end = bytes.length - size;
  return { content: bytes.slice(0, end), ending: bytes.slice(end) };
}

function checked(message: Message): Message {
  if (message.content.length <= MAX_MESSAGE_BYTES) return message;
  const limit = `it is longer than ${formatCount(MAX_MESSAGE_BYTES)} bytes`;
  throw new InletError("bad-request", `Cannot read the message: ${limit}`);
}
