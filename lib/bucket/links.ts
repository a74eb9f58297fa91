/**
 * The symbolic links of a bucket store: made and listed, and never followed.
 *
 * @module
 */

import type { LinkFacts } from "../../protocol.ts";
import type { ObjectHead } from "../s3/bucket.ts";
import { firstFreeNumberLater } from "../store/free_number.ts";
import { checkLink } from "../store/link_rules.ts";
import type { MadeFolder } from "../store/store.ts";
import type { BucketContext } from "./context.ts";
import type { BucketFolders } from "./folders.ts";
import { linkObject, targetOf } from "./marks.ts";
import type { Placing } from "./placing.ts";

/** Makes links. */
export class BucketLinks {
  readonly #context: BucketContext;
  readonly #folders: BucketFolders;
  readonly #placing: Placing;

  constructor(context: BucketContext, folders: BucketFolders, placing: Placing) {
    this.#context = context;
    this.#folders = folders;
    this.#placing = placing;
  }

  /**
   * Makes a link under the first free one of its names. The same link is left as it is.
   *
   * @param name A safe name.
   * @throws {InletError} `denied` if a link is left out; `bad-name` if its target is too long
   */
  async make(name: string, facts: LinkFacts): Promise<MadeFolder> {
    checkLink(this.#context.links, name, facts);
    const located = await this.#folders.located(name);
    const object = linkObject(facts);
    const { nameOf } = this.#placing.variants(located);
    for (let number = 1;;) {
      const name = nameOf(number);
      const claimed = await this.#placing.tryAt(name, object);
      if ("etag" in claimed) return { name, isNew: true };
      if (await this.#isLinkTo(name, claimed.taken, facts.to)) return { name, isNew: false };
      const taken = number;
      number = await firstFreeNumberLater(async (number) => {
        if (number <= taken) return true;
        const name = nameOf(number);
        const there = await this.#placing.look(name);
        return there !== undefined && !await this.#isLinkTo(name, there, facts.to);
      });
    }
  }

  async #isLinkTo(name: string, there: ObjectHead | "folder", to: string): Promise<boolean> {
    if (there === "folder") return false;
    return await targetOf(this.#context, this.#context.key(name), there) ===
      to;
  }
}
