/**
 * Progress for logs: a line every few seconds, and one at the end, without control characters.
 *
 * @module
 */

import { printable } from "../text.ts";
import type { Moment, ProgressView } from "./progress_view.ts";

/** Writes lines such as `42 %, 1.2 GiB, 812 MB/s, 0:07 left: disk.img`. */
export class PlainProgress implements ProgressView {
  readonly intervalMs = 5000;
  readonly #tell: (line: string) => void;
  /** Whether it was told that all is transferred. */
  #isComplete = false;

  /** @param tell Prints a line. */
  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  show(moment: Moment): void {
    this.#isComplete ||= moment.isComplete;
    this.#tell(moment.doing === undefined ? lineOf(moment) : printable(moment.doing));
  }

  /** That all is transferred comes ahead of what became of it. */
  makeRoom(moment: Moment): void {
    if (moment.isComplete && !this.#isComplete) this.show({ ...moment, doing: undefined });
  }

  end(moment: Moment | undefined): void {
    if (moment && !this.#isComplete) {
      this.#tell(moment.isComplete ? lineOf(moment) : `ended at ${lineOf(moment)}`);
    }
    this.#isComplete = false;
  }
}

function lineOf({ name, figures }: Moment): string {
  const text = figures.map((figure) => figure.trim()).join(", ");
  return name === "" ? text : `${text}: ${printable(name)}`;
}
