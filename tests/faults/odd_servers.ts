/**
 * Starts tests/faults/odd_server.ts.
 *
 * @module
 */

import { scriptPath } from "../helpers.ts";
import { ROOT, Running } from "../helpers.ts";
import type { ServerOnTrial } from "./trial.ts";

/** A server on a disk that gives every lock. */
export interface OddServer extends ServerOnTrial, AsyncDisposable {
  readonly running: Running;
  /** How often it has swept so far. */
  readonly sweeps: number;
  /**
   * Ends its sweeps: each makes a file for a moment, which looks like one in flight. Gives how often it
   * swept.
   */
  end(): Promise<number>;
}

/** Starts such a server. */
export async function startOddServer(dir: string): Promise<OddServer> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("tests/faults/odd_server.ts"), dir],
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
    get sweeps(): number {
      return Number([...running.log.matchAll(/^count: (\d+)$/gm)].at(-1)?.[1] ?? 0);
    },
    async end(): Promise<number> {
      await process.stdin.close();
      return Number((await running.says(/^count: (\d+) in all$/))[1]);
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
