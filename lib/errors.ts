/**
 * Errors: one class with a stable code, the reply that a code becomes on the wire, and the exit
 * code of the client.
 *
 * @module
 */

import {
  decodeReply,
  encodeLine,
  ERROR_CODES,
  type ErrorCode,
  formatReply,
  ProtocolError,
  type Reply,
} from "../protocol.ts";
import { DISK_ERRORS, type Explanation, NETWORK_ERRORS, systemCode } from "./system_errors.ts";
import { REPLACED } from "./text.ts";

/** A code of a local error, which never crosses the wire. */
export type LocalCode =
  | "usage"
  | "busy"
  | "lost"
  | "listen"
  | "closed"
  | "untrusted"
  | "local-disk"
  | "interrupted";

/** The exit codes of the client for local errors. */
const LOCAL_CODES: Readonly<Record<LocalCode, number>> = {
  "usage": 2,
  "busy": 3,
  "lost": 4,
  "listen": 4,
  "closed": 4,
  "untrusted": 5,
  "local-disk": 6,
  "interrupted": 130,
};

/** A code of the wire, or a local one. */
export type Code = ErrorCode | LocalCode;

/**
 * An error with a message for the user: `Cannot store "a.txt": the limit is 10 bytes`. What, then
 * why, no period.
 */
export class InletError extends Error {
  /** The same for all of them: the code tells them apart. */
  override readonly name = "InletError";
  /** What has happened, for programs. */
  readonly code: Code;

  /**
   * Makes an error.
   *
   * @param message For people.
   */
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Encodes an error for the peer. A local code is sent as `aborted`. */
export function encodeError(error: InletError): Uint8Array<ArrayBuffer> {
  return encodeLine(formatError(error));
}

/** Formats the same reply, without the end of its line. */
export function formatError(error: InletError): string {
  const code = error.code in ERROR_CODES ? error.code as ErrorCode : "aborted";
  return formatReply({ type: "error", code, text: error.message });
}

/** Converts a refusal by the server to an error; returns `undefined` for other replies. */
export function refusalIn(reply: Reply): InletError | undefined {
  if (reply.type === "error") return new InletError(reply.code, reply.text);
  if (reply.type !== "busy") return undefined;
  const { clients, limit, fields } = reply;
  const why = fields?.limit === "address"
    ? `The server serves no more clients from this address: it has ${clients} of ${limit}; ` +
      "end one of them, or raise --max-per-address there if many share the address"
    : `The server is full: ${clients} of ${limit} clients`;
  return new InletError("busy", why);
}

/**
 * The refusal in a line of a server of ours; `undefined` for any other text. On the wires of other
 * programs an error with an unknown code is such a program's way to say something.
 */
export function refusalInLine(line: string): InletError | undefined {
  if (line.includes("\n")) return undefined;
  const [, word, code = ""] = /^(error)(?:;\S*)?(?: (\S*))?/.exec(line) ?? [];
  if (word !== undefined && !Object.hasOwn(ERROR_CODES, code)) return undefined;
  try {
    return refusalIn(decodeReply(line));
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Returns the exit code of the client for an error. */
export function exitCode(error: unknown): number {
  const { code } = explain(error);
  return code in LOCAL_CODES ? LOCAL_CODES[code as LocalCode] : ERROR_CODES[code as ErrorCode];
}

/**
 * Converts errors of the system and the codec to an {@linkcode InletError}. An unexpected error
 * becomes `internal`, with a text that reveals nothing to the peer.
 *
 * @param what The first half of the message: the action on a file that failed. Without it, an error
 * of the system is one of the connection.
 */
export function explain(error: unknown, what?: string): InletError {
  if (error instanceof InletError) return error;
  if (error instanceof ProtocolError) {
    return new InletError("bad-request", `Cannot parse the input: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof Deno.errors.NotCapable) {
    const flag = /--allow-\w+/.exec(error.message)?.[0] ?? "a permission";
    const why = flag === "--allow-all" ? OF_THE_SYSTEM : `Deno does not permit it without ${flag}`;
    const message = `${what ?? GO_ON}: ${why}`;
    return new InletError("denied", message, { cause: error });
  }
  const [code, why] = explanationOf(error, what !== undefined) ?? UNFORESEEN;
  const isGarbled = error instanceof Deno.errors.NotFound && what?.includes(REPLACED);
  return new InletError(code, `${what ?? GO_ON}: ${isGarbled ? GARBLED : why}`, { cause: error });
}

/** Whether an error is a known one of the system, fully explained by its message. */
export function isForeseen(error: unknown): boolean {
  return explanationOf(error, true) !== undefined;
}

function explanationOf(error: unknown, isOfDisk: boolean): Explanation | undefined {
  const code = systemCode(error);
  if (code === undefined) return undefined;
  return isOfDisk ? DISK_ERRORS.get(code) : NETWORK_ERRORS.get(code) ?? DISK_ERRORS.get(code);
}

const UNFORESEEN = ["internal", "an internal error occurred"] as const;

const GO_ON = "Cannot go on";

const GARBLED = "its name is not valid UTF-8, which Deno cannot open";

/** Why a path cannot be used that no permission for a path opens. */
export const OF_THE_SYSTEM = "Deno opens files of /proc, /sys and /dev only with --allow-all";
