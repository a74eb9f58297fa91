/**
 * The progress of a transfer: what is counted, and what is shown of it, which never goes back.
 *
 * terminal_progress.ts redraws one line of a terminal, and plain_progress.ts writes lines for a log.
 *
 * @module
 */

import { tell } from "../body/stderr.ts";
import { variable } from "../environment.ts";
import { formatBytes, formatCount, formatDuration, measuredSpeed } from "../text.ts";
import type { Moment, ProgressView } from "./progress_view.ts";
import { TerminalProgress } from "./terminal_progress.ts";

/** The values of `--progress`, with what each means. */
export const PROGRESS_STYLES = {
  auto: "a line that is redrawn, on a terminal",
  plain: "a line every five seconds, for logs",
  none: "nothing",
} as const;

/** One of {@linkcode PROGRESS_STYLES}. */
export type ProgressStyle = keyof typeof PROGRESS_STYLES;

/**
 * Makes the progress of a program, which shows itself on stderr.
 *
 * @param isTaken Whether the terminal shows what is received.
 */
export async function openProgress(style: ProgressStyle, isTaken: boolean): Promise<Progress> {
  const isDrawn = style === "auto" && !isTaken && Deno.stderr.isTerminal();
  if (isDrawn && !isDumb()) return new Progress(new TerminalProgress());
  if (!isDrawn && style !== "plain") return new Progress();
  const { PlainProgress } = await import("./plain_progress.ts");
  return new Progress(new PlainProgress(tell));
}

/** Most time left that is told, in milliseconds: a thousand hours. */
const LONGEST_LEFT_MS = 3_600_000_000;

/** A number, or a function that tells it once it is known. */
type Known<T> = T | (() => T);

/** Counts what is transferred. Without a view, that costs only an addition per chunk. */
export class Progress implements Disposable {
  readonly #view: ProgressView | undefined;
  #started = performance.now();
  #total: Known<number | null> = null;
  #done = 0;
  #skipped = 0;
  #files: Known<number | null> = 1;
  #filesDone = 0;
  #moved = 0;
  #name = "";
  #timer: ReturnType<typeof setInterval> | undefined;
  #moving = false;
  #connection: { readonly unsent: number } | undefined;
  /** What is done while nothing is transferred, and since when. */
  #doing: { what: Known<string>; since: number } | undefined;
  #waitedMs = 0;
  /** The most that was shown of this transfer. */
  #most = { bytes: 0, percent: 0, files: 0 };

  /** @param view Shows it. Without one, nothing is shown. */
  constructor(view?: ProgressView) {
    this.#view = view;
  }

