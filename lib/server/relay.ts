/**
 * Two connections as one pipe: what the one side sends goes to the other, at the pace of the slower.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";

/** Most bytes that wait in one direction, beside what the system and TLS hold. */
const WAITING_BYTES = 64 * 1024;

/**
 * A pipe of two connections. The conversation of each carries what its own connection sends, and so
 * is the only one that writes to the other.
 */
export class Relay {
  /** Bytes that were carried, both directions together. */
  bytes = 0;
  readonly #sides: readonly [Connection, Connection];
  readonly #over = Promise.withResolvers<void>();
  /** Directions that have not ended. */
  #open = 2;

  constructor(...sides: [Connection, Connection]) {
    this.#sides = sides;
    this.#over.promise.catch(() => {});
  }

  /**
   * Carries what one side sends to the other, until both have closed their direction.
   *
   * @throws {InletError} what ended the connection of this side; `lost` if it was the other one
   */
  async carry(from: Connection): Promise<void> {
    from.farewell = undefined;
    from.resting = false;
    const to = this.#sides.find((side) => side !== from)!;
    try {
      do {
        const bytes = from.takeBuffered();
        if (bytes.length === 0) continue;
        // The silence that counts is that of the one who takes nothing.
        await from.unwatched(to.write(bytes));
        this.bytes += bytes.length;
      } while (await from.more(WAITING_BYTES));
      await to.closeWrite();
      if (--this.#open === 0) this.#over.resolve();
      await this.#over.promise;
    } catch (error) {
      const failure = from.failure ?? error;
      this.break();
      throw failure;
    }
  }

  /** Ends both connections, if they have not ended yet. */
  break(): void {
    const lost = new InletError("lost", "The other side of the relay has left");
    this.#over.reject(lost);
    for (const side of this.#sides) side.abort(lost);
  }
}
