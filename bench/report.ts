/**
 * What a benchmark found: rows of figures, and ratios beside what is hoped for. Nothing is asserted.
 *
 * @module
 */

import type { Summary } from "./measure.ts";

/** How one candidate did. */
export interface Row extends Summary {
  readonly name: string;
  readonly unit: "ms" | "MB";
  /** Millions of bytes a second, where bytes were moved. */
  readonly megabytesPerSecond?: number;
  /** Median of the processor time of all its processes, in milliseconds. */
  readonly cpuMs?: number;
}

/** One figure beside its goal. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  /** `x` is a ratio of speeds: 2 is twice as fast. */
  readonly unit: "x" | "ms" | "MB";
  readonly goal: { readonly atLeast: number } | { readonly under: number };
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

const HEADINGS = ["", "median", "least", "most", "MB/s", "CPU"];

/** Milliseconds below which a tenth of one is worth telling. */
const SMALL_MS = 10;

/** A section as a table for a person. */
export function formatSection(section: Section): string {
  const table = [HEADINGS, ...section.rows.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
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
    row.cpuMs === undefined ? "" : `${row.cpuMs.toFixed(0)} ms`,
  ];
}

function formatFigure({ what, value, unit, goal }: Figure): string {
  const shown = unit === "x" ? `${value.toFixed(2)}x` : `${formatNumber(value, unit)} ${unit}`;
  const hoped = "atLeast" in goal ? `at least ${goal.atLeast}` : `under ${goal.under}`;
  return `${what}: ${shown} (goal: ${hoped})`;
}

function formatNumber(value: number, unit: Row["unit"]): string {
  return value.toFixed(unit === "MB" || value < SMALL_MS ? 1 : 0);
}
