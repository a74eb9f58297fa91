/**
 * Where the server listens, as it is typed: `PORT`, or `unix:PATH` for a Unix socket.
 *
 * @module
 */

import { unixPathIn } from "../address.ts";
import { contradiction } from "../cli/command_line.ts";
import { parseListenPort } from "../cli/option_values.ts";

/** Options that mean something for a port alone. */
const OF_PORTS = ["host", "backlog"] as const;

/**
 * Reads the argument.
 *
 * @param given The names of the options that were given.
 * @throws {InletError} `usage`
 */
export async function parseListenPlace(
  word: string,
  given: ReadonlySet<string>,
): Promise<{ port: number } | { path: string }> {
  if (unixPathIn(word) === undefined) {
    if (given.has("socket-mode")) throw contradiction("--socket-mode with a port");
    return { port: parseListenPort(word) };
  }
  const wrong = OF_PORTS.find((name) => given.has(name));
  if (wrong) throw contradiction(`--${wrong} with a Unix socket`);
  const { parseUnixPath } = await import("../net/unix_path.ts");
  return { path: parseUnixPath(word) };
}
