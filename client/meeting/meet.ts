/**
 * Runs the actions for which two clients meet. Loaded on demand: nothing else needs any of it.
 *
 * @module
 */

import type { Dialer } from "../dialer.ts";
import type { Meeting } from "../meeting_plan.ts";
import type { Plan } from "../plan.ts";
import type { SendFilesOptions } from "../send.ts";
import { runAccept } from "./accept.ts";
import { runOffer } from "./offer.ts";

/** Offers or accepts. Returns the exit code. */
export async function meet(
  dialer: Dialer,
  action: Meeting,
  plan: Plan,
  options: SendFilesOptions,
): Promise<number> {
  return action.type === "offer"
    ? await runOffer(dialer, action, plan, options)
    : await runAccept(dialer, action, plan, options);
}
