/**
 * A server whose disk hangs at random calls, for longer than the server waits for a client.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { Dice } from "./content.ts";
import { Crowd, type Deeds } from "./crowd.ts";
import { startOddServer } from "./odd_servers.ts";
import { givesBack, holdingsOf, type Trial } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 8;

/** Loads such a server for so long, and looks at all of it then. Nobody is cut for a stall. */
export async function stallDisk(
  durationMs: number,
  { dir, trial, dice }: { dir: string; trial: Trial; dice: Dice },
): Promise<Deeds & { stalls: number }> {
  await using server = await startOddServer(dir, "stalling", dice.below(2 ** 31));
  const before = holdingsOf(server);
  const started = performance.now();
  const crowd = new Crowd({
    server,
    trial,
    dice,
    pick: () => trial.acknowledged.values().next().value,
  });
  // It throws what the first client was refused, or lost.
  await crowd.run(CLIENTS, () => performance.now() - started > durationMs);
  await trial.assertSound(server);
  await givesBack(server, before);
  const { log } = server.running;
  assert(!/No data in either direction|No complete line|Nothing moved/.test(log), log);
  return { ...crowd.deeds, stalls: await server.end() };
}
