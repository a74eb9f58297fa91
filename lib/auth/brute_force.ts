/**
 * Who is let in where a key is asked for, and how long those wait who keep trying wrong ones.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { isAnswer } from "./key.ts";

/** Wrong answers that are free of a wait. */
const FREE_FAILURES = 2;

/** The first wait in milliseconds. Each further wrong answer doubles it, */
const FIRST_WAIT_MS = 5000;

/** up to this. */
const LONGEST_WAIT_MS = 60_000;

/** After so many milliseconds without a wait and without a wrong answer all is forgotten. */
const MEMORY_MS = 60_000;

/** Addresses that are remembered. Beyond that the one that failed first is forgotten. */
const MAX_ADDRESSES = 10_000;

/** Checks answers to challenges. */
export class KeyVerifier {
  readonly #key: string;
  readonly #failures = new BruteForceGuard();

  /** @param key What the server and its clients share. */
  constructor(key: string) {
    this.#key = key;
  }

  /**
   * Refuses an address that has to wait.
   *
   * @throws {InletError} `wait`
   */
  checkWait(host: string): void {
    const seconds = Math.ceil(this.#failures.waitMs(host, performance.now()) / 1000);
    if (seconds > 0) {
      throw new InletError(
        "wait",
        `Cannot let you in for ${seconds} s: too many wrong keys came from your address`,
      );
    }
  }

  /**
   * Checks an answer.
   *
   * @throws {InletError} `denied` if it is wrong, `wait` if the address has to wait in any case
   */
  async check(host: string, nonce: string, digest: string): Promise<void> {
    const right = await isAnswer(this.#key, nonce, digest);
    // Checked now, and not only at the challenge: many may have been asked for at once.
    this.checkWait(host);
    if (right) return this.#failures.forget(host);
    this.#failures.add(host, performance.now());
    throw new InletError("denied", "Cannot let you in: the key is wrong");
  }
}

/** Wrong answers by address. Times are milliseconds of a clock that never goes back. */
export class BruteForceGuard {
  readonly #addresses = new Map<string, { count: number; waitUntil: number }>();

  /** How much longer an address has to wait. */
  waitMs(host: string, now: number): number {
    return Math.max((this.#addresses.get(host)?.waitUntil ?? now) - now, 0);
  }

  /** Notes a wrong answer. */
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

  /** Forgets what an address did wrong. */
  forget(host: string): void {
    this.#addresses.delete(host);
  }
}
