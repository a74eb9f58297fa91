/**
 * Equal uploads at once: how the slowest fares beside the mean.
 *
 * @module
 */

import { formatBytes } from "../../lib/text.ts";
import { findProgram } from "../processes.ts";
import { Crowd, inletForMany, oneEach, pathsOf, pythonForMany } from "../many.ts";
import { summarise } from "../measure.ts";
import type { Receiver } from "../peers.ts";
import type { Row, Section } from "../report.ts";
import { type SourceFolder, verifyFolder, type Workspace } from "../workspace.ts";
import type { Bench } from "./workload.ts";

const UPLOADS = 50;
const GOAL = 0.5;

const INLET = "inlet put";
const PYTHON = "Python, a thread a client";

/** The slowest upload's speed, as a share of the mean speed. */
export async function fairness({ workspace, runs, size }: Bench): Promise<Section> {
  const each = Math.ceil(size / UPLOADS);
  const folder = workspace.folder(UPLOADS, each);
  const rows = [await rowOf(INLET, "files", { workspace, runs, folder, serve: inletForMany })];
  const skipped: string[] = [];
  if (await findProgram("python3")) {
    rows.push(await rowOf(PYTHON, "upload", { workspace, runs, folder, serve: pythonForMany }));
  } else skipped.push(`${PYTHON}: python3 is not installed`);
  workspace.dropFolder(folder);
  return {
    name: "fairness",
    title: `fairness: ${UPLOADS} uploads of ${formatBytes(each)} at once, the slowest's speed ` +
      `as a share of the mean`,
    rows,
    figures: [{
      what: "inlet put, the least of all runs",
      value: rows[0]!.min,
      unit: "x",
      goal: { atLeast: GOAL },
    }],
    skipped,
    failed: [],
  };
}

async function rowOf(
  name: string,
  mode: string,
  { workspace, runs, folder, serve }: {
    workspace: Workspace;
    runs: number;
    folder: SourceFolder;
    serve(workspace: Workspace, stack: AsyncDisposableStack, mode: string): Promise<Receiver>;
  },
): Promise<Row> {
  await using stack = new AsyncDisposableStack();
  const crowd = new Crowd(await serve(workspace, stack, mode), mode, stack);
  const shares: number[] = [];
  for (let round = 0; round <= runs; round++) {
    const eachMs = await crowd.send(oneEach(pathsOf(folder)));
    verifyFolder(crowd.receiver.directory, folder);
    await crowd.receiver.clear();
    if (round > 0) shares.push(slowestShare(eachMs));
  }
  return { name, unit: "x", ...summarise(shares) };
}

/** Least speed by mean speed, of uploads of one size. */
function slowestShare(eachMs: readonly number[]): number {
  const speeds = eachMs.map((ms) => 1 / ms);
  const mean = speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length;
  return Math.min(...speeds) / mean;
}
