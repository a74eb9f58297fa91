/**
 * One small file, as a person waits for it: the whole client process, from its start to its end. And
 * the same in a process that runs already.
 *
 * @module
 */

import { compare } from "../compare.ts";
import { makeKey } from "../keys.ts";
import { Crowd, inletForMany, pathsOf } from "../many.ts";
import { inletReceiver, inletSender, transfer } from "../peers.ts";
import { run } from "../processes.ts";
import type { Row, Section } from "../report.ts";
import type { Bench } from "./workload.ts";

const INLET = "inlet client, 1 KiB put";
const TLS = "inlet client with a key, 1 KiB put";

const SMALL_BYTES = 1024;

/** Clients of one run, one after the other, in a process that is warm. */
const WARM_CLIENTS = 100;

/** Short runs vary more, and cost little. */
const RUNS_FACTOR = 4;

/** Time of one small file, beside that of starting Deno for nothing. */
export async function start({ workspace, runs }: Bench): Promise<Section> {
  const { args } = await makeKey(workspace);
  const file = workspace.source(SMALL_BYTES);
  return await compare({
    name: "start",
    title: "start: the whole client process, one file of 1 KiB",
    runs: runs * RUNS_FACTOR,
    entrants: [{
      name: INLET,
      needs: [],
      enter: async (stack) => transfer(await inletReceiver(workspace, stack), inletSender(), file),
    }, {
      name: TLS,
      needs: [],
      enter: async (stack) =>
        transfer(await inletReceiver(workspace, stack, args), inletSender(args), file),
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

/**
 * Time of one client in a process that has had others before: it connects, is challenged, sends one
 * small file, and leaves. Beside that of one with a key, which does so over TLS.
 */
export async function warm({ workspace, runs }: Bench): Promise<Section> {
  const folder = workspace.folder(WARM_CLIENTS, SMALL_BYTES);
  const oneByOne = pathsOf(folder).map((path) => [[path]]);
  const { text, args } = await makeKey(workspace);
  const section = await compare({
    name: "warm",
    title: "warm: one client with one file of 1 KiB, in a process that runs already",
    runs,
    entrants: [{
      name: INLET,
      needs: [],
      async enter(stack) {
        const receiver = await inletForMany(workspace, stack, "files");
        return new Crowd(receiver, "files", stack).candidate(folder, oneByOne);
      },
    }, {
      name: TLS,
      needs: [],
      async enter(stack) {
        const receiver = await inletForMany(workspace, stack, "files", args);
        return new Crowd(receiver, "files", stack, text).candidate(folder, oneByOne);
      },
    }],
    goals: [],
  });
  workspace.dropFolder(folder);
  const rows = section.rows.map(forOne);
  const value = rows.find(({ name }) => name === TLS)?.median;
  return {
    ...section,
    rows,
    figures: value === undefined ? [] : [{ what: TLS, value, unit: "ms", goal: { under: 5 } }],
  };
}

/** A time for all as a time for one. */
function forOne({ name, unit, median, min, max, runs }: Row): Row {
  const [one, least, most] = [median, min, max].map((ms) => ms / WARM_CLIENTS);
  return { name, unit, runs, median: one!, min: least!, max: most! };
}
