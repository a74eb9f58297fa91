/**
 * What a connection is given: its limits, and the rest between transfers.
 *
 * @module
 */

import type { MinRate } from "./min_rate.ts";
import type { RateLimit } from "./rate_limit.ts";

/** Options of a `Connection`. */
export interface ConnectionOptions {
  /** Milliseconds without a byte in either direction after which the connection is closed. */
  idleTimeoutMs: number;
  /**
   * Milliseconds within which the greeting must be complete, see `begun()`.
   * Without it there is no such limit, and the first byte counts as the greeting.
   */
  greetingTimeoutMs?: number | undefined;
  /**
   * Milliseconds of silence that are allowed while the connection is `patient`,
   * instead of the limits above. Without it, it never is.
   */
  patienceMs?: number | undefined;
  /** Called once, when the peer's greeting is complete. */
  onBegun?: () => void;
  /** Minimum rate of bodies; without it there is no minimum. */
  minRate?: MinRate | undefined;
  /** Aborts the connection, with its reason. */
  signal?: AbortSignal;
  /** The limit on bytes per second, both directions together. */
  rate?: RateLimit | undefined;
}

/** How long the peer may be idle between transfers, and the warning before that time is over. */
export interface Rest {
  /** Milliseconds of silence after which the connection is closed. */
  limitMs: number;
  /** Milliseconds of silence after which the warning is sent. */
  warnAfterMs: number;
  warning: Uint8Array;
  /** What else ends the rest, once it settles. */
  until?: Promise<unknown>;
}
