/**
 * What happens to a client that gives a wrong key, on every wire that asks for one.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";
import type { ServerContext } from "./context.ts";
import { Pause } from "./pause.ts";

/** Wrong keys wait for a second, so many of them at once. */
const refusals = new Pause(1000, 256);

/**
 * Lets a wrong key wait, so that guesses take long, and returns its refusal. It holds no place
 * meanwhile: whoever has the key gets in.
 */
export async function refuseLate(
  connection: Connection,
  context: ServerContext,
): Promise<InletError> {
  context.leavePlace();
  connection.resting = true;
  await connection.unwatched(refusals.stay());
  return new InletError(
    "denied",
    "Cannot authenticate: the server does not accept this key; it may have been replaced or revoked",
  );
}
