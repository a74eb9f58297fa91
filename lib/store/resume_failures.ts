/**
 * Counts the failed attempts to resume partial files: one whose content proved wrong several times is
 * not offered any more.
 *
 * @module
 */

import { type Identity, keyOf } from "./temp_file.ts";

/** Most failed attempts to resume a partial file. */
const MAX_FAILURES = 3;

/** Most partial files whose failures are counted. The oldest is forgotten first. */
const MAX_COUNTED = 10_000;

/** Counts the failed attempts to resume each partial file. */
export class ResumeFailures {
  /** By device and inode, as a partial file is renamed with each attempt. */
  readonly #counts = new Map<string, number>();

  /** Counts a failure. */
  add(file: Identity): void {
    this.#counts.set(keyOf(file), (this.#counts.get(keyOf(file)) ?? 0) + 1);
    if (this.#counts.size > MAX_COUNTED) this.#counts.delete(this.#counts.keys().next().value!);
  }

  /** Forgets the failures of an earlier file: a new one can have its inode. */
  forget(file: Identity): void {
    this.#counts.delete(keyOf(file));
  }

  /** Whether a partial file is not to be offered any more. */
  areTooMany(file: Identity): boolean {
    return (this.#counts.get(keyOf(file)) ?? 0) >= MAX_FAILURES;
  }
}
