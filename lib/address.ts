/**
 * Formats and parses addresses: a host with a port, and the path of a Unix socket.
 *
 * @module
 */

/** The address of a server: a port of a host, or a Unix socket of this machine. */
export type ServerAddress =
  | {
    /** A host name, or an IPv4 or IPv6 address. */
    hostname: string;
    /** 1 to 65535. */
    port: number;
  }
  | {
    /** The path of the socket. A relative one starts from the current folder. */
    path: string;
  };

/** What stands before the path of a Unix socket. */
const UNIX = "unix:";

/** Formats an address: `unix:PATH`, or as in a URL, an IPv6 host in brackets. */
export function formatAddress(address: ServerAddress): string {
  if ("path" in address) return `${UNIX}${address.path}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * Splits `HOST:PORT` as people write it: an IPv6 host stands in brackets, and none is this machine.
 *
 * @returns `undefined` for anything else. The host is not looked up, nor the port checked.
 */
export function splitAddress(text: string): [host: string, port: string] | undefined {
  const [, host, port] = /^(\[[^\]]*\]|[^\s:[\]/\\@]*):(\d{1,5})$/.exec(text) ?? [];
  return port === undefined ? undefined : [host || "127.0.0.1", port];
}

/** The path in `unix:PATH`; `undefined` for any other text. */
export function unixPathIn(text: string): string | undefined {
  return text.startsWith(UNIX) ? text.slice(UNIX.length) : undefined;
}

/** What {@linkcode hostOf} gives for the peers at a Unix socket, which have no addresses. */
export const UNIX_HOST = "unix";

/** A name for a peer at a Unix socket: `unix:7`, by the number of its connection. */
export function unixPeer(number: number): string {
  return `${UNIX_HOST}:${number}`;
}

/** Returns the host of a formatted address. An IPv4-mapped IPv6 host becomes IPv4. */
export function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(":"));
  return /^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]$/i.exec(host)?.[1] ?? host;
}

/** The zone of an IPv6 address: `eth0` of `fe80::1%eth0`. */
export function zoneOf(hostname: string): string | undefined {
  return /^\[?[\da-f]*:[\da-f:.]*%([^\]]+)\]?$/i.exec(hostname)?.[1];
}

/** Whether an IPv6 address is one of a single link, which means nothing without a zone. */
export function isLinkLocal(hostname: string): boolean {
  return /^\[?fe[89ab][\da-f]:/i.test(hostname);
}

/** Adds the zone of the listening socket to an address, from which the system leaves it out. */
export function inZone<Address extends { hostname: string }>(
  address: Address,
  zone: string | undefined,
): Address {
  const { hostname } = address;
  if (zone === undefined || !isLinkLocal(hostname) || zoneOf(hostname) !== undefined) {
    return address;
  }
  return { ...address, hostname: `${hostname}%${zone}` };
}

/**
 * Whether only this machine can reach a host. Of host names, only `localhost` counts.
 *
 * @param hostname An IPv6 address may stand in brackets.
 */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|::1|\[::1\]|127(\.\d{1,3}){3})$/.test(hostname);
}

/** Whether a peer is on this machine. @param address `HOST:PORT`, or that of a {@linkcode unixPeer}. */
export function isNear(address: string): boolean {
  const host = hostOf(address);
  return host === UNIX_HOST || isLoopback(host);
}

/** What tells clients apart that ask for long work: their hosts, from `HOST:PORT`. */
export function clientOf({ remote }: { readonly remote: string }): string {
  // A tunnel brings all its clients from this machine.
  return isNear(remote) ? remote : hostOf(remote);
}
