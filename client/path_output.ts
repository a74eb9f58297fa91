/**
 * Writes a download to a pipe or a device of this machine.
 *
 * A pipe blocks for as long as its reader likes, when it is opened and at every write. Both happen in
 * threads, and a download that is stopped does not wait for them.
 *
 * @module
 */

import { unlessAborted, waitFor, type Waiting } from "../lib/body/pipe.ts";
import { writeAll } from "../lib/body/streams.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import type { Received } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { openScreen, OutputTarget } from "./output.ts";
import { pathError } from "./save_path.ts";

/** Options of {@linkcode PathOutput.open}. */
export interface PathOutputOptions extends Waiting {
  /** Whether a terminal gets the exact bytes. */
  raw?: boolean | undefined;
}

/** A download to a pipe or a device. What was written can be continued, but not taken back. */
export class PathOutput extends OutputTarget implements Disposable {
  readonly isTerminal: boolean;
  readonly #file: Deno.FsFile;
  readonly #finish: () => Promise<void>;

  private constructor(
    name: string,
    file: Deno.FsFile,
    write: (chunk: Uint8Array) => Promise<void>,
    finish: () => Promise<void>,
  ) {
    super(name, write);
    this.isTerminal = file.isTerminal();
    this.#file = file;
    this.#finish = finish;
  }

  /**
   * Opens it, and waits until a pipe has a reader.
   *
   * @param name The file that is downloaded, for messages.
   * @throws {InletError} `local-disk`; `usage` if Deno does not permit it
   */
  static async open(
    name: string,
    path: string,
    { raw, ...waiting }: PathOutputOptions,
  ): Promise<PathOutput> {
    const { signal } = waiting;
    const file = await openPath(path, waiting);
    const write = (chunk: Uint8Array): Promise<void> => writeTo(file, path, chunk, signal);
    if (raw || !file.isTerminal()) {
      return new PathOutput(name, file, write, () => Promise.resolve());
    }
    const screen = await openScreen(write);
    return new PathOutput(name, file, (chunk) => screen.write(chunk), () => screen.end());
  }

  /** Writes what is left at the end of a download. */
  async finish(): Promise<void> {
    await this.#finish();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Downloads a file to it. A lost connection can be continued with the same stream. */
export async function getToStream(
  client: FilesClient,
  name: string,
  stream: PathOutput,
  signal?: AbortSignal,
): Promise<Received> {
  await client.pause(stream.settled());
  const received = await client.get(name, stream, signal);
  await stream.finish();
  return received;
}

async function openPath(path: string, waiting: Waiting): Promise<Deno.FsFile> {
  const what = `Cannot write to ${quoted(path)}`;
  const opening = Deno.open(path, { write: true });
  const text = `Waiting for a reader of ${quoted(path)}`;
  try {
    const file = await waitFor(opening, text, waiting, (file) => file.close());
    // It was a pipe when it was looked at. What is there now is replaced by nothing.
    if (!file.statSync().isFile) return file;
    file.close();
    throw new InletError("local-disk", `${what}: another program put a file there`);
  } catch (error) {
    throw pathError(error, what);
  }
}

async function writeTo(
  file: Deno.FsFile,
  path: string,
  chunk: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    // A copy: a write that is left behind must not come upon the bytes of another download.
    await unlessAborted(writeAll(file, chunk.slice()), signal);
  } catch (error) {
    const what = `Cannot write to ${quoted(path)}`;
    if (!(error instanceof Deno.errors.BrokenPipe)) throw pathError(error, what);
    throw new InletError("local-disk", `${what}: its reader has closed it`, { cause: error });
  }
}
