/**
 * Lists the files, folders and links of a bucket store, page by page.
 *
 * The order of keys is that of names, with a folder as if its name ended with `/`. What a list of the
 * store does not tell, such as the time of a file, takes a look at its object (looks.ts): so many are
 * under way at once, and the order stays. A folder that has no object of its own has the time at which
 * the first object below it was published.
 *
 * @module
 */

import { type ListEntry, modeField } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import type { ListedObject, ListedPage } from "../s3/bucket.ts";
import { isLeftOut, isListable } from "../store/link_rules.ts";
import { EVERYTHING } from "../store/names.ts";
import { quoted } from "../text.ts";
import type { BucketContext } from "./context.ts";
import { mayBeMarked, OWN_PREFIX } from "./layout.ts";
import type { Look, Looks } from "./looks.ts";
import { isRewritten, listedName, meaningsOf } from "./odd_names.ts";

/** Entries of one page. */
const PAGE_ENTRIES = 250;

/** Looks that are under way at once. */
const MOST_LOOKS = 32;

/** What is listed, and how. */
interface Listing {
  /** Whether folders and links are listed too. */
  readonly isTree: boolean;
  /** Whether what is in the folders of the folder is left out. */
  readonly isFlat?: boolean | undefined;
  /** Whether the times and permission bits are not wanted. */
  readonly isBare?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An entry that may take a look at its object. */
type Pending = ListEntry | undefined | Promise<ListEntry | undefined>;

/** Lists every published file. */
export async function* listPages(
  context: BucketContext,
  looks: Looks,
  how: Pick<Listing, "signal" | "isBare">,
): AsyncGenerator<readonly ListEntry[]> {
  const lister = new Lister(context, looks, { ...how, isTree: false });
  yield* explained(lister.pages(""), "Cannot list the files");
}

/** Lists a folder and everything published below it, one file, or everything. */
export async function* treePages(
  context: BucketContext,
  looks: Looks,
  name: string,
  how: Omit<Listing, "isTree">,
): AsyncGenerator<readonly ListEntry[]> {
  const lister = new Lister(context, looks, { ...how, isTree: true });
  const pages = name === EVERYTHING ? lister.pages("") : lister.tree(name);
  yield* explained(pages, `Cannot get ${quoted(name)}`);
}

async function* explained<T>(pages: AsyncIterable<T>, what: string): AsyncGenerator<T> {
  try {
    yield* pages;
  } catch (error) {
    throw explain(error, what);
  }
}

class Lister {
  readonly #context: BucketContext;
  readonly #looks: Looks;
  readonly #how: Listing;

  constructor(context: BucketContext, looks: Looks, how: Listing) {
    this.#context = context;
    this.#looks = looks;
    this.#how = how;
  }

  /** Lists a folder, or one file. */
  async *tree(name: string): AsyncGenerator<readonly ListEntry[]> {
    const meanings = meaningsOf(this.#context, name);
    for (const meant of meanings) {
      let isThere = false;
      for await (const page of this.pages(`${meant}/`)) {
        isThere = true;
        yield page;
      }
      if (isThere) return;
    }
    const what = `Cannot get ${quoted(name)}`;
    for (const meant of meanings) {
      const look = await this.#looks.at(this.#context.key(meant), this.#how.signal);
      if (look === undefined || look === "hidden") continue;
      if (look.to !== undefined) {
        throw new InletError("not-found", `${what}: it is a symbolic link`);
      }
      const { size, modified } = look;
      return yield [{ name: listedName(meant), size, modified }];
    }
    throw new InletError("not-found", `${what}: it does not exist`);
  }

  /**
   * The entries below a folder, itself included.
   *
   * @param top Empty for everything; otherwise it ends with `/`.
   */
  async *pages(top: string): AsyncGenerator<readonly ListEntry[]> {
    const { signal } = this.#how;
    const pending: Pending[] = [];
    let page: ListEntry[] = [];
    let looking = 0;
    // Nobody waits for those that are left when this is left.
    const add = (entry: Pending): void => {
      pending.push(entry);
      if (!(entry instanceof Promise)) return;
      entry.catch(() => {});
      looking++;
    };
    const take = async (): Promise<void> => {
      const first = pending.shift();
      if (first instanceof Promise) looking--;
      const entry = await first;
      if (entry) page.push(entry);
    };
    for await (const entries of this.#entries(top)) {
      for (const entry of entries) {
        add(entry);
        while (looking >= MOST_LOOKS || pending.length > PAGE_ENTRIES) await take();
        if (page.length < PAGE_ENTRIES) continue;
        yield page;
        page = [];
        signal?.throwIfAborted();
      }
    }
    while (pending.length > 0) await take();
    if (page.length > 0) yield page;
  }

  /** The entries below a folder, with looks under way. */
  async *#entries(top: string): AsyncGenerator<Iterable<Pending>> {
    const walk = new FolderWalk(top);
    let isFirst = true;
    for await (const { objects, prefixes } of this.#listed(top)) {
      const first = objects[0]?.key ?? prefixes[0];
      if (first === undefined) continue;
      if (isFirst && top !== "" && this.#how.isTree) yield [this.#topFolder(top, objects[0])];
      isFirst = false;
      if (this.#how.isFlat) yield this.#flatEntries(walk, objects, prefixes);
      else yield this.#deepEntries(walk, objects);
    }
  }

  *#deepEntries(walk: FolderWalk, objects: readonly ListedObject[]): Generator<Pending> {
    for (const object of objects) {
      const rest = this.#restOf(object.key);
      if (!this.#context.isShown(rest)) continue;
      if (this.#how.isTree) {
        for (const folder of walk.enter(rest)) yield this.#folder(folder, object);
      }
      // An object without content is a folder.
      if (!rest.endsWith("/") || object.size > 0) yield this.#file(rest, object);
    }
  }

  *#flatEntries(
    walk: FolderWalk,
    objects: readonly ListedObject[],
    prefixes: readonly string[],
  ): Generator<Pending> {
    let at = 0;
    for (const prefix of prefixes) {
      for (; at < objects.length && isBefore(objects[at]!.key, prefix); at++) {
        yield* this.#deepEntries(walk, [objects[at]!]);
      }
      const rest = this.#restOf(prefix);
      if (rest !== OWN_PREFIX && this.#context.isShown(rest)) yield this.#innerFolder(rest);
    }
    yield* this.#deepEntries(walk, objects.slice(at));
  }

  #restOf(key: string): string {
    return key.slice(this.#context.prefix.length);
  }

  /** @param object The first one below it, which can be its own. */
  #folder(folder: string, object: ListedObject): Pending {
    const name = listedName(folder.slice(0, -1));
    const implied: ListEntry = { name, size: null, modified: object.modified };
    if (this.#restOf(object.key) !== folder || this.#how.isBare) return implied;
    return this.#look(object, (look) => {
      if (typeof look !== "object") return implied;
      return { ...implied, modified: look.modified, ...modeField(look.mode) };
    });
  }

