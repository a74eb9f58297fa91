/**
 * Prints lists on the standard output, page by page.
 *
 * @module
 */

import { Printer } from "../lib/body/printer.ts";
import { outputError } from "../lib/local_errors.ts";
import type { FilesClient } from "../modes/files/client.ts";

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
  printer: Printer = new Printer(),
): Promise<void> {
  try {
    for await (const page of pages) {
      printer.add(`${page.join("\n")}\n`);
      if (printer.waiting > MOST_WAITING) await client.pause(printer.printed);
    }
  } finally {
    await client.rest(printer.printed);
  }
  checkPrinted(printer);
}

/**
 * Checks that all was printed, as far as somebody reads it.
 *
 * @throws {InletError} `local-disk` if a write has failed
 */
export function checkPrinted({ failure }: Printer): void {
  if (failure && failure.code !== "closed") throw outputError(failure);
}
