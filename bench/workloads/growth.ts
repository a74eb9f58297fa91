/**
 * How cost grows: time for each client over the number of clients at once, and for each file over
 * the number of files.
 *
 * @module
 */

import { compare } from "../compare.ts";
import { CLIENT_BYTES, Crowd, inletForMany, oneEach, pathsOf } from "../many.ts";
import type { Task } from "../driver.ts";
import type { Row, Section } from "../report.ts";
import type { SourceFolder } from "../workspace.ts";
import { SMALL_BYTES } from "./files.ts";
import type { Bench } from "./workload.ts";

/** Most parts of one run. */
const MAX_PARTS = 100;

/** What grows. */
interface Growth {
  name: string;
  title: string;
  what: string;
  /** Of the time for each. */
  unit: "ms" | "µs";
  /** The most of them. */
  most: number;
  /** Bytes of each file. */
  bytes: number;
  clients(paths: readonly string[]): Task["clients"];
  /** How many one run does, so many of them at a time. */
  sampled: number;
  /** From so many on the cost of each is to stay the same, up to a factor. */
  flat: { from: number; within: number };
}

/** From one client to many. */
export function growthClients(bench: Bench): Promise<Section> {
  return measureGrowth(bench, {
    name: "growth-clients",
    title: "growth-clients: time for each client, 1 MiB each, all at once",
    what: "clients",
    unit: "ms",
    most: bench.clients,
    bytes: CLIENT_BYTES,
    clients: oneEach,
    sampled: bench.clients,
    flat: { from: 10, within: 1.3 },
  });
}

/** From one file to ten times as many as the folder of small files has. */
export function growthFiles(bench: Bench): Promise<Section> {
  return measureGrowth(bench, {
    name: "growth-files",
    title: "growth-files: time for each file of 4 KiB, one client",
    what: "files",
    unit: "µs",
    most: 10 * bench.files,
    bytes: SMALL_BYTES,
    clients: (paths) => [paths],
    sampled: bench.files,
    flat: { from: 1000, within: 1.2 },
  });
}

/**
 * A driver and a server for each number, so that none pays for what another has left in memory. Each
 * run does the same amount, few at a time or many: a run of some milliseconds would tell how a
 * processor wakes up, and one that writes more how the system finds new pages.
 */
async function measureGrowth({ workspace, runs }: Bench, growth: Growth): Promise<Section> {
  const steps = new Map(
    powersOfTen(growth.most).map((count) => {
      const parts = Math.min(Math.ceil(growth.sampled / count), MAX_PARTS);
      const folder = workspace.folder(parts * count, growth.bytes);
      return [`${growth.what}: ${count.toLocaleString("en")}`, { count, folder }];
    }),
  );
  const section = await compare({
    name: growth.name,
    title: growth.title,
    runs,
    entrants: [...steps].map(([name, { count, folder }]) => ({
      name,
      needs: [],
      async enter(stack) {
        const crowd = new Crowd(await inletForMany(workspace, stack, "files"), "files", stack);
        return crowd.candidate(folder, parts(folder, count).map(growth.clients));
      },
    })),
    goals: [],
  });
  const rows = section.rows
    .map((row) => forEach(row, steps.get(row.name)!, growth.unit))
    .toReversed();
  const folders = new Set([...steps.values()].map(({ folder }) => folder));
  folders.forEach((folder) => workspace.dropFolder(folder));
  const flat = rows.filter(({ count }) => count! >= growth.flat.from).map(({ median }) => median);
  return {
    ...section,
    rows,
    figures: flat.length < 2 ? [] : [{
      what: `the dearest by the cheapest, from ${growth.flat.from} ${growth.what} on`,
      value: Math.max(...flat) / Math.min(...flat),
      unit: "x",
      goal: { atMost: growth.flat.within },
    }],
  };
}

/**
 * 1, 10, 100, up to a greatest one, the greatest first: one file took four times as long right after
 * ten thousand others had been removed.
 */
function powersOfTen(most: number): number[] {
  const exponents = Math.floor(Math.log10(most) + 1e-9);
  return Array.from({ length: exponents + 1 }, (_, exponent) => 10 ** exponent).toReversed();
}

/** The paths of a folder's files, so many at a time. */
function parts(folder: SourceFolder, count: number): string[][] {
  const paths = pathsOf(folder);
  return Array.from(
    { length: paths.length / count },
    (_, index) => paths.slice(index * count, (index + 1) * count),
  );
}

/** A time for all as a time for each. */
function forEach(
  { name, median, min, max, runs }: Row,
  { count, folder }: { count: number; folder: SourceFolder },
  unit: Growth["unit"],
): Row {
  const each = (ms: number): number => (unit === "µs" ? ms * 1e3 : ms) / folder.files.size;
  return {
    ...{ name, unit, count, runs },
    ...{ median: each(median), min: each(min), max: each(max) },
  };
}
