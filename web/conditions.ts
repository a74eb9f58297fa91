/**
 * Whether a request still means the file as it is now: RFC 9110, section 13.
 *
 * @module
 */

import type { StoredFile } from "../lib/store/store.ts";
import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";

/**
 * Milliseconds after a change within which another one may have the same time. A tag of a file that is
 * younger is weak, and joins no ranges: RFC 9110, section 8.8.1.
 */
const SETTLED_MS = 2000;

/** What tells versions of one file apart. */
export interface Version {
  /** An entity tag. */
  readonly tag: string;
  /** To the second, as a field holds it. */
  readonly modified: Date;
}

/** The version of a file. */
export function versionOf({ size, modified }: StoredFile): Version {
  const weak = Date.now() - modified.getTime() < SETTLED_MS;
  const tag = `${weak ? "W/" : ""}"${size.toString(16)}-${modified.getTime().toString(16)}"`;
  return { tag, modified: new Date(Math.floor(modified.getTime() / 1000) * 1000) };
}

/**
 * Evaluates the conditions of a GET or HEAD, in the order of RFC 9110, section 13.2.2.
 *
 * @returns Whether the client has this version already.
 * @throws {Refusal} 412
 */
export async function isKnown(exchange: Exchange, { tag, modified }: Version): Promise<boolean> {
  const match = exchange.header("If-Match");
  const unmodifiedSince = dateOf(exchange.header("If-Unmodified-Since"));
  if (match !== undefined) {
    const { ifMatch } = await import("@std/http/etag");
    if (match.trim() !== "*" && !ifMatch(match, tag)) throw failed("If-Match");
  } else if (unmodifiedSince && modified > unmodifiedSince) {
    throw failed("If-Unmodified-Since");
  }
  const noneMatch = exchange.header("If-None-Match");
  if (noneMatch !== undefined) {
    const { ifNoneMatch } = await import("@std/http/etag");
    return !ifNoneMatch(noneMatch, tag);
  }
  const modifiedSince = dateOf(exchange.header("If-Modified-Since"));
  return modifiedSince !== undefined && modified <= modifiedSince;
}

/** Whether a range of this version is what the client wants: RFC 9110, section 13.1.5. */
export function mayJoin(exchange: Exchange, { tag, modified }: Version): boolean {
  const condition = exchange.header("If-Range");
  if (condition === undefined) return true;
  if (tag.startsWith("W/")) return false;
  if (/^(?:W\/)?"/.test(condition)) return condition === tag;
  return dateOf(condition)?.getTime() === modified.getTime();
}

/**
 * Evaluates the conditions of a PUT. No file is ever replaced, so none can be meant by them.
 *
 * @param isThere Tells whether the name is taken; missing where the client must not learn that.
 * @throws {Refusal} 412
 */
export async function checkNew(
  exchange: Exchange,
  isThere: (() => Promise<boolean>) | undefined,
): Promise<void> {
  for (const name of ["If-Match", "If-Unmodified-Since"]) {
    if (exchange.header(name) !== undefined) throw failed(name);
  }
  if (exchange.header("If-None-Match") === undefined || !isThere) return;
  if (await isThere()) throw failed("If-None-Match");
}

/** The time in a field; `undefined` if it is none, which is then as if it was not there. */
export function dateOf(value: string | undefined): Date | undefined {
  // RFC 9110, section 5.6.7. The obsolete forms are not sent by anybody.
  if (value === undefined || !/^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) {
    return undefined;
  }
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function failed(name: string): Refusal {
  return new Refusal(412, `Cannot go on: the condition ${name} does not hold`);
}