  /**
   * Starts counting a transfer, or a further attempt at the one before, unless that was ended.
   *
   * @param total In bytes: `null` if unknown, a function if it is known later.
   * @param files How many files there are, in the same way.
   */
  begin(total: Known<number | null>, files: Known<number | null> = 1): void {
    if (!this.#moving) this.#most = { bytes: 0, percent: 0, files: 0 };
    this.#total = total;
    this.#done = this.#skipped = this.#filesDone = 0;
    this.#files = files;
    this.doing(undefined);
    this.#started = performance.now();
    this.#moving = true;
    if (this.#view && this.#timer === undefined) {
      const show = (): void => void (this.#moving && this.#view?.show(this.moment()));
      this.#timer = setInterval(show, this.#view.intervalMs);
      Deno.unrefTimer(this.#timer);
    }
  }

  /** Sets the total in bytes, if it was unknown. */
  expect(total: number): void {
    this.#total ??= total;
  }

  /** Sets the displayed name. */
  name(name: string): void {
    this.#name = name;
  }

  /**
   * Shows what is done meanwhile instead of figures, such as `connecting`, until bytes move or
   * `undefined` is given. That time does not count for the speed.
   */
  doing(what: Known<string> | undefined): void {
    const now = performance.now();
    if (this.#doing && what === undefined) {
      this.#started += now - this.#doing.since;
      this.#waitedMs += now - this.#doing.since;
    }
    this.#doing = what === undefined ? undefined : { what, since: this.#doing?.since ?? now };
  }

  /** Counts transferred bytes. */
  add(bytes: number): void {
    if (this.#doing) this.doing(undefined);
    this.#done += bytes;
    this.#moved += bytes;
  }

  /** All bytes transferred so far, over all calls of `begin`. */
  get moved(): number {
    return this.#moved;
  }

  /** Milliseconds in which something else was done, over all calls of `begin`. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Subtracts the unsent bytes of a connection, which can be many on a slow line. */
  follow(connection: { readonly unsent: number }): void {
    this.#connection = connection;
  }

  /**
   * Counts bytes that the peer has already. They do not count for the speed.
   *
   * @param bytes Less than 0 for those that were counted, and are transferred again.
   */
  skip(bytes: number): void {
    this.#skipped += bytes;
  }

  /** Counts finished files. */
  addFiles(files: number): void {
    this.#filesDone += files;
  }

  /**
   * Ends the transfer: nothing more is shown until `begin` is called again.
   *
   * @param outcome.isComplete Whether all of it was transferred, whatever was counted.
   */
  end({ isComplete = false } = {}): void {
    if (!this.#moving) return;
    this.#moving = false;
    this.doing(undefined);
    const isAny = this.#done + this.#skipped > 0 || isComplete && valueOf(this.#total) !== null;
    this.#view?.end(isAny ? this.moment({ isOver: true, isComplete }) : undefined);
  }

  /** Prints a permanent line above the progress. */
  say(line: string): void {
    if (this.#moving && this.#view) this.#view.makeRoom(this.moment());
    tell(line);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.end();
  }

  /**
   * What is to be shown. No amount is less than it was shown before of the same transfer: bytes that
   * were lost on their way, and are sent again, count once they are more.
   */
  moment({ isOver = false, isComplete = false } = {}): Moment {
    const most = this.#most;
    const total = valueOf(this.#total);
    const files = valueOf(this.#files);
    const done = Math.max(0, this.#done - (this.#connection?.unsent ?? 0));
    const there = Math.max(0, done + this.#skipped);
    most.bytes = Math.max(most.bytes, there);
    most.files = Math.max(most.files, isComplete ? files ?? 0 : 0, this.#filesDone);
    const percent = isComplete ? 100 : total === null ? undefined : percentOf(most.bytes, total);
    most.percent = Math.max(most.percent, percent ?? 0);
    const elapsedMs = performance.now() - this.#started;
    const speed = measuredSpeed(done, elapsedMs);
    const figures = percent === undefined ? [] : [`${String(most.percent).padStart(3)} %`];
    if (files !== 1) figures.push(fileFigures(most.files, files));
    figures.push(formatBytes(most.bytes), ...speed);
    if (total !== null && there < total && speed.length > 0 && !isOver) {
      figures.push(`${formatDuration(timeLeft(total - there, done, elapsedMs))} left`);
    }
    const isAll = most.files >= (files ?? Infinity) || files === 1;
    return {
      name: this.#name,
      doing: this.#doing && valueOf(this.#doing.what),
      figures,
      isComplete: percent !== undefined && most.percent === 100 && isAll,
    };
  }
}

function valueOf<T extends string | number | null>(known: Known<T>): T {
  return typeof known === "function" ? known() : known;
}

/** 100 only for all of it. */
function percentOf(bytes: number, total: number): number {
  return bytes >= total ? 100 : Math.floor(bytes / total * 100);
}

/** Milliseconds that the rest takes at the speed until now; `Infinity` if hardly anything moved. */
function timeLeft(bytes: number, done: number, elapsedMs: number): number {
  const leftMs = bytes * elapsedMs / done;
  return leftMs <= LONGEST_LEFT_MS ? leftMs : Infinity;
}

/**
 * Formats the number of finished files: `1,234 of 10,000 files`, or `1,234 files` of unknown many.
 * There are never fewer than are finished.
 */
export function fileFigures(done: number, files: number | null): string {
  if (files === null) return `${formatCount(done)} ${done === 1 ? "file" : "files"}`;
  return `${formatCount(Math.min(done, files))} of ${formatCount(files)} files`;
}

/** Whether the terminal can redraw nothing, where Deno permits to know. */
function isDumb(): boolean {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "TERM" });
  return state === "granted" && ["dumb", ""].includes(variable("TERM") ?? "");
}
