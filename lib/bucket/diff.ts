/**
 * Compares what a client has in one folder with what is in the bucket: a list tells what is there and
 * how large, and a look at an object its time. Nothing is read, unless the client sent a CRC-32.
 *
 * @module
 */

import type { DiffEntry, DiffFlag } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import type { ListedObject } from "../s3/bucket.ts";
import { EVERYTHING } from "../store/names.ts";
import type { DiffOptions } from "../store/store.ts";
import { quoted } from "../text.ts";
import { mapAtOnce } from "../store/at_once.ts";
import { findFrom, isFile, isShapedAs, judgeSeen, type Searching } from "./find.ts";
import { mayBeMarked } from "./layout.ts";
import { isBefore } from "./listing.ts";
import type { Look } from "./looks.ts";
import { variantsOf } from "./variants.ts";

/** Entries that are compared at once. */
const MOST_AT_ONCE = 32;

/** Most pages that are listed for one request. Names behind them are looked at one by one. */
const MOST_PAGES = 4;

/**
 * Compares entries of one folder.
 *
 * @returns One flag for each entry.
 * @throws {InletError} `bad-name`, or `denied` if a link has the name of the folder
 */
export async function diffFolder(
  searching: Searching,
  folder: string,
  entries: readonly DiffEntry[],
  how: DiffOptions = {},
): Promise<string> {
  try {
    const inside = folder === EVERYTHING ? "" : `${searching.context.safe(folder)}/`;
    const diff = new FolderDiff(searching, inside, how);
    if (await diff.read(entries)) return await diff.flags(entries);
    const located = await searching.folders.located(`${inside}-`);
    if (located === `${inside}-`) return ".".repeat(entries.length);
    // A file has the name of the folder, which has a number then.
    const numbered = new FolderDiff(searching, located.slice(0, -1), how);
    await numbered.read(entries);
    return await numbered.flags(entries);
  } catch (error) {
    throw explain(error, `Cannot compare ${quoted(folder)}`);
  }
}

class FolderDiff {
  readonly #searching: Searching;
  readonly #inside: string;
  readonly #how: DiffOptions;
  readonly #files = new Map<string, ListedObject>();
  readonly #folders = new Set<string>();
  /** The key up to which everything was listed; `undefined` if that is all. */
  #listedTo: string | undefined;

  /** @param inside The name of the folder: empty, or it ends with `/`. */
  constructor(searching: Searching, inside: string, how: DiffOptions) {
    this.#searching = searching;
    this.#inside = inside;
    this.#how = how;
  }

