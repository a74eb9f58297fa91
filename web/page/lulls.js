// @ts-check
/**
 * The waits between two attempts: they end with their time, when they are stopped, or all at once as
 * soon as the server is known to be there again.
 *
 * @module
 */

/** Waits that can be ended. */
export class Lulls {
  /** @type {Set<() => void>} */
  #ends = new Set();

  /** Ends all of them. */
  end() {
    for (const end of [...this.#ends]) end();
  }

  /**
   * @param {number} milliseconds
   * @param {AbortSignal} signal Ends it too.
   * @returns {Promise<void>}
   */
  wait(milliseconds, signal) {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#ends.delete(end);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#ends.add(end);
      signal.addEventListener("abort", end);
    });
  }
}
