/**
 * Exclude patterns for what is downloaded in one run. Loaded on demand, because most downloads
 * exclude nothing.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { EVERYTHING } from "../lib/store/names.ts";
import { quoted } from "../lib/text.ts";
import { type Exclude, Excludes, nothingLeft } from "./exclude.ts";
import type { ServerName } from "./plan.ts";
import { labelOf } from "./server_names.ts";

/** The patterns of one run of downloads. */
export class ServerExcludes {
  readonly #excludes: Excludes;
  readonly #warn: (text: string) => void;
  #unlisted = new Set<ServerName>();

  /** @throws {InletError} `usage` if a pattern cannot match as its author means it */
  constructor(globs: readonly string[], warn: (text: string) => void) {
    this.#excludes = new Excludes(globs);
    this.#warn = warn;
  }

  /**
   * Drops the names that are excluded themselves, with a line for each.
   *
   * @throws {InletError} `usage` if none is left
   */
  keep(names: readonly ServerName[]): ServerName[] {
    const kept = names.filter((asked) => {
      const isExcluded = this.of(asked)("", asked.isFolder);
      if (isExcluded) this.#warn(`Skipped ${quoted(labelOf(asked))}: --exclude leaves it out`);
      return !isExcluded;
    });
    if (kept.length === 0) throw nothingLeft();
    this.#unlisted = new Set(kept.filter(({ isFolder }) => isFolder));
    return kept;
  }

  /** The test for what is in a folder. */
  of({ name }: ServerName): Exclude {
    const top = basename(name);
    return this.#excludes.of(
      name === EVERYTHING ? { paths: [] } : { name: top, paths: [top, name] },
    );
  }

  /** Notes that a folder has been listed. Behind the last one, unused patterns are reported. */
  listed(folder: ServerName): void {
    this.#unlisted.delete(folder);
    if (this.#unlisted.size === 0) this.#excludes.reportUnused(this.#warn);
  }
}
