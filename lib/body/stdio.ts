/**
 * Reads and writes data on the standard streams.
 *
 * Calls are asynchronous, because a pipe can block, and neither the server nor the client's Ctrl-C
 * may wait for it. A file never blocks: if a stream turns out to be a file after the first
 * megabyte, its calls become synchronous, which saves a thread switch each.
 *
 * @module
 */

import { explain, InletError } from "../errors.ts";
import { writeAll, writeFully } from "./streams.ts";

/** Bytes after which it pays to find out whether a stream is a file. */
const MUCH_BYTES = 1024 * 1024;

/** Whether a standard stream is a file. */
class Kind {
  /** False until {@linkcode MUCH_BYTES} were transferred. */
  isFile = false;
  readonly #descriptor: number;
  #bytes = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Counts transferred bytes, and queries the stream once after {@linkcode MUCH_BYTES}. */
  async moved(bytes: number): Promise<void> {
    const before = this.#bytes;
    this.#bytes += bytes;
    if (before >= MUCH_BYTES || this.#bytes < MUCH_BYTES) return;
    // Deno's own API cannot tell.
    const { fstatSync } = await import("node:fs");
    this.isFile = fstatSync(this.#descriptor).isFile();
  }
}

const stdin = new Kind(0);
const stdout = new Kind(1);

/** Reads into a buffer. Returns the number of bytes, or `null` at the end. */
export async function readStdin(buffer: Uint8Array): Promise<number | null> {
  if (stdin.isFile) return Deno.stdin.readSync(buffer);
  const read = await Deno.stdin.read(buffer);
  await stdin.moved(read ?? 0);
  return read;
}

/**
 * Writes all bytes.
 *
 * @throws {InletError} `closed` if the reader closed the standard output; `no-space`
 */
export async function writeStdout(chunk: Uint8Array): Promise<void> {
  try {
    if (stdout.isFile) return writeFully(Deno.stdout, chunk);
    await writeAll(Deno.stdout, chunk);
    await stdout.moved(chunk.length);
  } catch (cause) {
    const what = "Cannot write to the standard output";
    if (!(cause instanceof Deno.errors.BrokenPipe)) throw explain(cause, what);
    throw new InletError("closed", `${what}: its reader has closed it`, { cause });
  }
}
