/**
 * The clients of a server as its page shows them.
 *
 * @module
 */

import type { Attendance } from "../lib/server/attendance.ts";
import type { Client, Clients } from "../lib/server/clients.ts";
import { printableJson } from "../lib/text.ts";

/** Most clients that are shown live of those that are connected, and of those that have left. */
const MOST_CONNECTED = 50;
const MOST_LEFT = 10;

/** Most bytes of the live list: names that are all escapes can make it long. */
const MOST_LIST_BYTES = 8 * 1024;

/** Most characters of the name of a file that moves. */
const MOST_FILE_CHARACTERS = 200;

/** Encodes every client that is remembered, as `status` on the native wire lists them. */
export function allClients({ known, attendance }: Clients): unknown[] {
  return known.map((client) => shown(client, attendance));
}

/**
 * Encodes the clients that matter now: those that are connected, and the last that have left. A
 * connection of HTTP counts only while a file moves over it: a browser has six of them.
 *
 * @returns A list in JSON.
 */
export function shownClients({ known, attendance }: Clients): string {
  const moving = (client: Client) => client.end ? undefined : client.moving?.();
  const connected = known.filter((client) =>
    !client.end && (client.wire !== "http" || moving(client) !== undefined)
  ).slice(-MOST_CONNECTED);
  const left = known.filter(({ end, wire, name }) => end && (wire !== "http" || name !== ""))
    .slice(-MOST_LEFT);
  const entries: string[] = [];
  let bytes = 0;
  for (const client of [...connected, ...left]) {
    const { file, ...amount } = moving(client) ?? {};
    const entry = printableJson({
      ...shown(client, attendance),
      ...file !== undefined && { moving: { file: file.slice(0, MOST_FILE_CHARACTERS), ...amount } },
    });
    bytes += entry.length;
    if (bytes > MOST_LIST_BYTES) break;
    entries.push(entry);
  }
  return `[${entries.join(",")}]`;
}

function shown(client: Client, attendance: Attendance): Record<string, unknown> {
  const { number, name, address, wire, start, end } = client;
  const reachable = attendance.reaches(client) && { reachable: true };
  return { ...{ number, name, address, wire, start }, ...end && { end }, ...reachable };
}