  /** The folder that is listed itself. @param object The first one in it, if it has one. */
  #topFolder(top: string, object: ListedObject | undefined): Pending {
    return object && !this.#how.isFlat ? this.#folder(top, object) : this.#innerFolder(top);
  }

  /** A folder of which only the name is known. */
  async #innerFolder(folder: string): Promise<ListEntry | undefined> {
    const prefix = this.#context.key(folder);
    const { signal } = this.#how;
    for await (const { objects } of this.#context.bucket.list({ prefix, limit: 1, signal })) {
      return objects[0] && await this.#folder(folder, objects[0]);
    }
    return undefined;
  }

  #file(rest: string, object: ListedObject): Pending {
    const name = listedName(rest);
    const { size, modified } = object;
    // fetch would look at another one.
    const isBare = this.#how.isBare || isRewritten(rest);
    if (isBare && !mayBeMarked(size)) return { name, size, modified };
    return this.#look(object, (look) => {
      if (typeof look !== "object") return undefined;
      if (look.to !== undefined) return this.#link(name, look.to, look.modified);
      return { name, size: look.size, modified: look.modified };
    });
  }

  #link(name: string, to: string, modified: Date): ListEntry | undefined {
    const { links } = this.#context;
    if (!this.#how.isTree || isLeftOut(links, name, to)) return undefined;
    const entry = { name, size: null, to, modified };
    if (isListable(entry)) return entry;
    this.#context.warnOnce(
      `Left ${quoted(name)} out of lists: the target of the link is too long`,
    );
    return undefined;
  }

  #look(object: ListedObject, entryOf: (look: Look) => ListEntry | undefined): Pending {
    const known = this.#looks.known(object);
    if (known) return entryOf(known);
    return this.#looks.ofListed(object, this.#how.signal).then(entryOf);
  }

  /** The objects below a folder, without those of the store's own. */
  async *#listed(top: string): AsyncGenerator<ListedPage> {
    const { bucket } = this.#context;
    const { isFlat, signal } = this.#how;
    const query = {
      prefix: this.#context.key(top),
      ...isFlat && { delimiter: "/" },
      signal,
    };
    if (top !== "" || isFlat) return yield* bucket.list(query);
    const own = this.#context.key(OWN_PREFIX);
    let isBehind = false;
    for await (const page of bucket.list(query)) {
      const objects = page.objects.filter(({ key }) => !key.startsWith(own));
      if (objects.length > 0) yield { ...page, objects };
      // There can be many of them.
      isBehind = page.objects.at(-1)?.key.startsWith(own) ?? false;
      if (isBehind) break;
    }
    if (isBehind) yield* bucket.list({ ...query, after: own + LAST_CHARACTER });
  }
}

/** Behind every key of the store's own. */
const LAST_CHARACTER = "\u{10ffff}";

/** Whether a key comes before another one, in the order of UTF-8 bytes. */
export function isBefore(one: string, other: string): boolean {
  for (let index = 0; index < one.length && index < other.length; index++) {
    if (one[index] !== other[index]) return one.codePointAt(index)! < other.codePointAt(index)!;
  }
  return one.length < other.length;
}

/** Tells the folders on the way from one key to the next. */
class FolderWalk {
  #inside: string;

  /** @param top The folder that is known already: empty, or it ends with `/`. */
  constructor(top: string) {
    this.#inside = top;
  }

  /** Yields the folders that are entered for a key, outermost first; each ends with `/`. */
  *enter(key: string): Generator<string> {
    while (!key.startsWith(this.#inside)) {
      const outer = this.#inside.slice(0, -1);
      this.#inside = outer.slice(0, outer.lastIndexOf("/") + 1);
    }
    for (let slash; (slash = key.indexOf("/", this.#inside.length)) >= 0;) {
      this.#inside = key.slice(0, slash + 1);
      yield this.#inside;
    }
  }
}
