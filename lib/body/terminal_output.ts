/**
 * Output of a stranger's bytes on a terminal: what the terminal would obey is escaped.
 *
 * Line feeds and tabs stay, and CR LF becomes LF. Other control characters, those that reorder or
 * hide text, and bytes that are not UTF-8 are escaped: ESC becomes `\u{1b}`, and the byte 0xff
 * `\xff`. A character may be cut anywhere between two chunks.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";
import { printableLines } from "../text.ts";

const CR = 0x0d;

const NOTHING = new Uint8Array(0);

/** Writes a stream of bytes to a terminal. */
export class TerminalOutput {
  readonly #write: (chunk: Uint8Array) => Promise<void>;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #encoder = new TextEncoder();
  /** The beginning of a character that the next chunk continues: at most 3 bytes, or a CR. */
  #cut: Uint8Array = NOTHING;

  /** @param write Writes a chunk completely. */
  constructor(write: (chunk: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  /** Writes the next bytes. */
  async write(chunk: Uint8Array): Promise<void> {
    const bytes = this.#cut.length > 0 ? concat([this.#cut, chunk]) : chunk;
    const whole = bytes.length - cutAtEnd(bytes);
    this.#cut = bytes.slice(whole);
    await this.#show(bytes.subarray(0, whole));
  }

  /** Ends the stream: a character that was cut is not continued. */
  async end(): Promise<void> {
    const cut = this.#cut;
    this.#cut = NOTHING;
    await this.#show(cut);
  }

  async #show(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    let text = "";
    let start = 0;
    for (let at = 0; at < bytes.length;) {
      const size = characterSize(bytes, at);
      if (size > 0 && at + size <= bytes.length) {
        at += size;
      } else {
        const invalid = `\\x${bytes[at]!.toString(16)}`;
        text += this.#decoder.decode(bytes.subarray(start, at)) + invalid;
        start = ++at;
      }
    }
    text += this.#decoder.decode(bytes.subarray(start));
    await this.#write(this.#encoder.encode(printableLines(text.replaceAll("\r\n", "\n"))));
  }
}

/** Number of bytes at the end that the next chunk may continue to a character or a line ending. */
function cutAtEnd(bytes: Uint8Array): number {
  if (bytes.at(-1) === CR) return 1;
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const size = characterSize(bytes, bytes.length - length);
    if (size > length) return length;
  }
  return 0;
}

/**
 * Size in bytes of the UTF-8 character that begins at `at` (RFC 3629, section 4); 0 if none does. It
 * may reach beyond the end.
 */
function characterSize(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const size = first < 0x80
    ? 1
    : first < 0xc2
    ? 0
    : first < 0xe0
    ? 2
    : first < 0xf0
    ? 3
    : first < 0xf5
    ? 4
    : 0;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let next = at + 1; next < Math.min(at + size, bytes.length); next++) {
    const byte = bytes[next]!;
    const fits = next === at + 1 ? byte >= least && byte <= most : byte >= 0x80 && byte <= 0xbf;
    if (!fits) return 0;
  }
  return size;
}
