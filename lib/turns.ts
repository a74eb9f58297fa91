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

/** Most milliseconds of work between two turns in which sockets are certainly polled. */
const POLL_MS = 75;

/** Fewest turns between them: work in short pieces, with rests in between, needs none. */
const POLL_TURNS = 2;

/** Tasks after which the runtime polls its sockets, even if more are ready. */
const POLL_TASKS = 64;

let lastPoll = 0;
let turnsSincePoll = 0;

/** Yields if it is due. */
export async function takeTurns(): Promise<void> {
  if (!isTurnDue()) return;
  await nextTurn();
  if (++turnsSincePoll >= POLL_TURNS && performance.now() - lastPoll >= POLL_MS) await poll();
  lastTurn = performance.now();
}

/**
 * Yields to other connections, timers and signals, in most cases.
 *
 * The runtime polls its sockets when it is idle. Between immediates it does so only once in dozens
 * of turns, but at once while it waits for another thread. The cheapest such wait that needs no
 * permission is a digest. If that is ready before the runtime is idle, nothing is polled.
 */
export async function nextTurn(): Promise<void> {
  await crypto.subtle.digest("SHA-1", NOTHING);
}

/** Yields for long enough that all sockets are polled: 0.4 ms. */
async function poll(): Promise<void> {
  lastPoll = performance.now();
  turnsSincePoll = 0;
  for (let task = 0; task < POLL_TASKS; task++) await new Promise(setImmediate);
}

const NOTHING = new Uint8Array(0);
