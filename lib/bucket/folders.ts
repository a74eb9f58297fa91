/**
 * The folders of a bucket store. A bucket has none: a name has folders by its slashes. A folder that was
 * made for a client is an object without content besides, at its name and a slash.
 *
 * Where a file has the name of a folder, the folder gets a number. Whether one has is looked at once, and
 * remembered for a minute: two servers that make a file and a folder of one name at the same moment both
 * succeed.
 *
 * @module
 */

import type { FolderFacts } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import type { ListedObject } from "../s3/bucket.ts";
import { firstFreeNumberLater } from "../store/free_number.ts";
import { numberedName } from "../store/names.ts";
import type { MadeFolder, Maybe } from "../store/store.ts";
import { quoted } from "../text.ts";
import { claim, type NewObject } from "./claim.ts";
import type { BucketContext } from "./context.ts";
import { metaOf } from "./facts.ts";
import { markOf, mayBeMarked, META } from "./layout.ts";
import { newId } from "./state.ts";

/** Milliseconds for which a folder is taken for what it was found to be. */
const KNOWN_MS = 60_000;

/** Most folders that are remembered. The oldest is forgotten first. */
const MOST_KNOWN = 65_536;

/** Most objects of a folder that are looked at, to see whether all are placeholders. */
const MOST_LOOKED_AT = 16;

/** A folder that was asked for. */
interface Known {
  /** Its name, with the numbers of the folders. */
  readonly name: Maybe<string>;
  readonly since: number;
}

/** The object of a folder that was made for a client. */
interface Made {
  /** The id of that client's run. */
  readonly id: string;
  readonly etag: string;
}

/** Finds and makes folders. */
export class BucketFolders {
  readonly #context: BucketContext;
  /** By the name that was asked for. */
  readonly #known = new BoundedMap<Known>(MOST_KNOWN);
  /** When each folder was found, or made, by its name. */
  readonly #folders = new BoundedMap<number>(MOST_KNOWN);
  readonly #made = new BoundedMap<Made>(MOST_KNOWN);
  /** What is being made, by name. */
  readonly #making = new Map<string, Promise<MadeFolder>>();
  /** The folders that are looked into before they are made, by name: nothing is put into them meanwhile. */
  readonly #looking = new Map<string, Promise<unknown>>();
  /** The files that are being written in this moment, by name. */
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(context: BucketContext) {
    this.#context = context;
  }

  /**
   * Returns a name with the numbers of its folders.
   *
   * @param name A safe name.
   * @throws {InletError} `bad-name` if the numbers make the name too long; `denied` if a link has the name
   * of a folder, unless that is hidden
   */
  located(name: string): Maybe<string> {
    const slash = name.lastIndexOf("/");
    if (slash < 0) return name;
    const last = name.slice(slash);
    const folder = this.#locate(name.slice(0, slash));
    if (typeof folder === "string" && !this.#looking.has(folder)) return folder + last;
    return this.#looked(folder).then((folder) => folder + last);
  }

  /** Waits until it is known what is in a folder that is being made: the next file would be taken for it. */
  async #looked(asked: Maybe<string>): Promise<string> {
    const folder = await asked;
    await this.#looking.get(folder);
    return folder;
  }

