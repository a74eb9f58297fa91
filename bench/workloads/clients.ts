/**
 * Many clients at once, each with a file of 1 MiB.
 *
 * @module
 */

import { compare, type Entrant } from "../compare.ts";
import { CLIENT_BYTES, Crowd, inletForMany, oneEach, pathsOf, pythonForMany } from "../many.ts";
import { summarise } from "../measure.ts";
import type { Receiver } from "../peers.ts";
import { peakBytes } from "../proc.ts";
import type { Figure, Row, Section } from "../report.ts";
import type { Bench } from "./workload.ts";

const PUT = "inlet put, verified";
const UPLOAD = "inlet, upload wire";
const PYTHON = "Python, upload wire, threads";

const MEGABYTE = 1e6;
const GOAL_MEGABYTES = 300;

/** Time of many clients at once, driven by the same process for all servers, and their memory. */
export async function clients({ workspace, runs, clients }: Bench): Promise<Section> {
  const folder = workspace.folder(clients, CLIENT_BYTES);
  const peaks = new Map<string, number[]>();
  const entrant = (
    name: string,
    mode: string,
    needs: readonly string[],
    serve: (stack: AsyncDisposableStack) => Promise<Receiver>,
  ): Entrant => ({
    name,
    needs,
    async enter(stack) {
      const receiver = await serve(stack);
      const candidate = new Crowd(receiver, mode, stack).candidate(folder, [
        oneEach(pathsOf(folder)),
      ]);
      return {
        ...candidate,
        async check() {
          const peak = peakBytes(receiver.pids[0]!);
          if (peak !== undefined) peaks.set(name, [...peaks.get(name) ?? [], peak / MEGABYTE]);
          await candidate.check();
        },
      };
    },
  });
  const section = await compare({
    name: "clients",
    title: `clients: ${clients.toLocaleString("en")} at once, 1 MiB each`,
    runs,
    bytes: clients * CLIENT_BYTES,
    entrants: [
      entrant(PUT, "files", [], (stack) => inletForMany(workspace, stack, "files")),
      entrant(UPLOAD, "upload", [], (stack) => inletForMany(workspace, stack, "upload")),
      entrant(PYTHON, "upload", ["python3"], (stack) => pythonForMany(workspace, stack)),
    ],
    goals: [
      { of: PUT, against: PYTHON, atLeast: 1 },
      { of: UPLOAD, against: PYTHON, atLeast: 1 },
    ],
  });
  workspace.dropFolder(folder);
  const memory = [...peaks].map(([name, megabytes]): Row => ({
    name: `memory of the server: ${name}`,
    unit: "MB",
    ...summarise(megabytes),
  }));
  const figures = memory.filter(({ name }) => !name.endsWith(PYTHON)).map((
    { name, max },
  ): Figure => ({
    what: name,
    value: max,
    unit: "MB",
    goal: { under: GOAL_MEGABYTES },
  }));
  return {
    ...section,
    rows: [...section.rows, ...memory],
    figures: [...section.figures, ...figures],
  };
}
