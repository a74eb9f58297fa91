/**
 * What a server does for its store beside serving: it sweeps it, and saves what it remembers.
 *
 * @module
 */

import { explain } from "../errors.ts";
import type { ServerStore } from "../store/ongoing.ts";
import type { Log } from "./log.ts";

const HOUR_MS = 3_600_000;

/**
 * Removes the remains of crashes, and partial files at most a twenty-fourth of their limit late. At the
 * end it has the store save what it remembers.
 *
 * @param stopped Settles when the server has stopped.
 */
export function keepTidy(
  store: ServerStore,
  { log, keepPartialsMs }: { log: Log; keepPartialsMs: number },
  stopped: Promise<void>,
): void {
  const everyMs = keepPartialsMs === 0 ? HOUR_MS : keepPartialsMs / 24;
  const timer = setInterval(() => {
    store.sweep().catch((error) =>
      log.failure(explain(error, "Cannot remove expired partial files"))
    );
  }, Math.min(Math.max(everyMs, 1000), HOUR_MS));
  stopped.catch(() => {}).finally(() => {
    clearInterval(timer);
    store.save();
  });
}
