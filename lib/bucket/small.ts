/**
 * Files that are complete in memory: each is one conditional PUT, with its facts in the metadata.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Facts } from "../body/file_facts.ts";
import { Semaphore } from "../semaphore.ts";
import type { BucketContext } from "./context.ts";
import { metaOf } from "./facts.ts";
import type { BucketFolders } from "./folders.ts";
import { sentOnce } from "./sent_again.ts";
import type { NameList, Placing } from "./placing.ts";
import { newId } from "./state.ts";

/** Most small files that are written at once. */
const MOST_AT_ONCE = 32;

/** Stores small files. */
export class SmallFiles {
  readonly #context: BucketContext;
  readonly #folders: BucketFolders;
  readonly #placing: Placing;
  /** A place for each file that is being written. */
  readonly places: Semaphore = new Semaphore(MOST_AT_ONCE);

  constructor(context: BucketContext, folders: BucketFolders, placing: Placing) {
    this.#context = context;
    this.#folders = folders;
    this.#placing = placing;
  }

  /**
   * Stores a file under the first free one of its names.
   *
   * @param name A safe name.
   * @param content It may not change before this has settled.
   * @returns The stored name.
   */
  async put(name: string, content: Uint8Array<ArrayBuffer>, facts: Facts): Promise<string> {
    const located = await this.#folders.located(name);
    return await this.putUnder(this.#placing.variants(located), content, facts);
  }

  /** The same under the first free one of given names. */
  async putUnder(
    names: NameList,
    content: Uint8Array<ArrayBuffer>,
    facts: Facts,
    signal?: AbortSignal,
  ): Promise<string> {
    const whole = { ...facts, crc: facts.crc ?? crc32(content) };
    const object = { id: newId(), content, meta: metaOf(whole) };
    const { id, crc } = whole;
    const once = id !== undefined &&
      sentOnce(this.#context, { id, crc, size: content.length }, signal);
    return await this.#placing.place(names, object, { ...once, signal });
  }
}
