/**
 * The client's standard output. Its failures are told as those of this machine.
 *
 * @module
 */

import { writeStdout } from "../lib/body/stdio.ts";
import { explain, InletError } from "../lib/errors.ts";
import { toLocal } from "../lib/local_errors.ts";

/**
 * Writes all bytes.
 *
 * @throws {InletError} `disk`
 */
export async function writeOutput(chunk: Uint8Array): Promise<void> {
  try {
    await writeStdout(chunk);
  } catch (error) {
    throw outputError(error);
  }
}

/** Converts a failure of the standard output to `disk`. */
export function outputError(error: unknown): InletError {
  const { code, message, cause } = explain(error);
  return code === "closed" ? new InletError("disk", message, { cause }) : toLocal(error);
}
