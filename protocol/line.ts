/**
 * The parts of a line of the native wire: words, numbers, times, names, and named fields.
 *
 * @module
 */

/** Longest line in bytes, its line ending included. A longer line ends the conversation. */
export const MAX_LINE_BYTES = 4096;

/** A violation of the wire's grammar. The message tells the user what is wrong. */
export class ProtocolError extends Error {
  /** The same for all of them. */
  override readonly name = "ProtocolError";
}

/**
 * Named fields of a line: `;key=value` directly behind its first word, where no file name stands. A
 * receiver ignores unknown keys.
 */
export type Fields = Readonly<Record<string, string>>;

const KEY = /^[a-z][a-z0-9-]{0,31}$/;
/** What a value holds percent-encoded: all but printable ASCII, and what has a meaning of its own. */
const ESCAPED = /[^\x21-\x24\x26-\x3a\x3c-\x7e]+/g;
const VALUE = /^(?:[\x21-\x24\x26-\x3a\x3c-\x7e]|%[0-9A-Fa-f]{2})*$/;

/**
 * Encodes one line of text.
 *
 * @throws {ProtocolError} if the text contains a line break or is too long
 */
export function encodeLine(text: string): Uint8Array<ArrayBuffer> {
  checkText(text);
  const line = utf8.encode(text + "\n");
  checkLength(line.length);
  return line;
}

/**
 * Encodes several lines into one array: an array for each would take far more memory than the text.
 *
 * @param room The memory to use if the lines fit in it; otherwise new memory is allocated.
 * @throws {ProtocolError} if a line contains a line break or is too long
 */
export function encodeLines(texts: readonly string[], room?: Uint8Array): Uint8Array {
  for (const text of texts) {
    // A character of UTF-16 has at most three bytes of UTF-8.
    if (3 * text.length >= MAX_LINE_BYTES) checkLength(utf8.encode(text).length + 1);
  }
  if (texts.length === 0) return new Uint8Array(0);
  const joined = texts.join("\n") + "\n";
  // All together: a look into each of thousands of lines takes longer.
  if (joined.includes("\r") || countBreaks(joined) !== texts.length) texts.forEach(checkText);
  if (!room || 3 * joined.length > room.length) return utf8.encode(joined);
  return room.subarray(0, utf8.encodeInto(joined, room).written);
}

function countBreaks(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function checkText(text: string): void {
  if (/[\r\n]/.test(text)) throw new ProtocolError("a line break cannot be part of a line");
}

function checkLength(bytes: number): void {
  if (bytes > MAX_LINE_BYTES) {
    throw new ProtocolError(`the line has ${bytes} bytes, the limit is ${MAX_LINE_BYTES}`);
  }
}

/** Splits at the first space. The second part may contain further spaces. */
export function cut(text: string): [string, string] {
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space + 1)];
}

/**
 * Formats the first word of a line and its fields: `put;mode=755`. Without fields, the word alone.
 *
 * @throws {ProtocolError} if a key is malformed, or a value is not valid Unicode
 */
export function formatFields(word: string, fields: Fields | undefined): string {
  if (!fields) return word;
  let text = word;
  for (const [key, value] of Object.entries(fields)) {
    if (!KEY.test(key)) throw new ProtocolError(`"${key}" is not a field name`);
    if (!value.isWellFormed()) throw new ProtocolError(`the field "${key}" is not valid Unicode`);
    text += `;${key}=${value.replaceAll(ESCAPED, encodeURIComponent)}`;
  }
  return text;
}

/**
 * Parses the output of {@linkcode formatFields}: the word, and its fields if it has any.
 *
 * @throws {ProtocolError} if a field is malformed, or a key occurs twice
 */
export function parseFields(text: string): { word: string; fields?: Fields } {
  if (!text.includes(";")) return { word: text };
  // Thousands of lines begin like the one before.
  if (text === lastParsed?.text) return lastParsed.result;
  const result = parsed(text);
  lastParsed = { text, result };
  return result;
}

/** What {@linkcode parseFields} parsed last. */
let lastParsed: { text: string; result: ReturnType<typeof parseFields> } | undefined;

function parsed(text: string): ReturnType<typeof parseFields> {
  const [word = "", ...pairs] = text.split(";");
  const fields: Record<string, string> = Object.create(null);
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, Math.max(equals, 0));
    if (!KEY.test(key) || key in fields) throw new ProtocolError(`"${pair}" is not a field`);
    fields[key] = decodeValue(pair.slice(equals + 1));
  }
  return { word, fields: Object.freeze(fields) };
}

