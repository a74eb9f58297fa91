/**
 * The lines that frame a body, and the lines that describe files: the acknowledgement of a stored
 * file, and the entries of a list.
 *
 * @module
 */

import { checkTarget } from "./folder_fields.ts";
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
  modeField,
  modeOf,
  oneLine,
  parseFields,
  ProtocolError,
} from "./line.ts";

/** Largest chunk of a body of unknown length, in bytes. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024;

/** The line with which a client stops the body of a get. */
export const STOP = "stop";

/** The text of the `abort` line that ends a stopped body. */
export const STOPPED = "stopped";

/**
 * A line that frames a body: a chunk header, or the end of the body. `modified` is the time of the
 * file's last change, if it has one.
 */
export type BodyLine =
  & { fields?: Fields }
  & (
    | { type: "data"; size: number }
    | { type: "end"; crc: number; modified?: Date }
    | { type: "abort"; text: string }
  );

/** A stored file. */
export interface Stored {
  /** In bytes. */
  size: number;
  /** CRC-32 of its content. */
  crc: number;
  /** The name under which it was published. */
  name: string;
}

/** An entry of a list. */
export interface ListEntry {
  /** In bytes; `null` for a folder or a symbolic link, which only a tree contains. */
  size: number | null;
  /** Where a symbolic link leads to. Nothing else has it. */
  to?: string;
  /** Time of the last change. */
  modified: Date;
  /** The name, with the folders that it is in. */
  name: string;
  /** Further facts, such as `mode`. */
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
 * @throws {ProtocolError} if the line is malformed, or announces an empty or oversized chunk
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
      modeOf(fields);
      return { type: "end", crc: decodeCrc(crc), ...modified, ...fields };
    }
    case "abort":
      return { type: "abort", text: rest, ...fields };
  }
  throw new ProtocolError(`expected "data", "end" or "abort"`);
}

/** What a trailer tells of the file. */
export interface TrailerFacts {
  /** Time of the last change. */
  modified?: Date | undefined;
  /** Permission bits. */
  mode?: number | undefined;
  /** Whether it grew while it was sent, so that the body is only its beginning. */
  grew?: boolean | undefined;
}

/** The parts of an `end` for what is known of the file. */
export function trailerFacts(
  { modified, mode, grew }: TrailerFacts,
): { modified?: Date; fields: Fields } {
  const fields = { ...modeField(mode).fields, ...grew && { grew: "yes" } };
  return { ...modified && { modified }, fields };
}

/** Parses the output of {@linkcode trailerFacts}. An `abort` tells nothing. */
export function factsOf(trailer: BodyLine): TrailerFacts {
  if (trailer.type !== "end") return {};
  const { modified, fields } = trailer;
  return { modified, mode: modeOf(trailer), grew: fields?.grew !== undefined };
}

/** Formats the detail of the `ok` after a put, `SIZE CRC NAME`, or after a say, `SIZE CRC`. */
export function formatStored({ size, crc, name }: Stored): string {
  const facts = `${size} ${formatCrc(crc)}`;
  return name === "" ? facts : `${facts} ${name}`;
}

/**
 * Parses the output of {@linkcode formatStored}. The name is empty after a `say`.
 *
 * @throws {ProtocolError} if the detail is malformed
 */
export function parseStored(detail: string): Stored {
  const [size, rest] = cut(detail);
  const [crc, name] = cut(rest);
  return { size: decodeNumber(size, "size"), crc: decodeCrc(crc), name };
}

/** Whether an entry is a folder. */
export function isFolderEntry({ size, to }: Pick<ListEntry, "size" | "to">): boolean {
  return size === null && to === undefined;
}

/** The first word of the entry of a symbolic link. */
const LINK = "@";

/** Formats a line of a list: `SIZE TIME NAME`. The size of a folder is `-`, that of a link `@`. */
export function formatListEntry({ size, to, modified, name, fields }: ListEntry): string {
  const word = to === undefined
    ? formatFields(String(size ?? "-"), fields)
    : formatFields(LINK, { to, ...fields });
  return `${word} ${formatTime(modified)} ${name}`;
}

/**
 * Parses the output of {@linkcode formatListEntry}.
 *
 * @throws {ProtocolError} if the line is malformed
 */
export function parseListEntry(line: string): ListEntry {
  const [first, rest] = cut(line);
  const [time, name] = cut(rest);
  const { word, ...fields } = parseFields(first);
  modeOf(fields);
  return {
    ...word === LINK ? linkOf(fields) : { size: decodeSize(word), ...fields },
    modified: decodeTime(time),
    name: decodeName(name),
  };
}

/** The target of a link, and its other fields. */
function linkOf({ fields = {} }: { fields?: Fields }): Omit<ListEntry, "modified" | "name"> {
  const { to, ...others } = fields;
  checkTarget(to);
  return { size: null, to, ...Object.keys(others).length > 0 && { fields: others } };
}
