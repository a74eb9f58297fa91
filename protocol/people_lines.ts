/**
 * The lines by which clients reach each other: requests that mean something only after an `attend`,
 * and lines that the server then sends unasked, between two requests.
 *
 * @module
 */

import { cut, decodeNumber, encodeLine, ProtocolError } from "./line.ts";

/** Longest text to another client in bytes of UTF-8, such that it fits every line that carries it. */
export const MAX_TOLD_BYTES = 4000;

/** A request of a client that attends. A client is meant by the number that the server gave it. */
export type PeopleRequest =
  | { type: "who" }
  | { type: "tell"; to: number; text: string };

/** A line that answers no request, for a client that attends. */
export type Unasked =
  | { type: "told"; from: number; text: string }
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
    default:
      return undefined;
  }
}

/** Whether a line would be no talk after an `attend`. */
export function isForPeople(line: string): boolean {
  return /^(who$|tell( |$))/.test(line);
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
    case "came":
      return { type: verb, client: number(), name: more };
    case "gone":
      return { type: verb, client: number() };
    default:
      return undefined;
  }
}
