/**
 * What Linux tells of processes in /proc: processor time and memory. Elsewhere it is unknown.
 *
 * @module
 */

/** Milliseconds in one of the system's clock ticks, as /proc counts them. */
const TICK_MS = 10;

/** Where /proc/PID/stat has user time, counted after the program's name. System time is next. */
const OWN_TIME = 11;

/** The same of children that have ended. */
const CHILDREN_TIME = 13;

/** How long a child of a server may take to end after its client has, in milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * Processor time in milliseconds of these processes and of their children that have ended, and of
 * all children of ours that have ended.
 */
export function cpuMs(pids: readonly number[]): number | undefined {
  const ended = ticks("self", CHILDREN_TIME);
  const running = pids.flatMap((pid) => [ticks(pid, OWN_TIME), ticks(pid, CHILDREN_TIME)]);
  const all = [ended, ...running];
  return all.every((each) => each !== undefined)
    ? all.reduce((sum, each) => sum + each, 0) * TICK_MS
    : undefined;
}

/**
 * Waits until these processes have no children: a server that forks for each client knows what that
 * took only once the child has ended.
 */
export async function childless(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  const busy = (pid: number): boolean => (procFile(pid, `task/${pid}/children`) ?? "") !== "";
  while (pids.some(busy) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
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
