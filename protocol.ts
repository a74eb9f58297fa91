/**
 * Encoders and decoders of the native wire, version 1, and of the header of the upload wire.
 *
 * All functions are pure: nothing here opens a socket or a file, so the tests need no permission.
 * PROTOCOL.md describes the same grammar in prose.
 *
 * @module
 */

import { decodeDiffCount } from "./protocol/diff_lines.ts";
import {
  cut,
  decodeCrc,
  decodeName,
  decodeNumber,
  decodeSize,
  decodeTime,
  encodeLine,
  type Fields,
  formatCrc,
  formatFields,
  formatTime,
  isDigest,
  isSignature,
  MAX_LINE_BYTES,
  parseFields,
  ProtocolError,
} from "./protocol/line.ts";
import { folderFactsOf, linkFactsOf } from "./protocol/folder_fields.ts";
import { decodeMeeting, type MeetingRequest, meetingWords } from "./protocol/meeting_lines.ts";

export * from "./protocol/body_lines.ts";
export * from "./protocol/diff_lines.ts";
export * from "./protocol/folder_fields.ts";
export {
  decodeNumber,
  decodeUtf8,
  encodeLine,
  encodeLines,
  type Fields,
  formatCrc,
  formatTime,
  isDigest,
  isSignature,
  MAX_LINE_BYTES,
  modeField,
  modeOf,
  ProtocolError,
} from "./protocol/line.ts";
export * from "./protocol/meeting_lines.ts";
export { passwordText, proofText } from "./protocol/proof.ts";
export * from "./protocol/status_lines.ts";
export * from "./protocol/replies.ts";
export * from "./protocol/upload_header.ts";

/** Version of the native wire. */
export const VERSION = 1;

/** Suffix that the server appends to the text of a talk line to acknowledge it. */
export const ACK = " ACK";

/** Longest talk in bytes of UTF-8, such that the acknowledgement still fits a line. */
export const MAX_TALK_BYTES: number = MAX_LINE_BYTES - `${ACK}\n`.length;

/** Longest client name in bytes of UTF-8. */
export const MAX_CLIENT_NAME_BYTES = 64;

/**
 * A request of a client. A `size` of `null` means a body of unknown length, sent in chunks. The
 * `fingerprint` of a `reput` finds the partial file of an earlier attempt, and `proof` answers a `prove`.
 * The fields of a `mkdir` and a `symlink` are those of {@linkcode folderFields} and
 * {@linkcode linkFields}.
 * The `digest` of a `reget` is that of ranges of the client's partial file, or its CRC-32.
 */
export type Request =
  & { fields?: Fields }
  & (
    | { type: "hello"; version: number; name: string }
    | { type: "answer"; proof: string }
    | { type: "put"; size: number | null; name: string }
    | { type: "push"; size: number; name: string }
    | { type: "reput"; fingerprint: string; size: number; name: string }
    | { type: "proof"; digest: string }
    | { type: "mkdir"; name: string }
    | { type: "symlink"; name: string }
    | { type: "say"; size: number | null }
    | { type: "get"; name: string }
    | { type: "reget"; offset: number; digest: string; name: string }
    | { type: "compare"; size: number; crc: number | null; modified: Date; name: string }
    | { type: "diff"; count: number; name: string }
    | { type: "tree"; name: string }
    | { type: "list" }
    | { type: "status" }
    | { type: "whoami" }
    | { type: "attend" }
    | { type: "exit" }
    | { type: "chat"; text: string }
    | MeetingRequest
  );

/** Encodes a request as one line. */
export function encodeRequest(request: Request): Uint8Array<ArrayBuffer> {
  const verb = formatFields(request.type, request.fields);
  switch (request.type) {
    case "hello":
      return encodeLine(`${verb} ${request.version} ${request.name}`);
    case "answer":
      return encodeLine(`${verb} ${request.proof}`);
    case "proof":
      return encodeLine(`${verb} ${request.digest}`);
    case "put":
    case "push":
      return encodeLine(`${verb} ${request.size ?? "-"} ${request.name}`);
    case "reput":
      return encodeLine(`${verb} ${request.fingerprint} ${request.size} ${request.name}`);
    case "say":
      return encodeLine(`${verb} ${request.size ?? "-"}`);
    case "get":
    case "tree":
    case "mkdir":
    case "symlink":
      return encodeLine(`${verb} ${request.name}`);
    case "diff":
      return encodeLine(`${verb} ${request.count} ${request.name}`);
    case "reget":
      return encodeLine(`${verb} ${request.offset} ${request.digest} ${request.name}`);
    case "compare": {
      const { size, crc, modified, name } = request;
      const sum = crc === null ? "-" : formatCrc(crc);
      return encodeLine(`${verb} ${size} ${sum} ${formatTime(modified)} ${name}`);
    }
    case "list":
    case "status":
    case "whoami":
    case "attend":
    case "exit":
      return encodeLine(verb);
    case "offer":
    case "accept":
      return encodeLine(`${verb} ${meetingWords(request)}`);
    case "chat": {
      const isBare = request.fields === undefined && isTalk(request.text);
      return encodeLine(isBare ? request.text : `${verb} ${request.text}`);
    }
  }
}

