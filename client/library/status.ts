/**
 * Reads the lines of `status`, which PROTOCOL.md describes.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";
import type { ConnectedClient } from "./types.ts";

/** What stands in the place of an end that has not come. */
const CONNECTED = "Still Connected";

/**
 * Parses `client 1 | ben | 127.0.0.1:51234 | Start: 2026-11-21 09:38:00 | End: Still Connected`. The name
 * may be missing; further columns are left out.
 *
 * @throws {InletError} `bad-request` if it is no such line
 */
export function clientIn(line: string): ConnectedClient {
  const columns = line.split(" | ");
  const start = columns.findIndex((column) => column.startsWith("Start: "));
  const [, number] = /^client (\d+)$/.exec(columns[0]!) ?? [];
  const end = columns[start + 1];
  if (number === undefined || start < 2 || start > 3 || !end?.startsWith("End: ")) {
    throw new InletError("bad-request", `The server sent ${quoted(line)} as the line of a client`);
  }
  const left = end.slice("End: ".length);
  return {
    number: Number(number),
    name: start === 3 ? columns[1] : undefined,
    address: columns[start - 1]!,
    start: columns[start]!.slice("Start: ".length),
    end: left === CONNECTED ? undefined : left,
  };
}
