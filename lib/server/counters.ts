/**
 * Counts what a server does, for programs that watch it. Counting is an addition to a number: it takes no time
 * that could be measured, and nothing is put together before somebody asks.
 *
 * @module
 */

import type { Code } from "../errors.ts";

/** Bytes that a connection has read and written, without those of encryption. */
export interface Traffic {
  in: number;
  out: number;
}

/** Files that were moved, and their bytes. */
export interface Moved {
  files: number;
  bytes: number;
}

/** The counters of one server, since it started. */
export class Counters {
  /** When it started, by `performance.now()`. */
  readonly since: number = performance.now();
  /** Files that were stored. */
  readonly stored: Moved = { files: 0, bytes: 0 };
  /** Files that were sent. */
  readonly got: Moved = { files: 0, bytes: 0 };
  /** What clients sent each other: pipes that have ended, and their bytes. */
  readonly relayed: Moved = { files: 0, bytes: 0 };
  /** What was refused, broke off or failed. A code that has not occurred is missing. */
  readonly failures: Map<Code, number> = new Map();
  /** Connections that were accepted. */
  connections = 0;
  readonly #open = new Set<Traffic>();
  readonly #closed: Traffic = { in: 0, out: 0 };

  /** Connections that are open. */
  get open(): number {
    return this.#open.size;
  }

  /** The bytes of all connections, of those that are open too. */
  get traffic(): Traffic {
    const sum = { ...this.#closed };
    for (const traffic of this.#open) add(sum, traffic);
    return sum;
  }

  /** Counts a failure. */
  failed(code: Code): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  /** Counts a connection, until this is disposed of. */
  connected(traffic: Traffic): Disposable {
    this.connections++;
    this.#open.add(traffic);
    return {
      [Symbol.dispose]: () => {
        if (this.#open.delete(traffic)) add(this.#closed, traffic);
      },
    };
  }
}

function add(sum: Traffic, traffic: Traffic): void {
  sum.in += traffic.in;
  sum.out += traffic.out;
}
