/**
 * What a peer announced of a body, and what it may send at most.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import { formatCount, quoted } from "../../lib/text.ts";

/** Maximum bytes of a body that nobody wants any more, before the connection is given up. */
export const MAX_SKIPPED_BYTES: number = 64 * 1024 * 1024;

/** Milliseconds for which it may be more: a fast server sends that before it hears that it is to stop. */
const SKIPPED_MS = 5000;

/** Bounds what a server sends as one file: what it announced, and little of what is not wanted. */
export class Announced {
  readonly #name: string;
  readonly #size: number;
  #left: number;
  #skipped = 0;
  #skippedSince: number | undefined;

  /** @param size What is still to come, in bytes. */
  constructor(name: string, size: number) {
    this.#name = name;
    this.#size = size;
    this.#left = size;
  }

  /**
   * Counts a chunk, before it is used.
   *
   * @param unwanted Why the body is read only to find its end, if it is.
   * @throws {InletError} `checksum` if it is more than was announced. Too much that is not wanted
   * throws its reason
   */
  check({ length }: Uint8Array, unwanted: InletError | undefined): void {
    this.#left -= length;
    if (unwanted) this.#skipped += length;
    if (this.#left >= 0 && (this.#skipped <= MAX_SKIPPED_BYTES || !this.#isLate())) return;
    if (unwanted) throw unwanted;
    const reason = `the server sent more than the ${
      formatCount(this.#size)
    } bytes that it announced`;
    throw new InletError("checksum", `Cannot get ${quoted(this.#name)}: ${reason}`);
  }

  /** Whether it is long since a body became too much that nobody wants. */
  #isLate(): boolean {
    this.#skippedSince ??= performance.now();
    return performance.now() - this.#skippedSince > SKIPPED_MS;
  }
}
