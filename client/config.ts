/**
 * The config file: servers by name, for `client.ts @NAME`. It is read for that alone, and only where
 * Deno permits it already.
 *
 * ```json
 * {
 *   "servers": {
 *     "home": { "address": "192.0.2.5:5000", "token-file": "home.token", "options": { "retry": 5 } }
 *   }
 * }
 * ```
 *
 * @module
 */

import { join } from "@std/path/join";
import { resolve } from "@std/path/resolve";
import { formatAddress, splitAddress, unixPathIn } from "../lib/address.ts";
import { shellQuoted } from "../lib/cli/permissions.ts";
import { choiceOf, parsePort } from "../lib/cli/option_values.ts";
import type { OptionTable } from "../lib/cli/options.ts";
import { variable } from "../lib/environment.ts";
import { explain, InletError } from "../lib/errors.ts";
import { formatBytes, quoted } from "../lib/text.ts";

/** Options that mean the same whatever is done: those of what is sent belong to each command. */
const OF_A_SERVER = [
  "limit",
  "mode",
  "name",
  "progress",
  "quiet",
  "raw",
  "retry",
  "timeout",
] as const;

/** Most bytes of the file. */
const MAX_BYTES = 1024 * 1024;

const KEYS = ["address", "options", "token-file"] as const;

/** A server of the config file. */
export interface NamedServer {
  /** `HOST:PORT`, or `unix:PATH`. */
  readonly address: string;
  /** The values of its options, by name, as on a command line. */
  readonly options: ReadonlyMap<string, string[]>;
}

/** Where the config file is. */
interface Place {
  readonly path: string;
  /** The folder that `~` stands for, if it is known. */
  readonly home: string | undefined;
}

/**
 * Reads the config file, checks all of it, and returns one of its servers.
 *
 * @param table The options that there are.
 * @throws {InletError} `usage` if it cannot be read or is wrong, or has no such server
 */
export async function namedServer(name: string, table: OptionTable): Promise<NamedServer> {
  const { path, servers } = await readServers(name, table);
  const found = servers.get(name);
  if (found) return found;
  const names = [...servers.keys()];
  const hint = names.length === 0 ? "it has none" : choiceOf(name, names);
  throw new InletError("usage", `Cannot use @${name}: ${quoted(path)} has no such server: ${hint}`);
}

/**
 * Returns the names of the servers in the config file.
 *
 * @param table The options that there are.
 * @throws {InletError} `usage` if the file cannot be read or is wrong
 */
export async function serverNames(table: OptionTable): Promise<string[]> {
  return [...(await readServers("NAME", table)).servers.keys()];
}

/** @param name The server that is wanted, for messages. */
async function readServers(
  name: string,
  table: OptionTable,
): Promise<{ path: string; servers: ReadonlyMap<string, NamedServer> }> {
  const place = placeOf(name);
  const servers = serversIn(await read(place.path, name), { ...place, table });
  return { path: place.path, servers };
}

/** @param name The server, for messages. */
function placeOf(name: string): Place {
  const isWindows = Deno.build.os === "windows";
  const own = isWindows ? "APPDATA" : "XDG_CONFIG_HOME";
  const folder = variable(own);
  const home = variable(isWindows ? "USERPROFILE" : "HOME");
  if (folder) return { path: join(folder, "inlet", "config.json"), home };
  if (home) return { path: join(home, ".config", "inlet", "config.json"), home };
  const names = isWindows ? own : "HOME";
  const why = `its address is in a file below ${names}, which Deno reads with --allow-env=${names}`;
  throw new InletError("usage", `Cannot use @${name}: ${why}`);
}

async function read(path: string, name: string): Promise<string> {
  const cannot = `Cannot use @${name}`;
  const { state } = await Deno.permissions.query({ name: "read", path });
  if (state !== "granted") {
    const how = `Deno reads its config file with --allow-read=${shellQuoted(path)}`;
    throw new InletError("usage", `${cannot}: ${how}`);
  }
  const fail = (why: string): InletError =>
    new InletError("usage", `${cannot}: cannot read ${quoted(path)}: ${why}`);
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
    // A pipe or a device might never end.
    if (info.isFile && info.size <= MAX_BYTES) return await Deno.readTextFile(path);
  } catch (cause) {
    const { message } = explain(cause, `${cannot}: cannot read ${quoted(path)}`);
    throw new InletError("usage", message, { cause });
  }
  if (info.isDirectory) throw fail("it is a folder");
  throw fail(info.isFile ? `it has more than ${formatBytes(MAX_BYTES)}` : "it is no file");
}

