/**
 * Prints lists on the standard output, page by page.
 *
 * @module
 */

import { writeStdout } from "../lib/body/stdio.ts";
import { explain } from "../lib/errors.ts";

/**
 * Prints pages of lines. Returns early when the reader has closed the pipe (`| head`).
 *
 * @throws {InletError} when the server sends an error, or a write fails
 */
export async function printPages(pages: AsyncIterable<readonly string[]>): Promise<void> {
  const encoder = new TextEncoder();
  for await (const page of pages) {
    try {
      await writeStdout(encoder.encode(page.join("\n") + "\n"));
    } catch (error) {
      if (explain(error).code === "closed") return;
      throw error;
    }
  }
}
