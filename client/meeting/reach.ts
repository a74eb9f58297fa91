/**
 * Which addresses two clients name each other to connect directly, and which of those that are named
 * are connected to.
 *
 * @module
 */

import { LOOPBACK, MAX_REACH_HOSTS } from "../../protocol.ts";
import { hostOf, isNear } from "../../lib/address.ts";
import { InletError } from "../../lib/errors.ts";
import { AddressRanges, isAddress } from "../../lib/net/address_ranges.ts";
import { localHostOf } from "../../lib/net/connect.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { quoted } from "../../lib/text.ts";

/** How a client has reached the server. */
export interface Standing {
  /** Its own address on that connection. */
  readonly local: string;
  /** The address that it comes from, as the server has told it. */
  readonly seen: string;
  /** Whether the server is on this machine. */
  readonly isNear: boolean;
}

/**
 * Addresses that mean another host on each machine, or none, or many: this network, loopback, a single
 * link, multicast, reserved ones and the broadcast address (RFC 6890), and what IPv6 has of them.
 */
const NOBODY = new AddressRanges([
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"],
  ...["::/96", "fe80::/10", "ff00::/8"],
], "addresses");

/** Where a client listens that has reached the server over a Unix socket. */
const LOOPBACK_HOST = "127.0.0.1";

/** How a connection reaches the server. @param seen `HOST:PORT`, as the server has told it. */
export function standingOf(connection: Connection, seen: string): Standing {
  const near = isNear(connection.remote);
  const local = localHostOf(connection) ?? (near ? LOOPBACK_HOST : "");
  return { local, seen: hostOf(seen), isNear: near };
}

/**
 * Whether this process may listen and connect wherever it likes, without a question: `--allow-net`, and
 * not for some hosts alone.
 */
export function mayReachAnybody(): boolean {
  const { state, partial } = Deno.permissions.querySync({ name: "net" });
  return state === "granted" && !partial;
}

/** The hosts that a client names: none if it cannot be reached by any. */
export function ownHosts({ local, seen, isNear }: Standing): string[] {
  if (isNear) return [LOOPBACK];
  const hosts = [local, seen].map((host) => host.replace(/^\[(.*)\]$/, "$1"));
  return [...new Set(hosts.filter(mayBeNamed))];
}

/**
 * The hosts to connect to, of those that the other client names.
 *
 * @throws {InletError} `denied` if it names what no client may name
 */
export function hostsToDial(named: readonly string[], { local, isNear }: Standing): string[] {
  return [...new Set(named)].slice(0, MAX_REACH_HOSTS).flatMap((host) => {
    if (host === LOOPBACK) return isNear ? [local] : [];
    if (mayBeNamed(host)) return [host];
    const why = `the other side names ${quoted(host)}, which is no address of a host`;
    throw new InletError("denied", `Cannot connect directly: ${why}`);
  });
}

function mayBeNamed(host: string): boolean {
  return /^[\da-f.:]+$/i.test(host) && isAddress(host) && !NOBODY.has(host);
}
