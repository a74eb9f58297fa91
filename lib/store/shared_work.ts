/**
 * Work that several callers want at the same time, done once.
 *
 * @module
 */

/** Work that is under way. */
interface Running<T> {
  readonly result: Promise<T>;
  readonly abandon: AbortController;
  /** Callers that wait for it. */
  callers: number;
}

/** Shares work by a key. Nothing is remembered once it is done. */
export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>();

  /**
   * Returns the result of the work of this key, which is begun if it is not under way.
   *
   * @param work Its signal aborts when the last caller has left.
   * @param signal Leaves, with its reason. The work goes on for the others.
   */
  async get(
    key: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted();
    const running = this.#running.get(key) ?? this.#begin(key, work);
    running.callers++;
    try {
      return await orAborted(running.result, signal);
    } finally {
      if (--running.callers === 0) {
        this.#forget(key, running);
        running.abandon.abort(signal?.reason);
      }
    }
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<T>): Running<T> {
    const abandon = new AbortController();
    const running = { result: work(abandon.signal), abandon, callers: 0 };
    this.#running.set(key, running);
    const forget = (): void => this.#forget(key, running);
    running.result.then(forget, forget);
    return running;
  }

  /** A later caller begins anew: it must not get work that was abandoned. */
  #forget(key: string, running: Running<T>): void {
    if (this.#running.get(key) === running) this.#running.delete(key);
  }
}

/** The result of a promise, or the reason of a signal, whichever comes first. */
async function orAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await result;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  result.then(resolve, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
