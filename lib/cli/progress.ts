/**
 * The progress line of a transfer: one line on a terminal's stderr, redrawn in place.
 *
 * @module
 */

import { formatBytes, formatCount, formatSpeed, printable } from "../text.ts";
import { cutToWidth } from "./width.ts";

/** Milliseconds between two redraws. */
const REDRAW_MS = 100;

/** A progress line. An invisible one costs only an addition per chunk. */
export class Progress implements Disposable {
  readonly #visible: boolean;
  #started = performance.now();
  #total: number | null | (() => number | null) = null;
  #done = 0;
  #skipped = 0;
  #files = 1;
  #filesDone = 0;
  #moved = 0;
  #name = "";
  #timer: ReturnType<typeof setInterval> | undefined;
  #moving = false;
  #connection: { readonly unsent: number } | undefined;

  /** @param visible Whether to draw at all: stderr is a terminal, and `--quiet` was not given. */
  constructor(visible: boolean) {
    this.#visible = visible;
  }

  /**
   * Starts counting a transfer.
   *
   * @param total In bytes: `null` if unknown, a function if it takes long to compute.
   */
  begin(total: number | null | (() => number | null), files = 1): void {
    this.#total = total;
    this.#done = this.#skipped = this.#filesDone = 0;
    this.#files = files;
    this.#started = performance.now();
    this.#moving = true;
    if (this.#visible && this.#timer === undefined) {
      const timer = setInterval(() => onStderr(() => this.#draw()), REDRAW_MS);
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

  /** Counts transferred bytes. */
  add(bytes: number): void {
    this.#done += bytes;
    this.#moved += bytes;
  }

  /** All bytes transferred so far, over all calls of `begin`. */
  get moved(): number {
    return this.#moved;
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
    onStderr(() => console.error(line));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #draw(): void {
    if (!this.#moving) return;
    const { columns } = Deno.consoleSize();
    if (typeof this.#total === "function") this.#total = this.#total();
    const elapsedMs = performance.now() - this.#started;
    const done = Math.max(0, this.#done - (this.#connection?.unsent ?? 0));
    const figures = progressFigures(done, this.#total, elapsedMs, this.#skipped);
    const counted = this.#files === 1
      ? figures
      : `${fileFigures(this.#filesDone, this.#files)}  ${figures}`;
    const line = fitted(printable(this.#name), counted, columns - 1);
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line}`));
  }

  #erase(): void {
    if (this.#timer === undefined || !this.#moving) return;
    onStderr(() => Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K")));
  }
}

/** Draws or prints. A stderr that fails, as when its terminal is closed, must not stop a transfer. */
function onStderr(show: () => void): void {
  try {
    show();
  } catch {
    // There is nowhere to say so.
  }
}

/**
 * Formats percent, amount, speed and time left: ` 42 %  1.2 GiB  812 MB/s  0:07 left`.
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
  const moved = `${formatBytes(there)}  ${formatSpeed(done, elapsedMs)}`;
  if (total === null) return moved;
  const percent = there >= total ? 100 : Math.floor(there / total * 100);
  const leftMs = there >= total ? 0 : done === 0 ? Infinity : (total - there) * elapsedMs / done;
  return `${String(percent).padStart(3)} %  ${moved}  ${formatDuration(leftMs)} left`;
}

/** Formats the number of finished files: `1,234 of 10,000 files`. */
export function fileFigures(done: number, files: number): string {
  return `${formatCount(done)} of ${formatCount(files)} files`;
}

/** Formats a duration: `0:07`, `1:02:03`. */
function formatDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "-:--";
  const seconds = Math.ceil(milliseconds / 1000);
  const two = (number: number): string => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
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
