/**
 * The lines of `status`: for people, and with the facts of each client in fields where they are asked
 * for by `status;facts=yes`.
 *
 * @module
 */

import {
  cut,
  decodeNumber,
  decodeSize,
  decodeTime,
  type Fields,
  formatFields,
  formatTime,
  MAX_LINE_BYTES,
  parseFields,
  ProtocolError,
} from "./line.ts";

/** What is known of a client. */
export interface ClientFacts {
  /** Its number in this run of the server. */
  readonly id: number;
  /** Its name; empty if it has none. */
  readonly name: string;
  /** `HOST:PORT`, or `unix:N` at a Unix socket. */
  readonly address: string;
  /** When it came. */
  readonly since: Date;
  /** When it disconnected; missing while it is connected. */
  readonly until?: Date;
  /** What it speaks, if the server tells. */
  readonly wire?: string;
  /** The file that it sends or gets: the bytes that have moved, and its size, `null` if unknown. */
  readonly moving?: { readonly file: string; readonly bytes: number; readonly size: number | null };
}

/** The fields that ask for the facts. */
export const WITH_FACTS: Fields = { facts: "yes" };

/**
 * Puts facts into a line of `status`. What a client moves is left out where the line would be too long.
 *
 * @param line `client`, a space, and text for people.
 */
export function withFacts(line: string, { moving, ...facts }: ClientFacts): string {
  const { id, name, address, since, until, wire } = facts;
  const fields: Fields = {
    ...{ id: String(id), name, address, since: formatTime(since) },
    ...until && { until: formatTime(until) },
    ...wire !== undefined && { wire },
    ...moving && {
      ...{ file: moving.file, bytes: String(moving.bytes), size: String(moving.size ?? "-") },
    },
  };
  const [word, text] = cut(line);
  const whole = `${formatFields(word, fields)} ${text}`;
  // The line ending counts, and a character of UTF-16 has at most three bytes of UTF-8.
  const isLong = whole.length + 2 * text.length >= MAX_LINE_BYTES;
  return isLong && moving ? withFacts(line, facts) : whole;
}

/**
 * The facts in a line of `status`.
 *
 * @returns `undefined` if it has none: a server need not know of them.
 * @throws {ProtocolError} if they are malformed
 */
export function clientFactsOf(line: string): ClientFacts | undefined {
  const { fields } = parseFields(cut(line)[0]);
  if (!fields) return undefined;
  const { id = "", name = "", address, since = "", until, wire, file, bytes = "", size = "" } =
    fields;
  if (address === undefined) throw new ProtocolError("a client has no address");
  return {
    ...{ id: decodeNumber(id, "number of a client"), name, address, since: decodeTime(since) },
    ...until !== undefined && { until: decodeTime(until) },
    ...wire !== undefined && { wire },
    ...file !== undefined && {
      moving: { file, bytes: decodeNumber(bytes, "number of bytes"), size: decodeSize(size) },
    },
  };
}
