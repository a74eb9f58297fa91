/**
 * What an offer consists of, as the offering client tells it with its greeting, so that who accepts can
 * decide: `hello;files=2;folders=1;bytes=120;names=a.txt%0Aphotos/ 1 ben`.
 *
 * @module
 */

import { decodeNumber, type Fields, ProtocolError } from "../../protocol.ts";
import { formatBytes, formatCount, quoted } from "../../lib/text.ts";

/** What is offered. */
export interface Terms {
  /** Files and symbolic links. */
  readonly files: number;
  /** Folders, also those in others. */
  readonly folders: number;
  /** Bytes of all files, or of the message; `null` if that is not known. */
  readonly bytes: number | null;
  /** The first part of each name, with a slash behind that of a folder: as many as fit. */
  readonly names: readonly string[];
  /** Whether there are further names. */
  readonly hasMore: boolean;
  /** Whether it is a message, for the standard output. */
  readonly isMessage: boolean;
}

/** Most bytes that the names take in the greeting, percent-encoded: a line has 4,096. */
const NAMES_BYTES = 3000;

/** Most bytes of a message. What is longer is a file, and needs a name. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

/** Most names that a person is shown. */
const SHOWN_NAMES = 10;

/** The fields that tell it. */
export function termsFields(terms: Terms): Fields {
  const { files, folders, bytes, isMessage } = terms;
  const { names, hasMore } = fitting(terms);
  return {
    files: String(files),
    folders: String(folders),
    bytes: bytes === null ? "-" : String(bytes),
    ...names.length > 0 && { names: names.join("\n") },
    ...hasMore && { more: "yes" },
    ...isMessage && { message: "yes" },
  };
}

function fitting({ names, hasMore }: Terms): Pick<Terms, "names" | "hasMore"> {
  let left = NAMES_BYTES;
  const fits = names.findIndex((name) => (left -= encodeURIComponent(name).length + 3) < 0);
  return fits < 0 ? { names, hasMore } : { names: names.slice(0, fits), hasMore: true };
}

/**
 * Reads what is offered.
 *
 * @throws {ProtocolError} if that is not told
 */
export function termsOf({ fields = {} }: { fields?: Fields }): Terms {
  const { files, folders, bytes, names = "", more, message } = fields;
  if (files === undefined || folders === undefined || bytes === undefined) {
    throw new ProtocolError("the greeting does not tell what is offered");
  }
  const terms = {
    files: decodeNumber(files, "number of files"),
    folders: decodeNumber(folders, "number of folders"),
    bytes: bytes === "-" ? null : decodeNumber(bytes, "size"),
    names: names.split("\n").filter((name) => name !== ""),
    hasMore: more !== undefined,
    isMessage: message !== undefined,
  };
  if (terms.isMessage) checkMessage(terms);
  return terms;
}

/** A person is asked for a message, and for nothing that could come beside it. */
function checkMessage({ files, folders, bytes }: Terms): void {
  if (files + folders > 0) throw new ProtocolError("a message has no files beside it");
  if (bytes === null || bytes > MAX_MESSAGE_BYTES) {
    throw new ProtocolError(`a message has at most ${MAX_MESSAGE_BYTES} bytes`);
  }
}

/** Whether one offer is within another one, so that who has agreed to that need not be asked again. */
export function isWithin(one: Terms, other: Terms): boolean {
  return one.files <= other.files && one.folders <= other.folders &&
    one.isMessage === other.isMessage && one.hasMore === other.hasMore &&
    (other.bytes === null || (one.bytes !== null && one.bytes <= other.bytes)) &&
    one.names.every((name) => other.names.includes(name));
}

/** Such as `"report.pdf", 1.2 MiB` or `3 files, 1.2 MiB: "a.txt", "photos/"`. */
export function describeTerms({ files, folders, bytes, names, hasMore, isMessage }: Terms): string {
  const size = bytes === null ? "of unknown size" : formatBytes(bytes);
  if (isMessage) return `a message, ${size}`;
  const counted = [[files, "file"], [folders, "folder"]] as const;
  const counts = counted.filter(([count]) => count > 0)
    .map(([count, what]) => `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`);
  const [name] = names;
  const isOne = files === 1 && folders === 0 && names.length === 1 && !hasMore;
  if (isOne) return `${quoted(name!)}, ${size}`;
  const shown = names.slice(0, SHOWN_NAMES).map(quoted);
  if (hasMore || names.length > shown.length) shown.push("and more");
  return `${[...counts, size].join(", ")}: ${shown.join(", ")}`;
}
