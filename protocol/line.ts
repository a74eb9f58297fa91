/**
 * What every line of the native wire is made of: words, numbers, times, names, and named fields.
 *
 * @module
 */

/** Longest control line in bytes, its line ending included. A longer one ends the conversation. */
export const MAX_LINE_BYTES = 4096;

/** A line that does not follow the grammar. The message says which part, for a person. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/**
 * Named fields of a line: `;key=value` directly behind its first word, where no name of a file ever
 * stands. A receiver ignores the keys that it does not know.
 */
export type Fields = Readonly<Record<string, string>>;

const KEY = /^[a-z][a-z0-9-]{0,31}$/;
/** What a value holds percent-encoded: all but printable ASCII, and what has a meaning of its own. */
const ESCAPED = /[^\x21-\x24\x26-\x3a\x3c-\x7e]+/g;
const VALUE = /^(?:[\x21-\x24\x26-\x3a\x3c-\x7e]|%[0-9A-Fa-f]{2})*$/;

/**
 * One line of text: an entry of a list, an answer to talk.
 *
 * @throws {ProtocolError} if it holds a line break or is too long
 */
export function encodeLine(text: string): Uint8Array<ArrayBuffer> {
  checkText(text);
  const line = utf8.encode(text + "\n");
  checkLength(line.length);
  return line;
}

/**
 * Lines that follow each other, in one piece: a piece each would take far more memory than the text.
 *
 * @param room Where they are put if they fit; else they get memory of their own.
 * @throws {ProtocolError} if one of them holds a line break or is too long
 */
export function encodeLines(texts: readonly string[], room?: Uint8Array): Uint8Array {
  for (const text of texts) {
    checkText(text);
    // A character of UTF-16 has at most three bytes of UTF-8.
    if (3 * text.length >= MAX_LINE_BYTES) checkLength(utf8.encode(text).length + 1);
  }
  const joined = texts.map((text) => `${text}\n`).join("");
  if (!room || 3 * joined.length > room.length) return utf8.encode(joined);
  return room.subarray(0, utf8.encodeInto(joined, room).written);
}

function checkText(text: string): void {
  if (/[\r\n]/.test(text)) throw new ProtocolError("a line break cannot be part of a line");
}

function checkLength(bytes: number): void {
  if (bytes > MAX_LINE_BYTES) {
    throw new ProtocolError(`the line has ${bytes} bytes, the limit is ${MAX_LINE_BYTES}`);
  }
}

/** Splits at the first space. What follows may hold spaces of its own. */
export function cut(text: string): [string, string] {
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space + 1)];
}

/**
 * The first word of a line with fields behind it: `put;mode=755`. Without fields, the word alone.
 *
 * @throws {ProtocolError} if a key is not of the grammar, or a value is no Unicode
 */
export function formatFields(word: string, fields: Fields | undefined): string {
  let text = word;
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (!KEY.test(key)) throw new ProtocolError(`"${key}" is no name of a field`);
    if (!value.isWellFormed()) throw new ProtocolError(`the field "${key}" is not valid Unicode`);
    text += `;${key}=${value.replaceAll(ESCAPED, encodeURIComponent)}`;
  }
  return text;
}

/**
 * Reads what {@linkcode formatFields} wrote: the word, and its fields where it has any.
 *
 * @throws {ProtocolError} if what is behind the word is not of the grammar, or a key stands twice
 */
export function parseFields(text: string): { word: string; fields?: Fields } {
  if (!text.includes(";")) return { word: text };
  const [word = "", ...pairs] = text.split(";");
  const fields: Record<string, string> = Object.create(null);
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, Math.max(equals, 0));
    if (!KEY.test(key) || key in fields) throw new ProtocolError(`"${pair}" is no field`);
    fields[key] = decodeValue(pair.slice(equals + 1));
  }
  return { word, fields };
}

function decodeValue(value: string): string {
  try {
    if (VALUE.test(value)) return decodeURIComponent(value);
  } catch {
    // Percent-encoded bytes that are not UTF-8.
  }
  throw new ProtocolError(`"${value}" is no value of a field`);
}

/** A whole number from 0 to 2^53 - 1. The length is checked first: a billion digits cost nothing. */
export function decodeNumber(text: string, what: string): number {
  const number = text.length <= 16 && /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) {
    throw new ProtocolError(`the ${what} is not a whole number from 0 to 2^53 - 1`);
  }
  return number;
}

/** A size in bytes; `-` is one that is not known, `null`. */
export function decodeSize(text: string): number | null {
  return text === "-" ? null : decodeNumber(text, "size");
}

/** A time in UTC to the second, as RFC 3339 writes it. One beyond what the wire has becomes its end. */
export function formatTime(time: Date): string {
  const milliseconds = Math.min(Math.max(time.getTime(), 0), LATEST_MS);
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** 9999-12-31T23:59:59Z: years have four digits. */
const LATEST_MS = 253_402_300_799_000;

/** Reads what {@linkcode formatTime} wrote. Not every file system can keep a time before 1970. */
export function decodeTime(text: string): Date {
  const time = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? text : NaN);
  // A day that a month does not have is taken for one of the next month.
  if (!(time.getTime() >= 0) || formatTime(time) !== text) {
    throw new ProtocolError(`"${text}" is no time like 2026-11-21T08:38:00Z, from 1970 on`);
  }
  return time;
}

/** A CRC-32 as eight lower-case hexadecimal digits. */
export function formatCrc(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, "0");
}

/** Reads what {@linkcode formatCrc} wrote, in either case. */
export function decodeCrc(text: string): number {
  if (!/^[0-9a-f]{8}$/i.test(text)) {
    throw new ProtocolError("a CRC-32 is eight hexadecimal digits");
  }
  return parseInt(text, 16);
}

/** A name may be anything but empty here; the store decides what it takes. */
export function decodeName(text: string): string {
  if (text === "") throw new ProtocolError("the name is missing");
  return text;
}

/** 32 bytes in hexadecimal: a nonce, or a SHA-256. */
export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Error texts quote names: whatever a name holds, the answer stays one line of bounded length. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ").slice(0, 1000);
}

/** Decodes UTF-8 strictly: text that two programs could read differently is refused. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new ProtocolError("the text is not UTF-8", { cause });
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();
