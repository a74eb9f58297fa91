/**
 * The target of a request, taken apart by hand: a URL parser would fold `..` and `//` away before
 * anybody could refuse them.
 *
 * @module
 */

import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";

/** A target in origin form: RFC 9112, section 3.2.1. */
export interface Target {
  /** The parts of the path, decoded once. An empty last one stands for a slash at the end. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

/**
 * Takes a target apart.
 *
 * @throws {InletError} `bad-request` if it is in another form; `bad-name` if a part of its path would
 * lead elsewhere, or is not UTF-8
 */
export function decodeTarget(text: string): Target {
  if (!/^\/[!-~]*$/.test(text) || text.includes("#")) {
    throw new InletError("bad-request", `Cannot take the target ${quoted(text)}: give a path`);
  }
  const mark = text.indexOf("?");
  const path = mark < 0 ? text : text.slice(0, mark);
  const parts = path.slice(1).split("/");
  return {
    path: parts.map((part, index) => decodePart(part, index === parts.length - 1)),
    query: new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1)),
  };
}

/** Encodes a name as the path to it: RFC 3986, section 3.3. */
export function encodePath(name: string): string {
  return name.split("/").map(encodePart).join("/");
}

/** Encodes all that is not a letter, a digit or one of `-._~` of RFC 3986, section 2.3. */
export function encodePart(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decodePart(part: string, isLast: boolean): string {
  const refuse = (why: string): never => {
    throw new InletError("bad-name", `Cannot take the path part ${quoted(part)}: ${why}`);
  };
  let text: string;
  try {
    text = decodeURIComponent(part);
  } catch {
    return refuse("it is not UTF-8 in percent-encoding");
  }
  if (text === "" && !isLast) refuse("it is empty");
  if (text === "." || text === "..") refuse("it leads out of its folder");
  if (/[\0/]/.test(text)) refuse("it holds a slash or a NUL");
  return text;
}
