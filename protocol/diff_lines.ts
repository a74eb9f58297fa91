/**
 * The lines behind a `diff` request, each of which describes what the client has in one folder, and
 * the flags that answer them.
 *
 * A tree of 50,000 files makes as many lines, so the usual line is read by one expression.
 *
 * @module
 */

import { checkTarget } from "./folder_fields.ts";
import {
  cut,
  decodeCrc,
  decodeName,
  decodeNumber,
  decodeTime,
  formatCrc,
  formatFields,
  formatTime,
  modeOf,
  parseFields,
  ProtocolError,
} from "./line.ts";

/** Most lines behind one `diff` request. */
export const MAX_DIFF_ENTRIES = 1000;

/** A file, folder or link of the client, for the server to compare with its own. */
export interface DiffEntry {
  /** In bytes; `null` for a folder or a link. */
  size: number | null;
  /** Permission bits, if known. A link has none. */
  mode?: number | undefined;
  /** What a link points to. */
  to?: string | undefined;
  /** CRC-32 of the whole file, if it was computed. */
  crc?: number | undefined;
  /** Time of the last change. */
  modified: Date;
  /** The last part of its name. */
  name: string;
}

/**
 * What the server has in place of an entry: `=` the same, `.` nothing, `!` something else, `?` a file
 * that only its CRC-32 can tell from the client's.
 */
export type DiffFlag = "=" | "." | "!" | "?";

/** Formats an entry: `SIZE;mode=644 TIME NAME`, `-;mode=755 TIME NAME` or `@;to=TARGET TIME NAME`. */
export function formatDiffEntry({ size, mode, to, crc, modified, name }: DiffEntry): string {
  let word = to === undefined ? String(size ?? "-") : formatFields("@", { to });
  if (mode !== undefined) word += `;mode=${(mode & 0o777).toString(8)}`;
  if (crc !== undefined) word += `;crc=${formatCrc(crc)}`;
  return `${word} ${formatTime(modified)} ${name}`;
}

/** The line of a file or folder whose only field is its mode. */
const USUAL = /^(\d{1,16}|-);mode=([0-7]{1,3}) (\S+) (.+)$/s;

/**
 * Parses the output of {@linkcode formatDiffEntry}.
 *
 * @throws {ProtocolError} if the line is malformed, or its name has a slash
 */
export function parseDiffEntry(line: string): DiffEntry {
  const usual = USUAL.exec(line);
  if (!usual) return parseUnusual(line);
  const size = usual[1] === "-" ? null : decodeNumber(usual[1]!, "size");
  return {
    size,
    mode: parseInt(usual[2]!, 8),
    modified: decodeTime(usual[3]!),
    name: decodePart(usual[4]!),
  };
}

function parseUnusual(line: string): DiffEntry {
  const [first, rest] = cut(line);
  const [time, name] = cut(rest);
  const { word, fields } = parseFields(first);
  const to = fields?.to;
  if (word === "@") checkTarget(to);
  const mode = modeOf(fields ? { fields } : {});
  return {
    size: word === "-" || word === "@" ? null : decodeNumber(word, "size"),
    ...mode !== undefined && { mode },
    ...word === "@" && { to },
    ...fields?.crc !== undefined && { crc: decodeCrc(fields.crc) },
    modified: decodeTime(time),
    name: decodePart(name),
  };
}

/** Refuses what leads elsewhere than into the folder of the request. The store checks the rest. */
function decodePart(name: string): string {
  if (name.includes("/")) throw new ProtocolError("the name of an entry has a slash");
  return decodeName(name);
}

/** Parses the number of lines behind a request. */
export function decodeDiffCount(text: string): number {
  const count = decodeNumber(text, "number of entries");
  if (count >= 1 && count <= MAX_DIFF_ENTRIES) return count;
  throw new ProtocolError(`a diff has 1 to ${MAX_DIFF_ENTRIES} entries, not ${count}`);
}

/**
 * Parses the detail of the `ok`: one flag for each entry.
 *
 * @param count The number of entries that were sent.
 * @throws {ProtocolError} if there are more or fewer flags, or unknown ones
 */
export function parseDiffFlags(detail: string, count: number): DiffFlag[] {
  if (detail.length === count && /^[=.!?]*$/.test(detail)) return [...detail] as DiffFlag[];
  throw new ProtocolError(`the answer to ${count} entries is not as many flags`);
}
