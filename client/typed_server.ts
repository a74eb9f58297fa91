/**
 * Where the server is, in every form that people write. Each becomes a plain one, `HOST PORT` or
 * `unix:PATH`, before the options are read:
 *
 * - `HOST:PORT`, `[::1]:5000`, and `:5000` for this machine;
 * - `inlet://HOST:PORT/NAME`, which is `HOST PORT --get NAME`;
 * - `unix:PATH`, a Unix socket, whose path becomes absolute;
 * - `@NAME`, a server of the config file, with the options that it has there;
 * - nothing, where the environment variable `INLET_SERVER` holds one of these.
 *
 * @module
 */

import { formatAddress, splitAddress, unixPathIn } from "../lib/address.ts";
import { type CommandLine, readWords, takeApart, type Words } from "../lib/cli/command_line.ts";
import type { OptionTable } from "../lib/cli/options.ts";
import { variable } from "../lib/environment.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import { PROGRAM } from "./options.ts";

/** The environment variable that may hold the server. */
export const SERVER_VARIABLE = "INLET_SERVER";

/**
 * Parses the client's command line, in which the server may be written in any of these forms.
 *
 * @throws {InletError} `usage` if what is written can be no server, or the config file is wrong
 */
export async function readCommandLine(
  args: readonly string[],
): Promise<CommandLine<typeof PROGRAM.options>> {
  const words = takeApart(args, PROGRAM.options);
  return readWords(await withPlainServer(words), PROGRAM.options);
}

async function withPlainServer(words: Words): Promise<Words> {
  const { positional, given } = words;
  const table: OptionTable = PROGRAM.options;
  if (given.keys().some((name) => table[name]!.standsAlone)) return words;
  const [first, second] = positional;
  if (!isUnix(first ?? "") && /^\d+$/.test(second ?? "")) return words;
  if (first !== undefined && isServer(first)) {
    return await atServer(first, { positional: positional.slice(1), given });
  }
  const known = variable(SERVER_VARIABLE);
  if (!known) return words;
  if (isServer(known)) return await atServer(known, words);
  const how = "give HOST:PORT, unix:PATH, @NAME or inlet://HOST:PORT";
  throw new InletError("usage", `Cannot use ${quoted(known)} in ${SERVER_VARIABLE}: ${how}`);
}

/** Whether a word is a server, and neither a file nor a host without a port. */
function isServer(word: string): boolean {
  return word.startsWith("@") || isUnix(word) || word.includes("://") ||
    splitAddress(word) !== undefined;
}

function isUnix(word: string): boolean {
  return unixPathIn(word) !== undefined;
}

/** The words of a command line without its server, behind the plain form of that. */
async function atServer(word: string, { positional, given }: Words): Promise<Words> {
  if (word.startsWith("@")) {
    const { namedServer } = await import("./config.ts");
    const { address, options } = await namedServer(word.slice(1), PROGRAM.options);
    const besides = options.entries().filter(([name]) => !isExcluded(name, given));
    return await atServer(address, { positional, given: new Map([...besides, ...given]) });
  }
  if (isUnix(word)) {
    const { parseUnixPath } = await import("../lib/net/unix_path.ts");
    return { positional: [formatAddress({ path: parseUnixPath(word) }), ...positional], given };
  }
  const plain = splitAddress(word);
  if (plain) return { positional: [...plain, ...positional], given };
  const { host, port, name } = takeUrl(word);
  if (name === "") return { positional: [host, port, ...positional], given };
  if (given.has("list")) return { positional: [host, port, name, ...positional], given };
  if (given.has("get")) throw new InletError("usage", "Cannot use --get twice");
  return { positional: [host, port, ...positional], given: new Map([...given, ["get", [name]]]) };
}

/** Whether an option of the config file contradicts one that is typed, which comes first. */
function isExcluded(name: string, given: Words["given"]): boolean {
  const table: OptionTable = PROGRAM.options;
  const excludes = (one: string, other: string): boolean =>
    table[one]!.conflictsWith?.includes(other) ?? false;
  return given.keys().some((typed) => excludes(typed, name) || excludes(name, typed));
}

/** Takes `inlet://HOST:PORT/NAME` apart. @throws {InletError} `usage` */
function takeUrl(word: string): { host: string; port: string; name: string } {
  const fail = (why: string): InletError =>
    new InletError("usage", `Cannot use ${quoted(word)} as the server: ${why}`);
  const url = URL.parse(word);
  if (!url?.hostname) throw fail("give HOST:PORT, or inlet://HOST:PORT/NAME for a file");
  const { protocol, hostname, port, username, password, search, hash, pathname } = url;
  if (protocol !== "inlet:") {
    throw fail(`give ${hostname}:${port || "PORT"}, and the file behind it`);
  }
  if (port === "") throw fail(`give its port too, inlet://${hostname}:PORT`);
  if (username || password) throw fail("a key does not belong there: use --token-file");
  if (search || hash) throw fail("write ? as %3F and # as %23");
  try {
    return { host: hostname, port, name: decodeURIComponent(pathname.slice(1)) };
  } catch {
    throw fail("write % as %25");
  }
}
