/**
 * Converts names from the wire to names on disk. No other code does.
 *
 * A name is one or more components joined by `/`. It is stored as it is, in whatever form of Unicode.
 * A component that is too long is shortened, but keeps its extension. A name is refused if it could
 * leave the directory, has too many components, holds control characters, or has another meaning on
 * this system.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** The ending of an upload in the folder of the store's own files. */
export const TEMP = ".temp";

/** The folder in which a store keeps its own files. No name leads into it. */
export const OWN_FOLDER = ".inlet";

/** The name of everything in a store, where a folder can be named. No file or folder can have it. */
export const EVERYTHING = "/";

/** Most bytes of UTF-8 in one component: the limit of common file systems. */
export const MAX_COMPONENT_BYTES = 255;

/**
 * Most bytes of UTF-8 in a whole name, folders included: with everything else that a request or a
 * reply has beside it, it fits into a line, and with the path of the directory into one of the system.
 */
export const MAX_NAME_BYTES = 3072;

/** Most components of a name: a file is at most 127 folders deep. */
export const MAX_COMPONENTS = 128;

/**
 * Bytes of a name that its folders leave, the last slash included: room for a letter, a number and an
 * extension. Whether a name is refused must not depend on which are taken.
 */
const ROOM_BYTES = 48;

/** Patterns that refuse a name, each with the reason. The first match is reported. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  // deno-lint-ignore no-control-regex
  [/[\0-\x1f\x7f-\x9f\u2028\u2029]/, "it holds control characters"],
  [/\p{Cs}/u, "it is not valid Unicode"],
  [/^$/, "a part of it is empty"],
  [/^\.\.?$/, "it leads out of the directory"],
];

/** Patterns that refuse a name on Windows only, where it would mean something else. */
const REFUSED_BY_WINDOWS: typeof REFUSED = [
  [/\\/, "it holds a backslash"],
  [/:/, "it holds a colon"],
  [/[. ]$/, "it ends with a dot or a space"],
  [/^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)/i, "Windows reserves it"],
];

const PATTERNS = Deno.build.os === "windows" ? [...REFUSED, ...REFUSED_BY_WINDOWS] : REFUSED;

/** What a component has that could be {@linkcode OWN_FOLDER}: its letters, or other forms of them. */
const MAY_BE_OWN = /inlet|[^\x20-\x7e]/i;

/**
 * Converts a name from the peer to a name on disk, relative to the store and joined by `/`.
 *
 * The function is idempotent.
 *
 * @param maxBytes Most bytes of UTF-8 in the whole name.
 * @throws {InletError} `bad-name`, with the reason
 */
export function safeName(name: string, maxBytes = MAX_NAME_BYTES): string {
  if (name === "") throw new InletError("bad-name", "Cannot take an empty name");
  const components = name.split("/");
  if (components.length > MAX_COMPONENTS) {
    const limit = `it has ${components.length} parts, the limit is ${MAX_COMPONENTS}`;
    throw new InletError("bad-name", `Cannot take the name ${quoted(name)}: ${limit}`);
  }
  const safe = components.map((component) => {
    const short = shortened(component, "");
    const reason = refusal(short);
    if (reason === undefined) return short;
    throw new InletError("bad-name", `Cannot take the name ${quoted(name)}: ${reason}`);
  }).join("/");
  // A character of UTF-16 has at most three bytes of UTF-8.
  if (3 * safe.length > maxBytes && byteLength(safe) > maxBytes) {
    throw new InletError(
      "bad-name",
      `Cannot take the name ${quoted(name)}: the limit is ${maxBytes} bytes`,
    );
  }
  const slash = safe.lastIndexOf("/") + 1;
  const maxFolders = maxBytes - ROOM_BYTES;
  if (3 * slash > maxFolders && byteLength(safe.slice(0, slash)) > maxFolders) {
    const limit = `the limit for its folders is ${maxFolders} bytes`;
    throw new InletError("bad-name", `Cannot take the name ${quoted(name)}: ${limit}`);
  }
  return safe;
}

/** Why a component is refused. */
function refusal(component: string): string | undefined {
  for (const [pattern, reason] of PATTERNS) if (pattern.test(component)) return reason;
  // Only a name with these letters in some form can be that folder; most names have no such form.
  if (!MAY_BE_OWN.test(component)) return undefined;
  return isOwnFolder(component) ? `${OWN_FOLDER} is reserved for uploads` : undefined;
}

/**
 * Returns a variant for a taken name: `report.pdf`, `report (2).pdf`, `report (3).pdf`, …
 *
 * @param maxBytes As of {@linkcode safeName}.
 * @throws {InletError} `bad-name` if the folders leave no room for a number
 */
export function numberedName(name: string, number: number, maxBytes = MAX_NAME_BYTES): string {
  if (number === 1) return name;
  const slash = name.lastIndexOf("/") + 1;
  const folders = name.slice(0, slash);
  const room = maxBytes - byteLength(folders);
  const numbered = folders +
    shortened(name.slice(slash), ` (${number})`, Math.min(room, MAX_COMPONENT_BYTES));
  // A longer name could be stored, but neither listed nor downloaded.
  if (byteLength(numbered) > maxBytes) {
    throw new InletError(
      "bad-name",
      `Cannot take the name ${quoted(name)}: it is taken, and a number would pass the limit of ` +
        `${maxBytes} bytes`,
    );
  }
  return numbered;
}

/**
 * Whether a file system could take a component for {@linkcode OWN_FOLDER}: some ignore case,
 * invisible characters, the compatibility forms of letters, or what follows a colon, and Windows
 * gives a long name a short one, such as `INLET~1`.
 */
export function isOwnFolder(component: string): boolean {
  const folded = component.normalize("NFKC").replaceAll(/\p{Default_Ignorable_Code_Point}/gu, "")
    .toLowerCase().normalize("NFKC").replace(/:.*$/s, "").replace(/[. ]+$/, "");
  return folded === OWN_FOLDER || /^\.?inlet~\d+$/.test(folded);
}

/** Extensions of two parts, which belong together. */
const COMPRESSED_TAR = /\.tar\.(gz|bz2|xz|zst)$/i;

/** Inserts a suffix before the extension, and shortens the stem to fit. */
function shortened(component: string, suffix: string, most = MAX_COMPONENT_BYTES): string {
  // A character of UTF-16 has at most three bytes of UTF-8.
  if (suffix === "" && 3 * component.length <= most) return component;
  const tar = component.search(COMPRESSED_TAR);
  const dot = tar > 0 ? tar : component.lastIndexOf(".");
  const split = dot > 0 && byteLength(component.slice(dot)) <= 32 ? dot : component.length;
  const extension = component.slice(split);
  let stem = component.slice(0, split);
  const room = Math.max(most - byteLength(suffix) - byteLength(extension), 0);
  if (byteLength(stem) > room) {
    const { read } = encoder.encodeInto(stem, new Uint8Array(room));
    // What is left of it should not end with a dot or a space, which Windows does not take.
    stem = stem.slice(0, read).replace(/[. ]+$/, "") || "_";
  }
  return stem + suffix + extension;
}

const encoder = new TextEncoder();

function byteLength(text: string): number {
  return encoder.encode(text).length;
}
