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

/** The signals that ask a program to stop, each with the exit code that shells give for it. */
const EXIT_CODES: Partial<Record<Deno.Signal, number>> = Deno.build.os === "windows"
  ? { SIGINT: 130, SIGBREAK: 130 }
  : { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/** What a program does when it is asked to stop. */
export interface StopActions {
  /** Begins an orderly end. Called once. */
  stop(): void;
  /** Tidies up in a hurry, and returns the exit code. The process ends right after. */
  force(): Promise<number>;
  /** What SIGHUP does to a program without a terminal. If it is missing, SIGHUP stops that too. */
  reload?(): void;
}

/** The signal that stopped the program. Ctrl-C at a prompt is a key, and stops it as SIGINT does. */
let stoppedBy: Deno.Signal = "SIGINT";

/** Calls one of the actions for each signal that asks this program to stop. */
export function onStopSignals({ stop, force, reload }: StopActions): void {
  let first: number | undefined;
  listenToStops((signal) => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      stoppedBy = signal;
      return stop();
    }
    if (now - first >= SAME_MS) force().then((code) => Deno.exit(signalled(code)));
  }, hasTerminal ? undefined : reload);
}

/**
 * Calls a function for each signal that asks this program to stop.
 *
 * @param onHangUp Called for SIGHUP instead.
 */
export function listenToStops(
  handle: (signal: Deno.Signal) => void,
  onHangUp: (() => void) | undefined = ignoresHangUp ? () => {} : undefined,
): void {
  for (const signal of Object.keys(EXIT_CODES) as Deno.Signal[]) {
    const other = signal === "SIGHUP" ? onHangUp : undefined;
    Deno.addSignalListener(signal, other ?? (() => handle(signal)));
  }
}

/** The exit code of a program: for one that was interrupted, that of the signal. */
export function signalled(code: number): number {
  return code === INTERRUPTED ? EXIT_CODES[stoppedBy]! : code;
}

/** The exit code of a program that Ctrl-C stopped. */
export const INTERRUPTED = 130;

/** Whether closing a terminal can be why SIGHUP comes. */
const hasTerminal = [Deno.stdin, Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal());

/** Found out at once: with any listener, Deno lets SIGHUP end a program that ignored it until then. */
const ignoresHangUp = isHangUpIgnored();

/**
 * Whether the program was told to outlive its terminal, as by nohup, which leaves no stream on a
 * terminal. Only Linux tells, and only a program that has every permission.
 */
function isHangUpIgnored(): boolean {
  if (hasTerminal) return false;
  try {
    const [, ignored] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(
      Deno.readTextFileSync("/proc/self/status"),
    )!;
    return Number.parseInt(ignored!.at(-1)!, 16) % 2 === 1;
  } catch {
    return false;
  }
}
