/**
 * A server on an odd disk: `odd_server.ts DIRECTORY DISK SEED`. The disk `stalling` stalls at random
 * calls. The disk `unlocked` gives every lock, and its server sweeps all the time, and says on stderr
 * how often. At the end of its stdin it sweeps no more, and says how often its disk stalled, or how
 * often it swept. It serves until it is killed.
 *
 * @module
 */

import { delay } from "@std/async/delay";
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
Deno.addSignalListener("SIGTERM", () => Deno.exit());
const common = { directory, backlog: 1000, maxClients: 1000 };
let isOdd = true;
let sweeping: Promise<void> | undefined;
if (kind === "stalling") {
  const limits = { timeoutMs: TIMEOUT_MS, sessionTimeoutMs: TIMEOUT_MS };
  await serve({ ...common, ...limits, disk: stallingDisk(new Dice(Number(seed)), told) });
} else {
  await serve({ ...common, disk: UNLOCKED });
  sweeping = sweepOn(await DirectoryStore.open(directory, { disk: UNLOCKED }));
}
await Deno.stdin.readable.pipeTo(new WritableStream());
isOdd = false;
await sweeping;
console.error(`count: ${told.count} in all`);

async function sweepOn(sweeper: DirectoryStore): Promise<void> {
  for (; isOdd; await delay(SWEEP_MS)) {
    try {
      await sweeper.sweep();
    } catch {
      // The other server may sweep the file from which this one reads the time of the disk.
      continue;
    }
    console.error(`count: ${++told.count}`);
  }
}
