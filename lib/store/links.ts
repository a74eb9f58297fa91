/**
 * The symbolic links of a directory store: made and read, and never followed.
 *
 * @module
 */

import type { LinkFacts } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import { type Folders, lstatIfThere } from "./folders.ts";
import { firstFreeNumber } from "./free_number.ts";
import { checkLink, type LinkRule } from "./link_rules.ts";
import { numberedName } from "./names.ts";
import type { MadeFolder, Maybe } from "./store.ts";
import { tryTo } from "./temp_file.ts";

/** Makes links. */
export class Links {
  readonly #folders: Folders;
  readonly #rule: LinkRule;
  #setTime: ((path: string, time: Date) => void) | undefined;

  constructor(folders: Folders, rule: LinkRule = "tree") {
    this.#folders = folders;
    this.#rule = rule;
  }

  /**
   * Prepares to make links: loads what sets their times.
   *
   * @throws {InletError} `denied` if a link is left out, or Deno permits none
   */
  prepare(name: string, facts: LinkFacts): Maybe<void> {
    checkLink(this.#rule, name, facts);
    if (!mayMakeLinks()) {
      this.#folders.warnOnce(`Symbolic links are not made: ${NOT_PERMITTED}`);
      // The peer is told, too, and has a Deno of its own.
      const what = `Cannot make the link ${quoted(name)}`;
      throw new InletError("denied", `${what}: where it would be stored, ${NOT_PERMITTED}`);
    }
    if (!facts.modified || this.#setTime) return;
    return timeSetter().then((setTime) => void (this.#setTime = setTime));
  }

  /**
   * Makes a link under the first free one of its names. The same link is left as it is.
   *
   * @param name A safe name.
   */
  make(name: string, { to, modified }: LinkFacts): MadeFolder {
    const place = this.#folders.make(name);
    return this.#folders.inFolder(place, () => this.#makeHere(place.name, { to, modified }));
  }

  #makeHere(wanted: string, { to, modified }: LinkFacts): MadeFolder {
    for (let number = 1;;) {
      const free = numberedName(wanted, number);
      const path = this.#folders.path(free);
      try {
        // It fails where anything is, also a link that leads to nothing.
        this.#folders.disk.symlinkSync(to, path);
        if (modified) tryTo(() => this.#setTime?.(path, modified));
        return { name: free, isNew: true };
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        if (isLinkTo(path, to)) return { name: free, isNew: false };
      }
      const before = number;
      number = firstFreeNumber((number) => {
        const other = this.#folders.path(numberedName(wanted, number));
        return number <= before || (lstatIfThere(other) !== undefined && !isLinkTo(other, to));
      });
    }
  }
}

/** Whether a link with that target is at a path. */
export function isLinkTo(path: string, to: string): boolean {
  if (!lstatIfThere(path)?.isSymlink) return false;
  try {
    return Deno.readLinkSync(path) === to;
  } catch {
    // Its target is not UTF-8, or it is gone.
    return false;
  }
}

const NOT_PERMITTED = "Deno permits it with --allow-read and --allow-write without paths only";

/** Whether Deno permits to make links. It would ask for it in a terminal. */
function mayMakeLinks(): boolean {
  const names = ["read", "write"] as const;
  return names.every((name) => Deno.permissions.querySync({ name }).state === "granted");
}

/** Returns the function that sets the time of a link, where there is one. */
async function timeSetter(): Promise<(path: string, time: Date) => void> {
  // Deno's own follows links.
  const { lutimesSync } = await import("node:fs");
  return (path, time) => {
    const milliseconds = time.getTime();
    // It would set the present time instead of one before 1970.
    if (milliseconds < 0) return;
    // In the middle of the millisecond, or it could become the one before.
    lutimesSync(path, Date.now() / 1000, (milliseconds + 0.5) / 1000);
  };
}