/** Whether a line decodes to itself as talk, and so needs no `chat` in front of it. */
function isTalk(line: string): boolean {
  try {
    const request = decodeRequest(line);
    return request.type === "chat" && request.text === line;
  } catch {
    return false;
  }
}

/**
 * Decodes a request line. A line that begins with no known verb is talk, `chat`. So is a line whose
 * verb is followed by a `;` and malformed fields, and a `list` with more words behind it. `chat
 * TEXT` is talk whatever the text begins with.
 *
 * @throws {ProtocolError} if the arguments of a known verb are malformed
 */
export function decodeRequest(line: string): Request {
  const [first, rest] = cut(line);
  const verb = wellFormedFields(first);
  const request = verb && decodeVerb(verb.word, rest, line);
  if (!request) return { type: "chat", text: line };
  if (verb.word === "mkdir") folderFactsOf(verb);
  if (verb.word === "symlink") linkFactsOf(verb);
  return verb.fields ? { ...request, fields: verb.fields } : request;
}

function wellFormedFields(first: string): ReturnType<typeof parseFields> | undefined {
  try {
    return parseFields(first);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Decodes the request of a verb; returns `undefined` if the line is talk. */
function decodeVerb(verb: string, rest: string, line: string): Request | undefined {
  const [word, more] = cut(rest);
  switch (verb) {
    case "hello":
      return { type: verb, version: decodeNumber(word, "version"), name: more };
    case "put":
      return { type: verb, size: decodeSize(word), name: decodeName(more) };
    case "push":
      return { type: verb, size: decodeNumber(word, "size"), name: decodeName(more) };
    case "reput": {
      const [size, name] = cut(more);
      if (!isDigest(word)) throw new ProtocolError("the fingerprint is not 64 hexadecimal digits");
      const sized = { size: decodeNumber(size, "size"), name: decodeName(name) };
      return { type: verb, fingerprint: word, ...sized };
    }
    case "say":
      return { type: verb, size: decodeSize(rest) };
    case "get":
    case "tree":
    case "mkdir":
    case "symlink":
      return { type: verb, name: decodeName(rest) };
    case "diff":
      return { type: verb, count: decodeDiffCount(word), name: decodeName(more) };
    case "reget":
    case "compare":
      return decodeKnown(verb, word, more);
    case "answer":
      return isDigest(rest) || isSignature(rest) ? { type: verb, proof: rest } : undefined;
    case "proof":
      return isDigest(rest) ? { type: verb, digest: rest } : undefined;
    case "offer":
    case "accept":
      return decodeMeeting(verb, rest);
    case "chat":
      // A bare `chat` is the text "chat"; with fields it is an empty text.
      return { type: verb, text: rest || line.startsWith("chat;") ? rest : line };
    case "list":
    case "status":
    case "whoami":
    case "attend":
    case "exit":
      return rest === "" ? { type: verb } : undefined;
    default:
      return undefined;
  }
}

/** Decodes the requests that describe the client's copy of a file. */
function decodeKnown(verb: "reget" | "compare", number: string, rest: string): Request {
  const [crc, more] = cut(rest);
  if (verb === "reget") {
    const offset = decodeNumber(number, "offset");
    const digest = isDigest(crc) ? crc : formatCrc(decodeCrc(crc));
    return { type: verb, offset, digest, name: decodeName(more) };
  }
  const [time, name] = cut(more);
  return {
    type: verb,
    size: decodeNumber(number, "size"),
    crc: crc === "-" ? null : decodeCrc(crc),
    modified: decodeTime(time),
    name: decodeName(name),
  };
}

/**
 * The features beyond version 1 that a `hello` or `welcome` lists in its field `can`.
 *
 * @returns Their names. The caller ignores unknown ones.
 */
export function featuresOf({ fields }: { fields?: Fields }): ReadonlySet<string> {
  return new Set(fields?.can?.split(",").filter((name) => name !== ""));
}
