/**
 * Places on a full server: how soon one is free once its client has left in the middle of heavy
 * work, and how many honest clients get one among connections that say nothing.
 *
 * @module
 */

import { formatTime } from "../../protocol.ts";
import { Wire } from "../../tests/wire.ts";
import { summarise } from "../measure.ts";
import { serverCommand } from "../peers.ts";
import { startServer } from "../processes.ts";
import type { Section } from "../report.ts";
import type { Workspace } from "../workspace.ts";
import type { Bench } from "./workload.ts";

/** Takes minutes to read, and no space. */
const HUGE_BYTES = 256 * 1024 ** 3;
const MODIFIED = new Date("2026-01-01T00:00:00Z");

const SILENT_PER_SECOND = 150;
const HONEST = 100;
/** Milliseconds between two honest clients: some seconds for all of them. */
const HONEST_EVERY_MS = 30;

/** Measures both. */
export async function places({ workspace, runs }: Bench): Promise<Section> {
  const freed = summarise(await freedAfterMs(workspace, runs));
  const greeted = await greetAmongSilent(workspace);
  return {
    name: "places",
    title: `places: free after a client left its compare; ${HONEST} honest clients among ` +
      `${SILENT_PER_SECOND} silent connections a second, on 100 places`,
    rows: [
      { name: "free after", unit: "ms", ...freed },
      { name: "honest client welcomed after", unit: "ms", ...summarise(greeted) },
    ],
    figures: [
      { what: "free after, the most", value: freed.max, unit: "ms", goal: { under: 1000 } },
      {
        what: "honest clients served, of all",
        value: greeted.length / HONEST,
        unit: "x",
        goal: { atLeast: 0.95 },
      },
    ],
    skipped: [],
    failed: [],
  };
}

/** From the client's leaving until another one is welcomed in its place, in milliseconds. */
async function freedAfterMs(workspace: Workspace, runs: number): Promise<number[]> {
  const directory = workspace.directory();
  using huge = Deno.openSync(`${directory}/huge`, { write: true, createNew: true });
  huge.truncateSync(HUGE_BYTES);
  huge.utimeSync(MODIFIED, MODIFIED);
  const command = serverCommand(directory, ["--max-clients", "1"]);
  await using server = await startServer(command);
  const all: number[] = [];
  for (let run = 0; run < runs; run++) {
    const leaving = await Wire.dial(server);
    await leaving.says("hello 1 leaving\n");
    await leaving.says(`compare ${HUGE_BYTES} 00000001 ${formatTime(MODIFIED)} huge\n`);
    // The welcome, and the first note: the server is at work.
    for (let line = 0; line < 2; line++) await leaving.line();
    leaving.close();
    const started = performance.now();
    while (!await isWelcome(server, "next"));
    all.push(performance.now() - started);
  }
  return all;
}

/** How long each honest client that was served waited for its welcome, in milliseconds. */
async function greetAmongSilent(workspace: Workspace): Promise<number[]> {
  const command = serverCommand(workspace.directory(), ["--backlog", "1024"]);
  await using server = await startServer(command);
  using silent = new DisposableStack();
  const flood = setInterval(() => {
    Wire.dial(server).then((wire) => silent.use(wire)).catch(() => {});
  }, 1000 / SILENT_PER_SECOND);
  try {
    // By then they hold all places.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const waits: number[] = [];
    for (let client = 0; client < HONEST; client++) {
      const started = performance.now();
      if (await isWelcome(server, `honest-${client}`)) waits.push(performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, HONEST_EVERY_MS));
    }
    return waits;
  } finally {
    clearInterval(flood);
  }
}

async function isWelcome(server: { port: number }, name: string): Promise<boolean> {
  using wire = await Wire.dial(server);
  await wire.says(`hello 1 ${name}\n`);
  return (await wire.line()).startsWith("welcome ");
}
