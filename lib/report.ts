/**
 * What the client says of one file.
 *
 * @module
 */

import { formatCrc, type ListEntry, type Stored } from "../protocol.ts";
import { formatLocalTime } from "./log.ts";
import { formatBytes, formatSpeed, printable, quoted } from "./text.ts";

/** What a file that moved became: its name, its size, its checksum, and how fast it was. */
export function summary(label: string, stored: Partial<Stored>, elapsedMs: number): string {
  const facts: string[] = [];
  if (stored.name) facts.push(`stored as ${quoted(stored.name)}`);
  if (stored.size !== undefined) facts.push(formatBytes(stored.size));
  if (stored.crc !== undefined) facts.push(`CRC-32 ${formatCrc(stored.crc)}`);
  if (stored.size) facts.push(formatSpeed(stored.size, elapsedMs));
  return `${printable(label)}: ${facts.join(", ")}`;
}

/** One line of a list. */
export function formatEntry({ size, modified, name }: ListEntry): string {
  return `${String(size).padStart(13)}  ${formatLocalTime(modified)}  ${printable(name)}`;
}
