/**
 * What stands at a key: a file or a link with its facts, or nothing that a client may see.
 *
 * A list tells neither the time of a file nor whether an object is marked, so that takes a look at the
 * object. What was seen is remembered for as long as a list shows the same version of it.
 *
 * @module
 */

import type { ListedObject, ObjectHead } from "../s3/bucket.ts";
import type { BucketContext } from "./context.ts";
import { factsOf } from "./facts.ts";
import { markOf } from "./layout.ts";
import { targetOf } from "./marks.ts";

/** A published file or a link. */
export interface Seen {
  /** In bytes. */
  readonly size: number;
  /** Tells its version. */
  readonly etag: string;
  /** Time of the last change. */
  readonly modified: Date;
  /** When it was published, by the store's clock, in whole seconds. */
  readonly published: Date;
  /** Permission bits, if it has any. */
  readonly mode?: number | undefined;
  /** CRC-32, if it is known. */
  readonly crc?: number | undefined;
  /** Where a link leads to. A file has none. */
  readonly to?: string | undefined;
}

/** What stands at a key: `hidden` is an object that is none of the files. */
export type Look = Seen | "hidden" | undefined;

/** Most objects of which something is remembered: 15 MB, about. */
const MOST_REMEMBERED = 50_000;

/** When it is full, one of so many takes the place of the oldest: a long list must not drive out itself. */
const ONE_OF = 8;

/** Milliseconds within which an object can be written again without another time. */
const SAME_TIME_MS = 2000;

/** What is remembered of an object: numbers take half of the memory that dates do. */
interface Remembered {
  readonly etag: string;
  readonly size: number;
  /** Seconds since 1970. A list tells the time more finely than a look. */
  readonly publishedAt: number;
  readonly isHidden: boolean;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly mode: number | undefined;
  readonly crc: number | undefined;
  readonly to: string | undefined;
}

/** Looks at objects. */
export class Looks {
  readonly #context: BucketContext;
  readonly #remembered = new Map<string, Remembered>();

  constructor(context: BucketContext) {
    this.#context = context;
  }

  /** Looks at an object. */
  async at(key: string, signal?: AbortSignal): Promise<Look> {
    const head = await this.#context.bucket.head(key, signal);
    if (!head) return undefined;
    return await this.ofHead(key, head, signal);
  }

  /** What is known of an object in a list without a look at it. */
  known(listed: ListedObject): Seen | "hidden" | undefined {
    return this.#known(listed.key, listed);
  }

  /** Looks at an object in a list; `undefined` if it is gone. */
  async ofListed(listed: ListedObject, signal?: AbortSignal): Promise<Look> {
    return this.known(listed) ?? await this.at(listed.key, signal);
  }

  /** What an answer tells of an object. */
  async ofHead(key: string, head: ObjectHead, signal?: AbortSignal): Promise<Look> {
    const known = this.#known(key, head);
    if (known) return known;
    const look = await this.#ofHead(key, head, signal);
    if (look) this.#remember(key, head, look);
    return look;
  }

  /** Remembers the CRC-32 of a version that was read. */
  summed(key: string, seen: Seen, crc: number): void {
    const known = this.#remembered.get(key);
    if (known?.etag === seen.etag) this.#remembered.set(key, { ...known, crc });
  }

  async #ofHead(key: string, head: ObjectHead, signal?: AbortSignal): Promise<Look> {
    const { size, etag, modified: published } = head;
    const mark = markOf(head);
    if (mark !== undefined && mark !== "link") return "hidden";
    const { modified = published, mode, crc } = await factsOf(this.#context, head, signal);
    const seen = { size, etag, published, modified, mode };
    if (mark === undefined) return { ...seen, crc };
    const to = await targetOf(this.#context, key, head, signal);
    return to === undefined ? undefined : { ...seen, to };
  }

  #known(key: string, { etag, size, modified }: Version): Seen | "hidden" | undefined {
    const known = this.#remembered.get(key);
    // Its metadata can change under the same ETag.
    if (known?.etag !== etag || known.size !== size) return undefined;
    if (known.publishedAt !== secondsOf(modified)) return undefined;
    if (known.isHidden) return "hidden";
    const { publishedAt, modifiedAt, mode, crc, to } = known;
    const published = new Date(publishedAt * 1000);
    const seen = { size, etag, published, modified: new Date(modifiedAt), mode, crc };
    return to === undefined ? seen : { ...seen, to };
  }

  #remember(key: string, head: ObjectHead, look: Seen | "hidden"): void {
    // Its metadata can change without its content, and so its ETag stays.
    if (head.answered.getTime() - head.modified.getTime() < SAME_TIME_MS) return;
    const isFull = this.#remembered.size >= MOST_REMEMBERED && !this.#remembered.has(key);
    if (isFull) {
      if (Math.random() * ONE_OF >= 1) return;
      this.#remembered.delete(this.#remembered.keys().next().value!);
    }
    const { etag, size, modified } = head;
    const seen = look === "hidden" ? undefined : look;
    this.#remembered.set(key, {
      ...{ etag, size, publishedAt: secondsOf(modified), isHidden: look === "hidden" },
      modifiedAt: seen?.modified.getTime() ?? 0,
      ...{ mode: seen?.mode, crc: seen?.crc, to: seen?.to },
    });
  }
}

/** What tells versions of an object apart. */
type Version = Pick<ObjectHead, "size" | "etag" | "modified">;

function secondsOf(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
