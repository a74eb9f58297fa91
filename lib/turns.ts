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

/** Whether the process has worked for too long without yielding, or without polling its sockets. */
export function isTurnDue(): boolean {
  const now = performance.now();
  return now - lastTurn >= TURN_MS || isPollDue(now);
}

/**
 * Yields if it is due.
 *
 * @param waits Whether the caller waits for its peer from time to time, as a transfer does. Work that
 * waits for nobody has to make sure itself that the sockets are polled.
 */
export async function takeTurns({ waits = false }: { waits?: boolean } = {}): Promise<void> {
  if (!waits && isPollDue()) await surelyPolledTurn();
  else if (performance.now() - lastTurn >= TURN_MS) await nextTurn();
  else return;
  lastTurn = performance.now();
}

/**
 * Yields to other connections, timers and signals.
 *
 * The runtime polls its sockets when it is idle. Between immediates it does so only once in dozens
 * of turns, but at once while it waits for another thread. The cheapest such wait that needs no
 * permission is a digest. On a busy machine the other thread can be done before this one waits, and
 * then nothing is polled.
 */
export async function nextTurn(): Promise<void> {
  await crypto.subtle.digest("SHA-1", NOTHING);
}

const NOTHING = new Uint8Array(0);

/** Turns, at least, that a wait takes. */
const WAIT_TURNS = 10;

/**
 * Waits until something is done, for some time at most. Time in which this process does not run counts
 * little: of what is due behind a stall, timers come first.
 *
 * @param done It never fails.
 */
export async function waitFor(done: Promise<void>, mostMs: number): Promise<void> {
  let isDone = false;
  const doing = done.then(() => void (isDone = true));
  for (let turn = 0; turn < WAIT_TURNS && !isDone; turn++) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, mostMs / WAIT_TURNS));
    await Promise.race([doing, late]);
    clearTimeout(timer);
  }
}

/** Most milliseconds of work between two turns in which the sockets are surely polled. */
const POLL_MS = 50;

/** A process without a turn for this long was idle, most likely, and so it has polled. */
const RESTED_MS = 200;

/** Time of the last turn in which the sockets were surely polled. */
let lastPoll = 0;

function isPollDue(now = performance.now()): boolean {
  if (now - lastTurn >= RESTED_MS) lastPoll = now;
  return now - lastPoll >= POLL_MS;
}

/** A timer always waits for the runtime to poll, but takes a millisecond. */
async function surelyPolledTurn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  lastPoll = performance.now();
}
