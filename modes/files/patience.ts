/**
 * How long notes keep a client waiting. A note says that the server is still at work, so the limit on
 * silence starts again; but a server must not hold a client for ever with notes alone.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import { DEFAULT_TIMEOUT_MS } from "../../lib/net/whole_line.ts";
import { formatSeconds } from "../../lib/text.ts";

/** Limits on silence that the notes before one reply may take, all together. */
const NOTED_TIMEOUTS = 100;

/** Bytes per second that the slowest disk reads, of a file that a reply depends on. */
const SLOWEST_DISK = 10 * 1024 * 1024;

/** The patience for one reply. */
export class Patience {
  readonly #limitMs: number;
  #firstNote: number | undefined;
  #sentBytes = 0;

  /**
   * @param timeoutMs The limit on silence, in milliseconds.
   * @param readBytes Bytes that the server may have to read before it can reply.
   */
  constructor(timeoutMs: number = DEFAULT_TIMEOUT_MS, readBytes = 0) {
    this.#limitMs = NOTED_TIMEOUTS * timeoutMs + readBytes / SLOWEST_DISK * 1000;
  }

  /**
   * Counts a note.
   *
   * @param sentBytes Bytes that have gone to the server: as long as more of them do, it takes a body.
   * @throws {InletError} `timeout` if there have been notes for too long
   */
  noted(sentBytes: number): void {
    const now = performance.now();
    if (sentBytes !== this.#sentBytes) this.#firstNote = undefined;
    this.#sentBytes = sentBytes;
    this.#firstNote ??= now;
    if (now - this.#firstNote <= this.#limitMs) return;
    throw new InletError(
      "timeout",
      `Only notes and no reply for ${formatSeconds(this.#limitMs)} s`,
    );
  }
}
