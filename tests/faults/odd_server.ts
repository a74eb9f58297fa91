/**
 * A server on a disk that gives every lock, which sweeps all the time, and says on stderr how often:
 * `odd_server.ts DIRECTORY`. At the end of its stdin it sweeps no more, and says how often it swept. It
 * serves until it is killed.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { serve } from "../../server.ts";
import { DirectoryStore } from "../../lib/store/directory.ts";
import { UNLOCKED } from "./odd_disks.ts";

/** Milliseconds between two sweeps. */
const SWEEP_MS = 20;

const [directory] = Deno.args as [string];
Deno.addSignalListener("SIGTERM", () => Deno.exit());
await serve({ directory, backlog: 1000, maxClients: 1000, disk: UNLOCKED });
let sweeps = 0;
let isSweeping = true;
const sweeping = sweepOn(await DirectoryStore.open(directory, { disk: UNLOCKED }));
await Deno.stdin.readable.pipeTo(new WritableStream());
isSweeping = false;
await sweeping;
console.error(`count: ${sweeps} in all`);

async function sweepOn(sweeper: DirectoryStore): Promise<void> {
  for (; isSweeping; await delay(SWEEP_MS)) {
    try {
      await sweeper.sweep();
    } catch {
      // The other server may sweep the file from which this one reads the time of the disk.
      continue;
    }
    console.error(`count: ${++sweeps}`);
  }
}
