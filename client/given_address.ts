/**
 * The server that a command line begins with.
 *
 * @module
 */

import { type ServerAddress, splitAddress, unixPathIn } from "../lib/address.ts";
import { parseHost, parsePort } from "../lib/cli/option_values.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";

/**
 * Takes the server, which a command line begins with, from what follows it.
 *
 * @throws {InletError} `usage`, which says what to type
 */
export function addressIn(
  [host, port, ...files]: readonly string[],
): { address: ServerAddress; files: string[] } {
  const path = unixPathIn(host ?? "");
  if (path !== undefined) {
    return { address: { path }, files: port === undefined ? [] : [port, ...files] };
  }
  if (!host) throw new InletError("usage", `Cannot connect without a server: ${GIVE_ADDRESS}`);
  const hostname = parseHost(host);
  // A number alone could be an IPv4 address, in a form that nobody types.
  if (/^\d+$/.test(host)) {
    const how = "the host comes first, like 127.0.0.1 5000";
    throw new InletError("usage", `Cannot use ${quoted(host)} as the host: ${how}`);
  }
  const [, ipv6, last] = /^([\da-f:.]*::[\da-f:.]*):(\d{1,5})$/i.exec(host) ?? [];
  // It is an IPv6 address, whose end was meant as the port.
  if (ipv6 !== undefined && !/^:?\d+$/.test(port ?? "")) {
    throw new InletError(
      "usage",
      `Cannot use ${quoted(host)} without a port: give [${ipv6}]:${last}`,
    );
  }
  if (port === undefined) {
    const what = `Cannot connect to ${quoted(host)} without a port`;
    throw new InletError("usage", `${what}: ${GIVE_ADDRESS}`);
  }
  if (/^:\d+$/.test(port)) {
    const how = `give ${port.slice(1)}, without the colon; files come behind the port`;
    throw new InletError("usage", `Cannot use ${quoted(port)} as the port: ${how}`);
  }
  if (!/^\d+$/.test(port)) {
    const isLater = [port, ...files].some((word, index) =>
      splitAddress(word) !== undefined || /^\d+$/.test(files[index] ?? "")
    );
    const [word, what] = isLater ? [host, "host"] : [port, "port"];
    throw new InletError("usage", `Cannot use ${quoted(word)} as the ${what}: ${GIVE_FIRST}`);
  }
  return { address: { hostname, port: parsePort(port) }, files };
}

const GIVE_ADDRESS = "give HOST PORT or HOST:PORT, like 127.0.0.1 5000; try --help";

const GIVE_FIRST = "give HOST PORT or HOST:PORT, and then the files, like 127.0.0.1 5000 file.txt";
