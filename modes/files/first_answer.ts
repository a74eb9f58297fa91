/**
 * Tells what a server of another wire is by what it says first.
 *
 * Loaded on demand, because a server of the right wire needs none of it.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { quoted } from "../../lib/text.ts";

/** Most bytes of what a server says that are looked at. */
const MAX_SAID_BYTES = 256;

/** Milliseconds after which words without a line ending count as all that a server says. */
const PAUSE_MS = 200;

/** Milliseconds in which it has to have said them. */
const MOST_MS = 2000;

/** Servers that are no inlet, and our own of other modes, by how their first words begin. */
const SERVERS: readonly { says: RegExp; server: string }[] = [
  { says: /^HTTP\/\d|^\s*<(?:!doctype|html)/i, server: "a web server" },
  { says: /^SSH-\d/, server: "an SSH server" },
  // deno-lint-ignore no-control-regex -- an alert or a handshake of TLS: RFC 8446, section 5.1
  { says: /^[\x15\x16]\x03/, server: "a TLS server" },
  { says: /^(?:220[ -]|\+OK\b|\* OK\b)/, server: "a mail or FTP server" },
  { says: /^go ahead/i, server: "mode upload" },
  { says: /^Connected to the server\b| ACK$/, server: "mode talk" },
];

/**
 * What a server of another wire is, and what to do: such as `as one of mode talk does; use --mode
 * talk`. `undefined` if its words do not tell.
 *
 * @param line The first line that it says, without its ending.
 * @param greeting What it may answer.
 */
export function likelyServer(line: string, greeting = ""): string | undefined {
  if (greeting !== "" && line === [...greeting].reverse().join("")) return useMode("reverse");
  if (greeting !== "" && line === greeting) {
    return "as one does that sends everything back; is the port right?";
  }
  const found = SERVERS.find(({ says }) => says.test(line));
  if (!found) return undefined;
  const [, mode] = /^mode (.+)$/.exec(found.server) ?? [];
  return mode === undefined ? `as ${found.server} does; is the port right?` : useMode(mode);
}

/** The error for a server of another wire, if its first line tells that it is one. */
export function otherServer(line: string, greeting?: string): InletError | undefined {
  const likely = likelyServer(line, greeting);
  return likely === undefined ? undefined : saying(line, likely);
}

function saying(line: string, what: string): InletError {
  return new InletError("bad-request", `Cannot go on: the server says ${quoted(line)}, ${what}`);
}

function useMode(mode: string): string {
  return `as one of mode ${mode} does; use --mode ${mode}`;
}

/** The advice for words that do not tell. */
const UNKNOWN = "as none of mode files does; if it is a server of messages, use --mode talk; " +
  "if that is a greeting, see --dialogue";

/**
 * The error for a server whose first words are no reply of ours.
 *
 * @param greeting The line that was sent, without its ending.
 */
export async function notOurs(connection: Connection, greeting: string): Promise<InletError> {
  const by = performance.now() + MOST_MS;
  while (!connection.buffered.includes(0x0a) && connection.buffered.length < MAX_SAID_BYTES) {
    if (performance.now() > by || !await connection.moreWithin(PAUSE_MS)) break;
  }
  const said = connection.buffered.subarray(0, MAX_SAID_BYTES);
  const [line = ""] = new TextDecoder().decode(said).split(/\r?\n/);
  return otherServer(line, greeting) ?? saying(line, UNKNOWN);
}
