/**
 * The limit on log lines per address: one peer can neither fill the disk nor bury the lines about
 * the others.
 *
 * @module
 */

/** Lines about one address that are written at any speed. */
const BURST_LINES = 100;

/** Lines per second about one address, in the long run. */
const LINES_PER_SECOND = 20;

/** Milliseconds after which omitted lines are reported. */
const TELL_AFTER_MS = 5000;

/** Most addresses that are tracked. Beyond that the one idle for longest is forgotten. */
const MAX_ADDRESSES = 10_000;

/** The lines that one address has left. */
interface Allowance {
  lines: number;
  /** Time of the last update, in milliseconds. */
  at: number;
  leftOut: number;
}

/** Counts the lines about each address. */
export class LogLimit {
  readonly #tell: (host: string, lines: number) => void;
  readonly #now: () => number;
  readonly #addresses = new Map<string, Allowance>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param tell Called with the number of omitted lines about an address.
   * @param now A monotonic clock in milliseconds.
   */
  constructor(
    tell: (host: string, lines: number) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#tell = tell;
    this.#now = now;
  }

  /** Whether one more line about an address may be written; counts an omitted one. */
  admits(host: string): boolean {
    const allowance = this.#allowanceOf(host);
    if (allowance.lines >= 1) {
      allowance.lines--;
      return true;
    }
    allowance.leftOut++;
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.flush(), TELL_AFTER_MS);
      // The pending report must not keep the process alive.
      Deno.unrefTimer(this.#timer);
    }
    return false;
  }

  /** Reports the omitted lines now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [host, allowance] of this.#addresses) {
      const { leftOut } = allowance;
      allowance.leftOut = 0;
      if (leftOut > 0) this.#tell(host, leftOut);
    }
  }

  /** Updates an allowance and moves it to the end, so that the first one is idle for longest. */
  #allowanceOf(host: string): Allowance {
    const now = this.#now();
    const before = this.#addresses.get(host) ?? { lines: BURST_LINES, at: now, leftOut: 0 };
    const earned = (now - before.at) / 1000 * LINES_PER_SECOND;
    const allowance = { ...before, lines: Math.min(before.lines + earned, BURST_LINES), at: now };
    this.#addresses.delete(host);
    this.#addresses.set(host, allowance);
    if (this.#addresses.size > MAX_ADDRESSES) this.#forgetOne();
    return allowance;
  }

  #forgetOne(): void {
    const [host, { leftOut }] = this.#addresses.entries().next().value!;
    this.#addresses.delete(host);
    if (leftOut > 0) this.#tell(host, leftOut);
  }
}