function decodeValue(value: string): string {
  try {
    if (VALUE.test(value)) return decodeURIComponent(value);
  } catch {
    // Percent-encoded bytes that are not UTF-8.
  }
  throw new ProtocolError(`"${value}" is not a field value`);
}

/** Parses a whole number from 0 to 2^53 - 1. The length is checked first, to bound the cost. */
export function decodeNumber(text: string, what: string): number {
  const number = text.length <= 16 && /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) {
    throw new ProtocolError(`the ${what} is not a whole number from 0 to 2^53 - 1`);
  }
  return number;
}

/** Parses a size in bytes; `-` stands for an unknown size, `null`. */
export function decodeSize(text: string): number | null {
  return text === "-" ? null : decodeNumber(text, "size");
}

/**
 * Formats a time in UTC (RFC 3339), clamped to the years 1 to 9999: with three digits of a second
 * unless they are zero.
 */
export function formatTime(time: Date): string {
  const milliseconds = Math.min(Math.max(time.getTime(), EARLIEST_MS), LATEST_MS);
  const day = Math.floor(milliseconds / DAY_MS);
  // A tree has thousands of times, most of them of the day before it in the list.
  if (day !== lastDay) {
    lastDate = new Date(milliseconds).toISOString().slice(0, 11);
    lastDay = day;
  }
  const ofDay = milliseconds - day * DAY_MS;
  const seconds = Math.floor(ofDay / 1000);
  const minutes = Math.floor(seconds / 60);
  const text = `${lastDate}${TWO_DIGITS[Math.floor(minutes / 60)]}:` +
    `${TWO_DIGITS[minutes % 60]}:${TWO_DIGITS[seconds % 60]}`;
  const fraction = ofDay % 1000;
  return fraction === 0 ? `${text}Z` : `${text}.${String(fraction).padStart(3, "0")}Z`;
}

const DAY_MS = 24 * 60 * 60 * 1000;

const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));

/** The day that was formatted last, in days since 1970, and its text. */
let lastDay: number | undefined;
let lastDate = "";

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z, the bounds of the years of RFC 3339. */
const EARLIEST_MS = -62_135_596_800_000;
const LATEST_MS = 253_402_300_799_999;

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/;

/** Parses a time. Not every file system can store each. */
export function decodeTime(text: string): Date {
  const time = new Date(TIME.test(text) ? text : NaN);
  // `Date` reads a day that the month does not have, and an hour 24, as a day that follows.
  const isOther = time.getUTCDate() !== Number(text.slice(8, 10));
  if (isOther || time.getTime() < EARLIEST_MS) {
    throw new ProtocolError(`"${text}" is not a time like 2026-11-21T08:38:00Z`);
  }
  return time;
}

/** Formats a CRC-32 as eight lower-case hexadecimal digits. */
export function formatCrc(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, "0");
}

/** Parses a CRC-32 of eight hexadecimal digits, in either case. */
export function decodeCrc(text: string): number {
  if (!/^[0-9a-f]{8}$/i.test(text)) {
    throw new ProtocolError("a CRC-32 is eight hexadecimal digits");
  }
  return parseInt(text, 16);
}

/** The field with the permission bits of a file or folder; no fields if they are not known. */
export function modeField(mode: number | undefined): { fields?: Fields } {
  return mode === undefined ? {} : { fields: { mode: (mode & 0o777).toString(8) } };
}

/**
 * The permission bits in the fields of a line, if it has them.
 *
 * @throws {ProtocolError} if they are not one to three octal digits: nothing else may be set
 */
export function modeOf({ fields }: { fields?: Fields }): number | undefined {
  const mode = fields?.mode;
  if (mode === undefined) return undefined;
  if (!/^[0-7]{1,3}$/.test(mode)) {
    throw new ProtocolError(`the mode "${mode}" is not one to three octal digits`);
  }
  return parseInt(mode, 8);
}

/** Refuses an empty name. The store checks the rest. */
export function decodeName(text: string): string {
  if (text === "") throw new ProtocolError("the name is missing");
  return text;
}

/** Whether a text is 32 bytes in lower-case hexadecimal: a nonce, or an answer. */
export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Whether a text is a signature of P-256, `r` and `s`: 128 lower-case hexadecimal digits. */
export function isSignature(text: string): boolean {
  return /^[0-9a-f]{128}$/.test(text);
}

/** Makes an error text fit a line, whatever the names that it quotes contain. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ").slice(0, 1000);
}

/** Decodes UTF-8 strictly, because two programs could replace invalid bytes differently. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new ProtocolError("the text is not UTF-8", { cause });
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();
