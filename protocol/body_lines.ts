/**
 * The lines around a body, and the lines that tell of files: what frames a body, what was stored,
 * and the entries of a list.
 *
 * @module
 */

import {
  cut,
  decodeCrc,
  decodeName,
  decodeNumber,
  decodeSize,
  decodeTime,
  encodeLine,
  type Fields,
  formatCrc,
  formatFields,
  formatTime,
  oneLine,
  parseFields,
  ProtocolError,
} from "./line.ts";

/** Largest chunk of a body of unknown length, in bytes. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024;

/** What a client says within the body of a get, so that no more of it comes. */
export const STOP = "stop";

/** How the body of a get that was stopped ends: `abort stopped`. */
export const STOPPED = "stopped";

/**
 * The lines that frame a body: chunk headers, and how it ended. `modified` is the time of the file's
 * last change, where it has one.
 */
export type BodyLine =
  & { fields?: Fields }
  & (
    | { type: "data"; size: number }
    | { type: "end"; crc: number; modified?: Date }
    | { type: "abort"; text: string }
  );

/** What was stored: its size in bytes, its CRC-32, and the name that it got. */
export interface Stored {
  size: number;
  crc: number;
  name: string;
}

/**
 * One file in a list: size in bytes, and the time of its last change, to the second. In a tree there
 * are folders too, which have no size: `null`.
 */
export interface ListEntry {
  size: number | null;
  modified: Date;
  name: string;
  fields?: Fields;
}

/** Encodes a line that frames a body. */
export function encodeBodyLine(line: BodyLine): Uint8Array<ArrayBuffer> {
  const verb = formatFields(line.type, line.fields);
  switch (line.type) {
    case "data":
      return encodeLine(`${verb} ${line.size}`);
    case "end": {
      const time = line.modified ? ` ${formatTime(line.modified)}` : "";
      return encodeLine(`${verb} ${formatCrc(line.crc)}${time}`);
    }
    case "abort":
      return encodeLine(`${verb} ${oneLine(line.text)}`);
  }
}

/**
 * Decodes a line that frames a body.
 *
 * @throws {ProtocolError} if it is none, or announces an empty or oversized chunk
 */
export function decodeBodyLine(text: string): BodyLine {
  const [first, rest] = cut(text);
  const { word, ...fields } = parseFields(first);
  switch (word) {
    case "data": {
      const size = decodeNumber(rest, "chunk size");
      if (size < 1 || size > MAX_CHUNK_BYTES) {
        throw new ProtocolError(`a chunk has 1 to ${MAX_CHUNK_BYTES} bytes, not ${size}`);
      }
      return { type: "data", size, ...fields };
    }
    case "end": {
      const [crc, time] = cut(rest);
      const modified = time === "" ? {} : { modified: decodeTime(time) };
      return { type: "end", crc: decodeCrc(crc), ...modified, ...fields };
    }
    case "abort":
      return { type: "abort", text: rest, ...fields };
  }
  throw new ProtocolError(`expected "data", "end" or "abort"`);
}

/** The detail of the `ok` that follows a put: `SIZE CRC NAME`; after a `say` there is no name. */
export function formatStored({ size, crc, name }: Stored): string {
  const facts = `${size} ${formatCrc(crc)}`;
  return name === "" ? facts : `${facts} ${name}`;
}

/**
 * Reads the detail that {@linkcode formatStored} wrote. The name is empty after a `say`.
 *
 * @throws {ProtocolError} if it has another form
 */
export function parseStored(detail: string): Stored {
  const [size, rest] = cut(detail);
  const [crc, name] = cut(rest);
  return { size: decodeNumber(size, "size"), crc: decodeCrc(crc), name };
}

/** One line of a list: `SIZE TIME NAME`, where the size of a folder is `-`. */
export function formatListEntry({ size, modified, name, fields }: ListEntry): string {
  return `${formatFields(String(size ?? "-"), fields)} ${formatTime(modified)} ${name}`;
}

/**
 * Reads a line that {@linkcode formatListEntry} wrote.
 *
 * @throws {ProtocolError} if it has another form
 */
export function parseListEntry(line: string): ListEntry {
  const [first, rest] = cut(line);
  const [time, name] = cut(rest);
  const { word, ...fields } = parseFields(first);
  return {
    size: decodeSize(word),
    modified: decodeTime(time),
    name: decodeName(name),
    ...fields,
  };
}
