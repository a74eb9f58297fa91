/**
 * Whether the directory of a store can be used at all, which is found out at the start.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Maybe } from "./store.ts";

/**
 * Does what every use of a directory needs.
 *
 * @param deed What cannot be done without it.
 * @param directory The directory, for the message.
 * @throws {InletError} `usage` if it fails
 */
export async function orUsage(
  deed: "read" | "store into",
  directory: string,
  action: () => Maybe<void>,
): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof InletError && error.code === "usage") throw error;
    // Without its own message, which would name the probe file.
    const cause = error instanceof InletError ? error.cause : error;
    const { message } = explain(cause, `Cannot ${deed} ${quoted(directory)}`);
    throw new InletError("usage", message, { cause });
  }
}
