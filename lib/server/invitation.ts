/**
 * Tells in a terminal how people open the page of a server that the network can reach: its address, also
 * as a QR code, and what the warning of a browser means.
 *
 * @module
 */

import { bgRgb8, rgb8 } from "@std/fmt/colors";
import { formatAddress, isLinkLocal, isLoopback, zoneOf } from "../address.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { stderr } from "../body/stderr.ts";
import { load } from "../packages.ts";
import type { ServeOptions } from "./serve_options.ts";

/** Colours of the 256 that terminals have: a code that is dark on light can be read by every camera. */
const WHITE = 231;
const BLACK = 16;

/** Modules around the code: ISO/IEC 18004 wants four, and cameras do with two. */
const BORDER = 2;

/** Networks within this machine, by the names of their interfaces. */
const INNER = /^(?:docker|br-|veth|virbr|vmnet|vboxnet|podman|lxc)/;

/** What decides how the page is opened. */
type Settings = Pick<ServeOptions, "cert" | "log"> & {
  readonly hostname: string;
  readonly publicNames: readonly string[];
  readonly basePath: string | undefined;
};

/**
 * Writes the invitation to the terminal, if the server is open to the network.
 *
 * @param port The port that the server listens on.
 */
export async function invite(
  settings: Settings,
  port: number,
  authenticator: Authenticator | undefined,
): Promise<void> {
  const { hostname, publicNames, basePath = "", cert, log } = settings;
  if (isLoopback(hostname) || typeof log === "function" || log?.quiet || log?.format === "json") {
    return;
  }
  const host = hostOf(hostname, publicNames);
  const scheme = authenticator ?? cert ? "https" : "http";
  const path = `${basePath.replace(/\/$/, "")}/`;
  const address = `${scheme}://${formatAddress({ hostname: host ?? "HOST", port })}${path}`;
  const lines = [
    `In a browser: ${address}${host ? "" : " (HOST is the address of this machine)"}`,
    ...host ? await codeOf(address) : [],
    // At a name of its certificate a browser warns of nothing.
    ...authenticator && !(cert && publicNames.length > 0) ? await warningOf(authenticator) : [],
  ];
  stderr.add(lines.join("\n"));
}

/** The host that others call this machine by; `undefined` if it is not known. */
function hostOf(hostname: string, publicNames: readonly string[]): string | undefined {
  if (publicNames.length > 0) return publicNames[0];
  if (/^(?:0\.0\.0\.0|\[?::\]?)$/.test(hostname)) return ownAddress();
  // A zone means something on this machine alone.
  return zoneOf(hostname) ?? isLinkLocal(hostname) ? undefined : hostname.replace(/^\[|\]$/g, "");
}

/** An address of this machine, IPv4 first, if looking at its interfaces needs no question. */
function ownAddress(): string | undefined {
  const permission = { name: "sys", kind: "networkInterfaces" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return undefined;
  const addresses = Deno.networkInterfaces()
    .filter(({ name, address }) =>
      !INNER.test(name) && !isLoopback(address) && !isLinkLocal(address) &&
      !address.startsWith("169.254.")
    );
  const found = addresses.find(({ family }) => family === "IPv4") ?? addresses[0];
  return found?.address;
}

/** The lines of a QR code; none if the package for it is not here, and cannot be fetched. */
async function codeOf(address: string): Promise<string[]> {
  try {
    const { renderUnicodeCompact } = await load("uqr");
    const lines = renderUnicodeCompact(address, { border: BORDER }).split("\n");
    return lines.map((line) => bgRgb8(rgb8(line, WHITE), BLACK));
  } catch {
    return [];
  }
}

/** What the warning of a browser means, and what to compare. */
async function warningOf(authenticator: Authenticator): Promise<string[]> {
  const { certificateFingerprint } = await import("../auth/certificate.ts");
  const { certificate } = await authenticator.identity();
  return [
    "The browser warns: no authority knows this server. Before you go on, open the certificate in the",
    "warning, and compare its SHA-256 fingerprint with this one, which holds until the server stops:",
    `  ${await certificateFingerprint(certificate)}`,
    "If it is another one, somebody is in between: do not go on. Never install the certificate.",
  ];
}
