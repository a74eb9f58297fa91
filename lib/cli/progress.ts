/**
 * The progress line of a transfer: one line on a terminal's stderr, redrawn in place.
 *
 * @module
 */

import { formatBytes, formatCount, formatDuration, measuredSpeed, printable } from "../text.ts";
import { draw, tell } from "../body/stderr.ts";
import { cutToWidth } from "./width.ts";

/** Milliseconds between two redraws. */
const REDRAW_MS = 100;

/** Columns of a terminal that does not know its width. */
const DEFAULT_COLUMNS = 80;

/** A progress line. An invisible one costs only an addition per chunk. */
export class Progress implements Disposable {
  readonly #visible: boolean;
  #started = performance.now();
  #total: number | null | (() => number | null) = null;
  #done = 0;
  #skipped = 0;
  #files: number | (() => number | null) = 1;
  #filesDone = 0;
  #moved = 0;
  #name = "";
  #timer: ReturnType<typeof setInterval> | undefined;
  #moving = false;
  #connection: { readonly unsent: number } | undefined;
  /** What is done while nothing is transferred, and since when. */
  #doing: { what: string | (() => string); since: number } | undefined;
  #waitedMs = 0;

  /** @param visible Whether to draw at all: stderr is a terminal, and `--quiet` was not given. */
  constructor(visible: boolean) {
    this.#visible = visible;
  }

  /**
   * Starts counting a transfer.
   *
   * @param total In bytes: `null` if unknown, a function if it is known later.
   * @param files How many files there are, in the same way.
   */
  begin(
    total: number | null | (() => number | null),
    files: number | (() => number | null) = 1,
  ): void {
    this.#total = total;
    this.#done = this.#skipped = this.#filesDone = 0;
    this.#files = files;
    this.doing(undefined);
    this.#started = performance.now();
    this.#moving = true;
    if (this.#visible && this.#timer === undefined) {
      const timer = setInterval(() => this.#draw(), REDRAW_MS);
      Deno.unrefTimer(timer);
      this.#timer = timer;
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
  doing(what: string | (() => string) | undefined): void {
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

  /** Counts bytes that the peer has already. They do not count for the speed. */
  skip(bytes: number): void {
    this.#skipped += bytes;
  }

  /** Counts finished files. */
  addFiles(files: number): void {
    this.#filesDone += files;
  }

  /** Hides the line until `begin` is called again. */
  end(): void {
    this.#erase();
    this.#moving = false;
  }

  /** Prints a permanent line above the progress line. */
  say(line: string): void {
    this.#erase();
    tell(line);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #draw(): void {
    if (!this.#moving) return;
    const columns = terminalColumns();
    if (columns === undefined) return;
    const line = fitted(printable(this.#name), this.#figures(), columns - 1);
    draw(`\r\x1b[K${line}`);
  }

  #figures(): string {
    if (this.#doing) return printable(textOf(this.#doing.what));
    const total = typeof this.#total === "function" ? this.#total() : this.#total;
    const files = typeof this.#files === "function" ? this.#files() : this.#files;
    const elapsedMs = performance.now() - this.#started;
    const done = Math.max(0, this.#done - (this.#connection?.unsent ?? 0));
    const figures = progressFigures(done, total, elapsedMs, this.#skipped);
    if (files === 1) return figures;
    return `${fileFigures(this.#filesDone, files)}  ${figures}`;
  }

  #erase(): void {
    if (this.#timer !== undefined && this.#moving) draw("\r\x1b[K");
  }
}

function textOf(what: string | (() => string)): string {
  return typeof what === "string" ? what : what();
}

/** Width of the terminal; `undefined` once it is gone. A terminal need not know: it tells 0 then. */
function terminalColumns(): number | undefined {
  try {
    return Deno.consoleSize().columns || DEFAULT_COLUMNS;
  } catch {
    return undefined;
  }
}

/**
 * Formats percent, amount, speed and time left: ` 42 %  1.2 GiB  812 MB/s  0:07 left`. The last two
 * are left out within the first second.
 *
 * @param skipped Bytes that the peer had before, which took no time.
 */
export function progressFigures(
  done: number,
  total: number | null,
  elapsedMs: number,
  skipped = 0,
): string {
  const there = done + skipped;
  const speed = measuredSpeed(done, elapsedMs);
  const moved = [formatBytes(there), ...speed].join("  ");
  if (total === null) return moved;
  const percent = there >= total ? 100 : Math.floor(there / total * 100);
  if (speed.length === 0) return `${String(percent).padStart(3)} %  ${moved}`;
  const leftMs = there >= total ? 0 : done === 0 ? Infinity : (total - there) * elapsedMs / done;
  return `${String(percent).padStart(3)} %  ${moved}  ${formatDuration(leftMs)} left`;
}

/** Formats the number of finished files: `1,234 of 10,000 files`, or `1,234 files` of unknown many. */
export function fileFigures(done: number, files: number | null): string {
  if (files === null) return `${formatCount(done)} ${done === 1 ? "file" : "files"}`;
  return `${formatCount(done)} of ${formatCount(files)} files`;
}

/**
 * Shortens the name to fit the line, then drops whole figures from the end. A line that wraps could
 * not be redrawn in place.
 */
export function fitted(name: string, figures: string, columns: number): string {
  while (figures.length > columns && figures.trim().includes("  ")) {
    figures = figures.slice(0, figures.lastIndexOf("  ")).trimEnd();
  }
  const shown = cutToWidth(name, columns - figures.length - 2);
  const line = shown === "" ? figures : `${shown}  ${figures}`;
  return cutToWidth(line, columns);
}
