/**
 * Text from strangers, made safe to show, and figures made easy to read.
 *
 * @module
 */

import { format } from "@std/fmt/bytes";

/** C0 and C1 controls, DEL, the line separators, and what reorders or hides text on a screen. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Replaces what a terminal would obey or hide by its escape: ESC becomes `\u{1b}`. */
export function printable(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** A value as JSON, with the same replaced by JSON's own escapes: ESC becomes `\u001b`. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    UNPRINTABLE,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

/** A name in quotes, safe to show, cut when it is absurdly long. */
export function quoted(name: string): string {
  const shown = printable(name);
  return `"${shown.length > 200 ? shown.slice(0, 200) + "…" : shown}"`;
}

/** A number of bytes for a person, in powers of 1,024: `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  // @std writes kiB; the prefix of 1,024 has a capital, as in what --max-size takes.
  return format(bytes, { binary: true }).replace("kiB", "KiB");
}

/** Milliseconds for a person, in seconds with at most one decimal: `0.5`. */
export function formatSeconds(milliseconds: number): string {
  return String(Math.round(milliseconds / 100) / 10);
}

/** Bytes a second for a person, in powers of 1,000 as line speeds are given: `812 MB/s`. */
export function formatSpeed(bytes: number, elapsedMs: number): string {
  // Without options: with them it would load the locale, which takes longer than a small file.
  return `${format(bytes / Math.max(elapsedMs / 1000, 0.001))}/s`;
}

/** A whole number for a person: `10,000`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Local time as `YYYY-MM-DD HH:MM:SS`. */
export function formatLocalTime(time: Date): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
