/**
 * Prints text on the standard output without waiting for its reader.
 *
 * @module
 */

import { explain, type InletError } from "../errors.ts";
import { waitFor } from "../turns.ts";
import { writeStdout } from "./stdio.ts";

/** Characters that are printed at once, if they come together. */
const PIECE = 64 * 1024;

/** Prints text in the background, in order. */
export class Printer {
  /** Settles when everything added so far is printed. It never fails. */
  printed: Promise<void> = Promise.resolve();
  /** Why printing ended early: `closed` if the reader closed the pipe. */
  failure: InletError | undefined;
  /** Characters added but not printed yet. */
  waiting = 0;
  /** What waits, in pieces. */
  readonly #pieces: string[] = [];

  add(text: string): void {
    this.waiting += text.length;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.length < PIECE) {
      this.#pieces[this.#pieces.length - 1] = last + text;
      return;
    }
    this.#pieces.push(text);
    this.printed = this.printed.then(() => this.#print());
  }

  /**
   * Waits until all is printed.
   *
   * @param mostMs Most milliseconds to wait.
   * @returns Whether it is.
   */
  async flush(mostMs: number): Promise<boolean> {
    await waitFor(this.printed, mostMs);
    return this.waiting === 0;
  }

  async #print(): Promise<void> {
    const piece = this.#pieces.shift()!;
    try {
      if (!this.failure) await writeStdout(new TextEncoder().encode(piece));
    } catch (error) {
      this.failure = explain(error);
    }
    this.waiting -= piece.length;
  }
}
