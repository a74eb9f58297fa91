/**
 * What a benchmark found: rows of figures, and ratios beside what is hoped for. Nothing is asserted.
 *
 * @module
 */

import type { Summary } from "./measure.ts";

/** Of what is measured. `x` is a ratio: 2 is twice as much. */
export type Unit = "ms" | "µs" | "kB" | "MB" | "x";

/** How one candidate did. */
export interface Row extends Summary {
  readonly name: string;
  readonly unit: Unit;
  /** Millions of bytes a second, where bytes were moved. */
  readonly megabytesPerSecond?: number;
  readonly filesPerSecond?: number;
  /** Median of the processor time of all its processes, in milliseconds. */
  readonly cpuMs?: number;
  /** The same in seconds for each GiB moved. */
  readonly cpuSecondsPerGibibyte?: number;
  /** How many files or clients there were, where the figure is for each of them. */
  readonly count?: number;
}

/** One figure beside its goal. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: Unit;
  readonly goal:
    | { readonly atLeast: number }
    | { readonly atMost: number }
    | { readonly under: number };
}

/** Everything that one workload found. */
export interface Section {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly Row[];
  readonly figures: readonly Figure[];
  /** What was left out, and why. */
  readonly skipped: readonly string[];
  /** What did not work. */
  readonly failed: readonly string[];
}

const HEADINGS = ["", "median", "least", "most", "MB/s", "files/s", "CPU", "CPU s/GiB"];

/** Below this a tenth is worth telling. */
const SMALL = 10;

/** A section as a table for a person. */
export function formatSection(section: Section): string {
  const rows = section.rows.map(cells);
  const filled = (column: number): boolean => rows.some((row) => row[column] !== "");
  const table = [HEADINGS, ...rows].map((row) => row.filter((_, column) => filled(column)));
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => row[column]!.length))
  );
  const lines = table.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  );
  return [
    section.title,
    ...(section.rows.length > 0 ? lines : []).map((line) => `  ${line}`),
    ...section.figures.map((figure) => `  ${formatFigure(figure)}`),
    ...section.skipped.map((words) => `  skipped: ${words}`),
    ...section.failed.map((words) => `  FAILED: ${words}`),
    "",
  ].join("\n");
}

function cells(row: Row): string[] {
  const number = (value: number): string => formatNumber(value, row.unit);
  return [
    row.name,
    `${number(row.median)} ${row.unit}`,
    number(row.min),
    number(row.max),
    row.megabytesPerSecond?.toFixed(0) ?? "",
    row.filesPerSecond?.toFixed(0) ?? "",
    row.cpuMs === undefined ? "" : `${row.cpuMs.toFixed(0)} ms`,
    row.cpuSecondsPerGibibyte?.toFixed(2) ?? "",
  ];
}

function formatFigure({ what, value, unit, goal }: Figure): string {
  const shown = unit === "x" ? `${value.toFixed(2)}x` : `${formatNumber(value, unit)} ${unit}`;
  const [words, limit] = Object.entries(goal)[0]!;
  const hoped = `${words.replace("at", "at ").toLowerCase()} ${limit}`;
  return `${what}: ${shown} (goal: ${hoped})`;
}

function formatNumber(value: number, unit: Unit): string {
  if (unit === "x") return value.toFixed(2);
  return value.toFixed(unit === "kB" || unit === "MB" || value < SMALL ? 1 : 0);
}
