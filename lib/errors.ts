/**
 * Errors: one class with a stable code, the reply that a code becomes on the wire, and the exit
 * code of the client.
 *
 * @module
 */

import {
  encodeReply,
  ERROR_CODES,
  type ErrorCode,
  ProtocolError,
  type Reply,
} from "../protocol.ts";

/** Codes of local errors, which never cross the wire, each with the exit code of the client. */
const LOCAL_CODES = {
  "usage": 2,
  "busy": 3,
  "lost": 4,
  "listen": 4,
  "closed": 4,
  "disk": 6,
  "interrupted": 130,
} as const;

/** A code of the wire, or a local one. */
export type Code = ErrorCode | keyof typeof LOCAL_CODES;

/**
 * An error with a message for the user: `Cannot store "a.txt": the limit is 10 bytes`. What, then
 * why, no period.
 */
export class InletError extends Error {
  override readonly name = "InletError";
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Encodes an error for the peer. A local code is sent as `aborted`. */
export function encodeError(error: InletError): Uint8Array<ArrayBuffer> {
  const code = error.code in ERROR_CODES ? error.code as ErrorCode : "aborted";
  return encodeReply({ type: "error", code, text: error.message });
}

/** Converts a refusal by the server to an error; returns `undefined` for other replies. */
export function refusalIn(reply: Reply): InletError | undefined {
  if (reply.type === "error") return new InletError(reply.code, reply.text);
  if (reply.type !== "busy") return undefined;
  return new InletError("busy", `The server is full: ${reply.clients} of ${reply.limit} clients`);
}

/** Returns the exit code of the client for an error. */
export function exitCode(error: unknown): number {
  const { code } = explain(error);
  return code in LOCAL_CODES
    ? LOCAL_CODES[code as keyof typeof LOCAL_CODES]
    : ERROR_CODES[code as ErrorCode];
}

/**
 * Converts errors of the system and the codec to an {@linkcode InletError}. An unexpected error
 * becomes `internal`, with a text that reveals nothing to the peer.
 *
 * @param what The first half of the message: the action that failed.
 */
export function explain(error: unknown, what = "Cannot go on"): InletError {
  if (error instanceof InletError) return error;
  if (error instanceof ProtocolError) {
    return new InletError("bad-request", `Cannot parse the input: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof Deno.errors.NotCapable) {
    const flag = /--allow-\w+/.exec(error.message)?.[0] ?? "a permission";
    const message = `${what}: Deno does not permit it without ${flag}`;
    return new InletError("denied", message, { cause: error });
  }
  const [code, why] = SYSTEM[(error as { code?: string } | undefined)?.code ?? ""] ?? UNFORESEEN;
  return new InletError(code, `${what}: ${why}`, { cause: error });
}

/** Whether an error is a known one of the system, fully explained by its message. */
export function isForeseen(error: unknown): boolean {
  return Object.hasOwn(SYSTEM, (error as { code?: string } | undefined)?.code ?? "");
}

const UNFORESEEN = ["internal", "an internal error occurred"] as const;

/** The error codes of the operating system, each with our code and the reason. */
const SYSTEM: Record<string, readonly [Code, string]> = {
  ENOSPC: ["no-space", "the disk is full"],
  EDQUOT: ["no-space", "the disk quota is used up"],
  EIO: ["internal", "the disk reported an I/O error"],
  EFBIG: ["no-space", "the disk does not support a file of that size"],
  EACCES: ["denied", "the system does not permit it"],
  EPERM: ["denied", "the system does not permit it"],
  EROFS: ["denied", "the disk is read-only"],
  ENOENT: ["not-found", "it does not exist"],
  EEXIST: ["bad-name", "a file of that name exists"],
  ENOTDIR: ["not-found", "a part of the path is not a folder"],
  EISDIR: ["bad-name", "it is a folder"],
  EMFILE: ["internal", "too many files are open"],
  ENFILE: ["internal", "too many files are open"],
  ECONNRESET: ["lost", "the peer reset the connection"],
  EPIPE: ["lost", "the peer closed the connection"],
  ECONNABORTED: ["lost", "the connection was aborted"],
  ENOTCONN: ["lost", "the connection is closed"],
};
