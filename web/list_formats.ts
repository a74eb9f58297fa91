/**
 * Encodes lists of files and folders, as JSON for programs and as a page for people.
 *
 * @module
 */

import type { ListEntry } from "../protocol.ts";
import { InletError } from "../lib/errors.ts";
import { formatBytes, printable, printableJson, quoted } from "../lib/text.ts";
import { ARCHIVES } from "./archive_formats.ts";
import { escaped, PAGE_END, pageHead, STORE_FORM } from "./html.ts";
import { encodePath } from "./target.ts";

/** What a list is encoded as. */
export type ListFormat = "json" | "html";

/** Buttons for an archive. They are no links, so that no program follows them. */
const ARCHIVE_FORM = '<form action="./">All of this as\n' +
  Object.keys(ARCHIVES).map((format) =>
    `<button name="archive" value="${format}">${format}</button>\n`
  )
    .join("") +
  "</form>\n";

/** Encodes one list, page after page. */
export class ListEncoder {
  readonly #format: ListFormat;
  readonly #folder: string;
  readonly #mayStore: boolean;
  #items = 0;

  /**
   * @param folder The folder that is listed; empty for every file.
   * @param mayStore Whether a page has a form to store files.
   */
  constructor(format: ListFormat, folder: string, mayStore: boolean) {
    this.#format = format;
    this.#folder = folder;
    this.#mayStore = mayStore;
  }

  head(): string {
    if (this.#format === "json") return '{"files":[';
    const up = this.#folder === "" ? "" : `<tr><td><a href="../">../</a><td><td>\n`;
    return `${
      pageHead(`Index of /${this.#folder}`)
    }<table>\n<tr><th>Name<th>Size<th>Changed\n${up}`;
  }

  /** Encodes the entries of one page of the store, in which the folder itself is one. */
  page(entries: readonly ListEntry[]): string {
    return entries.filter(({ name }) => name !== this.#folder)
      .map((entry) => this.#format === "json" ? this.#json(entry) : this.#row(entry)).join("");
  }

  tail(): string {
    if (this.#format === "json") return "]}\n";
    return `</table>\n${ARCHIVE_FORM}${this.#mayStore ? STORE_FORM : ""}${PAGE_END}`;
  }

  #json({ name, size, modified, to }: ListEntry): string {
    const comma = this.#items++ === 0 ? "" : ",";
    const target = to === undefined ? {} : { to };
    const href = this.#href({ name, size, to });
    return comma + printableJson({ name, size, modified, ...target, ...href && { href } });
  }

  #row({ name, size, modified, to }: ListEntry): string {
    const href = this.#href({ name, size, to });
    const text = escaped(printable(this.#within(name))) +
      (size === null && to === undefined ? "/" : "");
    const shown = href === undefined ? text : `<a href="${href}">${text}</a>`;
    const amount = size === null ? "" : formatBytes(size);
    return `<tr><td>${shown}<td>${amount}<td>${modified.toISOString()}\n`;
  }

  /** The address of an entry, relative to that of the list; a link has none. */
  #href({ name, size, to }: Pick<ListEntry, "name" | "size"> & { to: string | undefined }) {
    if (to !== undefined) return undefined;
    return `./${encodePath(this.#within(name))}${size === null ? "/" : ""}`;
  }

  #within(name: string): string {
    return this.#folder === "" ? name : name.slice(this.#folder.length + 1);
  }
}

/**
 * Refuses a file whose name was given with a slash at its end, as if it was a folder.
 *
 * @param page The first page of the store's tree.
 * @throws {InletError} `not-found`
 */
export function checkFolder(page: readonly ListEntry[] | undefined, folder: string): void {
  const first = page?.[0];
  if (first?.name !== folder || first.size === null) return;
  throw new InletError("not-found", `Cannot list ${quoted(folder)}: it is no folder`);
}
