/**
 * Passes on what one client has for another one, on the native wire and from a page.
 *
 * @module
 */

import { MAX_TOLD_BYTES, type Unasked } from "../../protocol/people_lines.ts";
import { mayAccess } from "../auth/access.ts";
import { InletError } from "../errors.ts";
import type { ServerContext } from "./context.ts";

/** When the other client gets it: at once, or after its request in progress. */
export type Delivered = "now" | "later";

/** Who passes something on, and where. */
export type Sender = Pick<ServerContext, "client" | "clients" | "log">;

/** Why it gets nothing. */
const REFUSALS = {
  "gone": ["not-found", "it is not here"],
  "deaf": ["denied", "it cannot take files: it is a page, or has sent no attend"],
  "full": ["wait", "it is busy, and too much waits for it already"],
} as const;

/** Whether a server lets any of its clients reach others. */
export function letsReach({ access }: Pick<ServerContext, "access">): boolean {
  return mayAccess({ server: access, user: "all" }, "attend");
}

/**
 * Passes a line on.
 *
 * @throws {InletError} `not-found` if the other one is not here; `denied` if it takes nothing of the
 * kind; `wait` if too much waits for it
 */
export function passOn({ client, clients }: Sender, to: number, line: Unasked): Delivered {
  const delivery = clients.attendance.pass(client, to, line);
  if (delivery === "now" || delivery === "later") return delivery;
  const [code, why] = REFUSALS[delivery];
  throw new InletError(code, `Cannot reach client ${to}: ${why}`);
}

/**
 * Tells another client a text, which nobody else sees.
 *
 * @throws {InletError} like {@linkcode passOn}, and `bad-request` if the text is too long or has more
 * than one line
 */
export function tell(sender: Sender, to: number, text: string): Delivered {
  const refuse = (why: string): never => {
    throw new InletError("bad-request", `Cannot tell client ${to}: ${why}`);
  };
  const { length: bytes } = new TextEncoder().encode(text);
  if (bytes > MAX_TOLD_BYTES) refuse(`the limit is ${MAX_TOLD_BYTES} bytes`);
  if (/[\r\n]/.test(text)) refuse("a text has one line");
  const delivered = passOn(sender, to, { type: "told", from: sender.client.number, text });
  sender.log.info("told", `tells client ${to} ${bytes} bytes`, { bytes });
  return delivered;
}
