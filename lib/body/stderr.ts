/**
 * Writes lines to stderr without waiting for its reader, which may be a stopped pager or a terminal
 * after Ctrl-S.
 *
 * A blocked write occupies a thread and not the event loop. Lines that come meanwhile are held, up
 * to a limit; those beyond it are left out, and one line tells how many. All lines of a program have
 * to go this way: a synchronous write would wait for the one that is blocked.
 *
 * @module
 */

import { formatCount, printable } from "../text.ts";
import { waitFor } from "../turns.ts";
import { writeAll, writeFully } from "./streams.ts";

/** Most characters that wait for the reader. */
const MOST_HELD = 1024 * 1024;

/** Makes the line that tells how many lines were left out. */
export type TellLeftOut = (lines: number) => string;

const plainly: TellLeftOut = (lines) => `inlet: ${leftOutMessage(lines)}`;

/** What to say of lines that were left out. */
export function leftOutMessage(lines: number): string {
  const what = lines === 1 ? "1 line was" : `${formatCount(lines)} lines were`;
  return `${what} left out: stderr was not read`;
}

/** Writes lines in order. */
export class LineWriter {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  #pending = "";
  /** Characters that are being written. */
  #moving = 0;
  #leftOut = 0;
  #tell = plainly;
  #running: Promise<void> | undefined;

  /** @param write Writes all bytes. If it fails, they are lost: there is nobody to tell. */
  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  /**
   * Writes a line, or leaves it out if too much is held.
   *
   * @param line One line, or several that belong together, without the last line ending.
   * @param tell How to tell that lines were left out.
   */
  add(line: string, tell: TellLeftOut = plainly): void {
    // After the first line that is left out, all are, until that is told where it belongs.
    if (this.#leftOut > 0 || this.#held + line.length > MOST_HELD) {
      this.#leftOut++;
      this.#tell = tell;
      return;
    }
    this.#pending += `${line}\n`;
    this.#running ??= this.#run();
  }

  /** Whether half of what can be held is: whoever has many more lines waits for the reader now. */
  get isHalfFull(): boolean {
    return this.#held > MOST_HELD / 2;
  }

  get #held(): number {
    return this.#pending.length + this.#moving;
  }

  /**
   * Waits until all lines are written.
   *
   * @param mostMs Most milliseconds to wait.
   * @returns Whether they are.
   */
  async flush(mostMs: number): Promise<boolean> {
    if (this.#running) await waitFor(this.#running, mostMs);
    return this.#running === undefined;
  }

  async #run(): Promise<void> {
    do {
      // Lines that come together are written at once, and so are those that come meanwhile: a server
      // can store thousands of files a second.
      await Promise.resolve();
      const batch = this.#take();
      this.#moving = batch.length;
      await this.#write(new TextEncoder().encode(batch)).catch(() => {});
      this.#moving = 0;
    } while (this.#pending !== "" || this.#leftOut > 0);
    // At once: a line that came after the look above, and before this, would wait for the next one.
    this.#running = undefined;
  }

  #take(): string {
    const gap = this.#leftOut > 0 ? `${this.#tell(this.#leftOut)}\n` : "";
    const batch = this.#pending + gap;
    this.#pending = "";
    this.#leftOut = 0;
    return batch;
  }
}

/** Milliseconds that the last lines may take when a program is told to end at once. */
export const HURRIED_MS = 100;

/** The stderr of this process. */
export const stderr: LineWriter = new LineWriter((bytes) => writeAll(Deno.stderr, bytes));

/** The line for an error: red on a terminal, unless the environment has NO_COLOR. */
export function errorLine(message: string): string {
  return inRed(`inlet: ${printable(message)}`);
}

/** A line of an error that has a beginning of its own. */
export function inRed(line: string): string {
  return Deno.stderr.isTerminal() && !Deno.noColor ? `\x1b[31m${line}\x1b[39m` : line;
}

/**
 * Draws on the terminal that stderr is, at once. One that has gone is no reason to end: whoever closes
 * a terminal may have asked for the program to go on.
 */
export function draw(text: string): void {
  try {
    writeFully(Deno.stderr, new TextEncoder().encode(text));
  } catch {
    // There is nobody to tell.
  }
}

/**
 * Prints a line for the user of the client. On a terminal it is written at once: progress and prompts
 * are drawn around it, and Ctrl-C continues a stopped terminal.
 */
export function tell(line: string): void {
  if (Deno.stderr.isTerminal()) draw(`${line}\n`);
  else stderr.add(line);
}
