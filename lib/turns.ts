/**
 * Yields to the event loop. File calls are synchronous, and a socket with data resolves at once, so
 * a busy transfer must yield explicitly to other connections, timers and signals.
 *
 * @module
 */

/** Milliseconds of work between two yields. */
const TURN_MS = 5;

/** Time of the last yield in this process. */
let lastTurn = 0;

/** Whether the process has worked for {@linkcode TURN_MS} without yielding. */
export function isTurnDue(): boolean {
  return performance.now() - lastTurn >= TURN_MS;
}

/** Yields if it is due. */
export async function takeTurns(): Promise<void> {
  if (!isTurnDue()) return;
  await nextTurn();
  lastTurn = performance.now();
}

/**
 * Yields to other connections, timers and signals.
 *
 * The runtime polls its sockets when it is idle. Between immediates it does so only once in dozens
 * of turns, but at once while it waits for another thread. The cheapest such wait that needs no
 * permission is a digest.
 */
export async function nextTurn(): Promise<void> {
  await crypto.subtle.digest("SHA-1", NOTHING);
}

const NOTHING = new Uint8Array(0);
