/**
 * A server whose disk hangs at random calls, for longer than the server waits for a client.
 *
 * It is in the process of its clients. They stand still with it, and a moment in which a busy machine
 * does not run them is one for the server, too: else it would take that for their silence, rightly.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { serveHere } from "../in_process.ts";
import type { Dice } from "./content.ts";
import { Crowd, type Deeds } from "./crowd.ts";
import { stallingDisk, type Told } from "./odd_disks.ts";
import { givesBack, holdingsOf, type Trial } from "./trial.ts";

/** Clients at once. */
const CLIENTS = 8;

/** Milliseconds of silence after which a client is cut: less than a disk may stall. */
const TIMEOUT_MS = 1500;

/**
 * Loads such a server for so long at least, and until its disk has stalled and it has stored something,
 * and looks at all of it then. Nobody is cut for a stall.
 */
export async function stallDisk(
  durationMs: number,
  { dir, trial, dice }: { dir: string; trial: Trial; dice: Dice },
): Promise<Deeds & { stalls: number }> {
  await Deno.mkdir(dir, { recursive: true });
  const stalls: Told = { count: 0 };
  const disk = stallingDisk(dice, stalls);
  await using served = await serveHere({ dir, disk, idleTimeoutMs: TIMEOUT_MS });
  const server = { port: served.port, dir, pid: Deno.pid, running: { log: "" } };
  const before = holdingsOf(server);
  const started = performance.now();
  const crowd = new Crowd({
    server,
    trial,
    dice,
    pick: () => trial.acknowledged.values().next().value,
  });
  const isOver = (): boolean =>
    performance.now() - started > durationMs && stalls.count > 0 && crowd.deeds.files > 0;
  // It throws what the first client was refused, or lost.
  await crowd.run(CLIENTS, isOver);
  await trial.assertSound(server);
  await givesBack(server, before);
  const amiss = served.failures.filter(({ code }) => code === "timeout" || code === "internal");
  assertEquals(amiss, []);
  return { ...crowd.deeds, stalls: stalls.count };
}
