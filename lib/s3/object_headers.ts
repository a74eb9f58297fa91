/**
 * What the headers of an answer say of an object.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { ObjectHead } from "./bucket.ts";
import type { Answer } from "./transport.ts";

const META = "x-amz-meta-";

/** The headers that carry metadata. */
export function headersOf(meta: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(meta).map(([name, value]) => [META + name, value]),
  );
}

/** What an answer to HEAD or GET says of its object. */
export function headOf({ headers }: Answer): ObjectHead {
  const meta: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name.startsWith(META)) meta[name.slice(META.length)] = value;
  }
  return {
    size: sizeIn(headers),
    etag: unquoted(headers.get("etag")),
    modified: dateIn(headers, "last-modified"),
    answered: dateIn(headers, "date"),
    meta,
  };
}

/** An ETag without quotes. */
export function unquoted(etag: string | null): string {
  return etag?.replace(/^(?:W\/)?"(.*)"$/, "$1") ?? "";
}

/** The size of the whole object, though a range of it was asked for. */
function sizeIn(headers: Headers): number {
  const [, ofRange] = /^bytes \d+-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  const size = ofRange ?? headers.get("content-length") ?? "";
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
