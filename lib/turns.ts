/**
 * Turns of the event loop. Work that never waits (files are read and written at once, and sockets
 * that have bytes answer at once) gives other connections, timers and signals their turn here.
 *
 * @module
 */

/** Milliseconds of work after which everything else gets its turn. */
const TURN_MS = 5;

/** When everything else had its last turn. One for the process: it has one event loop. */
let lastTurn = 0;

/** Whether this process has worked for so long that others should have their turn. */
export function isTurnDue(): boolean {
  return performance.now() - lastTurn >= TURN_MS;
}

/** Gives others their turn if it is due. */
export async function takeTurns(): Promise<void> {
  if (!isTurnDue()) return;
  await nextTurn();
  lastTurn = performance.now();
}

/**
 * Lets whatever waits go on: other connections, timers, signals.
 *
 * The runtime looks at its sockets when nothing is left to do. Between immediates it does so once in
 * dozens of turns; while another thread works it does at once. The least work that another thread
 * takes, without a permission, is a digest.
 */
export async function nextTurn(): Promise<void> {
  await crypto.subtle.digest("SHA-1", NOTHING);
}

const NOTHING = new Uint8Array(0);
