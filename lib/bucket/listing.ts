/**
 * Lists the files, folders and links of a bucket store, page by page.
 *
 * The order of keys is that of names, with a folder as if its name ended with `/`. What a list of the
 * store does not tell, such as the time of a file, takes a look at its object (looks.ts): so many are
 * under way at once, and the order stays. A folder that has no object of its own has the time at which
 * the first object below it was published; one of placeholders alone is none.
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
import type { Look, Looks, Seen } from "./looks.ts";
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

/** An object that a client may see. */
interface Row {
  /** Its key without the prefix of the store. */
  readonly rest: string;
  /** Whether it stands for a folder, as the first object in it. */
  readonly isFolder?: boolean;
  readonly object: ListedObject;
  /** What a look at it told; missing if none was needed. */
  readonly look?: Seen;
}

/** A row that may take a look at its object. */
type Pending = Row | undefined | Promise<Row | undefined>;

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

/**
 * Whether a list shows a folder.
 *
 * @param rest Its key without the prefix of the store.
 */
export async function isFolder(
  context: BucketContext,
  looks: Looks,
  rest: string,
): Promise<boolean> {
  return await new Lister(context, looks, { isTree: true, isBare: true }).isFolder(rest);
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

  /** Whether there is anything in a folder. */
  async isFolder(rest: string): Promise<boolean> {
    return await this.#folderRow(`${rest}/`) !== undefined;
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
    const walk = new FolderWalk(top);
    const pending: Pending[] = [];
    let page: ListEntry[] = [];
    let looking = 0;
    const add = (row: Pending): void => {
      pending.push(row);
      if (!(row instanceof Promise)) return;
      looking++;
      // Where this is left early, nobody waits for it.
      row.catch(() => {});
    };
    const take = async (): Promise<void> => {
      const first = pending.shift();
      if (first instanceof Promise) looking--;
      const row = first instanceof Promise ? await first : first;
      if (row) page.push(...this.#entriesOf(row, walk));
    };
    for await (const { objects, prefixes } of this.#listed(top)) {
      for (const row of this.#rows(objects, prefixes)) {
        add(row);
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

  /** What a list of the store shows, in its order, with looks under way. */
  *#rows(objects: readonly ListedObject[], prefixes: readonly string[]): Generator<Pending> {
    let at = 0;
    for (const prefix of prefixes) {
      while (at < objects.length && isBefore(objects[at]!.key, prefix)) {
        yield this.#rowOf(objects[at++]!);
      }
      const rest = this.#restOf(prefix);
      if (rest !== OWN_PREFIX && this.#context.isShown(rest)) yield this.#folderRow(rest);
    }
    while (at < objects.length) yield this.#rowOf(objects[at++]!);
  }

  /** The row of an object; missing if nobody may see it. */
  #rowOf(object: ListedObject): Pending {
    const rest = this.#restOf(object.key);
    if (!this.#context.isShown(rest)) return undefined;
    const row = (look: Look): Row | undefined =>
      look === undefined || look === "hidden" ? undefined : { rest, object, look };
    // fetch would look at another one.
    const isBare = this.#how.isBare || isRewritten(rest);
    if (isBare && !mayBeMarked(object.size)) return { rest, object };
    const known = this.#looks.known(object);
    if (known) return row(known);
    const { signal } = this.#how;
    return this.#looks.ofListed(object, signal).then(row, (error) => {
      if (signal?.aborted) throw error;
      // The list itself was permitted. Whoever opens that file is told.
      const { code, message } = explain(error);
      // Amazon answers 400 for one that only its owner's key decrypts.
      const isOfOthers = code === "denied" || code === "internal";
      if (!isOfOthers || mayBeMarked(object.size)) throw error;
      this.#context.warnOnce(`Cannot look at ${quoted(listedName(rest))}: ${message}`);
      return { rest, object };
    });
  }

  /** The row of a folder of which only the name is known: by the first object below it. */
  async #folderRow(rest: string): Promise<Row | undefined> {
    const query = { prefix: this.#context.key(rest), limit: 16, signal: this.#how.signal };
    for await (const { objects } of this.#context.bucket.list(query)) {
      for (const object of objects) {
        const isOwn = object.key === query.prefix;
        const row = isOwn || mayBeMarked(object.size) ? await this.#rowOf(object) : { object };
        if (row) return { ...row, rest, isFolder: true };
      }
    }
    return undefined;
  }

  /** The entries of a row: the folders that it is the first one in, and its own. */
  *#entriesOf({ rest, isFolder, object, look }: Row, walk: FolderWalk): Generator<ListEntry> {
    if (this.#how.isTree) {
      for (const folder of walk.enter(rest)) {
        const entry = { name: listedName(folder.slice(0, -1)), size: null };
        const isOwn = object.key === this.#context.key(folder);
        const facts = isOwn ? look : undefined;
        yield {
          ...entry,
          modified: facts?.modified ?? object.modified,
          ...modeField(facts?.mode),
        };
      }
    }
    // An object without content is a folder.
    if (isFolder || (rest.endsWith("/") && object.size === 0)) return;
    const name = listedName(rest);
    const { size, modified } = look ?? object;
    const link = look?.to === undefined ? undefined : this.#link(name, look.to, modified);
    if (look?.to === undefined) yield { name, size, modified };
    else if (link) yield link;
  }

  #restOf(key: string): string {
    return key.slice(this.#context.prefix.length);
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

/** The folder around a folder. */
function outside(folder: string): string {
  const name = folder.slice(0, -1);
  return name.slice(0, name.lastIndexOf("/") + 1);
}

/** Tells the folders on the way from one key to the next. */
class FolderWalk {
  #inside: string;

  /** @param top The folder that is entered first: empty, or it ends with `/`. */
  constructor(top: string) {
    this.#inside = outside(top);
  }

  /** Yields the folders that are entered for a key, outermost first; each ends with `/`. */
  *enter(key: string): Generator<string> {
    while (!key.startsWith(this.#inside)) {
      this.#inside = outside(this.#inside);
    }
    for (let slash; (slash = key.indexOf("/", this.#inside.length)) >= 0;) {
      this.#inside = key.slice(0, slash + 1);
      yield this.#inside;
    }
  }
}