/**
 * Checks the text of a config file.
 *
 * @param place.path Its path: that of a token file is relative to its folder.
 * @param place.table The options that there are.
 * @returns Its servers, by name.
 * @throws {InletError} `usage`, which says where it is wrong
 */
export function serversIn(
  text: string,
  { path, home, table }: Place & { readonly table: OptionTable },
): ReadonlyMap<string, NamedServer> {
  try {
    // Editors of Windows put a mark in front.
    const { servers = {} } = membersOf(parse(text.replace(/^\ufeff/, "")), "it", ["servers"]);
    return new Map(
      Object.entries(membersOf(servers, '"servers"')).map(([name, server]) =>
        [name, serverOf(name, server)] as const
      ),
    );
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new InletError("usage", `Cannot use ${quoted(path)}: ${error.message}`);
  }

  function serverOf(name: string, server: unknown): NamedServer {
    const where = `the server ${quoted(name)}`;
    const { address, "token-file": file, options = {} } = membersOf(server, where, KEYS);
    if (!/^[\w.-]+$/.test(name)) {
      throw new Wrong(`${where} needs a name of letters, digits, dots, _ and -`);
    }
    const place = typeof address === "string" ? placeIn(address, where) : undefined;
    if (place === undefined) {
      throw new Wrong(
        `${where} needs an "address" like "192.0.2.5:5000" or "unix:/run/inlet.sock"`,
      );
    }
    const given = membersOf(options, `"options" of ${where}`, OF_A_SERVER);
    const values = new Map<string, string[]>();
    for (const [option, value] of Object.entries(given)) {
      const text = textOf(option, value, table, where);
      if (text !== undefined) values.set(option, [text]);
    }
    for (const name of values.keys()) {
      const other = table[name]!.conflictsWith?.find((other) => values.has(other));
      if (other) throw new Wrong(`${where} cannot have ${quoted(name)} and ${quoted(other)}`);
    }
    if (file === undefined) return { address: place, options: values };
    if (!isPath(file)) throw new Wrong(`"token-file" of ${where} has to be a path`);
    values.set("token-file", [pathOf(file)]);
    return { address: place, options: values };
  }

  /** The plain form of an address; `undefined` if it is none. */
  function placeIn(address: string, where: string): string | undefined {
    const socket = unixPathIn(address);
    if (socket !== undefined) {
      return isPath(socket) ? formatAddress({ path: pathOf(socket) }) : undefined;
    }
    const plain = splitAddress(address);
    if (!plain) return undefined;
    checked(where, () => parsePort(plain[1]));
    return address;
  }

  function pathOf(file: string): string {
    const isAtHome = file.startsWith("~/") && home !== undefined;
    return isAtHome ? join(home, file.slice(2)) : resolve(path, "..", file);
  }
}

/** Whether a value can be a path. */
function isPath(value: unknown): value is string {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

/** What is wrong in the file. */
class Wrong extends Error {}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Wrong(`it is not JSON: ${(error as SyntaxError).message}`);
  }
}

/** The members of an object. @param keys Those that there can be, if not any. */
function membersOf(
  value: unknown,
  what: string,
  keys?: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Wrong(`${what} has to be an object`);
  }
  const unknown = Object.keys(value).find((key) => keys && !keys.includes(key));
  if (keys && unknown !== undefined) {
    throw new Wrong(`${what} has no ${quoted(unknown)}: ${choiceOf(unknown, keys)}`);
  }
  return { ...value };
}

/** The value of an option as it is typed; `undefined` for a flag that is not set. */
function textOf(
  option: string,
  value: unknown,
  table: OptionTable,
  where: string,
): string | undefined {
  const { kind, read } = table[option]!;
  const what = `${quoted(option)} of ${where}`;
  if (kind === "flag") {
    if (typeof value !== "boolean") throw new Wrong(`${what} has to be true or false`);
    return value ? "" : undefined;
  }
  if (typeof value !== "string" && typeof value !== "number") {
    throw new Wrong(`${what} has to be a text or a number`);
  }
  const text = String(value);
  checked(where, () => read([text], option));
  return text;
}

/** Reads a value, and tells where a wrong one is. */
function checked(where: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    throw new Wrong(`${where}: ${explain(error).message}`);
  }
}
