/**
 * Opens pipes and devices, which may take as long as another program pleases: a named pipe has no
 * beginning before somebody writes into it.
 *
 * The system's call cannot be taken back. It occupies a thread and not the event loop, so that a
 * signal still reaches the program.
 *
 * @module
 */

import { quoted } from "../text.ts";

/** What happens while something is waited for. */
export interface Waiting {
  /** Called once if it takes longer than a moment, with a line for the user. */
  onNotice?: ((text: string) => void) | undefined;
  /** Ends the wait, with its reason. */
  signal?: AbortSignal | undefined;
}

/** Milliseconds before the user is told: most pipes have their writer already. */
const MOMENT_MS = 1000;

/**
 * Waits for what another program has to do first.
 *
 * @param late Disposes of a result that comes after the signal.
 */
export async function waitFor<T>(
  coming: Promise<T>,
  text: string,
  { onNotice, signal }: Waiting,
  late?: (result: T) => void,
): Promise<T> {
  const timer = setTimeout(() => onNotice?.(text), MOMENT_MS);
  try {
    return await unlessAborted(coming, signal);
  } catch (error) {
    coming.then(late, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a promise, or until a signal is aborted, whose reason is thrown then. */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return await promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  return await Promise.race([promise, aborted])
    .finally(() => signal.removeEventListener("abort", onAbort));
}

/** Opens a pipe or a device to read from it. */
export async function openPipe(path: string, waiting: Waiting): Promise<Deno.FsFile> {
  return await waitFor(Deno.open(path), waitText(path), waiting, (file) => file.close());
}

/** The line for a wait. */
export function waitText(path: string): string {
  return `Waiting for a program that writes into ${quoted(path)}`;
}
