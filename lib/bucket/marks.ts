/**
 * Marked objects: at the name of a file, and no file.
 *
 * All have one of two sizes, so that a list tells which few objects need a look. The content of a
 * placeholder is unique, and so is its ETag: it is replaced by If-Match. That of a link is its target,
 * filled up with NUL, which no target has.
 *
 * @module
 */

import type { LinkFacts } from "../../protocol.ts";
import type { ObjectHead } from "../s3/bucket.ts";
import type { NewObject } from "./claim.ts";
import type { BucketContext } from "./context.ts";
import { decoded, metaOf } from "./facts.ts";
import { LONG_LINK_BYTES, MARKED_BYTES, markOf, META } from "./layout.ts";
import { newId } from "./state.ts";
import { readWhole } from "./whole_object.ts";

/** What stands at the name of an upload in flight, or at a name that was given up. */
export function placeholder(mark: "claimed" | "free", id: string): NewObject {
  const why = mark === "claimed"
    ? "An upload of inlet is on its way to this name."
    : "inlet gave this name up, and replaces this object with the next file of the name.";
  const content = filled(`${why}\n${crypto.randomUUID()}\n`, MARKED_BYTES, 0x20);
  return { id, content, meta: { [META.mark]: mark } };
}

/** Most bytes of a target in the metadata, as it is encoded: stores limit all of it to 2 KB. */
const MAX_META_TARGET = 1024;

/** A symbolic link. */
export function linkObject({ to, modified }: LinkFacts): NewObject {
  const encoded = encodeURIComponent(to.toWellFormed());
  const bytes = encoder.encode(to).length;
  const size = bytes <= MARKED_BYTES ? MARKED_BYTES : LONG_LINK_BYTES;
  const meta = {
    ...metaOf({ modified }),
    [META.mark]: "link",
    ...encoded.length <= MAX_META_TARGET && { [META.target]: encoded },
  };
  return { id: newId(), content: filled(to, size, 0), meta };
}

/** Where a link leads to; `undefined` if it is none, or gone. */
export async function targetOf(
  context: BucketContext,
  key: string,
  head: ObjectHead,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (markOf(head) !== "link") return undefined;
  const short = head.meta[META.target];
  if (short !== undefined) return decoded(short);
  const found = await readWhole(context.bucket, key, LONG_LINK_BYTES, signal);
  if (!found || markOf(found) !== "link") return undefined;
  const text = new TextDecoder().decode(found.content);
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

const encoder = new TextEncoder();

/** A text, and as many bytes behind it as are missing. */
function filled(text: string, size: number, filling: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(size).fill(filling);
  encoder.encodeInto(text, content);
  return content;
}
