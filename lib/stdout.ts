/**
 * Data on the standard output: received messages, answers, files that were got.
 *
 * Writes are asynchronous: a pipe that nobody reads from holds up the one who writes, and neither
 * the rest of the server nor the client's Ctrl-C.
 *
 * @module
 */

import { explain, InletError } from "./errors.ts";

/**
 * Writes all bytes, however many writes that takes.
 *
 * @throws {InletError} `closed` if nobody reads the standard output any more; `no-space`
 */
export async function writeStdout(chunk: Uint8Array): Promise<void> {
  try {
    for (let written = 0; written < chunk.length;) {
      written += await Deno.stdout.write(written === 0 ? chunk : chunk.subarray(written));
    }
  } catch (cause) {
    const what = "Cannot write to the standard output";
    if (!(cause instanceof Deno.errors.BrokenPipe)) throw explain(cause, what);
    throw new InletError("closed", `${what}: whoever read it has gone`, { cause });
  }
}
