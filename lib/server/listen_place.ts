/**
 * Where the server listens, as it is typed: `PORT`, or `unix:PATH` for a Unix socket.
 *
 * @module
 */

import { splitAddress, unixPathIn } from "../address.ts";
import { contradiction } from "../cli/command_line.ts";
import { parseListenPort } from "../cli/option_values.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/** Options that mean something for a port alone. */
const OF_PORTS = ["host", "backlog"] as const;

/**
 * Reads the only argument.
 *
 * @param words Every argument that was typed.
 * @param given The names of the options that were given.
 * @throws {InletError} `usage`
 */
export async function parseListenPlace(
  words: readonly string[],
  given: ReadonlySet<string>,
): Promise<{ port: number } | { path: string }> {
  const [word, other] = words;
  if (word === undefined) {
    const how = "give one, like 5000; try --help";
    throw new InletError("usage", `Cannot listen without a port: ${how}`);
  }
  if (unixPathIn(word) === undefined) {
    checkNoHost(word, other);
    if (given.has("socket-mode")) throw contradiction("--socket-mode with a port");
    return { port: parseListenPort(word) };
  }
  if (other !== undefined) throw onlyOne(other);
  const wrong = OF_PORTS.find((name) => given.has(name));
  if (wrong) throw contradiction(`--${wrong} with a Unix socket`);
  const { parseUnixPath } = await import("../net/unix_path.ts");
  return { path: parseUnixPath(word) };
}

/** Refuses what stands beside a port, as a host does on the client's command line. */
function checkNoHost(word: string, other: string | undefined): void {
  const address = splitAddress(word);
  const isPort = other !== undefined && /^\d+$/.test(other);
  const [host, port] = address ?? (isPort && !/^\d+$/.test(word) ? [word, other] : []);
  if (host !== undefined) {
    const how = `the port stands alone, like ${port} --host ${host}`;
    throw new InletError("usage", `Cannot use ${quoted(word)} as the port: ${how}`);
  }
  if (other !== undefined) throw onlyOne(other);
}

function onlyOne(word: string): InletError {
  const how = "give one port, a folder with --dir, and an address with --host";
  return new InletError("usage", `Cannot use ${quoted(word)}: ${how}`);
}
