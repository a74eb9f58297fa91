/**
 * Lists of objects, page by page.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { ListedObject, ListedPage, ListQuery } from "./bucket.ts";
import { unquoted } from "./object_headers.ts";
import { NO_STORE } from "./refusal.ts";
import { type Asked, explainFailure, type Requests } from "./requests.ts";
import { childrenOf, type Element, numberOf, textOf } from "./xml.ts";

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
    }, { signal });
    const isEncoded = textOf(root, "EncodingType") === "url";
    const keyIn = (element: Element, name: string): string =>
      isEncoded ? decodeKey(textOf(element, name)) : textOf(element, name);
    const page: ListedPage = {
      objects: childrenOf(root, "Contents").map((entry): ListedObject =>
        sensible({
          key: keyIn(entry, "Key"),
          size: numberOf(entry, "Size"),
          etag: unquoted(textOf(entry, "ETag")),
          modified: new Date(textOf(entry, "LastModified")),
        })
      ),
      prefixes: childrenOf(root, "CommonPrefixes").map((entry) => keyIn(entry, "Prefix")),
    };
    const keys = [...page.objects.map(({ key }) => key), ...page.prefixes];
    // What is listed may be removed for where it stands.
    if (!keys.every((key) => key.startsWith(prefix))) throw notAskedFor();
    yield page;
    token = nextPage(root, "NextContinuationToken", token);
  } while (token !== undefined);
}

function notAskedFor(): InletError {
  return new InletError("internal", "The object store listed what was not asked for");
}

/** Asks for XML about the bucket, and expects a root of that name. */
export async function askForXml(
  requests: Requests,
  name: string,
  query: Readonly<Record<string, string>>,
  { key, signal }: Pick<Asked, "key" | "signal"> = {},
): Promise<Element> {
  try {
    const root = await requests.askForXml({ method: "GET", key, query, signal });
    if (root.name === name) return root;
  } catch (error) {
    throw explainFailure(error);
  }
  throw new InletError("internal", NO_STORE);
}

/**
 * An entry of a list.
 *
 * @throws {InletError} `internal` if one of its numbers or times is none
 */
export function sensible<T extends object>(entry: T): T {
  const values = Object.values(entry).filter((value) => typeof value !== "string");
  if (!values.some((value) => Number.isNaN(Number(value)))) return entry;
  throw new InletError("internal", NO_STORE);
}

/**
 * Where a list goes on; `undefined` at its end.
 *
 * @throws {InletError} `internal` if it would go on where it was before
 */
export function nextPage(
  root: Element,
  marker: string,
  before: string | undefined,
): string | undefined {
  if (textOf(root, "IsTruncated") !== "true") return undefined;
  const next = textOf(root, marker);
  if (next !== "" && next !== before) return next;
  throw new InletError("internal", "The object store broke off a list");
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
