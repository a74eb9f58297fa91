/**
 * Many clients at once, each with a file of 1 MiB.
 *
 * @module
 */

import { compare, type Entrant, type Goal } from "../compare.ts";
import { type Key, makeKey } from "../keys.ts";
import { CLIENT_BYTES, Crowd, inletForMany, oneEach, pathsOf, pythonForMany } from "../many.ts";
import { summarise } from "../measure.ts";
import type { Receiver } from "../peers.ts";
import { peakBytes } from "../proc.ts";
import type { Figure, Row, Section } from "../report.ts";
import type { Bench } from "./workload.ts";

const PUT = "inlet put, verified";
const TLS = "inlet put over TLS";
const UPLOAD = "inlet, upload wire";
const PYTHON = "Python, upload wire, threads";

const MEGABYTE = 1e6;

/** One kind of server, and how its clients talk to it. */
interface Served {
  name: string;
  mode: string;
  needs?: readonly string[];
  key?: string;
  serve(stack: AsyncDisposableStack): Promise<Receiver>;
}

/** Servers beside each other. */
interface Crowds {
  name: string;
  title: string;
  served: readonly Served[];
  goals: readonly Goal[];
  /** Under which the memory of our servers is to stay. */
  goalMegabytes: number;
}

/** Time of many clients at once, driven by the same process for all servers, and their memory. */
export function clients(bench: Bench): Promise<Section> {
  const { workspace } = bench;
  return measureCrowds(bench, {
    name: "clients",
    title: `clients: ${bench.clients.toLocaleString("en")} at once, 1 MiB each`,
    served: [
      { name: PUT, mode: "files", serve: (stack) => inletForMany(workspace, stack, "files") },
      { name: UPLOAD, mode: "upload", serve: (stack) => inletForMany(workspace, stack, "upload") },
      {
        name: PYTHON,
        mode: "upload",
        needs: ["python3"],
        serve: (stack) => pythonForMany(workspace, stack),
      },
    ],
    goals: [
      { of: PUT, against: PYTHON, atLeast: 1 },
      { of: UPLOAD, against: PYTHON, atLeast: 1 },
    ],
    goalMegabytes: 300,
  });
}

/** The same over TLS, beside the same server without a key. */
export async function tlsClients(bench: Bench): Promise<Section> {
  const { workspace } = bench;
  const { text, args }: Key = await makeKey(workspace);
  return await measureCrowds(bench, {
    name: "tls-clients",
    title: `tls-clients: ${bench.clients.toLocaleString("en")} at once, 1 MiB each, over TLS`,
    served: [
      {
        name: TLS,
        mode: "files",
        key: text,
        serve: (stack) => inletForMany(workspace, stack, "files", args),
      },
      { name: PUT, mode: "files", serve: (stack) => inletForMany(workspace, stack, "files") },
    ],
    goals: [],
    goalMegabytes: 400,
  });
}

async function measureCrowds(
  { workspace, runs, clients }: Bench,
  { name, title, served, goals, goalMegabytes }: Crowds,
): Promise<Section> {
  const folder = workspace.folder(clients, CLIENT_BYTES);
  const peaks = new Map<string, number[]>();
  const entrant = ({ name, mode, needs = [], key, serve }: Served): Entrant => ({
    name,
    needs,
    async enter(stack) {
      const receiver = await serve(stack);
      const candidate = new Crowd(receiver, mode, stack, key).candidate(folder, [
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
    name,
    title,
    runs,
    bytes: clients * CLIENT_BYTES,
    entrants: served.map(entrant),
    goals,
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
    goal: { under: goalMegabytes },
  }));
  return {
    ...section,
    rows: [...section.rows, ...memory],
    figures: [...section.figures, ...figures],
  };
}
