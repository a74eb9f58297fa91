/**
 * Lists on the standard output, printed as they come.
 *
 * @module
 */

import { writeStdout } from "../lib/body/stdio.ts";
import { explain } from "../lib/errors.ts";

/**
 * Prints pages of lines. Where nobody reads them any more (`| head`), it leaves it at that.
 *
 * @throws {InletError} what the server or the disk said
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
