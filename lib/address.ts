/**
 * Formats and parses network addresses.
 *
 * @module
 */

/** Formats an address as in a URL, an IPv6 host in brackets. */
export function formatAddress(address: { hostname: string; port: number }): string {
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Returns the host of a formatted address. An IPv4-mapped IPv6 host becomes IPv4. */
export function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(":"));
  return /^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]$/i.exec(host)?.[1] ?? host;
}

/**
 * Whether only this machine can reach a host. Of host names, only `localhost` counts.
 *
 * @param hostname An IPv6 address may stand in brackets.
 */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|::1|\[::1\]|127(\.\d{1,3}){3})$/.test(hostname);
}
