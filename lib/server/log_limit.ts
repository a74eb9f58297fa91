/**
 * How many lines of the log one address can cause, so that a flood from one peer neither fills the
 * disk nor hides what the others do.
 *
 * @module
 */

/** Lines about one address that are written however fast they come, */
const BURST_LINES = 100;

/** and how many more a second, in the long run. */
const LINES_PER_SECOND = 20;

/** How soon it is told that lines were left out, in milliseconds. */
const TELL_AFTER_MS = 5000;

/** Addresses that are kept count of. Beyond that the one that was quiet for longest is forgotten. */
const MAX_ADDRESSES = 10_000;

/** What one address has left. */
interface Allowance {
  lines: number;
  /** When that was so, in milliseconds. */
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
   * @param tell Told how many lines about an address were left out.
   * @param now A clock in milliseconds that never goes back.
   */
  constructor(
    tell: (host: string, lines: number) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#tell = tell;
    this.#now = now;
  }

  /** Whether one more line about an address is written. One that is not is counted. */
  admits(host: string): boolean {
    const allowance = this.#allowanceOf(host);
    if (allowance.lines >= 1) {
      allowance.lines--;
      return true;
    }
    allowance.leftOut++;
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.flush(), TELL_AFTER_MS);
      // What has still to be told is no reason to keep a program that has ended.
      Deno.unrefTimer(this.#timer);
    }
    return false;
  }

  /** Tells at once what was left out so far. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [host, allowance] of this.#addresses) {
      const { leftOut } = allowance;
      allowance.leftOut = 0;
      if (leftOut > 0) this.#tell(host, leftOut);
    }
  }

  /** Brought up to date, and moved to the end: the first is the one that was quiet for longest. */
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
