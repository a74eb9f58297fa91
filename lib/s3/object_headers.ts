/**
 * What the headers of an answer say of an object.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Answer } from "./answer.ts";
import type { ObjectHead } from "./bucket.ts";

const META = "x-amz-meta-";

/** The headers that carry metadata. */
export function headersOf(meta: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(meta).map(([name, value]) => [META + name, value]),
  );
}

/** What an answer to HEAD or GET says of its object. */
export function headOf({ headers }: Pick<Answer, "headers">): ObjectHead {
  const meta: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name.startsWith(META)) meta[name.slice(META.length)] = value;
  }
  return {
    size: sizeIn(headers),
    etag: etagIn(headers),
    modified: dateIn(headers, "last-modified"),
    answered: dateIn(headers, "date"),
    meta,
  };
}

/** An ETag without quotes. */
export function unquoted(etag: string): string {
  return etag.replace(/^(?:W\/)?"(.*)"$/, "$1");
}

/**
 * The ETag of what an answer is about.
 *
 * @throws {InletError} `internal` if it has none: whatever it says, it is not about an object
 */
export function etagIn(headers: Headers): string {
  const etag = unquoted(headers.get("etag") ?? "");
  if (etag === "") throw nonsense("the header etag");
  return etag;
}

/**
 * How many bytes an answer brings.
 *
 * @throws {InletError} `internal` if they are not those that were asked for
 */
export function lengthOf(
  { status, headers }: Answer,
  { offset, bytes = Infinity }: { offset: number; bytes?: number | undefined },
): number {
  const size = sizeIn(headers);
  const length = Math.min(bytes, size - offset);
  const [, begin, end] = RANGE.exec(headers.get("content-range") ?? "") ?? [];
  const isRight = status === 206
    ? Number(begin) === offset && Number(end) === offset + length - 1
    : length === size;
  if (!isRight) throw nonsense("the range that was asked for");
  return length;
}

const RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/;

/** The size of the whole object, though a range of it was asked for. */
function sizeIn(headers: Headers): number {
  const [, , , ofAll] = RANGE.exec(headers.get("content-range") ?? "") ?? [];
  const size = ofAll ?? headers.get("content-length") ?? "";
  if (!/^\d{1,15}$/.test(size)) throw nonsense("the size of an object");
  return Number(size);
}

function dateIn(headers: Headers, name: string): Date {
  const date = new Date(headers.get(name) ?? "");
  if (Number.isNaN(date.getTime())) throw nonsense(`the header ${name}`);
  return date;
}

function nonsense(what: string): InletError {
  return new InletError("internal", `The object store answered without ${what}`);
}
