/**
 * The results of the accepting client.
 *
 * @module
 */

import type { Stored } from "../../protocol.ts";
import type { Outcome, Report } from "../report_forms.ts";
import { pathIn } from "../save_path.ts";

/** A file or symbolic link that was there before. */
export interface KeptItem {
  readonly name: string;
  readonly bytes: number;
  readonly isLink?: boolean | undefined;
}

/** Tells what is stored, and where. */
export class Told {
  /** How it came. */
  way: NonNullable<Outcome["way"]> = "relayed";
  readonly #report: Report;
  readonly #output: string;
  readonly #folders = new Set<string>();

  /** @param output The folder that it is saved into. */
  constructor(report: Report, output: string) {
    this.#report = report;
    this.#output = output;
  }

  /** Tells of a file. */
  stored(stored: Stored): void {
    this.#add(stored.name, { stored });
  }

  /** Tells of a symbolic link. */
  link(name: string): void {
    this.#add(name, { stored: { name }, isLink: true });
  }

  /** Tells of a file or link that was there before. */
  kept({ name, bytes, isLink }: KeptItem): void {
    const stored = isLink ? { name } : { name, size: bytes };
    this.#add(name, { stored, same: true, ...isLink && { isLink } });
  }

  #add(
    name: string,
    result: { stored: Partial<Stored>; isLink?: true; same?: true },
  ): void {
    const folder = name.split("/", 1)[0]!;
    const outcome = {
      label: name,
      name,
      path: pathIn(this.#output, name),
      way: this.way,
      ...result,
    };
    if (folder === name) return this.#report.add(outcome);
    if (!this.#folders.has(folder)) this.#report.begin(folder, pathIn(this.#output, folder));
    this.#folders.add(folder);
    this.#report.add({ ...outcome, folder });
  }
}
