/**
 * Verifies proofs of the key, and delays addresses that keep sending wrong ones.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { isAnswer } from "./key.ts";

/** Wrong answers before the first wait. */
const FREE_FAILURES = 2;

/** The first wait in milliseconds. Each further wrong answer doubles it. */
const FIRST_WAIT_MS = 5000;

/** The longest wait in milliseconds. */
const LONGEST_WAIT_MS = 60_000;

/** Milliseconds after the last wait or wrong answer after which an address is forgotten. */
const MEMORY_MS = 60_000;

/** Most addresses that are remembered. Beyond that the one that failed longest ago is forgotten. */
const MAX_ADDRESSES = 10_000;

/** Verifies answers to challenges. */
export class KeyVerifier {
  readonly #key: () => string;
  readonly #failures = new BruteForceGuard();

  /** @param key Returns the key that the server and its clients share at that moment. */
  constructor(key: () => string) {
    this.#key = key;
  }

  /**
   * Refuses an address that must still wait.
   *
   * @throws {InletError} `wait`
   */
  checkWait(host: string): void {
    const seconds = Math.ceil(this.#failures.waitMs(host, performance.now()) / 1000);
    if (seconds > 0) {
      throw new InletError(
        "wait",
        `Cannot authenticate for ${seconds} s: too many wrong keys from your address`,
      );
    }
  }

  /**
   * Checks an answer.
   *
   * @throws {InletError} `denied` if the answer is wrong, `wait` if the address must still wait
   */
  async check(host: string, nonce: string, digest: string): Promise<void> {
    const right = await isAnswer(this.#key(), nonce, digest);
    // Checked again, because a client can request many challenges before it answers one.
    this.checkWait(host);
    if (right) return this.#failures.forget(host);
    this.#failures.add(host, performance.now());
    throw new InletError("denied", "Cannot authenticate: the key is wrong");
  }
}

/** Counts wrong answers by address. Times are milliseconds of a monotonic clock. */
export class BruteForceGuard {
  readonly #addresses = new Map<string, { count: number; waitUntil: number }>();

  /** Milliseconds that an address must still wait. */
  waitMs(host: string, now: number): number {
    return Math.max((this.#addresses.get(host)?.waitUntil ?? now) - now, 0);
  }

  /** Records a wrong answer. */
  add(host: string, now: number): void {
    const before = this.#addresses.get(host);
    const remembered = before !== undefined && now - before.waitUntil < MEMORY_MS;
    const count = remembered ? before.count + 1 : 1;
    const doublings = count - FREE_FAILURES - 1;
    const waitMs = doublings < 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** doublings, LONGEST_WAIT_MS);
    this.#addresses.delete(host);
    this.#addresses.set(host, { count, waitUntil: now + waitMs });
    if (this.#addresses.size > MAX_ADDRESSES) this.forget(this.#addresses.keys().next().value!);
  }

  /** Forgets the wrong answers of an address. */
  forget(host: string): void {
    this.#addresses.delete(host);
  }
}
