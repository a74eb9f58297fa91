/**
 * The lines by which two clients that have met look for a direct way to each other: PROTOCOL.md,
 * section 12.
 *
 * @module
 */

import { encodeLine, ProtocolError } from "./line.ts";

/** Most hosts that a client names. */
export const MAX_REACH_HOSTS = 8;

/** In place of a host: the loopback address of a client that is on the server's own machine. */
export const LOOPBACK = "loopback";

/** Where a client can be reached for one try. */
export interface Reach {
  /** What the other one shows there: 16 random bytes in 32 lower-case hexadecimal digits. */
  readonly ticket: string;
  /** 1024 to 65535. */
  readonly port: number;
  /** 1 to 8 of IPv4 and IPv6 addresses, or {@linkcode LOOPBACK}. */
  readonly hosts: readonly string[];
}

/** What two clients say to each other while they look for a direct way. */
export type DirectLine =
  | { type: "reach"; reach: Reach }
  | { type: "join"; ticket: string }
  | { type: "over" }
  | { type: "go" };

/** Formats where a client can be reached: `TICKET PORT HOST...`. */
export function formatReach({ ticket, port, hosts }: Reach): string {
  return [ticket, port, ...hosts].join(" ");
}

/**
 * Parses where a client can be reached. Whether its hosts may be connected to is decided elsewhere.
 *
 * @throws {ProtocolError} if it is malformed
 */
export function parseReach(text: string): Reach {
  const [ticket = "", number = "", ...hosts] = text.split(" ");
  const port = /^\d{4,5}$/.test(number) ? Number(number) : 0;
  if (!isTicket(ticket)) throw new ProtocolError("a ticket is 32 hexadecimal digits");
  if (port < 1024 || port > 65_535) {
    throw new ProtocolError("a port to connect to directly is 1024 to 65535");
  }
  if (hosts.length < 1 || hosts.length > MAX_REACH_HOSTS) {
    throw new ProtocolError(`a client names 1 to ${MAX_REACH_HOSTS} hosts of its own`);
  }
  return { ticket, port, hosts };
}

/** Encodes one of the lines. */
export function encodeDirect(line: DirectLine): Uint8Array<ArrayBuffer> {
  switch (line.type) {
    case "reach":
      return encodeLine(`reach ${formatReach(line.reach)}`);
    case "join":
      return encodeLine(`join ${line.ticket}`);
    case "over":
    case "go":
      return encodeLine(line.type);
  }
}

/**
 * Decodes one of the lines.
 *
 * @throws {ProtocolError} for any other line
 */
export function decodeDirect(line: string): DirectLine {
  if (line === "over" || line === "go") return { type: line };
  const [, verb, rest = ""] = /^(reach|join) (.*)$/.exec(line) ?? [];
  if (verb === "reach") return { type: verb, reach: parseReach(rest) };
  if (verb === "join" && isTicket(rest)) return { type: verb, ticket: rest };
  throw new ProtocolError(`"${line}" is not "reach", "join", "over" or "go"`);
}

/** Whether a text is 16 bytes in lower-case hexadecimal. */
function isTicket(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