  /** Lists what may have the names of entries. Returns whether there was anything. */
  async read(entries: readonly DiffEntry[]): Promise<boolean> {
    const { context } = this.#searching;
    const names = entries.map(({ name }) => this.#nameOf(name)).filter((name) =>
      name !== undefined
    );
    names.sort((one, other) => isBefore(one, other) ? -1 : 1);
    const [first, last] = [names.at(0), names.at(-1)];
    if (first === undefined || last === undefined) return true;
    const query = {
      prefix: context.key(this.#inside),
      delimiter: "/",
      after: before(context.key(first)),
      limit: Math.min(1000, 2 * entries.length + 8),
      signal: this.#how.signal,
    };
    const wanted = new Set(names.map((name) => context.key(name)));
    let pages = 0;
    let isThere = false;
    for await (const { objects, prefixes } of context.bucket.list(query)) {
      isThere ||= objects.length + prefixes.length > 0;
      for (const object of objects) if (wanted.has(object.key)) this.#files.set(object.key, object);
      for (const prefix of prefixes) this.#folders.add(prefix.slice(0, -1));
      const [object, prefix] = [objects.at(-1)?.key ?? "", prefixes.at(-1) ?? ""];
      const end = isBefore(object, prefix) ? prefix : object;
      const isOver = isBefore(`${context.key(last)}/`, end);
      if (!isOver && ++pages < MOST_PAGES) continue;
      this.#listedTo = end;
      break;
    }
    // Whether it is there shows what is in front of the names, too.
    return isThere || this.#inside === "" || await this.#isThere();
  }

  /** One flag for each entry. */
  async flags(entries: readonly DiffEntry[]): Promise<string> {
    const flags = await mapAtOnce(entries, MOST_AT_ONCE, async (entry) => {
      this.#how.signal?.throwIfAborted();
      return await this.#flagOf(entry);
    });
    return flags.join("");
  }

  async #flagOf(entry: DiffEntry): Promise<DiffFlag> {
    const { context } = this.#searching;
    const { size, to, crc, modified, mode } = entry;
    const name = this.#nameOf(entry.name);
    // What cannot be stored is not there: sending it tells why.
    if (name === undefined) return ".";
    const key = context.key(name);
    const isFolder = await this.#isFolder(key);
    if (size === null && to === undefined && isFolder) return "=";
    const look = await this.#look(key, size);
    if ((look === undefined || look === "hidden") && !isFolder) return ".";
    if (to !== undefined) return this.#isLinkTo(look, to) ? "=" : await this.#linkFlag(name, to);
    if (size === null) return await this.#folderFlag(name);
    const { byContent, ...asker } = this.#how;
    const sent = { size, modified, mode };
    if (isFile(look) && crc === undefined) {
      const verdict = judgeSeen(look, sent);
      if (byContent ? isShapedAs(look, sent) : verdict === "unsure") return "?";
      if (!byContent && verdict === "same") return "=";
    }
    const same = { ...sent, crc: crc ?? null, byContent };
    const found = await findFrom(this.#searching, name, look, same, asker);
    if (!found) return "!";
    return found.isSame ? "=" : "?";
  }

  /** What stands at a key. The time of a file of another size is not needed. */
  async #look(key: string, size: number | null): Promise<Look> {
    const { looks } = this.#searching;
    const { signal } = this.#how;
    if (!this.#isListed(key)) return await looks.at(key, signal);
    const listed = this.#files.get(key);
    if (!listed) return undefined;
    if (listed.size === size || mayBeMarked(listed.size)) {
      return await looks.ofListed(listed, signal);
    }
    return { ...listed, published: listed.modified };
  }

  async #isFolder(key: string): Promise<boolean> {
    if (this.#folders.has(key)) return true;
    if (this.#isListed(`${key}/`)) return false;
    return await isAnything(this.#searching, `${key}/`, this.#how.signal);
  }

  #isThere(): Promise<boolean> {
    const { context } = this.#searching;
    return isAnything(this.#searching, context.key(this.#inside), this.#how.signal);
  }

  #isListed(key: string): boolean {
    return this.#listedTo === undefined || !isBefore(this.#listedTo, key);
  }

  #isLinkTo(look: Look, to: string): boolean {
    return typeof look === "object" && look.to === to;
  }

  async #linkFlag(name: string, to: string): Promise<DiffFlag> {
    const { context, looks } = this.#searching;
    const { signal } = this.#how;
    const { objects } = await variantsOf(context, name, ({ size }) => mayBeMarked(size), signal);
    for (const object of objects.values()) {
      if (this.#isLinkTo(await looks.ofListed(object, signal), to)) return "=";
    }
    return "!";
  }

  async #folderFlag(name: string): Promise<DiffFlag> {
    const { context } = this.#searching;
    const { folders } = await variantsOf(context, name, () => false, this.#how.signal);
    return folders.size > 0 ? "=" : "!";
  }

  /** The stored name of an entry; `undefined` if it cannot have one. */
  #nameOf(part: string): string | undefined {
    try {
      return this.#searching.context.safe(this.#inside + part);
    } catch (error) {
      if (error instanceof InletError && error.code === "bad-name") return undefined;
      throw error;
    }
  }
}

/** Whether there is any key with a beginning. */
async function isAnything(
  { context }: Searching,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for await (const { objects } of context.bucket.list({ prefix, limit: 1, signal })) {
    return objects.length > 0;
  }
  return false;
}

/** A text that comes right before a key, in the order of UTF-8 bytes. */
function before(key: string): string {
  const characters = [...key];
  const last = characters.pop()!.codePointAt(0)!;
  // Nothing has the code points between.
  const previous = last === 0xe000 ? 0xd7ff : last - 1;
  if (previous < 0) return characters.join("");
  return `${characters.join("")}${String.fromCodePoint(previous)}\u{10ffff}`;
}
