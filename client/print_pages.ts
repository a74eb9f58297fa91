/**
 * Prints lists on the standard output, page by page.
 *
 * @module
 */

import { writeStdout } from "../lib/body/stdio.ts";
import { explain } from "../lib/errors.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { outputError } from "../lib/local_errors.ts";

/** Characters that wait to be printed, before reading waits too. */
const MOST_WAITING = 64 * 1024 * 1024;

/**
 * Prints pages of lines as they arrive. Reading goes on while the reader of stdout is slow: the server
 * would otherwise take that for silence, and close the connection. Only a list that would take much
 * memory waits for its reader. A reader that has closed the pipe
 * (`| head`) is no error; the rest is read and not printed.
 *
 * @param client The client whose answer is printed. It is kept alive until everything is printed.
 * @throws {InletError} when the server sends an error, or a write fails
 */
export async function printPages(
  client: Pick<FilesClient, "pause" | "rest">,
  pages: AsyncIterable<readonly string[]> | Iterable<readonly string[]>,
): Promise<void> {
  const printer = new Printer();
  try {
    for await (const page of pages) {
      printer.add(`${page.join("\n")}\n`);
      if (printer.waiting > MOST_WAITING) await client.pause(printer.printed);
    }
  } finally {
    await client.rest(printer.printed);
  }
  if (printer.failure) throw outputError(printer.failure);
}

/** Prints text in the background, in order. */
export class Printer {
  /** Settles when everything added so far is printed. It never fails. */
  printed: Promise<void> = Promise.resolve();
  /** Why printing ended early, unless the reader closed the pipe. */
  failure: unknown;
  /** Characters added but not printed yet. */
  waiting = 0;
  #ended = false;

  add(text: string): void {
    this.waiting += text.length;
    this.printed = this.printed.then(() => this.#print(text))
      .finally(() => this.waiting -= text.length);
  }

  async #print(text: string): Promise<void> {
    if (this.#ended) return;
    try {
      await writeStdout(new TextEncoder().encode(text));
    } catch (error) {
      this.#ended = true;
      if (explain(error).code !== "closed") this.failure = error;
    }
  }
}
