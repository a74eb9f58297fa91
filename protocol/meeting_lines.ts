/**
 * The lines by which two clients meet at a server: PROTOCOL.md, section 12.
 *
 * @module
 */

import { cut, decodeNumber, encodeLine, ProtocolError } from "./line.ts";

export * from "./direct_lines.ts";

/** Most seconds that an offer lasts. */
export const MAX_OFFER_SECONDS = 3600;

/** What an `offer` asks for that has no number yet: `?-maple`. */
const NO_NUMBER = "?";

const WORD = /^[a-z][a-z-]{0,31}$/;
const NUMBER = /^\d{4}$/;

/** A request to meet: `salt` is 16 bytes in 32 lower-case hexadecimal digits. */
export type MeetingRequest =
  | { type: "offer"; plate: Plate; salt: string; seconds: number }
  | { type: "accept"; plate: Plate };

/** What an offer is found by. Without a number the server picks one. */
export interface Plate {
  /** Four digits. */
  readonly number?: string;
  /** 1 to 32 lower-case letters and `-`, a letter first. */
  readonly word: string;
}

/** What an offering client sends while it waits. */
export type WaitingLine =
  | { type: "tick" }
  | { type: "withdraw" }
  | { type: "join"; id: number };

/** What a server sends to clients that wait to meet, beside notes and errors. */
export type MeetingReply =
  | { type: "tick" }
  | { type: "knock"; id: number; address: string }
  | { type: "met"; id: number };

/** The answer to an `offer`. */
export interface Offered {
  /** What it is found by, with the number that the server picked. */
  readonly plate: Required<Plate>;
  /** Seconds until the offer ends. */
  readonly seconds: number;
  /** The client's own address, as the server sees it. */
  readonly address: string;
}

/** The answer to an `accept`. */
export interface Accepted {
  /** That of the offer. */
  readonly salt: string;
  /** The client's own address, as the server sees it. */
  readonly address: string;
}

/** Formats a plate: `4713-maple`. */
export function formatPlate({ number = NO_NUMBER, word }: Plate): string {
  return `${number}-${word}`;
}

/** Parses a plate; `undefined` if the text is none. */
export function parsePlate(text: string): Plate | undefined {
  const dash = text.indexOf("-");
  const [number, word] = [text.slice(0, Math.max(dash, 0)), text.slice(dash + 1)];
  if (!WORD.test(word)) return undefined;
  if (number === NO_NUMBER) return { word };
  return NUMBER.test(number) ? { number, word } : undefined;
}

/** What follows the verb of a {@linkcode MeetingRequest}. */
export function meetingWords(request: MeetingRequest): string {
  const plate = formatPlate(request.plate);
  return request.type === "offer" ? `${plate} ${request.salt} ${request.seconds}` : plate;
}

/** Decodes a request to meet; `undefined` if the line is talk, like `offer me a cup of tea`. */
export function decodeMeeting(
  verb: MeetingRequest["type"],
  rest: string,
): MeetingRequest | undefined {
  const [word, more] = cut(rest);
  const plate = parsePlate(word);
  if (!plate) return undefined;
  if (verb === "accept") {
    return more === "" && plate.number !== undefined ? { type: verb, plate } : undefined;
  }
  const [salt, time] = cut(more);
  if (!isSalt(salt) || !/^\d{1,4}$/.test(time)) return undefined;
  const seconds = Number(time);
  if (seconds < 1 || seconds > MAX_OFFER_SECONDS) {
    throw new ProtocolError(`an offer lasts 1 to ${MAX_OFFER_SECONDS} seconds`);
  }
  return { type: verb, plate, salt, seconds };
}

/** Encodes a line of an offering client that waits. */
export function encodeWaiting(line: WaitingLine): Uint8Array<ArrayBuffer> {
  return encodeLine(line.type === "join" ? `join ${line.id}` : line.type);
}

/**
 * Decodes a line of an offering client that waits.
 *
 * @throws {ProtocolError} for any other line
 */
export function decodeWaiting(line: string): WaitingLine {
  const [verb, rest] = cut(line);
  if (verb === "join") return { type: verb, id: decodeNumber(rest, "number of a try") };
  if (line === "tick" || line === "withdraw") return { type: line };
  throw new ProtocolError(`"${line}" is not "join", "tick" or "withdraw"`);
}

/** What follows the verb of a {@linkcode MeetingReply}, with a space in front. */
export function meetingReplyWords(reply: MeetingReply): string {
  if (reply.type === "tick") return "";
  return reply.type === "met" ? ` ${reply.id}` : ` ${reply.id} ${reply.address}`;
}

/** Decodes what a server sends to clients that wait; `undefined` if it is none of that. */
export function decodeMeetingReply(verb: string, rest: string): MeetingReply | undefined {
  if (verb === "tick" && rest === "") return { type: verb };
  if (verb === "met") return { type: verb, id: decodeNumber(rest, "number of a try") };
  const [number, address] = cut(rest);
  if (verb !== "knock" || address === "") return undefined;
  return { type: verb, id: decodeNumber(number, "number of a try"), address };
}

/** Formats the detail of the `ok` that answers an `offer`. */
export function formatOffered({ plate, seconds, address }: Offered): string {
  return `${formatPlate(plate)} ${seconds} ${address}`;
}

/**
 * Parses the detail of the `ok` that answers an `offer`.
 *
 * @throws {ProtocolError} if it is malformed
 */
export function parseOffered(detail: string): Offered {
  const [text, more] = cut(detail);
  const { number, word } = parsePlate(text) ?? {};
  const [seconds, address] = cut(more);
  if (number === undefined || word === undefined || address === "") {
    throw new ProtocolError(`"${detail}" does not answer an offer`);
  }
  return { plate: { number, word }, seconds: decodeNumber(seconds, "end of an offer"), address };
}

/** Formats the detail of the `ok` that answers an `accept`. */
export function formatAccepted({ salt, address }: Accepted): string {
  return `${salt} ${address}`;
}

/**
 * Parses the detail of the `ok` that answers an `accept`.
 *
 * @throws {ProtocolError} if it is malformed
 */
export function parseAccepted(detail: string): Accepted {
  const [salt, address] = cut(detail);
  if (isSalt(salt) && address !== "") return { salt, address };
  throw new ProtocolError(`"${detail}" does not answer an accept`);
}

/** Whether a text is 16 bytes in lower-case hexadecimal. */
function isSalt(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
