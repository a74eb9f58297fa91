/**
 * Compares what a client has in one folder with what is in the directory: one look at each name, and
 * nothing is read, unless the client sent a CRC-32.
 *
 * @module
 */

import type { DiffEntry, DiffFlag } from "../../protocol.ts";
import { explain, InletError } from "../errors.ts";
import { isTurnDue, takeTurns } from "../turns.ts";
import { quoted } from "../text.ts";
import { findFile, type Known } from "./directory_reader.ts";
import type { DiskTraits } from "./disk_traits.ts";
import { type Folders, lstatIfThere } from "./folders.ts";
import { isLinkTo } from "./links.ts";
import { EVERYTHING, MAX_NAME_BYTES, numberedName } from "./names.ts";
import { hasSameShape, judge } from "./sameness.ts";
import type { DiffOptions, Maybe } from "./store.ts";

/** Most numbered variants of a link that are looked at. */
const MOST_LINKS = 100;

/** Looks at such variants after which others get their turn. */
const MOST_LOOKS = 1000;

/**
 * Compares entries of one folder. What needs no wait is told at once, without a promise.
 *
 * @returns One flag for each entry.
 * @throws {InletError} `bad-name`, or `denied` if the folder is behind a link
 */
export function diffFolder(
  folders: Folders,
  known: Known,
  folder: string,
  entries: readonly DiffEntry[],
  how: DiffOptions = {},
): Maybe<string> {
  try {
    const inside = folder === EVERYTHING ? "" : insideOf(folders, folder);
    if (inside === undefined) return ".".repeat(entries.length);
    const diff = new FolderDiff(folders, known, inside, how);
    const flags = folders.inFolder(inside.slice(0, -1), () => {
      let flags = "";
      for (const entry of entries) {
        const flag = diff.flagOf(entry);
        if (flag === undefined) break;
        flags += flag;
        if (diff.looks > MOST_LOOKS) break;
      }
      return flags;
    });
    // A name that is taken may be there under a number, which takes longer to find out.
    return flags.length < entries.length ? diff.rest(flags, entries) : flags;
  } catch (error) {
    throw explain(error, `Cannot compare ${quoted(folder)}`);
  }
}

/**
 * The path of what is in a folder, with the numbers of its folders and a slash behind them;
 * `undefined` if the folder is not there.
 */
function insideOf(folders: Folders, folder: string): string | undefined {
  const safe = `${folders.safe(folder)}/`;
  try {
    folders.check(safe);
    return safe;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // Where a file has the name of a folder, the folder has a number.
    const located = folders.located(`${safe}-`).slice(0, -1);
    if (located === safe) throw error;
    return lstatIfThere(folders.path(located.slice(0, -1))) && (folders.check(located), located);
  }
}

class FolderDiff {
  readonly #folders: Folders;
  readonly #known: Known;
  readonly #inside: string;
  readonly #how: DiffOptions;
  /** How many numbered variants were looked at. */
  looks = 0;

  constructor(folders: Folders, known: Known, inside: string, how: DiffOptions) {
    this.#folders = folders;
    this.#known = known;
    this.#inside = inside;
    this.#how = how;
  }

  /** The flag of an entry; `undefined` if it takes more than a look at its own name. */
  flagOf(entry: DiffEntry): DiffFlag | undefined {
    const name = this.#nameOf(entry.name);
    // What cannot be stored is not there: sending it tells why.
    if (name === undefined) return ".";
    const there = lstatIfThere(this.#folders.path(name));
    if (!there) return ".";
    const { size, to, crc, modified, mode } = entry;
    if (to !== undefined) {
      return isLinkTo(this.#folders.path(name), to) ? "=" : this.#numberedLink(name, to);
    }
    if (size === null) return there.isDirectory ? "=" : this.#numberedFolder(name);
    if (!there.isFile || crc !== undefined) return undefined;
    const sent = { size, modified, mode };
    const traits = (): DiskTraits => this.#known.traitsOf(there.dev);
    if (this.#how.byContent) return hasSameShape(there, sent, traits) ? "?" : undefined;
    const verdict = judge(there, sent, traits);
    if (verdict === "same") return "=";
    return verdict === "unsure" ? "?" : undefined;
  }

  /** The flags of the entries behind those that have one. */
  async rest(flags: string, entries: readonly DiffEntry[]): Promise<string> {
    const { signal } = this.#how;
    for (const entry of entries.slice(flags.length)) {
      if (isTurnDue()) await takeTurns();
      signal?.throwIfAborted();
      const flag = this.#folders.inFolder(this.#inside.slice(0, -1), () => this.flagOf(entry));
      flags += flag ?? await this.#lookFurther(entry);
    }
    return flags;
  }

  /** The flag of a file whose name is taken by another one. */
  async #lookFurther({ name, size, crc, modified, mode }: DiffEntry): Promise<DiffFlag> {
    const { byContent, ...asker } = this.#how;
    const sent = { size: size ?? 0, crc: crc ?? null, modified, mode, byContent };
    const found = await findFile(
      this.#folders,
      this.#known,
      this.#inside + name,
      sent,
      asker,
    );
    if (!found) return "!";
    return found.isSame ? "=" : "?";
  }

  #numberedLink(name: string, to: string): DiffFlag {
    return this.#isNumbered(name, (variant) => isLinkTo(this.#folders.path(variant), to));
  }

  #numberedFolder(name: string): DiffFlag {
    return this.#isNumbered(name, (_, { isDirectory }) => isDirectory);
  }

  /** Looks at the numbered variants of a name, up to the first that is free. */
  #isNumbered(
    name: string,
    isSame: (variant: string, there: Deno.FileInfo) => boolean,
  ): DiffFlag {
    for (let number = 2; number <= MOST_LINKS; number++) {
      this.looks++;
      const variant = numberedName(name, number);
      const there = lstatIfThere(this.#folders.path(variant));
      if (!there) return "!";
      if (isSame(variant, there)) return "=";
    }
    return "!";
  }

  /** The name on disk of an entry; `undefined` if it cannot have one. */
  #nameOf(part: string): string | undefined {
    const inside = this.#inside;
    try {
      const isShort = 3 * (inside.length + part.length) <= MAX_NAME_BYTES;
      return isShort ? inside + this.#folders.safe(part) : this.#folders.safe(inside + part);
    } catch (error) {
      if (error instanceof InletError && error.code === "bad-name") return undefined;
      throw error;
    }
  }
}
