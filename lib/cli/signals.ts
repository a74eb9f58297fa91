/**
 * The signals that ask a program to stop: the first one lets it tidy, a later one ends it at once.
 *
 * `deno task` passes Ctrl-C on to a program that the terminal has signalled already, so one key
 * press arrives twice within a millisecond. Signals that close together therefore count as one.
 *
 * @module
 */

/** Milliseconds within which a further signal belongs to the first. */
const SAME_MS = 500;

/** What a program does when it is asked to stop. */
export interface StopActions {
  /** Begins an orderly end. Called once. */
  stop(): void;
  /** Tidies up in a hurry, and returns the exit code. The process ends right after. */
  force(): Promise<number>;
}

/** Calls one of the actions for each signal that asks this program to stop. */
export function onStopSignals({ stop, force }: StopActions): void {
  let first: number | undefined;
  const handle = (): void => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      return stop();
    }
    if (now - first >= SAME_MS) force().then(Deno.exit);
  };
  for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, handle);
  if (Deno.build.os === "windows") return;
  Deno.addSignalListener("SIGHUP", ignoresHangUp ? () => {} : handle);
}

/** Found out at once: with any listener, Deno lets SIGHUP end a program that ignored it until then. */
const ignoresHangUp = isHangUpIgnored();

/** The signals that ask a program to stop, on this system. */
export const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/**
 * Whether the program was told to outlive its terminal, as by nohup, which leaves no stream on a
 * terminal. Only Linux tells, and only a program that has every permission.
 */
function isHangUpIgnored(): boolean {
  if ([Deno.stdin, Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal())) return false;
  try {
    const [, ignored] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(
      Deno.readTextFileSync("/proc/self/status"),
    )!;
    return Number.parseInt(ignored!.at(-1)!, 16) % 2 === 1;
  } catch {
    return false;
  }
}
