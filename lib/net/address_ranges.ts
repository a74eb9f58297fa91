/**
 * Ranges of addresses: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32` (RFC 4632, RFC 4291); and `unix` for
 * all peers at a Unix socket.
 *
 * @module
 */

import { UNIX_HOST } from "../address.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

const BITS = 128;

interface Range {
  readonly value: bigint;
  /** How many bits at the end do not count. */
  readonly free: bigint;
}

/** A set of ranges. An IPv4 address is in one also where it comes within IPv6. */
export class AddressRanges {
  readonly #ranges: readonly Range[];
  readonly #hasUnix: boolean;

  /** @throws {InletError} `usage` */
  constructor(texts: readonly string[], what: string) {
    this.#hasUnix = texts.includes(UNIX_HOST);
    this.#ranges = texts.filter((text) => text !== UNIX_HOST).map((text) => rangeOf(text, what));
  }

  /** @param host An address; IPv6 may stand in brackets. Or what `hostOf()` gives for a Unix socket. */
  has(host: string): boolean {
    if (host === UNIX_HOST) return this.#hasUnix;
    if (this.#ranges.length === 0) return false;
    const value = valueOf(host);
    return value !== undefined &&
      this.#ranges.some((range) => value >> range.free === range.value >> range.free);
  }
}

/** Whether a text is an address; IPv6 may stand in brackets. */
export function isAddress(text: string): boolean {
  return valueOf(text) !== undefined;
}

function rangeOf(text: string, what: string): Range {
  const [, host = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const value = valueOf(host);
  const width = host.includes(":") ? BITS : 32;
  const bits = length === undefined ? width : Number(length);
  if (value === undefined || bits > width) {
    const give = "an address, a range such as 10.0.0.0/8, or unix for a Unix socket";
    throw new InletError("usage", `Cannot use ${quoted(text)} as ${what}: give ${give}`);
  }
  return { value, free: BigInt(width - bits) };
}

function valueOf(text: string): bigint | undefined {
  const host = text.replace(/^\[(.*)\]$/, "$1").replace(/%.*$/, "");
  if (!host.includes(":")) {
    const parts = /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? host.split(".").map(Number) : [];
    if (parts.length === 0 || parts.some((part) => part > 255)) return undefined;
    return parts.reduce((value, part) => value << 8n | BigInt(part), 0xffffn);
  }
  // It is parsed, and written in one way: RFC 5952.
  const known = /^[\da-f:.]+$/i.test(host) && URL.parse(`http://[${host}]`)?.hostname.slice(1, -1);
  if (!known) return undefined;
  const [head, tail] = known.split("::").map((part) => part === "" ? [] : part.split(":"));
  const zeros = new Array(tail ? 8 - head!.length - tail.length : 0).fill("0");
  return [...head!, ...zeros, ...tail ?? []]
    .reduce((value, group) => value << 16n | BigInt(`0x${group}`), 0n);
}
