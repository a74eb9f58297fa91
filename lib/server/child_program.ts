/**
 * A program that a server runs: for a limited time, with an environment of its own and without input.
 * Of what it prints only the beginning is kept.
 *
 * @module
 */

import { firstBytes, type Printed } from "../body/first_bytes.ts";
import { AwakeTimer } from "../net/awake.ts";

/** Bytes that are kept of each of its outputs. */
const MAX_OUTPUT_BYTES = 4096;

/** Milliseconds that a program has to end once it is told to. */
const KILL_AFTER_MS = 2000;

/** Milliseconds, while this process runs, in which the last output of a program arrives that has ended. */
const OUTPUT_MS = 250;

/**
 * Whether a program leads a process group of its own where it can be told to end with it. With one it
 * takes several times as long to start, as Deno copies this process for it.
 */
const signalsGroups = Deno.build.os !== "windows" && maySignal();

/** Whether Ctrl-C would end the programs of this process group with it, which waits for them. */
const hasTerminal = [Deno.stdin, Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal());

/** Why a program was told to end. */
export type Why = "timeout" | "abort";

/** How a program has ended. */
export interface Ended {
  readonly code: number;
  readonly signal: string | null;
  /** Why it was told to end, if it was. */
  readonly why: Why | undefined;
  /** Its stdout and its stderr. */
  readonly outputs: readonly Printed[];
}

/** How a program is run. */
export interface RunOptions {
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Tells it to end. */
  readonly signal: AbortSignal;
}

/**
 * Runs a program until it ends. It is told to end by SIGTERM, and killed two seconds later. With it go
 * all that it has started, if Deno permits that: with `--allow-run=PROGRAM` it permits signals to the
 * program alone. What it leaves running when it ends by itself is not waited for.
 *
 * @throws what Deno throws for a program that cannot be started
 */
export async function runProgram(
  [program, ...args]: readonly [string, ...string[]],
  { env, timeoutMs, signal }: RunOptions,
): Promise<Ended> {
  const child = new Deno.Command(program, {
    ...{ args, env: { ...env }, clearEnv: true, detached: signalsGroups || hasTerminal },
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
  }).spawn();
  const over = new AbortController();
  const outputs = [child.stdout, child.stderr].map((stream) =>
    firstBytes(stream, MAX_OUTPUT_BYTES, over.signal)
  );
  let why: Why | undefined;
  let killing: ReturnType<typeof setTimeout> | undefined;
  const end = (reason: Why): void => {
    if (why !== undefined) return;
    why = reason;
    signalGroup(child, "SIGTERM");
    killing = setTimeout(() => signalGroup(child, "SIGKILL"), KILL_AFTER_MS);
  };
  const onAbort = (): void => end("abort");
  const timeout = setTimeout(() => end("timeout"), timeoutMs);
  signal.addEventListener("abort", onAbort);
  const { code, signal: by } = await child.status;
  signal.removeEventListener("abort", onAbort);
  clearTimeout(timeout);
  clearTimeout(killing);
  // Those of its group that have outlived it.
  if (why !== undefined) signalGroup(child, "SIGKILL");
  using _ = new AwakeTimer(OUTPUT_MS, () => over.abort());
  return { code, signal: by, why, outputs: await Promise.all(outputs) };
}

/** Sends a signal to a program, and to its process group if that is permitted. */
function signalGroup(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    if (signalsGroups) Deno.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // It has ended already.
  }
}

/** Whether Deno lets this process send signals to others than its children. */
function maySignal(): boolean {
  const { state, partial } = Deno.permissions.querySync({ name: "run" });
  return state === "granted" && !partial;
}
