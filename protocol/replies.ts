/**
 * The replies of a server, and the codes of an `error`.
 *
 * @module
 */

import {
  cut,
  decodeNumber,
  encodeLine,
  type Fields,
  formatFields,
  isDigest,
  oneLine,
  parseFields,
  ProtocolError,
} from "./line.ts";
import { decodeMeetingReply, type MeetingReply, meetingReplyWords } from "./meeting_lines.ts";

/** Most ranges that a `prove` may ask for. */
export const MAX_RANGES = 16;

/**
 * The codes of an `error` reply, each with the exit code of the client: 3 the server refused,
 * 4 timeout or lost connection, 5 the data differs from what was sent.
 */
export const ERROR_CODES = {
  "aborted": 3,
  "bad-name": 3,
  "bad-request": 3,
  "changed": 5,
  "checksum": 5,
  "denied": 3,
  "disk": 3,
  "internal": 3,
  "no-space": 3,
  "not-found": 3,
  "overloaded": 3,
  "shutdown": 4,
  "timeout": 4,
  "too-large": 3,
  "version": 3,
  "wait": 3,
} as const;

/** A stable code from {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * A reply of a server. The `detail` of an `ok` depends on the request. `prove` asks for the digest of
 * ranges of the file, each of `length` bytes. The `offset` of a `go` counts the bytes that the server
 * has kept. `end` closes the lines of a list. A `note` replies to no request: it is text for the
 * user, and may precede any other reply.
 */
export type Reply =
  & { fields?: Fields }
  & (
    | { type: "welcome"; client: number; limit: number }
    | { type: "busy"; clients: number; limit: number }
    | { type: "challenge"; nonce: string }
    | { type: "prove"; nonce: string; length: number; offsets: readonly number[] }
    | { type: "go"; offset: number }
    | { type: "ok"; detail: string }
    | { type: "end"; count: number }
    | { type: "note"; text: string }
    | { type: "error"; code: ErrorCode; text: string }
    | MeetingReply
  );

/** Encodes a reply as one line. */
export function encodeReply(reply: Reply): Uint8Array<ArrayBuffer> {
  return encodeLine(formatReply(reply));
}

/** Formats a reply, without the end of its line. */
export function formatReply(reply: Reply): string {
  const verb = formatFields(reply.type, reply.fields);
  switch (reply.type) {
    case "welcome":
      return `${verb} client ${reply.client} of ${reply.limit}`;
    case "busy":
      return `${verb} ${reply.clients} of ${reply.limit}`;
    case "challenge":
      return `${verb} ${reply.nonce}`;
    case "prove":
      return `${verb} ${reply.nonce} ${reply.length} ${reply.offsets.join(" ")}`;
    case "go":
      return `${verb} ${reply.offset}`;
    case "ok":
      return reply.detail === "" ? verb : `${verb} ${reply.detail}`;
    case "end":
      return `${verb} ${reply.count}`;
    case "note":
      return `${verb} ${oneLine(reply.text)}`;
    case "error":
      return `${verb} ${reply.code} ${oneLine(reply.text)}`;
    default:
      return `${verb}${meetingReplyWords(reply)}`;
  }
}

/**
 * Decodes a reply line. An unknown error code is read as `internal`, so that a newer server can
 * still refuse.
 *
 * @throws {ProtocolError} if the line is not a reply
 */
export function decodeReply(line: string): Reply {
  const [first, rest] = cut(line);
  const { word, ...fields } = parseFields(first);
  const reply = decodeReplyVerb(word, rest);
  if (reply) return { ...reply, ...fields };
  throw new ProtocolError(`"${line}" is not a reply of an inlet server`);
}

function decodeReplyVerb(verb: string, rest: string): Reply | undefined {
  switch (verb) {
    case "welcome": {
      const [, client, limit] = /^client (\d+) of (\d+)$/.exec(rest) ?? [];
      if (client === undefined || limit === undefined) return undefined;
      return {
        type: verb,
        client: decodeNumber(client, "client"),
        limit: decodeNumber(limit, "limit"),
      };
    }
    case "busy": {
      const [, clients, limit] = /^(\d+) of (\d+)$/.exec(rest) ?? [];
      if (clients === undefined || limit === undefined) return undefined;
      return {
        type: verb,
        clients: decodeNumber(clients, "clients"),
        limit: decodeNumber(limit, "limit"),
      };
    }
    case "challenge":
      return isDigest(rest) ? { type: verb, nonce: rest } : undefined;
    case "prove": {
      const [nonce = "", length = "", ...offsets] = rest.split(" ");
      if (!isDigest(nonce) || offsets.length < 1 || offsets.length > MAX_RANGES) return undefined;
      return {
        type: verb,
        nonce,
        length: decodeNumber(length, "length"),
        offsets: offsets.map((offset) => decodeNumber(offset, "offset")),
      };
    }
    case "go":
      return { type: verb, offset: decodeNumber(rest, "offset") };
    case "ok":
      return { type: verb, detail: rest };
    case "end":
      return { type: verb, count: decodeNumber(rest, "count") };
    case "note":
      return { type: verb, text: rest };
    case "error": {
      const [code, text] = cut(rest);
      return { type: verb, code: isErrorCode(code) ? code : "internal", text: text || code };
    }
    default:
      return decodeMeetingReply(verb, rest);
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
