/**
 * Reads the lines of a session: from a terminal, with editing, history and completion by
 * `node:readline`, which is part of Deno; or from a script on the standard input.
 *
 * The prompt and the typed text go to stderr, so that stdout carries only data.
 *
 * @module
 */

import { stripAnsiCode } from "@std/fmt/colors";
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
import { tell } from "../lib/body/stderr.ts";
import { writeFully } from "../lib/body/streams.ts";
import { variable } from "../lib/environment.ts";

/** The variable that `deno task` sets for its children. */
const TASK_VARIABLE = "INIT_CWD";

/** A source of lines. */
export interface Lines extends Disposable {
  /** The next line without its ending, or `null` at the end. */
  next(prompt: string): Promise<string | null>;
  /** Prints a line on stderr, above the line being typed. */
  say(line: string): void;
  /** Whether a line is being typed. */
  readonly isTyping: boolean;
}

/** Lines of a script on the standard input. */
export class ScriptLines implements Lines {
  readonly isTyping = false;
  readonly #lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream())
    .getReader();

  async next(): Promise<string | null> {
    const { done, value } = await this.#lines.read();
    return done ? null : value;
  }

  say(line: string): void {
    tell(stripAnsiCode(line));
  }

  [Symbol.dispose](): void {
    this.#lines.releaseLock();
  }
}

/** Options of {@linkcode TerminalLines}. */
export interface TerminalOptions {
  /** Every completion of the text typed so far. */
  complete(typed: string): string[];
  /** Called on Ctrl-C, unless it only cleared the line being typed. */
  onInterrupt(): void;
  /** Whether Ctrl-C clears the line being typed, as in a shell. */
  renewsLines(): boolean;
  /** Ends the lines. */
  signal: AbortSignal;
}

/**
 * Lines that a user types at a terminal. The terminal is as it was before whenever the program does
 * not run: Deno sees to that at its end, and this while the program is stopped.
 */
export class TerminalLines implements Lines {
  readonly #readline: Interface;
  readonly #output: Writable;
  readonly #typed: (string | null)[] = [];
  /** Resolves the pending call of `next()`. Typed text is echoed only while there is one. */
  #asking: ((line: string | null) => void) | undefined;
  readonly #suspend = (): void => {
    process.stdin.setRawMode(false);
    // This one cannot be listened to, so that it does stop the program.
    Deno.kill(Deno.pid, "SIGSTOP");
  };
  readonly #continue = (): void => {
    process.stdin.setRawMode(true);
    // The shell has written behind the prompt.
    if (this.#asking) this.#redraw();
  };

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
    if (Deno.build.os === "windows") return;
    // Ctrl-Z is a key here, and no signal. Without a listener readline would pause for good.
    this.#readline.on("SIGTSTP", () => {
      if (isTask()) this.say("Ctrl-Z is not possible under deno task, which would not stop");
      else this.#suspend();
    });
    Deno.addSignalListener("SIGTSTP", this.#suspend);
    Deno.addSignalListener("SIGCONT", this.#continue);
  }

  get isTyping(): boolean {
    return this.#readline.line !== "";
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
    this.#redraw();
  }

  [Symbol.dispose](): void {
    this.#readline.close();
  }

  /** Draws the prompt and what is typed, on the row of the cursor. */
  #redraw(): void {
    // readline would go up to the row where it last drew.
    Object.assign(this.#readline, { prevRows: 0 });
    this.#readline.prompt(true);
  }

  #end(): void {
    if (Deno.build.os !== "windows") {
      Deno.removeSignalListener("SIGTSTP", this.#suspend);
      Deno.removeSignalListener("SIGCONT", this.#continue);
    }
    // Later output starts on a line of its own, not after the prompt.
    if (this.#asking) console.error();
    this.#take(null);
  }

  #take(line: string | null): void {
    const asking = this.#asking;
    this.#asking = undefined;
    if (asking) asking(line);
    else this.#typed.push(line);
  }

  /** Abandons the typed line as a shell does: it stays on the screen, and a new prompt follows. */
  #discard(): void {
    this.#readline.write(null, { ctrl: true, name: "e" });
    writeFully(Deno.stderr, new TextEncoder().encode("^C\n"));
    // Clear the line without echoing it.
    const asking = this.#asking;
    this.#asking = undefined;
    this.#readline.write(null, { ctrl: true, name: "u" });
    this.#asking = asking;
    Object.assign(this.#readline, { prevRows: 0 });
    this.#readline.prompt();
  }
}

/** Whether `deno task` runs this. It passes SIGTSTP on and waits, so that no shell would be there. */
function isTask(): boolean {
  return variable(TASK_VARIABLE) !== undefined;
}
