// @ts-check
/**
 * The words of the page: sizes, times and names for people, and what to do about a failure.
 *
 * @module
 */

/** Controls, and characters that reorder or hide text. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Shows the characters that a reader could be misled by: `photo\u{202e}gpj.exe`.
 *
 * @param {string} text
 * @returns {string}
 */
export function printable(text) {
  return text.replaceAll(UNPRINTABLE, (it) => `\\u{${it.codePointAt(0)?.toString(16)}}`);
}

/**
 * A name within a sentence. It is isolated, so that neither writes the other's letters backwards.
 *
 * @param {string} name
 * @returns {string}
 */
export function quoted(name) {
  return `“\u2068${printable(name)}\u2069”`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * A number of bytes in powers of 1,024, as the other programs show it: `1.5 MiB`.
 *
 * @param {number} bytes
 * @returns {string}
 */
export function sizeOf(bytes) {
  const power = bytes < 1024 ? 0 : Math.min(5, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[power]}`;
}

/**
 * A speed in powers of 1,000, as those of lines are given: `12 MB/s`.
 *
 * @param {number} bytesPerSecond
 * @returns {string}
 */
export function speedOf(bytesPerSecond) {
  const units = ["B/s", "kB/s", "MB/s", "GB/s"];
  const power = Math.max(0, Math.min(3, Math.floor(Math.log10(bytesPerSecond) / 3)));
  const amount = bytesPerSecond / 1000 ** power;
  return `${amount >= 10 || power === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[power]}`;
}

/** @param {number} number */
const two = (number) => String(number).padStart(2, "0");

/**
 * A time that something takes: `0:07`, `1:02:03`.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function durationOf(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/**
 * A local time: `2026-11-26 09:45`, and only `09:45` for one of today if that is wanted.
 *
 * @param {Date} time
 * @param {{ short?: boolean }} [options]
 * @returns {string}
 */
export function timeOf(time, { short = false } = {}) {
  if (Number.isNaN(time.getTime())) return "";
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (short && time.toDateString() === new Date().toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}

/**
 * A number of things: `1 file`, `10,000 files`.
 *
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export function countOf(number, one, many = `${one}s`) {
  return `${String(number).replace(/\B(?=(\d{3})+$)/g, ",")} ${number === 1 ? one : many}`;
}

/**
 * A failure of the server.
 *
 * @typedef {object} Problem
 * @property {number} status 0 if there was no answer at all.
 * @property {string} code
 * @property {string} detail
 */

/** A failure that the server or the line is the cause of. */
export class Refused extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/**
 * Takes a response apart that is a problem (RFC 9457); a proxy on the way may have another form.
 *
 * @param {number} status
 * @param {string} body
 * @returns {Problem}
 */
export function problemIn(status, body) {
  try {
    const { code, detail } = JSON.parse(body);
    if (typeof code === "string" && typeof detail === "string") return { status, code, detail };
  } catch {
    // Then only the status tells.
  }
  return { status, code: "", detail: "" };
}

/**
 * What is done about a failure: the page goes on by itself, asks for the key, or leaves it to the
 * person, who may change something and try again.
 *
 * @typedef {"wait" | "sign-in" | "ask"} Cure
 */

/** Codes after which the same attempt can succeed by itself. */
const PASSING = ["busy", "overloaded", "shutdown", "interrupted", "timeout", "lost", "wait"];
const PASSING_STATUSES = [0, 408, 409, 423, 429, 502, 503, 504];

/** @type {Readonly<Record<string, string>>} */
const ADVICE = {
  "no-space": "The server has no room left. Once there is some, press “Try again”.",
  "bad-name": "The server does not take this name. Rename the file, and send it again.",
  "disk": "The server's disk has failed. Tell who runs the server, then press “Try again”.",
  "checksum": "It was damaged on its way. Press “Try again”.",
  "internal": "The server has made a mistake; its log tells which. Press “Try again”.",
};

/**
 * Says what to do about a failure.
 *
 * @param {Problem} problem
 * @param {{ maxFileBytes?: number | null }} [limits]
 * @returns {{ cure: Cure, words: string }}
 */
export function adviceFor({ status, code, detail }, { maxFileBytes } = {}) {
  if (status === 401) {
    return { cure: "sign-in", words: "You are signed out. Sign in, and it goes on." };
  }
  if (code === "too-large" || status === 413) {
    const limit = maxFileBytes ? `files of up to ${sizeOf(maxFileBytes)}` : "no more at once";
    return { cure: "ask", words: `Too large: this server takes ${limit}.` };
  }
  const advice = Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
  if (advice) return { cure: "ask", words: `${advice}${code === "bad-name" ? why(detail) : ""}` };
  if (status === 403) return { cure: "ask", words: `This server does not allow it.${why(detail)}` };
  if (status === 0) {
    return { cure: "wait", words: "No connection to the server. It goes on by itself." };
  }
  if (PASSING.includes(code) || PASSING_STATUSES.includes(status)) {
    return { cure: "wait", words: "The server is busy. It goes on by itself." };
  }
  return { cure: "ask", words: `The server refused it (${status}).${why(detail)}` };
}

/**
 * The server's own words behind ours.
 *
 * @param {string} detail
 * @returns {string}
 */
function why(detail) {
  return detail === "" ? "" : ` It says: ${printable(detail)}.`;
}
