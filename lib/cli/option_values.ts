/**
 * Parses the values of options and arguments. An error says what was expected.
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

/** Accepts any text. */
export function parseText(text: string): string {
  return text;
}

/**
 * Parses a host: a name, or an address, in brackets or not. It is looked up later.
 *
 * @throws {InletError} `usage` for what can be neither
 */
export function parseHost(text: string, what = "host"): string {
  const [, protocol] = /^([a-z][\w+.-]*:\/\/)/i.exec(text) ?? [];
  if (protocol !== undefined) throw usage(what, text, `the host alone, without ${protocol}`);
  const [, host, port] = /^([^:[\]]+|\[[^\]]*\]):(\d+)$/.exec(text) ?? [];
  if (host !== undefined) {
    throw usage(what, text, `the host alone, ${host}, and ${port} as the port`);
  }
  if (!/^(?:[^\s/@?#\\:[\]]+|\[?[\da-f:.]+(?:%[^\s/\]]+)?\]?)$/i.test(text)) {
    throw usage(what, text, "the name or the address of a host");
  }
  return text.replace(/^\[(.*)\]$/, "$1");
}

/**
 * Parses one of a set of words.
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
 * Parses a size in bytes: `1000`, `64KiB`, `1.5GiB`, `10 MB`.
 *
 * @param orElse Another accepted form, for the message.
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
 * Parses a speed in bytes per second, written as a size; 0 for none.
 *
 * @throws {InletError} `usage`
 */
export function parseRate(text: string, what: string): number {
  return text === "0" ? 0 : parseSize(text, what, ", or 0");
}

/**
 * Parses a whole number within a range.
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
 * Parses seconds, from 0.1 to a day, and returns milliseconds.
 *
 * @param orElse Another accepted form, for the message.
 * @throws {InletError} `usage`
 */
export function parseSeconds(text: string, what: string, orElse = ""): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
  if (seconds >= 0.1 && seconds <= 86_400) return seconds * 1000;
  throw usage(what, text, `seconds from 0.1 to 86400${orElse}`);
}

/**
 * Parses milliseconds, from 1 to a minute.
 *
 * @throws {InletError} `usage`
 */
export function parseMilliseconds(text: string, what: string): number {
  const milliseconds = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (milliseconds >= 1 && milliseconds <= 60_000) return milliseconds;
  throw usage(what, text, "milliseconds from 1 to 60000");
}

/**
 * Parses seconds, from 0.1 to a day or 0, and returns milliseconds.
 *
 * @throws {InletError} `usage`
 */
export function parseSecondsOrNone(text: string, what: string): number {
  return text === "0" ? 0 : parseSeconds(text, what, ", or 0");
}

const DURATIONS: Record<string, number> = {
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Parses a time of up to a year, such as `90s`, `30m`, `24h`, `7d` or `0`, and returns
 * milliseconds.
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
 * Parses a port to listen on: 1024 to 65535, or 0 for any free port.
 *
 * @throws {InletError} `usage`
 */
export function parseListenPort(text: string): number {
  if (text === "0") return 0;
  return parseCount(text, "port", { min: 1024, max: 65535 });
}

/**
 * Parses a port to connect to: 1 to 65535.
 *
 * @throws {InletError} `usage`
 */
export function parsePort(text: string): number {
  return parseCount(text, "port", { min: 1, max: 65535 });
}

function usage(what: string, given: string, expected: string): InletError {
  return new InletError("usage", `Cannot use ${quoted(given)} as the ${what}: give ${expected}`);
}
