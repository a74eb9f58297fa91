/**
 * Lists of objects, page by page.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { ListedObject, ListedPage, ListQuery } from "./bucket.ts";
import { unquoted } from "./object_headers.ts";
import { NO_STORE } from "./refusal.ts";
import { explainFailure, type Requests } from "./requests.ts";
import { childrenOf, type Element, textOf } from "./xml.ts";

/** Lists objects, as {@linkcode Bucket.list} says. */
export async function* listObjects(
  requests: Requests,
  { prefix, after, delimiter, limit, signal }: ListQuery,
): AsyncGenerator<ListedPage> {
  let token: string | undefined;
  do {
    const root = await askForXml(requests, "ListBucketResult", {
      "list-type": "2",
      "encoding-type": "url",
      prefix,
      ...(delimiter !== undefined && { delimiter }),
      ...(token !== undefined
        ? { "continuation-token": token }
        : after !== undefined && { "start-after": after }),
      ...(token === undefined && limit !== undefined && { "max-keys": String(limit) }),
    }, signal);
    const isEncoded = textOf(root, "EncodingType") === "url";
    const keyIn = (element: Element, name: string): string =>
      isEncoded ? decodeKey(textOf(element, name)) : textOf(element, name);
    yield {
      objects: childrenOf(root, "Contents").map((entry): ListedObject => ({
        key: keyIn(entry, "Key"),
        size: Number(textOf(entry, "Size")),
        etag: unquoted(textOf(entry, "ETag")),
        modified: new Date(textOf(entry, "LastModified")),
      })),
      prefixes: childrenOf(root, "CommonPrefixes").map((entry) => keyIn(entry, "Prefix")),
    };
    token = isTruncated(root) ? textOf(root, "NextContinuationToken") : undefined;
    if (token === "") throw new InletError("internal", "The object store broke off a list");
  } while (token !== undefined);
}

/** Asks for XML about the bucket, and expects a root of that name. */
export async function askForXml(
  requests: Requests,
  name: string,
  query: Readonly<Record<string, string>>,
  signal?: AbortSignal,
  key?: string,
): Promise<Element> {
  try {
    const root = await requests.askForXml({ method: "GET", key, query, signal });
    if (root.name === name) return root;
  } catch (error) {
    throw explainFailure(error);
  }
  throw new InletError("internal", NO_STORE);
}

/** Whether a list goes on. */
export function isTruncated(root: Element): boolean {
  return textOf(root, "IsTruncated") === "true";
}

/** Decodes a key of a list: each byte as `%XX`, and in some stores a space as `+`. */
export function decodeKey(text: string): string {
  const spaced = text.replaceAll("+", "%20");
  try {
    return decodeURIComponent(spaced);
  } catch {
    // Bytes that are no UTF-8: whoever wrote them can be shown to have, and no more.
    const bytes = Uint8Array.from(
      spaced.match(/%[\da-f]{2}|[^]/gi)!,
      (part) => part.length === 3 ? parseInt(part.slice(1), 16) : part.charCodeAt(0),
    );
    return new TextDecoder().decode(bytes);
  }
}
