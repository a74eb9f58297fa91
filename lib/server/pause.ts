/**
 * A pause that many connections make at once, each for the same time. There is a limit on how many:
 * beyond it the pause of the one that came first is over.
 *
 * @module
 */

import { AwakeTimer } from "../net/awake.ts";

/** Lets connections wait. */
export class Pause {
  readonly #milliseconds: number;
  readonly #most: number;
  /** Ends the waits, the oldest first. */
  readonly #waiting = new Set<() => void>();

  /** @param most How many can wait at once. */
  constructor(milliseconds: number, most: number) {
    this.#milliseconds = milliseconds;
    this.#most = most;
  }

  /** Settles after the time, or earlier if too many others come. */
  async stay(): Promise<void> {
    await this.atMost(new Promise<never>(() => {}));
  }

  /** Waits for a promise, and returns `undefined` if the time is over first. */
  async atMost<T>(coming: Promise<T>): Promise<T | undefined> {
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    const end = (): void => resolve(undefined);
    if (this.#waiting.size >= this.#most) {
      const [oldest] = this.#waiting;
      this.#waiting.delete(oldest!);
      oldest!();
    }
    this.#waiting.add(end);
    using _ = new AwakeTimer(this.#milliseconds, end);
    try {
      return await Promise.race([coming, over]);
    } finally {
      this.#waiting.delete(end);
    }
  }
}
