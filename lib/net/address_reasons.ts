/**
 * Why an address cannot be connected to, or listened on, in words.
 *
 * @module
 */

import { isLinkLocal, zoneOf } from "../address.ts";
import { DISK_ERRORS, NETWORK_ERRORS, systemCode } from "../system_errors.ts";
import { quoted } from "../text.ts";

/** Most bytes of the path of a Unix socket: `sun_path` has room for one more, which ends it. */
const MAX_PATH_BYTES = Deno.build.os === "linux" ? 107 : 103;

/**
 * The reason of a failure to connect or to listen.
 *
 * @param error What the system threw.
 */
export function addressReason(hostname: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const zone = zoneOf(hostname);
  if (zone === undefined && isLinkLocal(hostname)) return needsZone(hostname);
  if (/lookup address/.test(message)) return zone === undefined ? "no such host" : noZone(zone);
  if (/^invalid (?:empty )?host\b/.test(message)) return "that is no name of a host";
  const code = systemCode(error);
  switch (code) {
    case "EACCES":
    case "EPERM":
      return "the system does not permit it";
    case "EINVAL":
      return "the system does not accept that address";
    case "EAFNOSUPPORT":
      return "this machine has no network of that kind";
    case undefined:
      return message;
  }
  const [kind, why] = NETWORK_ERRORS.get(code) ?? DISK_ERRORS.get(code) ?? [];
  return kind === "lost" || kind === "overloaded" ? why! : message;
}

function needsZone(hostname: string): string {
  const interfaces = linkedInterfaces();
  const such = `${hostname}%${interfaces[0] ?? "eth0"}`;
  return `it needs a zone, the name of a network interface, such as ${such}${having(interfaces)}`;
}

function noZone(zone: string): string {
  return `no link-local address here has the zone ${quoted(zone)}${having(linkedInterfaces())}`;
}

function having(interfaces: readonly string[]): string {
  return interfaces.length === 0 ? "" : `; this machine has ${interfaces.join(", ")}`;
}

/** The interfaces that have a link-local address, where Deno may tell. */
function linkedInterfaces(): string[] {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  if (state !== "granted") return [];
  const linked = Deno.networkInterfaces().filter(({ address }) => isLinkLocal(address));
  return [...new Set(linked.map(({ name }) => name))];
}

/**
 * The reason of a failure to connect to a Unix socket, or to listen on one.
 *
 * @param error What the system threw.
 */
export function unixReason(error: unknown): string {
  const code = systemCode(error) ?? "";
  switch (code) {
    case "EPROTOTYPE":
      return "a socket of another kind is there, for datagrams";
    case "EACCES":
    case "EPERM":
      return "the permissions of the socket or its folder do not allow it";
    case "EINVAL":
      return `the path is too long for a socket: the limit is ${MAX_PATH_BYTES} bytes`;
  }
  const [, why = (error as Error).message] = DISK_ERRORS.get(code) ?? [];
  return why;
}
