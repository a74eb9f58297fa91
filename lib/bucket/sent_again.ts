/**
 * What is sent again is stored once: a client that got no answer sends its file again, with the same id, and
 * maybe to another server, while the first one's request may still be on its way to the store.
 *
 * @module
 */

import type { ListedObject, ObjectHead } from "../s3/bucket.ts";
import { pause, unclear } from "./claim.ts";
import type { BucketContext } from "./context.ts";
import { factsOf } from "./facts.ts";
import { markOf, OWN_PREFIX } from "./layout.ts";
import type { NameList, PlacingOptions } from "./placing.ts";
import { hashOf } from "./state.ts";
import { variantsOf } from "./variants.ts";
import { readWhole } from "./whole_object.ts";

/** What identifies an upload: the random id that its client chose, and its verified content. */
export interface SentUpload {
  readonly id: string;
  /** In bytes. */
  readonly size: number;
  /** CRC-32 of the content. */
  readonly crc: number;
}

/** Milliseconds for which a client sends a file again. */
const SENT_MS = 3_600_000;

/** How often a number is noted whose note stays unclear. */
const MOST_ATTEMPTS = 8;

/** More of a note is not read. */
const MAX_NOTE_BYTES = 64;

/** Most pages of a list that are read, and most of its objects that are looked at: the newest. */
const MOST_PAGES = 2;
const MOST_LOOKED_AT = 32;

/**
 * Has a small file stored once, whatever servers it is sent to. Under the name that was asked for, one of
 * two requests is refused. Where that name is taken each server would find a number of its own, so the first
 * one writes its number down for all.
 *
 * @returns What {@linkcode Placing.place} asks.
 */
export function sentOnce(
  context: BucketContext,
  sent: SentUpload,
  signal?: AbortSignal,
): Required<Pick<PlacingOptions, "isSame" | "choose">> {
  const number = new NotedNumber(context, sent, signal);
  return {
    isSame: (head) => isSent(context, head, sent),
    choose: (next) => number.choose(next),
  };
}

/** The number that all servers try for one upload. */
class NotedNumber {
  readonly #context: BucketContext;
  readonly #sent: SentUpload;
  readonly #signal: AbortSignal;
  /** Of the note that was seen last: its number is taken by another file. */
  #etag: string | undefined;

  constructor(context: BucketContext, sent: SentUpload, signal = context.signal) {
    this.#context = context;
    this.#sent = sent;
    this.#signal = signal;
  }

  /**
   * Notes a number, unless another server has noted one since the last call.
   *
   * @returns The noted one.
   * @throws {InletError} `overloaded` if no attempt got a clear answer
   */
  async choose(number: number): Promise<number> {
    const { bucket, prefix } = this.#context;
    const { id, size, crc } = this.#sent;
    const key = `${prefix}${OWN_PREFIX}sent/${await hashOf("sent", `${id} ${size} ${crc}`)}`;
    const content = new TextEncoder().encode(String(number));
    const signal = this.#signal;
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const condition = this.#etag === undefined ? { absent: true } as const : { etag: this.#etag };
      const put = await bucket.put(key, content, { condition, signal });
      if (typeof put === "object") {
        this.#etag = put.etag;
        return number;
      }
      const note = await readWhole(bucket, key, MAX_NOTE_BYTES, signal);
      const noted = note && note.etag !== this.#etag ? numberIn(note.content) : undefined;
      this.#etag = note?.etag;
      if (noted !== undefined) return noted;
      await pause(attempt, signal);
    }
    throw unclear();
  }
}

/** The number in a note; `undefined` if another program has written something else there. */
function numberIn(content: Uint8Array): number | undefined {
  const text = new TextDecoder().decode(content);
  const number = /^[1-9]\d*$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/**
 * Finds an upload in parts that was published before, among the objects of its name and its numbers.
 *
 * @param name The first of those names.
 * @param head The object that is there.
 */
export async function findSent(
  context: BucketContext,
  names: NameList,
  sent: SentUpload,
  { name, head }: { name: string; head: ObjectHead },
): Promise<string | undefined> {
  if (await isSent(context, head, sent)) return name;
  for (const key of await candidates(context, names, sent, head)) {
    const other = await context.bucket.head(key);
    if (other && await isSent(context, other, sent)) return key.slice(context.prefix.length);
  }
  return undefined;
}

/** Whether an object is an upload. */
async function isSent(
  context: BucketContext,
  head: ObjectHead,
  { id, size, crc }: SentUpload,
): Promise<boolean> {
  if (head.size !== size || markOf(head) !== undefined) return false;
  const facts = await factsOf(context, head);
  return facts.id === id && facts.crc === crc;
}

/** The keys of numbered names whose objects have the size of the upload, the newest first. */
async function candidates(
  context: BucketContext,
  { series }: NameList,
  { size }: SentUpload,
  { answered }: ObjectHead,
): Promise<string[]> {
  const since = answered.getTime() - SENT_MS;
  const isWanted = (object: ListedObject): boolean =>
    object.size === size && object.modified.getTime() >= since;
  const { objects } = await variantsOf(context, series, isWanted, undefined, MOST_PAGES);
  return [...objects.values()]
    .sort((one, other) => other.modified.getTime() - one.modified.getTime())
    .slice(0, MOST_LOOKED_AT)
    .map(({ key }) => key);
}
