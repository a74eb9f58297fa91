/**
 * Addresses of the network, written and read.
 *
 * @module
 */

/** An address as it is written in a URL: an IPv6 host stands in brackets. */
export function formatAddress(address: { hostname: string; port: number }): string {
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The host of an address as {@linkcode formatAddress} writes it. IPv4 within IPv6 is IPv4. */
export function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(":"));
  return /^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]$/i.exec(host)?.[1] ?? host;
}
