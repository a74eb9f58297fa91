/**
 * Compares the answers of a server with the lines that were sent. It is fed bytes and never sees a
 * connection. What it holds is bounded by what was sent and not answered yet.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { InletError } from "../lib/errors.ts";
import { formatCount, quoted } from "../lib/text.ts";
import { MAX_REVERSED_LINE_BYTES, reversalsOf, textEndOf, tooLongToSend } from "./reverse_lines.ts";

/** Most bytes of a wrong answer that are shown. */
const SHOWN_BYTES = 60;

const LF = 0x0a;

/** Most pieces of memory that are kept to be used again. */
const MAX_SPARE = 16;

/** What came of some bytes of an answer. */
export interface Checked {
  /** Whole answers that are right, to be given out. They are valid as long as the bytes. */
  readonly right: Uint8Array[];
  /** Set at the first wrong answer. */
  readonly wrong?: InletError;
}

/** The answers of one conversation. */
export class ReverseAnswers {
  /** Whole lines that were sent, and not answered yet. */
  readonly #due: Uint8Array[] = [];
  /** The line whose answer arrives now. */
  #line: LineAnswer | undefined;
  /** Pieces of a line that was not sent whole yet. */
  #open: Uint8Array[] = [];
  #openBytes = 0;
  /** Answers to a line that was not sent whole yet. */
  #early: Uint8Array[] = [];
  /** Where the answered part of the first due lines ends. */
  #at = 0;
  #sent = 0;
  #received = 0;
  #dueBytes = 0;
  /** Lines that were answered. */
  #answered = 0;
  /** Memory of answered lines, to be used again: new memory is slow. */
  readonly #spare: Uint8Array[] = [];

  /** Bytes that were sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Bytes of answers that have arrived. */
  get received(): number {
    return this.#received;
  }

