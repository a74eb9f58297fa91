/**
 * The first line of a server's log.
 *
 * @module
 */

import { formatAddress, isLoopback } from "../address.ts";
import { quoted } from "../text.ts";
import type { Identity } from "../auth/identity.ts";
import { isClosed } from "./authentication.ts";
import type { Log } from "./log.ts";
import type { ServeOptions } from "./serve_options.ts";

/** The options that the line tells of. */
type Settings =
  & Pick<
    ServeOptions,
    "fallback" | "access" | "key" | "users" | "cert" | "basePath" | "publicNames"
  >
  & Pick<ServeOptions, "store">
  & { readonly directory: string };

/** Logs that the server listens: where, who can reach it, and which directory or bucket it has. */
export function announce(
  log: Log,
  address: Deno.NetAddr | Deno.UnixAddr,
  settings: Settings,
  { stores, web, identity }: {
    /** Whether it stores files. */
    stores: boolean;
    /** Whether it serves HTTP. */
    web: boolean;
    /** What it is recognised by, if it has a key. */
    identity: Pick<Identity, "pin"> | undefined;
  },
): void {
  const { directory, fallback, access } = settings;
  const isNear = "path" in address || isLoopback(address.hostname);
  const who = isNear ? "this machine only" : "open to the network";
  const reach = isClosed(settings) ? `${who}, encrypted, key required` : who;
  const what = access === "read-only" ? "serving files from" : "storing into";
  const { store } = settings;
  const isOwn = typeof store === "object";
  const where = isOwn ? "a store of the program" : quoted(store ?? directory);
  const storing = stores ? `, ${what} ${where}` : "";
  const others = fallback === undefined ? "" : `, other clients in mode ${fallback}`;
  log.notice("listening", `listening on ${formatAddress(address)} (${reach})${storing}${others}`, {
    ..."path" in address
      ? { path: address.path }
      : { hostname: address.hostname, port: address.port },
    ...stores && !isOwn && (store === undefined ? { directory } : { store }),
    ...identity && { pin: identity.pin.toBase64() },
    ...web && "port" in address && { url: pageOf(address, settings, identity !== undefined) },
  });
}

/** The address of the page. A server on all addresses of this machine is found at one that it has. */
function pageOf(
  { hostname, port }: Deno.NetAddr,
  { publicNames = [], basePath = "", cert }: Settings,
  isEncrypted: boolean,
): string {
  const own = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
  const scheme = isEncrypted || cert !== undefined ? "https" : "http";
  const host = formatAddress({ hostname: publicNames[0] ?? own, port });
  return `${scheme}://${host}${basePath.replace(/\/$/, "")}/`;
}
