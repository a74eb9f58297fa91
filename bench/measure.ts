/**
 * Time, processor time and memory of whole processes, candidate beside candidate.
 *
 * Candidates take turns, A B A B, so that whatever else the machine does falls on all of them alike.
 * A first round is not counted: it warms caches, touches the pages of the file system for the first
 * time, and is where each candidate's output is checked.
 *
 * @module
 */

/** One way to do the work that is measured. */
export interface Candidate {
  readonly name: string;
  /** Servers that outlive a run: their processor time counts beside that of the programs run. */
  readonly pids: readonly number[];
  /** Makes a run ready, untimed. What it gives is timed, from its call until it settles. */
  ready(): Promise<() => Promise<void>>;
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
        if (round === 0) await candidate.check();
        else samples.push(sample);
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
  await action();
  const ms = performance.now() - start;
  const cpuAfter = cpuMs(candidate.pids);
  return {
    ms,
    cpuMs: cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore,
  };
}

/** Milliseconds in one of the system's clock ticks, as /proc counts them. */
const TICK_MS = 10;

/** Where /proc/PID/stat has user time, counted after the program's name. System time is next. */
const OWN_TIME = 11;

/** The same of children that have ended. */
const CHILDREN_TIME = 13;

/** Processor time of these processes, and of all children of ours that have ended. */
function cpuMs(pids: readonly number[]): number | undefined {
  const ended = ticks("self", CHILDREN_TIME);
  const running = pids.map((pid) => ticks(pid, OWN_TIME));
  const all = [ended, ...running];
  return all.every((each) => each !== undefined)
    ? all.reduce((sum, each) => sum + each, 0) * TICK_MS
    : undefined;
}

/** User and system time of a process, in clock ticks. */
function ticks(pid: number | "self", index: number): number | undefined {
  const stat = procFile(pid, "stat");
  // The name stands in brackets, and may contain spaces.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields && Number(fields[index]) + Number(fields[index + 1]);
}

/** Most memory that a running process has had resident, in bytes, where the system tells it. */
export function peakBytes(pid: number): number | undefined {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(procFile(pid, "status") ?? "")?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

/** The same of a process that ends, looked at again and again until it has. */
export async function peakBytesUntilEnd(child: Deno.ChildProcess): Promise<number | undefined> {
  let peak: number | undefined;
  const timer = setInterval(() => peak = peakBytes(child.pid) ?? peak, 10);
  await child.status;
  clearInterval(timer);
  return peak;
}

/** Memory that programs can still have, in bytes, where the system tells it. */
export function availableBytes(): number | undefined {
  try {
    const meminfo = Deno.readTextFileSync("/proc/meminfo");
    return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1]) * 1024;
  } catch {
    return undefined;
  }
}

function procFile(pid: number | "self", name: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch {
    // Not Linux, or the process has ended.
    return undefined;
  }
}
