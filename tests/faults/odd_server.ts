/**
 * A server on an odd disk: `odd_server.ts DIRECTORY DISK SEED`. The disk `stalling` stalls at random
 * calls. The disk `unlocked` gives every lock, and its server sweeps all the time. Its stdin ends it;
 * it then says on stderr how often its disk stalled, or how often it swept.
 *
 * @module
 */

import { serve } from "../../server.ts";
import { DirectoryStore } from "../../lib/store/directory.ts";
import { Dice } from "./content.ts";
import { stallingDisk, type Told, UNLOCKED } from "./odd_disks.ts";

/** Milliseconds between two sweeps. */
const SWEEP_MS = 20;

/** Milliseconds of silence after which a client is cut: less than a disk may stall. */
const TIMEOUT_MS = 1500;

const [directory, kind, seed] = Deno.args as [string, string, string];
const told: Told = { count: 0 };
const common = { directory, backlog: 1000, maxClients: 1000 };
if (kind === "stalling") {
  const limits = { timeoutMs: TIMEOUT_MS, sessionTimeoutMs: TIMEOUT_MS };
  await serve({ ...common, ...limits, disk: stallingDisk(new Dice(Number(seed)), told) });
} else {
  await serve({ ...common, disk: UNLOCKED });
  const sweeper = await DirectoryStore.open(directory, { disk: UNLOCKED });
  // The other server may sweep the file from which this one reads the time of the disk.
  const sweep = (): Promise<unknown> => sweeper.sweep().then(() => told.count++, () => {});
  setInterval(() => void sweep(), SWEEP_MS);
}
await Deno.stdin.readable.pipeTo(new WritableStream());
console.error(`count: ${told.count}`);
Deno.exit(0);
