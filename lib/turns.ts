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
 * permission is a digest. On a busy machine the other thread can be done before this one waits, and
 * nothing is polled; a timer always waits, but takes a millisecond. So it is used now and then.
 */
export async function nextTurn(): Promise<void> {
  if (performance.now() - lastWait < WAIT_MS) {
    await crypto.subtle.digest("SHA-1", NOTHING);
  } else {
    await new Promise((resolve) => setTimeout(resolve, 0));
    lastWait = performance.now();
  }
}

/** Most milliseconds between two waits for which the sockets are surely polled. */
const WAIT_MS = 30;

/** Time of the last one in this process. */
let lastWait = 0;

const NOTHING = new Uint8Array(0);
