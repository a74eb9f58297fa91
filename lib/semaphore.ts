/**
 * A limit on how much heavy work is done at once.
 *
 * @module
 */

/** Hands out a number of places. Those who wait get one in the order of their calls. */
export class Semaphore {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param places At least 1. */
  constructor(places: number) {
    this.#free = places;
  }

  /**
   * Waits for a place. Dispose of it to give it back.
   *
   * @param signal Leaves the queue, with its reason.
   */
  async acquire(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    return { [Symbol.dispose]: () => this.#giveBack() };
  }

  /** Waits until another caller passes its place on. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      if (this.#waiting.delete(resolve)) reject(signal!.reason);
    };
    this.#waiting.add(resolve);
    signal?.addEventListener("abort", leave);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #giveBack(): void {
    const [next] = this.#waiting;
    if (!next) return void this.#free++;
    this.#waiting.delete(next);
    next();
  }
}
