/**
 * Client half of mode reverse in lock-step, for servers that answer each `recv`: a line without its
 * ending, its answer, then the next line. An empty line is no bytes on that wire, so it is answered
 * here.
 *
 * @module
 */

import type { WireContext } from "../lib/cli/client_context.ts";
import { checkUnchanged, type Source } from "../lib/body/sources.ts";
import { concat } from "@std/bytes/concat";
import type { Connection } from "../lib/net/connection.ts";
import { InletError } from "../lib/errors.ts";
import { localError } from "../lib/local_errors.ts";
import { formatCount, quoted } from "../lib/text.ts";
import { hintAtSilence } from "./opening.ts";
import { refusalIn } from "./refusal.ts";
import { shown, wrongAnswer } from "./reverse_answers.ts";
import { MAX_REVERSED_LINE_BYTES, reversalsOf, textEndOf, tooLongToSend } from "./reverse_lines.ts";

const LF = 0x0a;

/** A line and its ending. */
interface Line {
  readonly text: Uint8Array;
  readonly ending: Uint8Array;
}

/**
 * Sends each line, and outputs its answer before the next one.
 *
 * @returns The number of bytes sent.
 * @throws {InletError} `checksum` for a wrong answer, `too-large`, `lost`, `timeout`
 */
export async function sendInLockStep(
  connection: Connection,
  source: Source,
  context: WireContext,
): Promise<number> {
  using body = await source.open((bytes) => context.progress.add(bytes));
  let sent = 0;
  let number = 0;
  try {
    for await (const { text, ending } of linesOf(body.stream, connection, source)) {
      number++;
      if (text.length > 0) {
        await connection.write(text);
        sent += text.length;
        const answer = await readAnswer(connection, text, number, context);
        await connection.unwatched(context.output(answer));
      }
      await connection.unwatched(context.output(ending));
    }
  } finally {
    // What a file has lost is sent as zeros, and any failure can come of that.
    checkUnchanged(source, body, context);
  }
  const { end } = context.wire;
  if (end) await connection.write(end);
  await connection.closeWrite();
  return sent;
}

async function readAnswer(
  connection: Connection,
  text: Uint8Array,
  number: number,
  context: WireContext,
): Promise<Uint8Array> {
  connection.awaitingReply = true;
  using _ = hintAtSilence(context);
  const pieces: Uint8Array[] = [];
  for (let left = text.length; left > 0;) {
    if (await connection.peek() === null) {
      throw await refusalIn(connection, pieces) ??
        new InletError("lost", `The server closed with ${formatCount(left)} bytes unanswered`);
    }
    const piece = connection.buffered.slice(0, left);
    connection.skip(piece.length);
    pieces.push(piece);
    left -= piece.length;
  }
  connection.awaitingReply = false;
  const answer = concat(pieces);
  const line = `line ${formatCount(number)}`;
  const rights = [...reversalsOf(text)];
  if (!rights.some((right) => right.every((byte, index) => byte === answer[index]))) {
    throw await refusalIn(connection, pieces) ??
      wrongAnswer(`The answer to ${line} is ${shown(answer)} and not ${shown(rights[0]!)}`);
  }
  if (connection.buffered.length === 0) return answer;
  throw wrongAnswer(`The server sent ${shown(connection.buffered)} after the answer to ${line}`);
}

/** Divides a stream into lines. Waiting for it does not count as silence of the server. */
async function* linesOf(
  stream: ReadableStream<Uint8Array>,
  connection: Connection,
  source: Source,
): AsyncGenerator<Line> {
  const reader = stream.getReader();
  let open: Uint8Array[] = [];
  let openBytes = 0;
  for (;;) {
    const { value, done } = await connection.unwatched(reader.read()).catch((error) => {
      throw localError(error, `Cannot send ${quoted(source.label)}`);
    });
    if (done) break;
    let start = 0;
    for (let end; (end = value.indexOf(LF, start) + 1) > 0; start = end) {
      yield divided(concat([...open, value.subarray(start, end)]));
      open = [];
      openBytes = 0;
    }
    openBytes += value.length - start;
    if (openBytes > MAX_REVERSED_LINE_BYTES) throw tooLongToSend();
    if (start < value.length) open.push(value.slice(start));
  }
  if (openBytes > 0) yield { text: concat(open), ending: new Uint8Array() };
}

function divided(line: Uint8Array): Line {
  const end = textEndOf(line, 0, line.length);
  return { text: line.subarray(0, end), ending: line.subarray(end) };
}
