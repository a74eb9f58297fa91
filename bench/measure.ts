/**
 * Time, processor time and memory of whole processes, candidate beside candidate.
 *
 * Candidates take turns, A B A B, so that whatever else the machine does falls on all of them alike.
 * A first round is not counted: it warms caches and touches the pages of the file system for the
 * first time. Every run's output is checked.
 *
 * @module
 */

import { childless, cpuMs } from "./proc.ts";

/** One way to do the work that is measured. */
export interface Candidate {
  readonly name: string;
  /**
   * Processes that outlive a run: their processor time, and that of what they start, counts beside
   * that of the programs run.
   */
  readonly pids: readonly number[];
  /**
   * Makes a run ready, untimed. What it gives is timed, from its call until it settles; or it tells
   * the milliseconds itself, where a process that runs already does the work.
   */
  ready(): Promise<() => Promise<number | void>>;
  /** Removes what the last run left. */
  clear(): Promise<void>;
  /**
   * Compares what the run made with what it should have made.
   *
   * @throws {Error} if it differs
   */
  check(): Promise<void>;
}

/** One run. */
export interface Sample {
  ms: number;
  /** Processor time of all processes of the candidate, where the system tells it. */
  cpuMs: number | undefined;
}

/** What is told of several runs. */
export interface Summary {
  median: number;
  min: number;
  max: number;
  runs: number;
}

/** Median, least and greatest of at least one value. */
export function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const runs = sorted.length;
  const middle = runs >> 1;
  const median = runs % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted[runs - 1]!, runs };
}

/**
 * Runs candidates in turn, each so many times.
 *
 * @returns The counted runs of each, or why it dropped out.
 */
export async function alternate(
  candidates: readonly Candidate[],
  runs: number,
): Promise<Map<Candidate, Sample[] | Error>> {
  const results = new Map<Candidate, Sample[] | Error>(candidates.map((each) => [each, []]));
  for (let round = 0; round <= runs; round++) {
    for (const candidate of candidates) {
      const samples = results.get(candidate)!;
      if (samples instanceof Error) continue;
      try {
        // The leavings of the others too: every run begins with the same memory free.
        for (const each of candidates) await each.clear();
        const sample = await measure(candidate);
        await candidate.check();
        if (round > 0) samples.push(sample);
      } catch (error) {
        results.set(candidate, error as Error);
      }
    }
  }
  for (const each of candidates) await each.clear();
  return results;
}

async function measure(candidate: Candidate): Promise<Sample> {
  const action = await candidate.ready();
  const cpuBefore = cpuMs(candidate.pids);
  const start = performance.now();
  const told = await action();
  const ms = told ?? performance.now() - start;
  await childless(candidate.pids);
  const cpuAfter = cpuMs(candidate.pids);
  return {
    ms,
    cpuMs: cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore,
  };
}
