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
 * Removes the remains of crashes, and partial files at most a twenty-fourth of their limit late. Several
 * servers of one bucket take turns. At the end it has the store save what it remembers.
 *
 * @param stopped Settles when the server has stopped.
 */
export function keepTidy(
  store: ServerStore,
  { log, keepPartialsMs }: { log: Log; keepPartialsMs: number },
  stopped: Promise<void>,
): void {
  const everyMs = keepPartialsMs === 0 ? HOUR_MS : keepPartialsMs / 24;
  const mostMs = Math.min(Math.max(everyMs, 1000), HOUR_MS);
  const wait = () => setTimeout(sweep, mostMs * (1 - Math.random() / 2));
  // A store of several servers can take long to sweep, so its server listens before.
  let timer = store.sweepInTurn ? setTimeout(sweep) : wait();
  let isOver = false;
  // A sweep of a bucket can take longer than the wait for the next.
  async function sweep(): Promise<void> {
    const swept = store.sweepInTurn ? store.sweepInTurn(mostMs / 2) : store.sweep();
    await swept.catch((error) =>
      log.failure(explain(error, "Cannot remove expired partial files"))
    );
    if (!isOver) timer = wait();
  }
  stopped.catch(() => {}).finally(() => {
    isOver = true;
    clearTimeout(timer);
    store.save();
  });
}

/** Milliseconds in which uploads of closed connections are kept or discarded, as they were asked to be. */
const TIDYING_MS = 2000;

/**
 * Ends all uploads at the end of a server, unless this is disposed of before. What an object store that
 * does not answer is waited for would keep the server from its end.
 *
 * @param ms Milliseconds after which the connections are closed.
 */
export function discardAfter(store: Pick<ServerStore, "discardAll">, ms: number): Disposable {
  const timer = setTimeout(() => store.discardAll(), ms + TIDYING_MS);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
