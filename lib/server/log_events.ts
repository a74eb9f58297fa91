/**
 * The schema of the log: every event, and the keys that it can have. docs/log.md describes them, and
 * a test compares.
 *
 * @module
 */

import type { Code } from "../errors.ts";

/** What the keys of an event hold, beside those that every line has. */
export interface LogKeys {
  /** Size, or the bytes that were moved. */
  bytes: number;
  /** Number of connected clients. */
  clients: number;
  /** Why something was refused, broke off or failed. */
  code: Code;
  /** CRC-32 of the content. */
  crc: string;
  /** The directory of received files. */
  directory: string;
  /** Exit code of a program. */
  exit: number;
  /** Name of a file or folder in that directory. */
  file: string;
  /** A host without a port. */
  host: string;
  /** The address that the server listens on. */
  hostname: string;
  /** Most clients that are connected at once. */
  limit: number;
  /** Number of lines of the log. */
  lines: number;
  /** The mode of a wire. */
  mode: string;
  /** Milliseconds. */
  ms: number;
  /** A path, as the client sent it, or that of the socket that the server listens on. */
  path: string;
  /** The SHA-256 of the server's public key, in base64. */
  pin: string;
  /** The port that the server listens on. */
  port: number;
  /** The address of the bucket of received files. */
  store: string;
  /** Stack trace of an unexpected error. */
  stack: string;
  /** The signal that ended a program. */
  signal: string;
  /** What a client said, or a program printed. */
  text: string;
  /** Number of transfers in flight. */
  transfers: number;
  /** Address of the page for browsers. */
  url: string;
}

/** The keys of each event. */
export const LOG_EVENTS = {
  "accepting": [],
  "broken": ["code", "file", "ms"],
  "busy": ["clients", "limit"],
  "chat": ["text"],
  "connected": ["clients"],
  "dialogue": ["text"],
  "empty": [],
  "failed": ["code", "file", "ms", "stack"],
  "fallback": ["mode"],
  "folder": ["file"],
  "forwarded": [],
  "got": ["file", "bytes", "ms"],
  "key": [],
  "key-unread": [],
  "key-weak": [],
  "hook-dropped": ["file"],
  "hook-failed": ["file", "ms", "exit", "signal"],
  "hook-output": ["file", "text"],
  "left": ["clients", "ms"],
  "left-out": ["lines", "host"],
  "link": ["file"],
  "list": [],
  "listening": ["hostname", "port", "path", "directory", "store", "pin", "url"],
  "message": ["bytes", "ms"],
  "met": [],
  "offered": [],
  "other-mode": ["mode"],
  "path": ["path"],
  "pin": ["pin"],
  "queued": [],
  "refused": ["code", "file", "ms"],
  "relayed": ["bytes", "ms"],
  "resumed": ["file", "bytes"],
  "reversed": ["bytes", "ms"],
  "silent": [],
  "status": [],
  "stopped": ["file", "bytes", "ms"],
  "stopping": ["transfers", "ms"],
  "store": [],
  "stored": ["file", "bytes", "crc", "ms"],
  "told": ["bytes"],
  "tree": ["file"],
  "welcome": [],
} as const satisfies Record<string, readonly (keyof LogKeys)[]>;

/** The name of an event. */
export type LogEvent = keyof typeof LOG_EVENTS;

/** The keys of an event, with their values. */
export type LogFields<Event extends LogEvent> = {
  [Key in (typeof LOG_EVENTS)[Event][number]]?: LogKeys[Key];
};

/** Codes of faults of the server or its machine, which its operator has to know of. */
const FAULTS: readonly Code[] = ["internal", "disk", "no-space", "overloaded", "listen", "closed"];

/** Codes of what the client, the network or a shutdown broke off. */
const BREAKS: readonly Code[] = ["lost", "timeout", "aborted", "shutdown"];

/** The event of an error. */
export function eventOf(code: Code): "broken" | "failed" | "refused" {
  if (FAULTS.includes(code)) return "failed";
  return BREAKS.includes(code) ? "broken" : "refused";
}
