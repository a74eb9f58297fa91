/**
 * Compares the answers of a server with the lines that were sent. It is fed bytes and never sees a
 * connection. What it holds is bounded by what was sent and not answered yet.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { InletError } from "../lib/errors.ts";
import { formatCount, quoted } from "../lib/text.ts";
import { MAX_REVERSED_LINE_BYTES, reversalsOf, reverseLines } from "./reverse_lines.ts";

/** Most bytes of a wrong answer that are shown. */
const SHOWN_BYTES = 60;

const LF = 0x0a;

/** Whole lines that were sent, and their answer. */
interface Due {
  readonly lines: Uint8Array;
  readonly answer: Uint8Array;
  /** Bytes of the answer that have arrived. */
  arrived: number;
  /** Bytes of the answer that were given out. */
  given: number;
}

/** What came of some bytes of an answer. */
export interface Checked {
  /** Whole answers that are right, to be given out. */
  readonly right: Uint8Array[];
  /** Set at the first wrong answer. */
  readonly wrong?: InletError;
}

/** The answers of one conversation. */
export class ReverseAnswers {
  readonly #due: Due[] = [];
  /** Pieces of a line that was not sent whole yet. */
  #open: Uint8Array[] = [];
  #openBytes = 0;
  /** Answers to a line that was not sent whole yet. */
  #early: Uint8Array[] = [];
  #sent = 0;
  #received = 0;
  #dueBytes = 0;
  /** Lines that were answered. */
  #answered = 0;

  /** Bytes that were sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Bytes of answers that have arrived. */
  get received(): number {
    return this.#received;
  }

  /** Bytes that were sent in whole lines, and not answered yet. */
  get dueBytes(): number {
    return this.#dueBytes;
  }

  /**
   * Notes what is sent.
   *
   * @param chunk May be reused afterwards.
   * @returns The answers that had arrived early.
   * @throws {InletError} `too-large` if a line is longer than {@linkcode MAX_REVERSED_LINE_BYTES}
   */
  send(chunk: Uint8Array): Checked {
    this.#sent += chunk.length;
    const end = chunk.lastIndexOf(LF) + 1;
    if (end > 0) this.#complete(chunk.subarray(0, end));
    this.#openBytes += chunk.length - end;
    // Its CR may be a part of the line or of its ending.
    if (this.#openBytes > MAX_REVERSED_LINE_BYTES + 1) {
      const limit = formatCount(MAX_REVERSED_LINE_BYTES);
      throw new InletError("too-large", `Cannot send a line of more than ${limit} bytes`);
    }
    if (end < chunk.length) this.#open.push(chunk.slice(end));
    return this.#takeEarly();
  }

  /** Notes the end of the lines, which completes the last one. */
  end(): Checked {
    if (this.#openBytes > 0) this.#complete(new Uint8Array());
    return this.#takeEarly();
  }

  /** Checks what has arrived. */
  check(chunk: Uint8Array): Checked {
    this.#received += chunk.length;
    const right: Uint8Array[] = [];
    let left = chunk;
    while (left.length > 0) {
      const due = this.#due[0];
      if (!due) {
        if (this.#received > this.#sent) return { right, wrong: this.#surplus(left) };
        this.#early.push(left.slice());
        break;
      }
      const rightBytes = compare(due, left);
      due.arrived += rightBytes;
      this.#dueBytes -= rightBytes;
      right.push(...giveOut(due));
      left = left.subarray(rightBytes);
      const isWrong = left.length > 0 && due.arrived < due.answer.length;
      if (isWrong) return { right, wrong: wrongLine(due, left, this.#answered) };
      if (due.arrived === due.answer.length) {
        this.#answered += countLines(due.lines);
        this.#due.shift();
      }
    }
    return { right };
  }

  #complete(last: Uint8Array): void {
    const lines = concat([...this.#open, last]);
    this.#open = [];
    this.#openBytes = 0;
    const answer = lines.slice();
    reverseLines(answer);
    this.#due.push({ lines, answer, arrived: 0, given: 0 });
    this.#dueBytes += answer.length;
  }

  #takeEarly(): Checked {
    if (this.#early.length === 0 || this.#due.length === 0) return { right: [] };
    const early = concat(this.#early);
    this.#early = [];
    this.#received -= early.length;
    return this.check(early);
  }

  #surplus(bytes: Uint8Array): InletError {
    const what = shown(bytes);
    const where = this.#answered === 0
      ? "before it had a line"
      : `after the answer to line ${formatCount(this.#answered)}`;
    return wrongAnswer(`The server sent ${what} ${where}`);
  }
}

/**
 * Compares some bytes with the rest of an answer. An answer that is right in another way of reversing
 * takes the place of the one that was expected.
 *
 * @returns The number of bytes that are right.
 */
function compare({ lines, answer, arrived }: Due, bytes: Uint8Array): number {
  const most = Math.min(bytes.length, answer.length - arrived);
  for (let index = 0; index < most; index++) {
    const at = arrived + index;
    if (bytes[index] === answer[at]) continue;
    const { start, end } = lineAt(lines, at);
    const came = concat([answer.subarray(start, at), bytes.subarray(index, index + end - at)]);
    const other = reversalsOf(lines.subarray(start, end))
      .find((reversal) => came.every((byte, place) => byte === reversal[place]));
    if (!other) return index;
    answer.set(other, start);
  }
  return most;
}

/** Where the line of a byte begins and ends. */
function lineAt(lines: Uint8Array, at: number): { start: number; end: number } {
  const start = at === 0 ? 0 : lines.lastIndexOf(LF, at - 1) + 1;
  return { start, end: lines.indexOf(LF, at) + 1 || lines.length };
}

/** The error for bytes that differ from the answer that is due. */
function wrongLine({ lines, answer, arrived }: Due, bytes: Uint8Array, before: number): InletError {
  const { start, end } = lineAt(lines, arrived);
  const line = formatCount(before + countLines(lines.subarray(0, start)) + 1);
  const came = concat([answer.subarray(start, arrived), bytes.subarray(0, SHOWN_BYTES)]);
  const until = came.indexOf(LF, arrived - start) + 1 || came.length;
  const expected = shown(answer.subarray(start, end));
  return wrongAnswer(
    `The answer to line ${line} is ${shown(came.subarray(0, until))} and not ${expected}`,
  );
}

/** The whole lines of an answer that have arrived, once. */
function giveOut(due: Due): Uint8Array[] {
  const { answer, lines, arrived, given } = due;
  const isWhole = arrived === answer.length;
  const end = isWhole || arrived === 0 ? arrived : lines.lastIndexOf(LF, arrived - 1) + 1;
  if (end <= given) return [];
  due.given = end;
  return [answer.subarray(given, end)];
}

function countLines(lines: Uint8Array): number {
  let count = 0;
  for (let at = lines.indexOf(LF); at >= 0; at = lines.indexOf(LF, at + 1)) count++;
  return lines.length > 0 && lines.at(-1) !== LF ? count + 1 : count;
}

/** The error for a wrong answer. */
export function wrongAnswer(what: string): InletError {
  return new InletError("checksum", `${what}; for a greeting, see --dialogue`);
}

/** A text for a message, without its line ending, and cut. */
export function shown(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, SHOWN_BYTES));
  return quoted(text.replace(/\r?\n$/, ""));
}
