/**
 * Where the server is, in every form that people write. Each becomes the plain one, `HOST PORT`, before
 * the command line is parsed:
 *
 * - `HOST:PORT`, `[::1]:5000`, and `:5000` for this machine;
 * - `inlet://HOST:PORT/NAME`, which is `HOST PORT --get NAME`;
 * - `@NAME`, a server of the config file, with the options that it has there;
 * - nothing, where the environment variable `INLET_SERVER` holds one of these.
 *
 * @module
 */

import { splitAddress } from "../lib/address.ts";
import type { OptionTable } from "../lib/cli/options.ts";
import { variable } from "../lib/environment.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import { PROGRAM } from "./options.ts";

/** The environment variable that may hold the server. */
export const SERVER_VARIABLE = "INLET_SERVER";

/**
 * Returns a command line on which the server is written as `HOST PORT`.
 *
 * @throws {InletError} `usage` if what is written can be no server, or the config file is wrong
 */
export async function withPlainServer(args: readonly string[]): Promise<readonly string[]> {
  const table: OptionTable = PROGRAM.options;
  const { places, given } = look(args, table);
  if ([...given].some((name) => table[name]?.standsAlone)) return args;
  const [first, second] = places.map((place) => args[place]!);
  if (first !== undefined && /^\d+$/.test(second ?? "")) return args;
  if (first !== undefined && isServer(first)) {
    const { options, words } = await plainServer(first, { table, given });
    // Behind `--` they would be none.
    return [...options, ...args.toSpliced(places[0]!, 1, ...words)];
  }
  const known = variable(SERVER_VARIABLE);
  if (!known) return args;
  if (!isServer(known)) {
    const how = "give HOST:PORT, @NAME or inlet://HOST:PORT";
    throw new InletError("usage", `Cannot use ${quoted(known)} in ${SERVER_VARIABLE}: ${how}`);
  }
  const { options, words } = await plainServer(known, { table, given });
  return [...options, ...words, ...args];
}

/** What is on a command line. */
interface Given {
  readonly table: OptionTable;
  /** The names of the options. */
  readonly given: ReadonlySet<string>;
}

/** Whether a word is a server, and neither a file nor a host without a port. */
function isServer(word: string): boolean {
  return word.startsWith("@") || word.includes("://") || splitAddress(word) !== undefined;
}

/** What stands for a server on a command line. */
interface Plain {
  /** Its options. */
  readonly options: readonly string[];
  /** `HOST PORT`, and the folder that is to be listed. */
  readonly words: readonly string[];
}

/** The words that stand for a server. */
async function plainServer(word: string, { table, given }: Given): Promise<Plain> {
  if (word.startsWith("@")) {
    const { namedServer } = await import("./config.ts");
    const { address, options } = await namedServer(word.slice(1), table);
    const own = [...options].filter(([name]) => !given.has(name)).flatMap(([, words]) => words);
    return { options: own, words: splitAddress(address)! };
  }
  const plain = splitAddress(word);
  if (plain) return { options: [], words: plain };
  const { host, port, name } = takeUrl(word);
  if (name === "") return { options: [], words: [host, port] };
  if (!given.has("list")) return { options: [`--get=${name}`], words: [host, port] };
  // A name in a URL is no option.
  return { options: [], words: [host, port, name.startsWith("-") ? `./${name}` : name] };
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

/** Finds the words that are no options, and the names of those that are. */
function look(
  args: readonly string[],
  table: OptionTable,
): { places: number[]; given: Set<string> } {
  const places: number[] = [];
  const given = new Set<string>();
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!;
    if (word === "--") {
      return { places: [...places, ...args.keys().drop(index + 1)], given };
    }
    if (word === "-" || !word.startsWith("-")) places.push(index);
    else {
      const short = Object.keys(table).find((name) => `-${table[name]!.short}` === word);
      const [, long = "", value] = /^--([^=]+)(=)?/.exec(word) ?? [];
      const name = short ?? long;
      given.add(name);
      // The word behind it is its value.
      if (value === undefined && table[name] && table[name].kind !== "flag") index++;
    }
  }
  return { places, given };
}
