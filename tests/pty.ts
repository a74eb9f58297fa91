/**
 * A real terminal: a command under `script` of util-linux, which gives it a pseudo-terminal, so that
 * the test can read the screen and type.
 *
 * @module
 */

import { ROOT } from "./helpers.ts";

/** The programs that {@linkcode Terminal} needs. */
export const TERMINAL_PROGRAMS = ["script", "stty"] as const;

/** What Deno asks, up to where it waits. */
const QUESTION = /Deno requests (.+)\.\r\n[^]*?Allow\?.* > /g;

/** What Deno says to an answer. */
const REACTION = /(?:✅ Granted|❌ Denied) /g;

/** Milliseconds between two answers. Deno listens only when nothing was typed for a tenth of a second. */
const RETYPE_MS = 300;

/** Options of a {@linkcode Terminal}. */
export interface TerminalOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** A terminal with one command in it. It is closed when it goes out of scope. */
export class Terminal implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #keyboard: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #screen = "";
  #ended = false;
  #wake: () => void = () => {};

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#keyboard = process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts a command as a shell would, with 100 columns. */
  static run(command: string, options: TerminalOptions = {}): Terminal {
    return new Terminal(
      new Deno.Command("script", {
        args: ["-qec", `stty cols 100 rows 24; exec ${command}`, "/dev/null"],
        cwd: options.cwd ?? ROOT,
        env: {
          NO_COLOR: "1",
          DENO_NO_UPDATE_CHECK: "1",
          SHELL: "/bin/sh",
          TERM: "xterm",
          ...options.env,
        },
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn(),
    );
  }

  /** All that was written to it, control sequences included. */
  get screen(): string {
    return this.#screen;
  }

  /** The same without control sequences. */
  get text(): string {
    // deno-lint-ignore no-control-regex
    return this.#screen.replaceAll(/\x1b\[(?:\d*[A-Z]|\?7[hl])/g, "");
  }

  /** Waits until a pattern has been written to it, and gives the match. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    return await this.#until(() => pattern.exec(this.#screen), String(pattern));
  }

  /** Types text. */
  async types(text: string): Promise<void> {
    await this.#keyboard.write(new TextEncoder().encode(text));
  }

  /** Answers Deno's next question, once it is asked. */
  async answers(letter: "y" | "n"): Promise<void> {
    const before = this.#count(REACTION);
    await this.#until(() => this.#count(QUESTION) > before || null, "a question");
    // Deno drops what is typed too soon after the question: whoever sees nothing types again.
    const typing = setInterval(() => this.types(`${letter}\n`), RETYPE_MS);
    try {
      await this.#until(() => this.#count(REACTION) > before || null, "a reaction");
    } finally {
      clearInterval(typing);
    }
  }

  /** Says yes to each of Deno's questions until a pattern is shown, and gives the questions. */
  async allowsUntil(pattern: RegExp): Promise<string[]> {
    const isShown = (): boolean => pattern.test(this.#screen);
    for (;;) {
      const asked = (): boolean => this.#count(QUESTION) > this.#count(REACTION);
      await this.#until(() => isShown() || asked() || null, `${pattern} or a question`);
      if (isShown()) return [...this.#screen.matchAll(QUESTION)].map(([, question]) => question!);
      await this.answers("y");
    }
  }

  /** Waits for the end of the command, and gives its exit code. */
  async ended(): Promise<number> {
    await this.#reading;
    return (await this.#process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#process.kill("SIGKILL");
    await this.#reading;
    await this.#process.status;
    await this.#keyboard.close().catch(() => {});
  }

  #count(pattern: RegExp): number {
    return [...this.#screen.matchAll(pattern)].length;
  }

  async #until<T>(condition: () => T | null, what: string): Promise<T> {
    for (;;) {
      const result = condition();
      if (result !== null) return result;
      if (this.#ended) throw new Error(`it ended without showing ${what}:\n${this.#screen}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async #read(): Promise<void> {
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      this.#screen += text;
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }
}
