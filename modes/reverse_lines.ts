/**
 * Reverses lines in place. A reversed line has the same length in bytes.
 *
 * A grapheme cluster stays together: a letter with its accents, a flag, a family emoji. A line that
 * is not UTF-8 is reversed byte by byte. LF and CR LF end a line and stay at its end; a CR anywhere
 * else is text.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { InletError } from "../lib/errors.ts";
import { formatCount } from "../lib/text.ts";

/** Longest line in bytes, without its ending. */
export const MAX_REVERSED_LINE_BYTES = 1024 * 1024;

/** Size of the longest line with its ending, in bytes. */
const MAX_PENDING_BYTES = MAX_REVERSED_LINE_BYTES + 2;

const LF = 0x0a;
const CR = 0x0d;

/** Reverses the lines of a chunked stream. */
export class LineReverser {
  #pending = new Uint8Array(0);
  #pendingBytes = 0;

  /**
   * Reverses every line that ends in a chunk, and keeps the unfinished rest.
   *
   * @param chunk Input, which is overwritten.
   * @returns Pieces of the answer, in order. They are valid as long as the chunk.
   * @throws {InletError} `too-large` if a line is longer than {@linkcode MAX_REVERSED_LINE_BYTES}
   */
  add(chunk: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const last = chunk.lastIndexOf(LF) + 1;
    let start = 0;
    if (last > 0 && this.#pendingBytes > 0) {
      start = chunk.indexOf(LF) + 1;
      this.#keep(chunk.subarray(0, start));
      pieces.push(this.end());
    }
    if (last > start) {
      const lines = chunk.subarray(start, last);
      reverseLines(lines);
      pieces.push(lines);
    }
    this.#keep(chunk.subarray(last));
    return pieces;
  }

  /** Bytes of the unfinished line. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Reverses the unfinished last line. */
  end(): Uint8Array {
    const line = this.#pending.subarray(0, this.#pendingBytes);
    this.#pending = new Uint8Array(0);
    this.#pendingBytes = 0;
    reverseLines(line);
    return line;
  }

  #keep(piece: Uint8Array): void {
    const bytes = this.#pendingBytes + piece.length;
    if (bytes > MAX_PENDING_BYTES) throw tooLong();
    if (bytes > this.#pending.length) {
      const grown = new Uint8Array(Math.max(bytes, 2 * this.#pending.length));
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(piece, this.#pendingBytes);
    this.#pendingBytes = bytes;
  }
}

/**
 * Reverses each line of a text in place.
 *
 * @throws {InletError} `too-large` if a line is longer than {@linkcode MAX_REVERSED_LINE_BYTES}
 */
export function reverseLines(text: Uint8Array): void {
  for (let start = 0; start < text.length;) {
    const found = text.indexOf(LF, start);
    const next = found < 0 ? text.length : found + 1;
    const end = textEndOf(text, start, next);
    if (end - start > MAX_REVERSED_LINE_BYTES) throw tooLong();
    if (!reverseBytes(text, start, end)) reverseCharacters(text.subarray(start, end));
    start = next;
  }
}

/**
 * Where the text of a line ends, before its LF or CR LF.
 *
 * @param end The end of the line, its ending included.
 */
export function textEndOf(lines: Uint8Array, start: number, end: number): number {
  if (end === start || lines[end - 1] !== LF) return end;
  return end - 1 > start && lines[end - 2] === CR ? end - 2 : end - 1;
}

/** The error for a line that a client cannot send, because its answer could not be compared. */
export function tooLongToSend(): InletError {
  const limit = formatCount(MAX_REVERSED_LINE_BYTES);
  return new InletError("too-large", `Cannot send a line of more than ${limit} bytes`);
}

/**
 * Every reversal of one line that programs give: by grapheme clusters, code points or bytes, with CR
 * LF or LF as its ending. Each has the length of the line.
 *
 * @param line With or without its ending.
 */
export function* reversalsOf(line: Uint8Array): Generator<Uint8Array> {
  const hasLf = line.at(-1) === LF;
  const ends = [hasLf ? line.length - 1 : line.length];
  if (hasLf && line.at(-2) === CR) ends.unshift(line.length - 2);
  for (const end of ends) {
    const text = line.subarray(0, end);
    for (const reverse of [byGraphemes, byCodePoints, byBytes]) {
      yield concat([reverse(text), line.subarray(end)]);
    }
  }
}

function byGraphemes(text: Uint8Array): Uint8Array {
  const reversed = byBytes(text);
  reverseCharacters(reversed);
  return reversed;
}

function byBytes(text: Uint8Array): Uint8Array {
  return text.slice().reverse();
}

function byCodePoints(text: Uint8Array): Uint8Array {
  if (!isUtf8(text)) return byBytes(text);
  return utf8.encode([...strictUtf8.decode(text)].reverse().join(""));
}

function tooLong(): InletError {
  return new InletError(
    "too-large",
    `Cannot reverse a line: it is longer than ${MAX_REVERSED_LINE_BYTES} bytes`,
  );
}

/** Reverses bytes in place. Returns whether all of them are ASCII, found in the same pass. */
function reverseBytes(text: Uint8Array, start: number, end: number): boolean {
  let seen = 0;
  for (let left = start, right = end - 1; left <= right; left++, right--) {
    const first = text[left]!;
    const last = text[right]!;
    seen |= first | last;
    text[left] = last;
    text[right] = first;
  }
  return seen < 0x80;
}

/**
 * Corrects a line that was reversed byte by byte, so that it is reversed by grapheme cluster. ASCII
 * next to ASCII is correct already, so only runs of other bytes are redone, with one neighbour on
 * each side.
 */
function reverseCharacters(reversed: Uint8Array): void {
  const line = reversed.slice().reverse();
  if (!isUtf8(line)) return;
  const { length } = line;
  for (let at = 0; at < length; at++) {
    if (line[at]! < 0x80) continue;
    const start = Math.max(at - 1, 0);
    while (at < length && (line[at]! >= 0x80 || line[at + 1]! >= 0x80)) at++;
    const end = Math.min(at + 1, length);
    reverseGraphemes(line.subarray(start, end), reversed.subarray(length - end, length - start));
  }
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
let segmenter: Intl.Segmenter | undefined;

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictUtf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function reverseGraphemes(text: Uint8Array, into: Uint8Array): void {
  segmenter ??= new Intl.Segmenter();
  let left = into.length;
  for (const { segment } of segmenter.segment(strictUtf8.decode(text))) {
    const bytes = utf8.encode(segment);
    left -= bytes.length;
    into.set(bytes, left);
  }
}