  /** Whether something has arrived that answers no whole line. */
  get isEarly(): boolean {
    return this.#early.length > 0;
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
   * @throws {InletError} `too-large` if the line that has no ending yet is longer than
   * {@linkcode MAX_REVERSED_LINE_BYTES}
   */
  send(chunk: Uint8Array): Checked {
    this.#sent += chunk.length;
    const end = chunk.lastIndexOf(LF) + 1;
    if (end > 0) this.#complete(chunk.subarray(0, end));
    this.#openBytes += chunk.length - end;
    // Its CR may be a part of the line or of its ending.
    if (this.#openBytes > MAX_REVERSED_LINE_BYTES + 1) throw tooLongToSend();
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
    let at = 0;
    /** Where the whole answers in the chunk begin that were not given out yet. */
    let from = 0;
    const giveOut = (): Checked => {
      if (at > from) right.push(chunk.subarray(from, at));
      return { right };
    };
    while (at < chunk.length) {
      const answered = this.#takeMirrored(chunk, at);
      if (answered > 0) {
        at += answered;
        continue;
      }
      const line = this.#line ??= this.#nextLine();
      const left = chunk.subarray(at);
      if (!line) {
        giveOut();
        if (this.#received > this.#sent) return { right, wrong: this.#surplus(left) };
        this.#early.push(left.slice());
        return { right };
      }
      const taken = line.take(left);
      if (taken < Math.min(left.length, line.size - line.arrived)) {
        giveOut();
        return { right, wrong: line.wrong(left, this.#answered + 1) };
      }
      if (line.arrived > 0 || taken < line.size) {
        giveOut();
        const rest = line.keep(left.subarray(0, taken));
        if (rest) right.push(rest);
        from = at + taken;
      }
      at += taken;
      this.#dueBytes -= taken;
      if (line.arrived === 0 || line.arrived === line.size) this.#answerWas(line.size);
    }
    return giveOut();
  }

  /**
   * Takes the whole answer to the next line, if it has arrived and is the line with its bytes in
   * reverse order. Most are, so this makes no objects.
   *
   * @returns Its size; 0 if there is none.
   */
  #takeMirrored(chunk: Uint8Array, at: number): number {
    const [lines] = this.#due;
    if (!lines || this.#line) return 0;
    const end = lines.indexOf(LF, this.#at) + 1 || lines.length;
    const size = end - this.#at;
    if (chunk.length - at < size) return 0;
    const textEnd = textEndOf(lines, this.#at, end);
    for (let left = this.#at, right = at + textEnd - this.#at - 1; left < textEnd;) {
      if (lines[left++] !== chunk[right--]) return 0;
    }
    for (let place = textEnd; place < end; place++) {
      if (lines[place] !== chunk[at + place - this.#at]) return 0;
    }
    this.#dueBytes -= size;
    this.#answerWas(size);
    return size;
  }

  /** Goes on to the next line. */
  #answerWas(size: number): void {
    this.#answered++;
    this.#line = undefined;
    this.#at += size;
    if (this.#at < this.#due[0]!.length) return;
    const [lines] = this.#due.splice(0, 1);
    if (this.#spare.length < MAX_SPARE) this.#spare.push(lines!);
    this.#at = 0;
  }

  #nextLine(): LineAnswer | undefined {
    const [lines] = this.#due;
    if (!lines) return undefined;
    const end = lines.indexOf(LF, this.#at) + 1 || lines.length;
    return new LineAnswer(lines.subarray(this.#at, end));
  }

  #complete(last: Uint8Array): void {
    const size = this.#openBytes + last.length;
    const spare = this.#spare.pop();
    const fits = spare !== undefined && spare.buffer.byteLength >= size;
    const room = fits ? new Uint8Array(spare.buffer, 0, size) : new Uint8Array(size);
    let at = 0;
    for (const piece of [...this.#open, last]) {
      room.set(piece, at);
      at += piece.length;
    }
    this.#open = [];
    this.#openBytes = 0;
    this.#due.push(room);
    this.#dueBytes += size;
  }

  #takeEarly(): Checked {
    if (this.#early.length === 0 || this.#due.length === 0) return { right: [] };
    const early = concat(this.#early);
    this.#early = [];
    this.#received -= early.length;
    return this.check(early);
  }

  #surplus(bytes: Uint8Array): InletError {
    const where = this.#answered === 0
      ? "before it had a line"
      : `after the answer to line ${formatCount(this.#answered)}`;
    return wrongAnswer(`The server sent ${shown(bytes)} ${where}`);
  }
}

/** The answer to one line, while it arrives. */
class LineAnswer {
  readonly size: number;
  /** Bytes of the answer that were kept. */
  arrived = 0;
  readonly #line: Uint8Array;
  readonly #textBytes: number;
  /** What has arrived of an answer that does not arrive at once. */
  #kept: Uint8Array | undefined;
  /** The answer, where it is not the line with its bytes in reverse order. */
  #other: Uint8Array | undefined;

  constructor(line: Uint8Array) {
    this.#line = line;
    this.size = line.length;
    this.#textBytes = textEndOf(line, 0, line.length);
  }

  /** Returns how many of these bytes are right. */
  take(bytes: Uint8Array): number {
    const most = Math.min(bytes.length, this.size - this.arrived);
    for (;;) {
      const right = this.#compare(bytes, most);
      if (right === most || !this.#useOther(bytes.subarray(0, most))) return right;
    }
  }

  /** Keeps bytes of an answer that is not whole. Returns the whole answer with the last of them. */
  keep(bytes: Uint8Array): Uint8Array | undefined {
    this.#kept ??= new Uint8Array(this.size);
    this.#kept.set(bytes, this.arrived);
    this.arrived += bytes.length;
    return this.arrived === this.size ? this.#kept : undefined;
  }

  /** The error for bytes that differ. */
  wrong(bytes: Uint8Array, number: number): InletError {
    const [expected] = reversalsOf(this.#line);
    const came = concat([this.#before, bytes.subarray(0, SHOWN_BYTES)]);
    const what = `${shown(came)} and not ${shown(expected!)}`;
    return wrongAnswer(`The answer to line ${formatCount(number)} is ${what}`);
  }

  /** What was kept. */
  get #before(): Uint8Array {
    return this.#kept?.subarray(0, this.arrived) ?? new Uint8Array();
  }

  #compare(bytes: Uint8Array, most: number): number {
    const { arrived } = this;
    const last = this.#textBytes - 1;
    const line = this.#line;
    const other = this.#other;
    for (let index = 0; index < most; index++) {
      const at = arrived + index;
      const expected = other ? other[at] : line[at <= last ? last - at : at];
      if (bytes[index] !== expected) return index;
    }
    return most;
  }

  /** Looks for another way of reversing of which all that has arrived is the beginning. */
  #useOther(bytes: Uint8Array): boolean {
    const came = concat([this.#before, bytes]);
    for (const reversal of reversalsOf(this.#line)) {
      if (!came.every((byte, index) => byte === reversal[index])) continue;
      this.#other = reversal;
      return true;
    }
    return false;
  }
}

/** The error for a wrong answer. */
export function wrongAnswer(what: string): InletError {
  const hint = "for a greeting, see --dialogue; for lines without line ends, --lock-step";
  return new InletError("checksum", `${what}; ${hint}`);
}

/** The first line of a text for a message, without its ending, and cut. */
export function shown(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, SHOWN_BYTES));
  return quoted(text.replace(/\r?\n.*$/s, ""));
}
