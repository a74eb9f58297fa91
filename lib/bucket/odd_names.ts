/**
 * Keys of other programs that are no names: with control characters, with empty parts, with `.` and `..`,
 * with a part longer than a part can be.
 *
 * A list shows each of them under a name that the wire can carry, made part by part: `%0A` is a line
 * feed, a part `%` is an empty one. By that name it is found again.
 *
 * @module
 */

import type { BucketContext } from "./context.ts";
import { isOwnFolder, OWN_FOLDER, safeName } from "../store/names.ts";

/** An empty part, as lists show it. */
const EMPTY_PART = "%";

/**
 * The name under which a list shows a key.
 *
 * @param key Without the prefix of the store.
 */
export function listedName(key: string): string {
  return isName(key) ? key : key.split("/").map(escaped).join("/");
}

/**
 * What a name can stand for: itself, and a key that a list shows so.
 *
 * @throws {InletError} `bad-name` if it can stand for nothing
 */
export function meaningsOf(
  context: Pick<BucketContext, "safe" | "isShown">,
  name: string,
): string[] {
  const key = name.split("/").map(unescaped).join("/");
  const isOdd = !isName(key) && listedName(key) === name && context.isShown(key) &&
    key.split("/")[0] !== OWN_FOLDER;
  try {
    return [context.safe(name), ...isOdd ? [key] : []];
  } catch (error) {
    if (isOdd) return [key];
    throw error;
  }
}

/** Whether a key is a name as it is. @param key Without the prefix of the store. */
export function isName(key: string): boolean {
  try {
    return safeName(key) === key;
  } catch {
    return false;
  }
}

/** Whether fetch would make another key of it. */
export function isRewritten(key: string): boolean {
  return key.split("/").some((part) => part === "." || part === "..");
}

/** A part of a key as lists show it. */
function escaped(part: string): string {
  if (part === "") return EMPTY_PART;
  if (part === "." || part === "..") return part.replaceAll(".", encoded);
  // What some other system could take for the folder of the store.
  if (isOwnFolder(part)) return part.replace(/^./su, encoded);
  return CONTROL.test(part) ? part.replaceAll(CONTROLS_AND_PERCENT, encoded) : part;
}

/** The part that lists show so. */
function unescaped(part: string): string {
  if (part === EMPTY_PART) return "";
  try {
    const decoded = decodeURIComponent(part);
    return escaped(decoded) === part ? decoded : part;
  } catch {
    return part;
  }
}

/** Percent-encodes the bytes of a character. */
function encoded(character: string): string {
  return [...encoder.encode(character)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

const encoder = new TextEncoder();

// deno-lint-ignore no-control-regex
const CONTROL = /[\0-\x1f\x7f-\x9f\u2028\u2029]/;

// deno-lint-ignore no-control-regex
const CONTROLS_AND_PERCENT = /[%\0-\x1f\x7f-\x9f\u2028\u2029]/g;
