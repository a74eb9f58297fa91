/**
 * Writes a download to a pipe or a device of this machine.
 *
 * A pipe blocks for as long as its reader likes, when it is opened and at every write. Both happen in
 * threads, and a download that is stopped does not wait for them.
 *
 * @module
 */

import { writeAll } from "../lib/body/streams.ts";
import { InletError } from "../lib/errors.ts";
import { quoted } from "../lib/text.ts";
import type { Received } from "../modes/files/answers.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { openScreen, OutputTarget } from "./output.ts";
import { pathError } from "./save_path.ts";

/** Milliseconds after which a pipe that is not open yet has no reader. */
const SOON_MS = 300;

/** Options of {@linkcode PathOutput.open}. */
export interface PathOutputOptions {
  /** Ends every wait, with its reason. */
  signal?: AbortSignal | undefined;
  /** Whether a terminal gets the exact bytes. */
  raw?: boolean | undefined;
  /** Called with a notice while the pipe has no reader. */
  onNotice?: ((text: string) => void) | undefined;
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
    { signal, raw, onNotice }: PathOutputOptions,
  ): Promise<PathOutput> {
    const file = await openPath(path, signal, onNotice);
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

async function openPath(
  path: string,
  signal: AbortSignal | undefined,
  onNotice: PathOutputOptions["onNotice"],
): Promise<Deno.FsFile> {
  const what = `Cannot write to ${quoted(path)}`;
  const opening = Deno.open(path, { write: true });
  const timer = setTimeout(() => onNotice?.(`Waiting for a reader of ${quoted(path)}`), SOON_MS);
  try {
    const file = await unlessAborted(opening, signal);
    // It was a pipe when it was looked at. What is there now is replaced by nothing.
    if (!file.statSync().isFile) return file;
    throw new InletError("local-disk", `${what}: another program put a file there`);
  } catch (error) {
    opening.then((file) => file.close(), () => {});
    throw pathError(error, what);
  } finally {
    clearTimeout(timer);
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

/** Waits for a promise, or until a signal is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  return await Promise.race([promise, aborted])
    .finally(() => signal.removeEventListener("abort", onAbort));
}
