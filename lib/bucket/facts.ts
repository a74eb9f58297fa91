/**
 * The facts of a file as they stand in a bucket: in the metadata of an object that was written at once,
 * and in an object beside one that was written in parts.
 *
 * What another program wrote there is taken for nothing where it makes no sense.
 *
 * @module
 */

import { formatCrc } from "../../protocol.ts";
import type { Facts } from "../body/file_facts.ts";
import type { ObjectHead } from "../s3/bucket.ts";
import type { BucketContext } from "./context.ts";
import { META } from "./layout.ts";
import { factsKey } from "./state.ts";
import { readWhole } from "./whole_object.ts";

/** What a bucket keeps of a file beside its content. */
export interface StoredFacts {
  /** Time of the last change. */
  readonly modified?: Date | undefined;
  /** Permission bits. */
  readonly mode?: number | undefined;
  /** CRC-32 of the content. */
  readonly crc?: number | undefined;
  /** The id that its client gave the upload. */
  readonly id?: string | undefined;
}

/** Most characters of an id, as it is encoded. A longer one is not kept. */
const MAX_SENT = 192;

/** The metadata for facts. */
export function metaOf({ modified, mode, crc, id }: Facts): Record<string, string> {
  const sent = id === undefined ? "" : encodeURIComponent(id.toWellFormed());
  return {
    ...modified && { [META.modified]: modified.toISOString() },
    ...mode !== undefined && { [META.mode]: (mode & 0o7777).toString(8) },
    ...crc !== undefined && { [META.crc]: formatCrc(crc) },
    ...sent !== "" && sent.length <= MAX_SENT && { [META.sent]: sent },
  };
}

/** The facts in metadata. */
export function factsIn(meta: Readonly<Record<string, string>>): StoredFacts {
  const { [META.modified]: time, [META.mode]: mode, [META.crc]: crc, [META.sent]: sent } = meta;
  const modified = new Date(time ?? NaN);
  return {
    ...!isNaN(modified.getTime()) && { modified },
    ...mode !== undefined && /^[0-7]{1,4}$/.test(mode) && { mode: parseInt(mode, 8) },
    ...crc !== undefined && /^[0-9a-f]{8}$/.test(crc) && { crc: parseInt(crc, 16) },
    ...sent !== undefined && { id: decoded(sent) },
  };
}

/** Undoes the encoding of a text in metadata; `undefined` if it has none. */
export function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The content of the object that has the facts of a file in parts. @param meta As of {@linkcode metaOf}. */
export function encodeFacts(meta: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(meta));
}

/** Most bytes of such an object that are read. */
const MAX_FACTS_BYTES = 4096;

/** An id of an upload, as inlet makes them: nothing else becomes a part of a key. */
const ID = /^[0-9a-f-]{36}$/;

/** Whether the facts of an object stand beside it: it was written in parts. */
function isFactsBeside({ etag, meta }: Pick<ObjectHead, "etag" | "meta">): boolean {
  return meta[META.crc] === undefined && /-\d+$/.test(etag) && ID.test(meta[META.id] ?? "");
}

/** The facts of an object that was looked at, also those that stand beside it. */
export async function factsOf(
  context: BucketContext,
  head: ObjectHead,
  signal?: AbortSignal,
): Promise<StoredFacts> {
  if (!isFactsBeside(head)) return factsIn(head.meta);
  const key = factsKey(context.prefix, head.meta[META.id]!);
  const found = await readWhole(context.bucket, key, MAX_FACTS_BYTES, signal);
  if (!found) return factsIn(head.meta);
  try {
    const read: unknown = JSON.parse(new TextDecoder().decode(found.content));
    if (typeof read !== "object" || read === null) return {};
    const texts = Object.entries(read).filter(([, value]) => typeof value === "string");
    return factsIn({ ...head.meta, ...Object.fromEntries(texts) });
  } catch (error) {
    if (error instanceof SyntaxError) return factsIn(head.meta);
    throw error;
  }
}
