/**
 * The fields of the requests that make folders and symbolic links.
 *
 * @module
 */

import {
  decodeNumber,
  decodeTime,
  type Fields,
  formatTime,
  modeField,
  modeOf,
  ProtocolError,
} from "./line.ts";

/** Most characters of an id in a field. */
const MAX_ID_CHARACTERS = 64;

/** What the sender of a folder tells of it. */
export interface FolderFacts {
  /** Permission bits. */
  mode?: number | undefined;
  /**
   * Time of the last change. It is told once all is in the folder that belongs there, or with the
   * number of files if nothing else does.
   */
  modified?: Date | undefined;
  /** The sender's run, which made the folder if it did not exist: a random text. */
  id?: string | undefined;
  /** How many pushes into this very folder follow next. */
  files?: number | undefined;
}

/** What the sender of a symbolic link tells of it. */
export interface LinkFacts {
  /** The text of the link: where it leads to. */
  to: string;
  /** Time of the last change. */
  modified?: Date | undefined;
}

/** The fields of a `mkdir`. */
export function folderFields({ mode, modified, id, files }: FolderFacts): Fields {
  return {
    ...id !== undefined && { id },
    ...modeField(mode).fields,
    ...modified && { time: formatTime(modified) },
    ...files !== undefined && { files: String(files) },
  };
}

/**
 * Parses the output of {@linkcode folderFields}.
 *
 * @throws {ProtocolError} if a known field is malformed
 */
export function folderFactsOf(request: { fields?: Fields }): FolderFacts {
  const { id, time, files } = request.fields ?? {};
  if (id !== undefined && (id === "" || id.length > MAX_ID_CHARACTERS)) {
    throw new ProtocolError(`an id has 1 to ${MAX_ID_CHARACTERS} characters`);
  }
  return {
    id,
    mode: modeOf(request),
    modified: time === undefined ? undefined : decodeTime(time),
    files: files === undefined ? undefined : decodeNumber(files, "number of files"),
  };
}

/** The fields of a `symlink`. */
export function linkFields({ to, modified }: LinkFacts): Fields {
  return { to, ...modified && { time: formatTime(modified) } };
}

/**
 * Parses the output of {@linkcode linkFields}.
 *
 * @throws {ProtocolError} if there is no target, or no file system could have it
 */
export function linkFactsOf({ fields }: { fields?: Fields }): LinkFacts {
  const { to, time } = fields ?? {};
  checkTarget(to);
  return { to, ...time !== undefined && { modified: decodeTime(time) } };
}

/**
 * Checks what a symbolic link leads to.
 *
 * @throws {ProtocolError} if a symbolic link cannot have the target
 */
export function checkTarget(to: string | undefined): asserts to is string {
  if (to === undefined || to === "" || to.includes("\0")) {
    throw new ProtocolError("the target of the link is missing, or holds a NUL");
  }
}
