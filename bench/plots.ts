/**
 * The plots of a run, as the README shows them.
 *
 * @module
 */

import { formatBytes } from "../lib/text.ts";
import { ROOT } from "../tests/helpers.ts";
import type { Row, Section } from "./report.ts";
import { type Bar, bars, line, type Panel, picture } from "./svg.ts";

/** What a run of everything leaves in results.json. */
export interface Results {
  date: string;
  machine: Record<string, string>;
  /** Counted runs of each candidate. */
  runs: number;
  /** Bytes of the big file. */
  size: number;
  /** How many small files there were. */
  files: number;
  /** How many clients there were at once. */
  clients: number;
  sections: Section[];
}

/** Draws docs/bench-speed.svg and docs/bench-growth.svg. A workload that failed is left out. */
export function drawPlots(results: Results): void {
  const { files, clients, size, sections } = results;
  const rowsOf = (name: string): readonly Row[] =>
    sections.find((section) => section.name === name)?.rows ?? [];
  const run = `median of ${results.runs}, ${Object.values(results.machine).slice(1).join(", ")}`;
  const speed = [
    barsOf(rowsOf("put"), `One file of ${formatBytes(size)}`, run, "megabytesPerSecond", "MB/s"),
    barsOf(rowsOf("files"), `${number(files)} files of 4 KiB`, run, "filesPerSecond", "files/s"),
    barsOf(
      rowsOf("clients"),
      `${number(clients)} clients at once, 1 MiB each`,
      run,
      "megabytesPerSecond",
      "MB/s",
    ),
  ];
  write("bench-speed.svg", "How fast inlet is beside other programs", speed);
  const growth = [
    lineOf(rowsOf("growth-files"), "Time for each file", "4 KiB each, one client", "files"),
    lineOf(rowsOf("growth-clients"), "Time for each client", "1 MiB each", "clients at once"),
  ];
  write("bench-growth.svg", "How the cost of each file and of each client grows", growth);
}

function barsOf(
  rows: readonly Row[],
  title: string,
  run: string,
  speed: "megabytesPerSecond" | "filesPerSecond",
  unit: string,
): Panel | undefined {
  const data = rows.filter((row) => row[speed] !== undefined).map((row): Bar => ({
    name: row.name,
    value: row[speed]!,
    label: `${number(row[speed]!)} ${unit}`,
    ours: row.name.startsWith("inlet"),
  }));
  return data.length > 0 ? bars(title, `${unit}, longer is faster; ${run}`, data) : undefined;
}

function lineOf(
  rows: readonly Row[],
  title: string,
  what: string,
  xLabel: string,
): Panel | undefined {
  if (rows.length === 0) return undefined;
  const points = rows.map(({ count, median, unit }) => ({
    x: count!,
    y: median,
    label: `${median < 10 ? median.toFixed(1) : number(median)} ${unit}`,
  }));
  return line(
    title,
    `${rows[0]!.unit}, lower is better, both axes by factors of ten; ${what}`,
    xLabel,
    points,
  );
}

function write(name: string, description: string, panels: readonly (Panel | undefined)[]): void {
  const drawn = panels.filter((panel) => panel !== undefined);
  if (drawn.length === 0) return;
  Deno.writeTextFileSync(new URL(`docs/${name}`, ROOT), picture(description, drawn));
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}