  /**
   * Makes a folder for a client, unless it is there. One that was made for it gets what it tells.
   *
   * @param name A safe name.
   */
  async makeFolder(name: string, facts: FolderFacts): Promise<MadeFolder> {
    const folder = await this.#locate(name);
    const before = this.#making.get(folder)?.catch(() => {});
    const { promise: looking, resolve: looked } = Promise.withResolvers<void>();
    const making = Promise.resolve(before).then(() => this.#make(folder, facts, looked));
    this.#making.set(folder, making);
    this.#looking.set(folder, looking);
    try {
      return await making;
    } finally {
      looked();
      if (this.#making.get(folder) === making) this.#making.delete(folder);
      if (this.#looking.get(folder) === looking) this.#looking.delete(folder);
    }
  }

  /**
   * Whether a folder keeps a file from having a name. Folders that only other servers know are not looked
   * for: it would cost a request for each file.
   *
   * @param name With the numbers of its folders.
   */
  isFolder(name: string): Maybe<boolean> {
    const asked = this.#known.get(name)?.name;
    if (asked instanceof Promise) return asked.then(() => this.isFolder(name), () => false);
    const since = this.#folders.get(name);
    if (since === undefined) return false;
    if (performance.now() - since < KNOWN_MS) return true;
    return this.#isThere(name);
  }

  /** Notes that a file is being written, so that no folder gets its name meanwhile. */
  writing(name: string, written: Promise<unknown>): void {
    const settled = written.then(() => {}, () => {}).then(() => {
      if (this.#writing.get(name) === settled) this.#writing.delete(name);
    });
    this.#writing.set(name, settled);
  }

  /** Looks again whether there is anything in a folder. */
  async #isThere(folder: string): Promise<boolean> {
    const [first] = await this.#firstIn(folder, 1);
    const isThere = first !== undefined;
    if (isThere) this.#folders.set(folder, performance.now());
    else this.#folders.delete(folder);
    return isThere;
  }

  /** The first objects in a folder, its own included. */
  async #firstIn(folder: string, limit: number): Promise<readonly ListedObject[]> {
    const { bucket } = this.#context;
    const prefix = this.#context.key(`${folder}/`);
    for await (const { objects } of bucket.list({ prefix, limit })) return objects;
    return [];
  }

  /** Whether a folder is listed: it has its own object, or something in it that is no placeholder. */
  async #isListed(folder: string): Promise<boolean> {
    for (const { key, size } of await this.#firstIn(folder, MOST_LOOKED_AT)) {
      const head = mayBeMarked(size) && await this.#context.bucket.head(key);
      if (!head || [undefined, "link"].includes(markOf(head))) return true;
    }
    return false;
  }

  #locate(folder: string): Maybe<string> {
    const known = this.#known.get(folder);
    if (known && performance.now() - known.since < KNOWN_MS) return known.name;
    const since = performance.now();
    const name = this.#find(folder).then((name) => {
      this.#known.set(folder, { name, since });
      this.#folders.set(name, since);
      return name;
    }, (error) => {
      this.#known.delete(folder);
      throw error;
    });
    this.#known.set(folder, { name, since });
    return name;
  }

  /** Finds the first number under which a folder can be made or is already, of each part of its name. */
  async #find(folder: string): Promise<string> {
    const located = await this.located(folder);
    if (!await this.#isTaken(located, 1)) return this.#checked(located);
    const { maxNameBytes } = this.#context;
    const nameOf = (number: number): string => numberedName(located, number, maxNameBytes);
    const number = await firstFreeNumberLater((number) => this.#isTaken(nameOf(number), number));
    return this.#checked(nameOf(number));
  }

  /** @throws {InletError} `bad-name` if numbers made a name too long */
  #checked(located: string): string {
    return this.#context.safe(located);
  }

  /** Whether a file or a link keeps a folder from having a name. */
  async #isTaken(name: string, number: number): Promise<boolean> {
    await this.#writing.get(name);
    const head = await this.#context.bucket.head(this.#context.key(name));
    if (!head) return false;
    const mark = markOf(head);
    if (mark === "link" && number === 1 && !this.#context.hidesNames) {
      // Whoever made a link under the folder's own name means it: another folder would be a surprise.
      throw new InletError("denied", `Cannot go through ${quoted(name)}: it is a symbolic link`);
    }
    return mark !== "free";
  }

  /** @param looked Called once it is known whether the folder is there. */
  async #make(folder: string, facts: FolderFacts, looked: () => void): Promise<MadeFolder> {
    const isThere = this.#made.has(folder) || await this.#isListed(folder);
    looked();
    if (!isThere) {
      const object = folderObject(facts);
      const claimed = await claim(this.#context, `${folder}/`, object);
      if ("etag" in claimed) {
        if (facts.id !== undefined) this.#made.set(folder, { id: facts.id, etag: claimed.etag });
        return { name: folder, isNew: true };
      }
    }
    if (facts.modified && facts.id !== undefined) await this.#finish(folder, facts);
    return { name: folder, isNew: false };
  }

  /** Gives a folder what its maker tells of it, if it was made for that one. */
  async #finish(folder: string, facts: FolderFacts): Promise<void> {
    const { bucket, signal } = this.#context;
    const key = this.#context.key(`${folder}/`);
    const { content, meta, id } = folderObject(facts);
    const made = this.#made.get(folder);
    if (made && made.id !== facts.id) return;
    let etag = made?.etag;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      if (etag === undefined) {
        const head = await bucket.head(key);
        if (!head || head.meta[META.sent] !== meta[META.sent] || head.meta[META.id] === id) break;
        etag = head.etag;
      }
      const put = await bucket.put(key, content, {
        meta: { ...meta, [META.id]: id },
        condition: { etag },
        signal,
      });
      if (typeof put === "object") break;
      etag = undefined;
    }
    this.#made.delete(folder);
  }
}

/** How often a folder is written again whose fate stays unclear. */
const MOST_ATTEMPTS = 4;

/** The object of a folder. Until it has its time, its owner keeps all permission bits. */
function folderObject({ mode, modified, id }: FolderFacts): NewObject {
  const bits = mode !== undefined && !modified ? mode | 0o700 : mode;
  return {
    id: newId(),
    content: new Uint8Array(0),
    meta: metaOf({ mode: bits, modified, id }),
  };
}

/** A map that forgets what was set first, once it has too many entries. */
class BoundedMap<V> extends Map<string, V> {
  readonly #most: number;

  constructor(most: number) {
    super();
    this.#most = most;
  }

  override set(key: string, value: V): this {
    super.delete(key);
    super.set(key, value);
    if (this.size > this.#most) this.delete(this.keys().next().value!);
    return this;
  }
}
