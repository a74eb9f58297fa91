/**
 * Retries after temporary failures: a lost connection, a server that restarts, is full or overloaded.
 *
 * @module
 */

import { type Code, explain, type InletError } from "../lib/errors.ts";
import { formatSeconds } from "../lib/text.ts";

/** The longest wait, in milliseconds. */
const LONGEST_MS = 60_000;

/** Error codes of temporary failures. */
const PASSING: readonly Code[] = ["lost", "timeout", "shutdown", "busy", "overloaded", "wait"];

/** Options of {@linkcode Retries}. */
export interface RetriesOptions {
  /** Number of retries without progress in between. */
  limit: number;
  /** Ends a wait at once, with its reason. */
  signal?: AbortSignal | undefined;
  /** Called with a notice before each wait. */
  onNotice(text: string): void;
}

/** Counts the retries since the last progress, and waits before each. */
export class Retries {
  readonly #options: RetriesOptions;
  #count = 0;
  /** Bytes that each file reached. */
  readonly #reached = new Map<string, number>();

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  /** Notes progress: the count of retries starts again at 0. */
  progressed(): void {
    this.#count = 0;
  }

  /** Notes the size of a partial file. More than after an earlier attempt counts as progress. */
  reached(file: string, bytes: number): void {
    if (bytes > (this.#reached.get(file) ?? 0)) this.progressed();
    this.#reached.set(file, bytes);
  }

  /**
   * Repeats an action until it succeeds, fails for good, or exhausts the retries.
   *
   * @param isRepeatable Whether the action may be repeated after what it has done so far.
   */
  async run(
    action: () => Promise<void>,
    isRepeatable: () => boolean = () => true,
  ): Promise<void> {
    for (;;) {
      try {
        return await action();
      } catch (error) {
        const failure = explain(error);
        if (!this.allows(failure) || !isRepeatable()) throw failure;
        await this.wait(failure);
      }
    }
  }

  /** Whether a retry may follow this failure. */
  allows(error: InletError): boolean {
    return this.#count < this.#options.limit && PASSING.includes(error.code);
  }

  /**
   * Waits before a retry: one second, then two, four, up to a minute. Each wait is shortened by a
   * random part of up to half, so that clients that lost a server together do not return together.
   *
   * @param signal Ends the wait at once, with its reason, in place of that of all waits.
   */
  async wait(error: InletError, signal = this.#options.signal): Promise<void> {
    const { limit, onNotice } = this.#options;
    const waitMs = Math.min(1000 * 2 ** this.#count++, LONGEST_MS) * (1 - Math.random() / 2);
    const seconds = formatSeconds(waitMs);
    onNotice(`${error.message}; trying again in ${seconds} s (${this.#count} of ${limit})`);
    // Loaded on demand, because most transfers need no retry.
    const { delay } = await import("@std/async/delay");
    await delay(waitMs, signal ? { signal } : {});
  }
}
