/**
 * Parses the values of options and arguments. An error says what was expected.
 *
 * @module
 */

import { unixPathIn } from "../address.ts";
import { InletError } from "../errors.ts";
import { formatCount, quoted } from "../text.ts";
import { nearest } from "./nearest.ts";

/** A number and its unit, in lower case. */
interface Measure {
  number: number;
  unit: string;
}

/** Takes a text such as `1.5 GiB` apart; units may be in any case. */
function measureOf(text: string): Measure | undefined {
  const [, number, unit] = /^(\d{1,16}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(text) ?? [];
  return number === undefined ? undefined : { number: Number(number), unit: unit!.toLowerCase() };
}

/** Sizes. A letter alone is a power of 1,024, as it is for rsync and curl. */
const SIZES = new Map([["", 1], ["b", 1]]);
for (const [index, letter] of [..."kmgt"].entries()) {
  SIZES.set(letter, 1024 ** (index + 1));
  SIZES.set(`${letter}ib`, 1024 ** (index + 1));
  SIZES.set(`${letter}b`, 1000 ** (index + 1));
}

const SIZE_UNITS =
  "B, kB, MB, GB, TB (powers of 1,000), KiB, MiB, GiB, TiB or K, M, G, T (powers of 1,024)";

/** Accepts any text. */
export function parseText(text: string): string {
  return text;
}

/** Most bytes of the name of a client, which stands in one line of the wire with others. */
const MAX_NAME_BYTES = 1024;

/** What {@linkcode isClientName} takes, for messages. */
export const CLIENT_NAME = `a text of one line, of at most ${formatCount(MAX_NAME_BYTES)} bytes`;

/** Whether a client can have this name. */
export function isClientName(text: string): boolean {
  return text.isWellFormed() && !/[\r\n]/.test(text) &&
    new TextEncoder().encode(text).length <= MAX_NAME_BYTES;
}

/**
 * Parses the name of a client.
 *
 * @throws {InletError} `usage`
 */
export function parseClientName(text: string, what: string): string {
  if (isClientName(text)) return text;
  throw usage(what, text, CLIENT_NAME);
}

/**
 * Parses the path of a directory.
 *
 * @throws {InletError} `usage` for a URL
 */
export function parseDirectory(text: string, what: string): string {
  // `s3:/b` is an address of a bucket with a slash too few, and no directory that anybody means.
  const [scheme] = /^(?:[a-z][\w+.-]*:\/\/|s3:)/i.exec(text) ?? [];
  if (scheme === undefined) return text;
  const how = /^s3:/i.test(scheme)
    ? "a directory of this machine, or a bucket as --store s3://BUCKET/PREFIX"
    : `a directory of this machine, and no ${scheme}`;
  throw usage(what, text, how);
}

/**
 * Parses a host: a name, or an address, in brackets or not. It is looked up later.
 *
 * @throws {InletError} `usage` for what can be neither
 */
export function parseHost(text: string, what = "host"): string {
  if (unixPathIn(text)) throw usage(what, text, "it in the place of the port");
  const [, protocol] = /^([a-z][\w+.-]*:\/\/)/i.exec(text) ?? [];
  if (protocol !== undefined) throw usage(what, text, `the host alone, without ${protocol}`);
  const [, host, port] = /^([^\s/@?#\\:[\]]+|\[[^\]]*\]):(\d+)$/.exec(text) ?? [];
  if (host !== undefined) {
    throw usage(what, text, `the host alone, ${host}, and ${port} as the port`);
  }
  if (!/^(?:[^\s/@?#\\:[\]]+|\[?[\da-f.]*:[\da-f.]*:[\da-f:.]*(?:%[^\s/\]]+)?\]?)$/i.test(text)) {
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
  const choice = choiceOf(text, words);
  throw new InletError("usage", `Cannot use ${quoted(text)} as the ${what}: ${choice}`);
}

/** Most words that a message names. */
const MAX_NAMED = 50;

/** What to give instead of a wrong word: the nearest one, if there is one, and all of them. */
export function choiceOf(given: string, words: readonly string[]): string {
  const near = nearest(given, words);
  const hint = near === undefined ? "" : `the nearest is ${near}, `;
  const more = words.length > MAX_NAMED ? ` and ${formatCount(words.length - MAX_NAMED)} more` : "";
  return `${hint}give one of ${words.slice(0, MAX_NAMED).join(", ")}${more}`;
}

/**
 * Parses a size in bytes: `1000`, `64KiB`, `1.5GiB`, `10 MB`, `500kb`, `5g`.
 *
 * @param orElse Another accepted form, for the message.
 * @throws {InletError} `usage`
 */
export function parseSize(text: string, what: string, orElse = ""): number {
  const measure = measureOf(text);
  checkUnit(measure, SIZES, { text, what, units: SIZE_UNITS });
  // Rounded, because 1.001 * 1000 is a little less than 1001.
  const bytes = Math.round(measure ? measure.number * SIZES.get(measure.unit)! : NaN);
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
  const milliseconds = millisecondsOf(text, what);
  if (milliseconds >= 100 && milliseconds <= 86_400_000) return milliseconds;
  throw usage(what, text, `seconds from 0.1 to 86400${orElse}`);
}

/**
 * Parses milliseconds, from 1 to a minute.
 *
 * @throws {InletError} `usage`
 */
export function parseMilliseconds(text: string, what: string): number {
  const milliseconds = /^\d{1,5}( ?ms)?$/i.test(text) ? Number.parseInt(text) : NaN;
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

const TIMES = new Map([["", 1000], ["s", 1000], ["m", 60_000], ["h", 3_600_000], [
  "d",
  86_400_000,
]]);

/** The milliseconds of a time with a unit, or in seconds without one; NaN for what is none. */
function millisecondsOf(text: string, what: string): number {
  const measure = measureOf(text);
  checkUnit(measure, TIMES, { text, what, units: "s, m, h, d" });
  return measure ? Math.round(measure.number * TIMES.get(measure.unit)!) : NaN;
}

/** Refuses a number with an unknown unit. */
function checkUnit(
  measure: Measure | undefined,
  known: ReadonlyMap<string, number>,
  { text, what, units }: { text: string; what: string; units: string },
): void {
  if (!measure || known.has(measure.unit)) return;
  throw usage(what, text, `one of the units ${units}`);
}

/** Which times an option takes. */
export interface DurationRange {
  readonly leastMs: number;
  readonly mostMs: number;
  /** The same in words. */
  readonly expected: string;
}

const UP_TO_A_YEAR: DurationRange = {
  leastMs: 0,
  mostMs: 366 * 86_400_000,
  expected: "a time of up to a year, like 90s, 30m, 24h or 7d, or 0",
};

/**
 * Parses a time such as `90s`, `30m`, `24h`, `7d` or `0`, and returns milliseconds.
 *
 * @param range What is permitted: by default up to a year.
 *
 * @throws {InletError} `usage`
 */
export function parseDuration(
  text: string,
  what: string,
  { leastMs, mostMs, expected }: DurationRange = UP_TO_A_YEAR,
): number {
  const milliseconds = millisecondsOf(text, what);
  if (milliseconds >= leastMs && milliseconds <= mostMs) return milliseconds;
  throw usage(what, text, expected);
}

/**
 * Parses the permissions of a file, as chmod takes them in octal: `600`, `0660`.
 *
 * @throws {InletError} `usage`
 */
export function parsePermissions(text: string, what: string): number {
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  throw usage(what, text, "three octal digits, like 600 or 660");
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
