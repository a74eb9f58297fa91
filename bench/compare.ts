/**
 * Candidates against each other: those that can run, in turn, as one section of the report.
 *
 * @module
 */

import { alternate, type Candidate, type Sample, summarise } from "./measure.ts";
import { findProgram } from "./processes.ts";
import type { Figure, Row, Section } from "./report.ts";

/** A candidate that is not set up yet. */
export interface Entrant {
  name: string;
  /** Programs that it cannot do without. */
  needs: readonly string[];
  /** Starts what lives through all runs, and leaves it to the stack to end it. */
  enter(stack: AsyncDisposableStack): Promise<Omit<Candidate, "name">>;
}

/** What is hoped for, by the names of entrants: speed, or a share of the other's time. */
export type Goal =
  | { of: string; against: string; atLeast: number }
  | { of: string; against: string; atMostOfTime: number }
  | { of: string; underMs: number };

/** A program that is installed, and cannot run here. It is left out. */
export class Unavailable extends Error {}

/** What is compared. */
export interface Comparison {
  name: string;
  title: string;
  runs: number;
  /** Bytes that one run moves, where speed is of interest. */
  bytes?: number;
  /** Files that one run moves, where there are many. */
  files?: number;
  entrants: readonly Entrant[];
  goals: readonly Goal[];
}

/** Runs all entrants that can run, and leaves none of their programs behind. */
export async function compare(comparison: Comparison): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const candidates: Candidate[] = [];
  const skipped: string[] = [];
  const failed: string[] = [];
  for (const { name, needs, enter } of comparison.entrants) {
    const missing = await firstMissing(needs);
    if (missing) skipped.push(`${name}: ${missing} is not installed`);
    else {
      try {
        candidates.push({ name, ...await enter(stack) });
      } catch (error) {
        const { message } = error as Error;
        (error instanceof Unavailable ? skipped : failed).push(`${name}: ${message}`);
      }
    }
  }
  const rows: Row[] = [];
  for (const [{ name }, result] of await alternate(candidates, comparison.runs)) {
    if (result instanceof Error) failed.push(`${name}: ${result.message}`);
    else rows.push(rowOf(name, result, comparison));
  }
  const { name, title, goals } = comparison;
  return { name, title, rows, figures: figuresOf(rows, goals), skipped, failed };
}

async function firstMissing(programs: readonly string[]): Promise<string | undefined> {
  for (const program of programs) {
    if (await findProgram(program) === undefined) return program;
  }
  return undefined;
}

function rowOf(
  name: string,
  samples: readonly Sample[],
  { bytes, files }: Pick<Comparison, "bytes" | "files">,
): Row {
  const time = summarise(samples.map(({ ms }) => ms));
  const known = samples.map(({ cpuMs }) => cpuMs).filter((ms) => ms !== undefined);
  const cpuMs = known.length > 0 ? summarise(known).median : undefined;
  return {
    name,
    unit: "ms",
    ...time,
    ...(bytes !== undefined && { megabytesPerSecond: bytes / 1e3 / time.median }),
    ...(files !== undefined && { filesPerSecond: files * 1e3 / time.median }),
    ...(cpuMs !== undefined && { cpuMs }),
    ...(cpuMs !== undefined && bytes !== undefined && {
      cpuSecondsPerGibibyte: cpuMs / 1e3 / (bytes / 2 ** 30),
    }),
  };
}

/** The goals whose entrants all ran. */
function figuresOf(rows: readonly Row[], goals: readonly Goal[]): Figure[] {
  const medianOf = (name: string): number => rows.find((row) => row.name === name)?.median ?? NaN;
  return goals.map((goal): Figure => {
    const value = medianOf(goal.of);
    if ("underMs" in goal) {
      return { what: goal.of, value, unit: "ms", goal: { under: goal.underMs } };
    }
    if ("atMostOfTime" in goal) {
      return {
        what: `${goal.of}, its time against that of ${goal.against}`,
        value: value / medianOf(goal.against),
        unit: "x",
        goal: { atMost: goal.atMostOfTime },
      };
    }
    return {
      what: `${goal.of}, against ${goal.against}`,
      value: medianOf(goal.against) / value,
      unit: "x",
      goal: { atLeast: goal.atLeast },
    };
  }).filter(({ value }) => !Number.isNaN(value));
}
