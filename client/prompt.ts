/**
 * Where a session's lines come from: a person at a terminal, with editing, history and completion by
 * `node:readline`, which comes with Deno; or a script on the standard input.
 *
 * A prompt and what is typed go to stderr, so that stdout carries data alone.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import process from "node:process";
import {
  clearScreenDown,
  createInterface,
  cursorTo,
  type Interface,
  moveCursor,
} from "node:readline";
import { Writable } from "node:stream";
import { writeFully } from "../lib/body/streams.ts";

/** Lines, one after the other. */
export interface Lines extends Disposable {
  /** The next line without its ending, or `null` when there are no more. */
  next(prompt: string): Promise<string | null>;
  /** Shows a line on stderr, with what is being typed out of its way. */
  say(line: string): void;
}

/** A script on the standard input. */
export class ScriptLines implements Lines {
  readonly #lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream())
    .getReader();

  async next(): Promise<string | null> {
    const { done, value } = await this.#lines.read();
    return done ? null : value;
  }

  say(line: string): void {
    console.error(line);
  }

  [Symbol.dispose](): void {
    this.#lines.releaseLock();
  }
}

/** What a terminal needs to know of the session that it serves. */
export interface TerminalOptions {
  /** Every line that what is typed so far can become. */
  complete(typed: string): string[];
  /** Ctrl-C while no line is asked for, or none that Ctrl-C just begins anew. */
  onInterrupt(): void;
  /** Whether Ctrl-C begins a new line, as in a shell. */
  renewsLines(): boolean;
  /** Ends the lines. */
  signal: AbortSignal;
}

/** A person at a terminal. */
export class TerminalLines implements Lines {
  readonly #readline: Interface;
  readonly #output: Writable;
  readonly #typed: (string | null)[] = [];
  /** Who waits for a line. Without anybody nothing is shown of what is typed. */
  #asking: ((line: string | null) => void) | undefined;

  constructor(options: TerminalOptions) {
    this.#output = new Writable({
      write: (chunk, _encoding, done): void => {
        if (this.#asking) writeFully(Deno.stderr, chunk);
        done();
      },
    });
    Object.defineProperty(this.#output, "columns", { get: () => Deno.consoleSize().columns });
    this.#readline = createInterface({
      input: process.stdin,
      output: this.#output,
      terminal: true,
      completer: (typed: string): [string[], string] => [options.complete(typed), typed],
    });
    this.#readline.on("line", (line: string) => this.#take(line));
    this.#readline.on("close", () => this.#end());
    this.#readline.on("SIGINT", () => {
      if (this.#asking && options.renewsLines()) this.#discard();
      else options.onInterrupt();
    });
    options.signal.addEventListener("abort", () => this.#readline.close());
  }

  next(prompt: string): Promise<string | null> {
    const typed = this.#typed.shift();
    if (typed !== undefined) return Promise.resolve(typed);
    return new Promise((resolve) => {
      this.#asking = resolve;
      this.#readline.setPrompt(prompt);
      this.#readline.prompt(true);
    });
  }

  say(line: string): void {
    if (!this.#asking) return console.error(line);
    moveCursor(this.#output, 0, -this.#readline.getCursorPos().rows);
    cursorTo(this.#output, 0);
    clearScreenDown(this.#output);
    console.error(line);
    // The row where readline last drew is above that line now: it is to draw on the row it is on.
    Object.assign(this.#readline, { prevRows: 0 });
    this.#readline.prompt(true);
  }

  [Symbol.dispose](): void {
    this.#readline.close();
  }

  #end(): void {
    // What comes next is not to stand behind the prompt.
    if (this.#asking) console.error();
    this.#take(null);
  }

  #take(line: string | null): void {
    const asking = this.#asking;
    this.#asking = undefined;
    if (asking) asking(line);
    else this.#typed.push(line);
  }

  /** As a shell does it: the line stays on the screen, and a new one begins. */
  #discard(): void {
    this.#readline.write(null, { ctrl: true, name: "e" });
    writeFully(Deno.stderr, new TextEncoder().encode("^C\n"));
    // Nobody is to see how the line is emptied.
    const asking = this.#asking;
    this.#asking = undefined;
    this.#readline.write(null, { ctrl: true, name: "u" });
    this.#asking = asking;
    Object.assign(this.#readline, { prevRows: 0 });
    this.#readline.prompt();
  }
}
