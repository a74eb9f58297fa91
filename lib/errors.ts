/**
 * What can go wrong, as one class with a stable code, and the two tables that depend on it: what a
 * stranger is told, and how the client exits.
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

/** Codes that never cross the wire: they say what happened on this side, and how to exit for it. */
const LOCAL_CODES = {
  "usage": 2,
  "busy": 3,
  "lost": 4,
  "listen": 4,
  "closed": 4,
  "interrupted": 130,
} as const;

/** A code of the wire, or one of this side's own. */
export type Code = ErrorCode | keyof typeof LOCAL_CODES;

/**
 * An error whose message is written for the person who reads it: `Cannot store "a.txt": the limit
 * is 10 bytes`. What, then why, no period.
 */
export class InletError extends Error {
  override readonly name = "InletError";
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The line that tells the other side. To it, a code of this side's own means that we gave up. */
export function encodeError(error: InletError): Uint8Array<ArrayBuffer> {
  const code = error.code in ERROR_CODES ? error.code as ErrorCode : "aborted";
  return encodeReply({ type: "error", code, text: error.message });
}

/** What a server's reply says of a refusal; `undefined` if it is none. */
export function refusalIn(reply: Reply): InletError | undefined {
  if (reply.type === "error") return new InletError(reply.code, reply.text);
  if (reply.type !== "busy") return undefined;
  return new InletError("busy", `The server is full: ${reply.clients} of ${reply.limit} clients`);
}

/** The client's exit code for an error. */
export function exitCode(error: unknown): number {
  const { code } = explain(error);
  return code in LOCAL_CODES
    ? LOCAL_CODES[code as keyof typeof LOCAL_CODES]
    : ERROR_CODES[code as ErrorCode];
}

/**
 * The one place where what the system and the codec throw becomes an {@linkcode InletError}. An
 * error nobody foresaw becomes `internal`, whose text tells a stranger nothing.
 *
 * @param what What could not be done, the first half of the message.
 */
export function explain(error: unknown, what = "Cannot go on"): InletError {
  if (error instanceof InletError) return error;
  if (error instanceof ProtocolError) {
    return new InletError("bad-request", `Cannot follow: ${error.message}`, { cause: error });
  }
  if (error instanceof Deno.errors.NotCapable) {
    const flag = /--allow-\w+/.exec(error.message)?.[0] ?? "a permission";
    const message = `${what}: Deno does not permit it without ${flag}`;
    return new InletError("denied", message, { cause: error });
  }
  const [code, why] = SYSTEM[(error as { code?: string } | undefined)?.code ?? ""] ?? UNFORESEEN;
  return new InletError(code, `${what}: ${why}`, { cause: error });
}

/** Whether something thrown is the system's, and explained by what is said of it. */
export function isForeseen(error: unknown): boolean {
  return Object.hasOwn(SYSTEM, (error as { code?: string } | undefined)?.code ?? "");
}

const UNFORESEEN = ["internal", "something went wrong inside"] as const;

/** What the operating system's own codes mean here. */
const SYSTEM: Record<string, readonly [Code, string]> = {
  ENOSPC: ["no-space", "the disk is full"],
  EDQUOT: ["no-space", "the disk quota is used up"],
  EIO: ["internal", "the disk does not work"],
  EFBIG: ["no-space", "the disk allows no file of that size"],
  EACCES: ["denied", "the system does not permit it"],
  EPERM: ["denied", "the system does not permit it"],
  EROFS: ["denied", "the disk is read-only"],
  ENOENT: ["not-found", "it does not exist"],
  EEXIST: ["bad-name", "there is a file of that name"],
  ENOTDIR: ["not-found", "a part of the path is no folder"],
  EISDIR: ["bad-name", "it is a folder"],
  EMFILE: ["internal", "too many files are open"],
  ENFILE: ["internal", "too many files are open"],
  ECONNRESET: ["lost", "the other side broke the connection"],
  EPIPE: ["lost", "the other side closed the connection"],
  ECONNABORTED: ["lost", "the connection was cut"],
  ENOTCONN: ["lost", "the connection is gone"],
};
