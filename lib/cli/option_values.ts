/**
 * Values that a person types, checked, with the words that say what was expected.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

const UNITS: Record<string, number> = {
  "": 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** A value as it was typed. */
export function parseText(text: string): string {
  return text;
}

/**
 * One of some words.
 *
 * @throws {InletError} `usage`
 */
export function parseWord<Word extends string>(
  text: string,
  what: string,
  words: readonly Word[],
): Word {
  const word = words.find((word) => word === text);
  if (word !== undefined) return word;
  throw usage(what, text, `one of ${words.join(", ")}`);
}

/**
 * A size in bytes: `1000`, `64KiB`, `1.5GiB`, `10 MB`.
 *
 * @param orElse What may be given besides.
 * @throws {InletError} `usage`
 */
export function parseSize(text: string, what: string, orElse = ""): number {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(text);
  // Rounded, because 1.001 * 1000 is a little less than 1001.
  const bytes = Math.round(Number(match?.[1]) * (UNITS[match?.[2] ?? "?"] ?? NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw usage(what, text, `a size of at least 1 byte, like 500, 64KiB, 10MB or 1.5GiB${orElse}`);
}

/**
 * A speed in bytes a second, written as a size; 0 for none.
 *
 * @throws {InletError} `usage`
 */
export function parseRate(text: string, what: string): number {
  return text === "0" ? 0 : parseSize(text, what, ", or 0");
}

/**
 * A whole number within a range.
 *
 * @throws {InletError} `usage`
 */
export function parseCount(
  text: string,
  what: string,
  range: { min: number; max: number },
): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (count >= range.min && count <= range.max) return count;
  throw usage(what, text, `a whole number from ${range.min} to ${range.max}`);
}

/**
 * Seconds, at least a tenth of one and at most a day, as milliseconds.
 *
 * @throws {InletError} `usage`
 */
export function parseSeconds(text: string, what: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
  if (seconds >= 0.1 && seconds <= 86_400) return seconds * 1000;
  throw usage(what, text, "seconds from 0.1 to 86400");
}

const DURATIONS: Record<string, number> = {
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * A time of up to a year, as milliseconds: `90s`, `30m`, `24h`, `7d`, or `0`.
 *
 * @throws {InletError} `usage`
 */
export function parseDuration(text: string, what: string): number {
  const match = /^(\d{1,8})([smhd]?)$/.exec(text);
  const milliseconds = Number(match?.[1]) * (DURATIONS[match?.[2] ?? "?"] ?? NaN);
  if (milliseconds <= 366 * 86_400_000) return milliseconds;
  throw usage(what, text, "a time of up to a year, like 90s, 30m, 24h or 7d, or 0");
}

/**
 * A port to listen on: 1024 to 65535, or 0 for any that is free.
 *
 * @throws {InletError} `usage`
 */
export function parseListenPort(text: string): number {
  if (text === "0") return 0;
  return parseCount(text, "port", { min: 1024, max: 65535 });
}

/**
 * A port to connect to: 1 to 65535.
 *
 * @throws {InletError} `usage`
 */
export function parsePort(text: string): number {
  return parseCount(text, "port", { min: 1, max: 65535 });
}

function usage(what: string, given: string, expected: string): InletError {
  return new InletError("usage", `Cannot use ${quoted(given)} as the ${what}: give ${expected}`);
}
