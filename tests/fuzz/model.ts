/**
 * What a store has to hold after what was asked of it: the store as a few maps.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import { numberedName, safeName } from "../../lib/store/names.ts";

/** A partial file, and how often going on with it failed. */
export interface Partial {
  readonly content: Uint8Array;
  readonly failures: number;
}

/** Most failures after which a partial file is still offered, plus one. */
const MAX_FAILURES = 3;

/** Files and folders by their names on disk, and partial files by their ids. */
export class Model {
  readonly files = new Map<string, Uint8Array>();
  readonly folders = new Set<string>();
  readonly #kept = new Map<string, Partial[]>();

  /**
   * Makes the folders of a name.
   *
   * @returns The name on disk, or the code of the refusal.
   */
  enter(name: string, asFolder = false): { safe: string } | { code: string } {
    const safe = safeOf(name);
    const located = safe === undefined ? undefined : safeOf(this.#located(safe, asFolder));
    if (located === undefined) return { code: "bad-name" };
    for (const folder of foldersOf(asFolder ? `${located}/` : located)) this.folders.add(folder);
    return { safe: located };
  }

  /** A name on disk with its folders numbered, where files have their names. */
  #located(safe: string, asFolder: boolean): string {
    const parts = safe.split("/");
    let path = "";
    for (const [index, part] of parts.entries()) {
      const isFolder = asFolder || index < parts.length - 1;
      let number = 1;
      while (isFolder && this.files.has(path + numberedName(part, number))) number++;
      path += `${numberedName(part, number)}/`;
    }
    return path.slice(0, -1);
  }

  /** What {@linkcode Model.enter} would come to, with nothing made. */
  refusal(name: string): string | undefined {
    const safe = safeOf(name);
    return safe === undefined || safeOf(this.#located(safe, false)) === undefined
      ? "bad-name"
      : undefined;
  }

  /** Notes the folders of a name that are there, where it depends on how its bytes came. */
  look(name: string, isThere: (folder: string) => boolean): void {
    const safe = safeOf(name);
    for (const folder of foldersOf(safe === undefined ? "" : this.#located(safe, false))) {
      if (isThere(folder)) this.folders.add(folder);
    }
  }

  /** Publishes content, and gives the name that it gets, or the code of the refusal. */
  publish(safe: string, content: Uint8Array): { name: string } | { code: string } {
    for (let number = 1;; number++) {
      try {
        const name = numberedName(safe, number);
        if (this.files.has(name) || this.folders.has(name)) continue;
        this.files.set(name, content);
        return { name };
      } catch (error) {
        if (error instanceof InletError) return { code: error.code };
        throw error;
      }
    }
  }

  /** The content behind a name, or the code of the refusal. */
  find(name: string): { content: Uint8Array } | { code: string } {
    const safe = safeOf(name);
    if (safe === undefined) return { code: "bad-name" };
    for (const folder of foldersOf(safe)) {
      if (this.files.has(folder)) return { code: "denied" };
      if (!this.folders.has(folder)) return { code: "not-found" };
    }
    const content = this.files.get(safe);
    return content ? { content } : { code: "not-found" };
  }

  /** What there is at a name and below it, sorted, or the code of the refusal. */
  below(name: string): { names: string[] } | { code: string } {
    const all = [...this.files.keys(), ...this.folders];
    if (name === "/") return { names: inWireOrder(all, this.folders) };
    const found = this.find(name);
    const safe = safeOf(name);
    if (safe === undefined) return { code: "bad-name" };
    if ("code" in found && found.code === "denied") return found;
    const names = all.filter((it) => it === safe || it.startsWith(`${safe}/`));
    if (names.length === 0) return { code: "not-found" };
    return { names: inWireOrder(names, this.folders) };
  }

  /** The partial file that is offered for an id: the longest one. */
  offered(id: string): Partial | undefined {
    return this.partials(id).filter(({ failures }) => failures < MAX_FAILURES)
      .sort((one, other) => other.content.length - one.content.length)[0];
  }

  /** Takes a partial file away: it is gone on with. */
  take(id: string, partial: Partial): void {
    this.#kept.set(id, this.partials(id).filter((other) => other !== partial));
  }

  /** Keeps the beginning of a file for another attempt. */
  keep(id: string, partial: Partial): void {
    if (partial.content.length > 0) this.#kept.set(id, [...this.partials(id), partial]);
  }

  /** The partial files of an id. */
  partials(id: string): Partial[] {
    return this.#kept.get(id) ?? [];
  }

  /** The sizes of all partial files. */
  get partialSizes(): number[] {
    return [...this.#kept.values()].flat().map(({ content }) => content.length);
  }
}

function safeOf(name: string): string | undefined {
  try {
    return safeName(name);
  } catch {
    return undefined;
  }
}

function foldersOf(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** By the UTF-8 bytes of the names, a folder as if its name ended with `/`. */
export function inWireOrder(names: string[], folders: ReadonlySet<string> = new Set()): string[] {
  const keyOf = (name: string): Uint8Array =>
    new TextEncoder().encode(folders.has(name) ? `${name}/` : name);
  return names.sort((one, other) => {
    const [a, b] = [keyOf(one), keyOf(other)];
    const at = a.findIndex((byte, index) => byte !== b[index]);
    return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1);
  });
}
