/**
 * Data on the standard streams: messages, answers, files that were got.
 *
 * Reads and writes are asynchronous: a pipe that nobody reads from holds up the one who writes, and
 * neither the rest of the server nor the client's Ctrl-C. A file never does that, so once much has
 * gone through, a stream that is a file is read and written at once, without a thread in between.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { writeFully } from "./streams.ts";

/** Bytes after which it pays to ask what a stream is. */
const MUCH_BYTES = 1024 * 1024;

/** What is known of a standard stream. */
class Kind {
  /** Whether it is a file. Not known before much has gone through. */
  isFile = false;
  readonly #descriptor: number;
  #bytes = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Notes that bytes went through, and asks once when they are many. */
  async moved(bytes: number): Promise<void> {
    const before = this.#bytes;
    this.#bytes += bytes;
    if (before >= MUCH_BYTES || this.#bytes < MUCH_BYTES) return;
    // Deno has no way of its own to ask.
    const { fstatSync } = await import("node:fs");
    this.isFile = fstatSync(this.#descriptor).isFile();
  }
}

const stdin = new Kind(0);
const stdout = new Kind(1);

/** Reads into a buffer. Gives the number of bytes, or `null` at the end. */
export async function readStdin(buffer: Uint8Array): Promise<number | null> {
  if (stdin.isFile) return Deno.stdin.readSync(buffer);
  const read = await Deno.stdin.read(buffer);
  await stdin.moved(read ?? 0);
  return read;
}

/**
 * Writes all bytes, however many writes that takes.
 *
 * @throws {InletError} `closed` if nobody reads the standard output any more; `no-space`
 */
export async function writeStdout(chunk: Uint8Array): Promise<void> {
  try {
    if (stdout.isFile) return writeFully(Deno.stdout, chunk);
    for (let written = 0; written < chunk.length;) {
      written += await Deno.stdout.write(written === 0 ? chunk : chunk.subarray(written));
    }
    await stdout.moved(chunk.length);
  } catch (cause) {
    const what = "Cannot write to the standard output";
    if (!(cause instanceof Deno.errors.BrokenPipe)) throw explain(cause, what);
    throw new InletError("closed", `${what}: whoever read it has gone`, { cause });
  }
}
