/**
 * Stopping a download, without ending the session.
 *
 * @module
 */

import { encodeLine, STOP } from "../../protocol.ts";
import { explain, type InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";

/** Asks the server to stop a download, when the signal aborts or the target fails. */
export class Stop {
  /** Reason of the request. */
  reason: InletError | undefined;
  readonly #connection: Connection | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.because(this.#signal?.reason);

  /** @param connection Missing if the body cannot be stopped, and must be read to its end. */
  constructor(connection: Connection | undefined, signal: AbortSignal | undefined) {
    this.#connection = connection;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  because(error: unknown): void {
    if (this.reason) return;
    this.reason = explain(error);
    // If this write fails, so does reading the body, which reports the error.
    this.#connection?.write(encodeLine(STOP)).catch(() => {});
  }

  /** Runs an action on received bytes. If it fails (a full disk), the server is asked to stop. */
  async guard(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.because(error);
    }
  }

  release(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
