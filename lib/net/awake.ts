/**
 * A clock that stands still while this process does not run: a disk that hangs for half a minute, or
 * a stopped process (SIGSTOP), must not count as the silence of the peer.
 *
 * The clock ticks. A tick that comes late shows that the process did not run in between, and that
 * time is left out. Whoever judges a peer by this clock looks twice, {@linkcode SECOND_LOOK_MS}
 * apart: after a stall a timer can fire before the bytes that have arrived are read.
 *
 * @module
 */

/** Milliseconds between two ticks. */
const TICK_MS = 250;

/** A gap of this many milliseconds is a stall. Shorter ones are a busy machine. */
const STALL_MS = 2 * TICK_MS;

/** Milliseconds in which everything that has arrived is read. */
const SECOND_LOOK_MS = 100;

let users = 0;
let ticking: ReturnType<typeof setInterval> | undefined;
let lastTick = performance.now();
let stalled = 0;

/** Milliseconds that this process has run, since an arbitrary time. */
export function awakeNow(): number {
  const now = performance.now();
  // Nobody used the clock before the first tick, so nobody was judged by it.
  if (ticking !== undefined && now - lastTick >= STALL_MS) stalled += now - lastTick;
  lastTick = now;
  return now - stalled;
}

/** Milliseconds that this process has been found not to run while the clock was used. */
function stalledMs(): number {
  awakeNow();
  return stalled;
}

/** Makes the clock tick until the result is disposed of. */
function useAwakeClock(): Disposable {
  awakeNow();
  users++;
  ticking ??= setInterval(awakeNow, TICK_MS);
  let used = true;
  return {
    [Symbol.dispose](): void {
      if (used && --users === 0) {
        clearInterval(ticking);
        ticking = undefined;
      }
      used = false;
    },
  };
}

/** Milliseconds by which a late timer shows that this process did not run. */
export const LATE_MS = 20;

/** Most looks around, on a machine that is too busy for any. */
const MOST_LOOKS = 50;

/**
 * Waits until what has arrived by now is read. It takes 10 ms on a machine that is not busy.
 *
 * A timer that fires in time shows only that this process has run since, not that it has read: of what
 * is due together, timers come before reads. So one turn more of the event loop follows. And whoever
 * begins to read only now has a whole look for it.
 *
 * @param readers Those that read it, as they are now. They take turns with others, which can be slow.
 */
export async function lookAround(
  readers: () => readonly { readonly isPausing: boolean }[],
): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    const reading = new Set(readers().filter(({ isPausing }) => !isPausing));
    const due = performance.now() + 10;
    await new Promise((resolve) => setTimeout(resolve, 10));
    if (performance.now() - due > LATE_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    if (readers().every((reader) => !reader.isPausing && reading.has(reader))) return;
  }
}

/** A timer on this clock, which looks twice. Dispose of it to stop it. */
export class AwakeTimer implements Disposable {
  readonly #clock = useAwakeClock();
  readonly #action: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What was stalled at the first look. */
  #looked: number | undefined;

  /** @param delayMs Milliseconds of this clock after which the action is called, once. */
  constructor(delayMs: number, action: () => void) {
    this.#action = action;
    this.#wait(awakeNow() + delayMs);
  }

  #wait(until: number): void {
    const left = until - awakeNow();
    if (left > 0) return this.#again(left + 1, until);
    if (this.#looked !== stalledMs()) {
      this.#looked = stalledMs();
      return this.#again(SECOND_LOOK_MS, until);
    }
    this[Symbol.dispose]();
    this.#action();
  }

  #again(delayMs: number, until: number): void {
    this.#timer = setTimeout(() => this.#wait(until), delayMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#clock[Symbol.dispose]();
  }
}
