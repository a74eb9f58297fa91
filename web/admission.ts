/**
 * Who may send requests at all, before a route is asked what they may do.
 *
 * @module
 */

import type { Exchange } from "./exchange.ts";
import { Refusal } from "./problem.ts";

/** Checks the name by which the client calls this server. Every name will do so far. */
export function checkHost(_exchange: Exchange): void {}

/**
 * Checks who the client is.
 *
 * @throws {Refusal} 401 on a server with a key, which no request can prove so far
 */
export function checkCaller({ context }: Exchange): void {
  if (!context.authenticator) return;
  throw new Refusal(401, "Cannot go on: this server requires a key", { code: "denied" });
}
