/**
 * The lines by which clients reach each other: requests that mean something only after an `attend`,
 * and lines that the server then sends unasked, between two requests.
 *
 * @module
 */

import { cut, decodeName, decodeNumber, decodeSize, encodeLine, ProtocolError } from "./line.ts";
import { parsePlate } from "./meeting_lines.ts";

/** Longest text to another client in bytes of UTF-8, such that it fits every line that carries it. */
export const MAX_TOLD_BYTES = 4000;

/** A request of a client that attends. A client is meant by the number that the server gave it. */
export type PeopleRequest =
  | { type: "who" }
  | { type: "tell"; to: number; text: string }
  | { type: "send"; to: number } & Sending
  | { type: "take"; to: number; plate: string; key: string }
  | { type: "decline"; to: number; plate: string };

/** What one client offers another one. */
export interface Sending {
  /** By which the two meet: `4713-maple`. */
  readonly plate: string;
  /** The public key of this client for this offer: {@linkcode parseOfferKey}. */
  readonly key: string;
  /** Bytes of all that is offered; `null` if that is not known. */
  readonly size: number | null;
  /** The name of a file, or that of a folder with a slash behind it. */
  readonly name: string;
}

/** A line that answers no request, for a client that attends. */
export type Unasked =
  | { type: "told"; from: number; text: string }
  | { type: "offered"; from: number } & Sending
  | { type: "taken"; from: number; plate: string; key: string }
  | { type: "declined"; from: number; plate: string }
  | { type: "came"; client: number; name: string }
  | { type: "gone"; client: number };

/** A client that another one can reach. */
export interface Person {
  /** The number that the server gave it. */
  readonly number: number;
  readonly name: string;
}

/**
 * Encodes a request as one line.
 *
 * @throws {ProtocolError} if its text contains a line break or is too long
 */
export function encodePeopleRequest(request: PeopleRequest): Uint8Array<ArrayBuffer> {
  switch (request.type) {
    case "who":
      return encodeLine(request.type);
    case "tell":
      return encodeLine(`${request.type} ${request.to} ${request.text}`);
    default:
      return encodeLine(`${request.type} ${request.to} ${wordsOf(request)}`);
  }
}

/**
 * Decodes a request of a client that attends; returns `undefined` for any other line.
 *
 * @throws {ProtocolError} if what follows a known word is malformed
 */
export function decodePeopleRequest(line: string): PeopleRequest | undefined {
  const [verb, rest] = cut(line);
  const [number, more] = cut(rest);
  switch (verb) {
    case "who":
      return rest === "" ? { type: verb } : undefined;
    case "tell":
      if (more === "") throw new ProtocolError("the text is missing");
      return { type: verb, to: decodeNumber(number, "number of a client"), text: more };
    case "send":
      return { type: verb, to: decodeNumber(number, "number of a client"), ...decodeSending(more) };
    case "take":
      return { type: verb, to: decodeNumber(number, "number of a client"), ...decodeTaking(more) };
    case "decline":
      return { type: verb, to: decodeNumber(number, "number of a client"), ...decodePlate(more) };
    default:
      return undefined;
  }
}

/** Whether a line would be no talk after an `attend`. */
export function isForPeople(line: string): boolean {
  return /^(who$|(tell|send|take|decline)( |$))/.test(line);
}

/** Formats a line of the answer to `who`. */
export function formatPerson({ number, name }: Person): string {
  return `${number} ${name}`;
}

/** Parses the output of {@linkcode formatPerson}. */
export function parsePerson(line: string): Person {
  const [number, name] = cut(line);
  return { number: decodeNumber(number, "number of a client"), name };
}

/** Encodes a line that comes unasked. */
export function encodeUnasked(line: Unasked): Uint8Array<ArrayBuffer> {
  switch (line.type) {
    case "told":
      return encodeLine(`${line.type} ${line.from} ${line.text}`);
    case "offered":
    case "taken":
    case "declined":
      return encodeLine(`${line.type} ${line.from} ${wordsOf(line)}`);
    case "came":
      return encodeLine(`${line.type} ${line.client} ${line.name}`);
    case "gone":
      return encodeLine(`${line.type} ${line.client}`);
  }
}

/**
 * Decodes a line that comes unasked; returns `undefined` for any other line.
 *
 * @throws {ProtocolError} if what follows a known word is malformed
 */
export function decodeUnasked(line: string): Unasked | undefined {
  const [verb, rest] = cut(line);
  const [first, more] = cut(rest);
  const number = (): number => decodeNumber(first, "number of a client");
  switch (verb) {
    case "told":
      return { type: verb, from: number(), text: more };
    case "offered":
      return { type: verb, from: number(), ...decodeSending(more) };
    case "taken":
      return { type: verb, from: number(), ...decodeTaking(more) };
    case "declined":
      return { type: verb, from: number(), ...decodePlate(more) };
    case "came":
      return { type: verb, client: number(), name: more };
    case "gone":
      return { type: verb, client: number() };
    default:
      return undefined;
  }
}

/** The public key of one side for one offer, and what a user has signed it by. */
export interface OfferKey {
  /** An uncompressed point of P-256 in 130 lower-case hexadecimal digits. */
  readonly point: string;
  /** The user's public key in base64, and the signature in 128 hexadecimal digits. */
  readonly user?: { readonly spki: string; readonly signature: string };
}

/** Formats a key: `POINT`, or `POINT:SPKI:SIGNATURE`. */
export function formatOfferKey({ point, user }: OfferKey): string {
  return user ? `${point}:${user.spki}:${user.signature}` : point;
}

/** Parses the output of {@linkcode formatOfferKey}; `undefined` if the text is none. */
export function parseOfferKey(text: string): OfferKey | undefined {
  const [, point, spki, signature] =
    /^(04[0-9a-f]{128})(?::([A-Za-z0-9+/]{122}==):([0-9a-f]{128}))?$/.exec(text) ?? [];
  if (point === undefined) return undefined;
  return spki === undefined || signature === undefined
    ? { point }
    : { point, user: { spki, signature } };
}

/**
 * What a user signs who offers or takes something.
 *
 * @param plate That of the offer.
 */
export function offerKeyText(
  role: "send" | "take",
  plate: string,
  { point }: Pick<OfferKey, "point">,
): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`inlet 2 ${role} ${plate} ${point}`);
}

/** What stands behind the number of the other client, as far as it is there. */
function wordsOf({ plate, key, size, name }: { plate: string } & Partial<Sending>): string {
  const words = [plate, ...key === undefined ? [] : [key]];
  return [...words, ...name === undefined ? [] : [size ?? "-", name]].join(" ");
}

function decodeSending(text: string): Sending {
  const [plate, afterPlate] = cut(text);
  const [key, afterKey] = cut(afterPlate);
  const [size, name] = cut(afterKey);
  return { ...decodeTaking(`${plate} ${key}`), size: decodeSize(size), name: decodeName(name) };
}

function decodeTaking(text: string): { plate: string; key: string } {
  const [plate, key] = cut(text);
  if (!parseOfferKey(key)) throw new ProtocolError("the key is no point of P-256 in hexadecimal");
  return { ...decodePlate(plate), key };
}

function decodePlate(plate: string): { plate: string } {
  if (!parsePlate(plate)?.number) throw new ProtocolError("the plate is not like 4713-maple");
  return { plate };
}
