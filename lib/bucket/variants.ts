/**
 * The numbered variants of a name, as they stand in a bucket: `report (2).pdf`, `report (3).pdf`, …
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { ListedObject } from "../s3/bucket.ts";
import { numberedName } from "../store/names.ts";
import type { BucketContext } from "./context.ts";

/** The highest number that is looked for. */
const HIGHEST = 999_999_999;

/** The variants of a name. */
export interface Variants {
  /** By number. */
  readonly objects: ReadonlyMap<number, ListedObject>;
  /** Numbers of the folders. */
  readonly folders: ReadonlySet<number>;
}

/**
 * Lists the variants of a name.
 *
 * @param name With the numbers of its folders.
 * @param isWanted Which objects are kept.
 * @param mostPages Pages of the list after which it ends.
 */
export async function variantsOf(
  context: BucketContext,
  name: string,
  isWanted: (object: ListedObject) => boolean,
  signal?: AbortSignal,
  mostPages = Infinity,
): Promise<Variants> {
  const objects = new Map<number, ListedObject>();
  const folders = new Set<number>();
  const prefix = beginningOf(context, name);
  if (prefix === undefined) return { objects, folders };
  const numberOf = (key: string): number | undefined =>
    numberIn(context, name, key.slice(context.prefix.length));
  const query = { prefix: context.key(prefix), delimiter: "/", signal };
  let pages = 0;
  for await (const page of context.bucket.list(query)) {
    for (const object of page.objects) {
      const number = isWanted(object) ? numberOf(object.key) : undefined;
      if (number !== undefined) objects.set(number, object);
    }
    for (const folder of page.prefixes) {
      const number = numberOf(folder.slice(0, -1));
      if (number !== undefined) folders.add(number);
    }
    if (++pages >= mostPages) break;
  }
  return { objects, folders };
}

/** What the variants of a name begin with; `undefined` if it has none: there is no room for a number. */
function beginningOf({ maxNameBytes }: BucketContext, name: string): string | undefined {
  try {
    const one = numberedName(name, 2, maxNameBytes);
    // It has less room for the rest.
    const other = numberedName(name, HIGHEST, maxNameBytes);
    let length = 0;
    while (length < one.length && one[length] === other[length]) length++;
    return one.slice(0, length).replace(/\p{Cs}$/u, "");
  } catch (error) {
    if (error instanceof InletError) return undefined;
    throw error;
  }
}

function numberIn(
  { maxNameBytes }: BucketContext,
  name: string,
  variant: string,
): number | undefined {
  for (const [, digits] of variant.matchAll(/ \(([1-9]\d{0,8})\)/g)) {
    const number = Number(digits);
    if (number > 1 && numberedName(name, number, maxNameBytes) === variant) return number;
  }
  return undefined;
}
