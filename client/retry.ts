/**
 * Trying again after a failure that may pass: a lost connection, a server that restarts or is full.
 *
 * @module
 */

import { type Code, explain, type InletError } from "../lib/errors.ts";
import { formatSeconds } from "../lib/text.ts";

/** The longest wait, in milliseconds. */
const LONGEST_MS = 60_000;

/** BruteForceGuard that may have passed by the next time. */
const PASSING: readonly Code[] = ["lost", "timeout", "shutdown", "busy"];

/** Options of {@linkcode Retries}. */
export interface RetriesOptions {
  /** How often it tries again after no progress. */
  limit: number;
  /** Ends a wait at once, with its reason. */
  signal?: AbortSignal | undefined;
  /** Told of each wait before it begins. */
  onNotice(text: string): void;
}

/** How often something was tried again already, and how long the next wait is. */
export class Retries {
  readonly #options: RetriesOptions;
  #count = 0;
  /** How far each file got. */
  readonly #reached = new Map<string, number>();

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  /** Notes progress: what failed before is no sign any more that it never works. */
  progressed(): void {
    this.#count = 0;
  }

  /** Notes how far a file got by an attempt that broke off: further than before is progress. */
  reached(file: string, bytes: number): void {
    if (bytes > (this.#reached.get(file) ?? 0)) this.progressed();
    this.#reached.set(file, bytes);
  }

  /** Does something again until it does not fail, or its failure will not pass. */
  async run(action: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await action();
      } catch (error) {
        const failure = explain(error);
        if (!this.allows(failure)) throw failure;
        await this.wait(failure);
      }
    }
  }

  /** Whether it is worth another try after this failure. */
  allows(error: InletError): boolean {
    return this.#count < this.#options.limit && PASSING.includes(error.code);
  }

  /**
   * Waits: a second, then two, four, up to a minute, each up to half of it shorter, so that clients
   * that were cut together do not all come back together.
   */
  async wait(error: InletError): Promise<void> {
    const { limit, signal, onNotice } = this.#options;
    const waitMs = Math.min(1000 * 2 ** this.#count++, LONGEST_MS) * (1 - Math.random() / 2);
    const seconds = formatSeconds(waitMs);
    onNotice(`${error.message}; trying again in ${seconds} s (${this.#count} of ${limit})`);
    // Loaded here because most of the time nothing is lost.
    const { delay } = await import("@std/async/delay");
    await delay(waitMs, signal ? { signal } : {});
  }
}
