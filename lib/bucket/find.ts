/**
 * Finds the same file in a bucket, under its name or a numbered variant.
 *
 * @module
 */

import { explain } from "../errors.ts";
import type { DiskTraits } from "../store/disk_traits.ts";
import { hasSameShape, judge, type Sent, type Verdict } from "../store/sameness.ts";
import type { Asker, Fingerprint, Found } from "../store/store.ts";
import { quoted } from "../text.ts";
import type { BucketContext } from "./context.ts";
import type { BucketFolders } from "./folders.ts";
import type { Look, Looks, Seen } from "./looks.ts";
import { openFile } from "./read.ts";
import { variantsOf } from "./variants.ts";

/** Most files of another time that are read for one comparison. */
const MOST_OTHERS = 2;

/** Metadata keep all of a time and of permission bits. */
const EXACT: DiskTraits = { stepMs: 1, modeFor: (mode) => mode };

/** What a search needs. */
export interface Searching {
  readonly context: BucketContext;
  readonly looks: Looks;
  readonly folders: Pick<BucketFolders, "located">;
}

/**
 * Finds the same file: first under the name itself, then under the newest variant, which is the one
 * that a client asks for after it lost an answer. A file is read only if its CRC-32 is compared and not
 * known, as that of another program's file.
 *
 * @throws {InletError} `bad-name` or `denied`
 */
export async function findFile(
  searching: Searching,
  name: string,
  same: Fingerprint,
  asker: Asker = {},
): Promise<Found | undefined> {
  const { context, looks, folders } = searching;
  try {
    const safe = context.safe(name);
    const look = await looks.at(context.key(safe), asker.signal);
    if (look !== undefined) return await findFrom(searching, safe, look, same, asker);
    const located = await folders.located(safe);
    if (located === safe) return undefined;
    const there = await looks.at(context.key(located), asker.signal);
    return there && await findFrom(searching, located, there, same, asker);
  } catch (error) {
    throw explain(error, `Cannot compare ${quoted(name)}`);
  }
}

/**
 * The same where a look was taken at the name itself.
 *
 * @param name With the numbers of its folders.
 * @param look `undefined` if only a folder has the name.
 */
export async function findFrom(
  { context, looks }: Searching,
  name: string,
  look: Look,
  same: Fingerprint,
  asker: Asker,
): Promise<Found | undefined> {
  let others = MOST_OTHERS;
  let unsure: Found | undefined;
  const compare = async (name: string, look: Look): Promise<Found | undefined> => {
    if (!isFile(look)) return undefined;
    const verdict = judgeSeen(look, same);
    if (same.crc === null) {
      if (verdict === "same" && !same.byContent) return { name, isSame: true };
      const mayBe = same.byContent ? isShapedAs(look, same) : verdict === "unsure";
      if (mayBe) unsure ??= { name, isSame: false };
      return undefined;
    }
    if (!isShapedAs(look, same)) return undefined;
    if (look.crc === undefined && verdict === "other" && others-- <= 0) return undefined;
    const isSame = look.crc === undefined
      ? await hasContent(context, looks, name, same, asker)
      : look.crc === same.crc;
    return isSame ? { name, isSame } : undefined;
  };
  const found = await compare(name, look);
  if (found) return found;
  const { objects } = await variantsOf(context, name, isSized(same), asker.signal);
  for (const [, object] of [...objects].sort(([one], [other]) => other - one)) {
    const look = await looks.ofListed(object, asker.signal);
    const found = await compare(object.key.slice(context.prefix.length), look);
    if (found) return found;
    asker.signal?.throwIfAborted();
  }
  return unsure;
}

function isSized({ size }: Sent): (object: { size: number }) => boolean {
  return (object) => object.size === size;
}

/** Whether a file was seen. */
export function isFile(look: Look): look is Seen {
  return typeof look === "object" && look.to === undefined;
}

/** Compares a stored file with one of the other side, without reading it. */
export function judgeSeen(seen: Seen, sent: Sent): Verdict {
  return judge(statOf(seen), sent, () => EXACT);
}

/** Whether size and permission bits agree. */
export function isShapedAs(seen: Seen, sent: Sent): boolean {
  return hasSameShape(statOf(seen), sent, () => EXACT);
}

function statOf({ size, mode, modified, published }: Seen): Parameters<typeof judge>[0] {
  return { size, mode: mode ?? null, mtime: modified, ctime: published, birthtime: null };
}

async function hasContent(
  context: BucketContext,
  looks: Looks,
  name: string,
  same: Fingerprint,
  asker: Asker,
): Promise<boolean> {
  try {
    using stored = await openFile(context, looks, name, asker.signal);
    const { bytes, crc } = await stored.beginning(same.size, asker);
    return bytes === same.size && crc === same.crc;
  } catch (error) {
    // Another program writes it.
    if (["changed", "not-found"].includes(explain(error).code)) return false;
    throw error;
  }
}
