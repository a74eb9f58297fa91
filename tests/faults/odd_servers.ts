/**
 * Starts tests/faults/odd_server.ts.
 *
 * @module
 */

import { scriptPath } from "../helpers.ts";
import { ROOT, Running } from "../helpers.ts";
import type { ServerOnTrial } from "./trial.ts";

/** A server on an odd disk. */
export interface OddServer extends ServerOnTrial, AsyncDisposable {
  readonly running: Running;
  /** Ends it. Gives how often its disk stalled, or how often it swept. */
  end(): Promise<number>;
}

/** Starts a server on a disk that is `stalling` or `unlocked`. */
export async function startOddServer(
  dir: string,
  disk: "stalling" | "unlocked",
  seed: number,
): Promise<OddServer> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("tests/faults/odd_server.ts"), dir, disk, String(seed)],
    cwd: ROOT,
    stdin: "piped",
    stderr: "piped",
  }).spawn();
  const running = new Running(process);
  const [, port] = await running.says(/listening on \S+:(\d+)/);
  return {
    port: Number(port),
    dir,
    pid: process.pid,
    running,
    async end(): Promise<number> {
      await process.stdin.close();
      await process.status;
      return Number((await running.says(/^count: (\d+)/))[1]);
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
