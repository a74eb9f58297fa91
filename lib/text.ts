/**
 * Escapes text from peers for display, and formats numbers and times for people.
 *
 * @module
 */

import { format } from "@std/fmt/bytes";

/** C0 and C1 controls, DEL, line separators, and characters that reorder or hide text. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Escapes characters that a terminal would interpret or hide: ESC becomes `\u{1b}`. */
export function printable(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** The same for text of several lines: line feeds and tabs stay. */
export function printableLines(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => /[\n\t]/.test(character) ? character : printable(character),
  );
}

/** Formats JSON with the same characters escaped: ESC becomes `\u001b`. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    UNPRINTABLE,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

/** Quotes a name for display: escaped, and cut after 200 characters. */
export function quoted(name: string): string {
  const shown = printable(name);
  return `"${shown.length > 200 ? shown.slice(0, 200) + "…" : shown}"`;
}

/** Formats a number of bytes in powers of 1,024: `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  // @std writes kiB; IEC 80000-13, like --max-size, has KiB.
  return format(bytes, { binary: true }).replace("kiB", "KiB");
}

/** Formats milliseconds as seconds with at most one decimal: `0.5`. */
export function formatSeconds(milliseconds: number): string {
  return String(Math.round(milliseconds / 100) / 10);
}

/** Milliseconds from which on a speed is a measurement. */
const MIN_MEASURED_MS = 1000;

/** The speed as a list of one, or of none if less than a second was measured. */
export function measuredSpeed(bytes: number, elapsedMs: number): string[] {
  return elapsedMs < MIN_MEASURED_MS ? [] : [formatSpeed(bytes, elapsedMs)];
}

/** Formats a speed in powers of 1,000, as line speeds are given: `812 MB/s`. */
export function formatSpeed(bytes: number, elapsedMs: number): string {
  // No options: any would load the locale data, which takes longer than sending a small file.
  const speed = bytes / Math.max(elapsedMs / 1000, 0.001);
  // @std formats all but fractions of a byte.
  return `${format(speed < 1 ? Math.round(speed * 10) / 10 : speed)}/s`;
}

/** Formats a duration: `0:07`, `1:02:03`; `-:--` if it is not known. */
export function formatDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "-:--";
  const seconds = Math.ceil(milliseconds / 1000);
  const two = (number: number): string => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** Formats a whole number: `10,000`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Formats a local time as `YYYY-MM-DD HH:MM:SS`. */
export function formatLocalTime(time: Date): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** What Deno puts for bytes that are not UTF-8. No path leads to an entry whose name has some. */
export const REPLACED = "\ufffd";
