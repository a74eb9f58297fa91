/**
 * One small file, as a person waits for it: the whole client process, from its start to its end.
 *
 * @module
 */

import { compare } from "../compare.ts";
import { inletReceiver, inletSender, transfer } from "../peers.ts";
import { run } from "../processes.ts";
import type { Section } from "../report.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet client, 1 KiB put";

/** Short runs vary more, and cost little. */
const RUNS_FACTOR = 4;

/** Time of one small file, beside that of starting Deno for nothing. */
export async function start({ workspace, runs }: Bench): Promise<Section> {
  const file = workspace.source(1024);
  return await compare({
    name: "start",
    title: "start: the whole client process, one file of 1 KiB",
    runs: runs * RUNS_FACTOR,
    entrants: [{
      name: INLET,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }, {
      name: "deno eval 0",
      needs: [],
      enter: () =>
        Promise.resolve({
          pids: [],
          ready: () => Promise.resolve(() => run([Deno.execPath(), "eval", "0"])),
          clear: () => Promise.resolve(),
          check: () => Promise.resolve(),
        }),
    }],
    goals: [{ of: INLET, underMs: 150 }],
  });
}
