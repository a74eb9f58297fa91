/**
 * The directory of received files from the environment, where `--dir` does not give it.
 *
 * @module
 */

import { parseDirectory } from "../cli/option_values.ts";
import { STORE_VARIABLE, variable } from "../environment.ts";

/**
 * @param given The names of the options that were given.
 * @returns The directory in `INLET_STORE`, if Deno may read that, and it is not empty.
 * @throws {InletError} `usage` if it is no directory of this machine
 */
export function directoryInEnvironment(given: ReadonlySet<string>): { directory?: string } {
  const text = given.has("dir") ? undefined : variable(STORE_VARIABLE);
  return text ? { directory: parseDirectory(text, STORE_VARIABLE) } : {};
}
