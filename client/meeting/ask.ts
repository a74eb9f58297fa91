/**
 * Questions of the accepting client: for the code, and whether to receive what is offered.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { draw } from "../../lib/body/stderr.ts";
import { variable } from "../../lib/environment.ts";
import { explain, InletError } from "../../lib/errors.ts";
import { canAsk } from "../meeting_plan.ts";
import type { Code, WordList } from "./code.ts";

/** The environment variable that may hold the code. */
export const CODE_VARIABLE = "INLET_CODE";

/** Longest line that is read, in characters: whatever is longer is no answer. */
const MOST_CHARACTERS = 4096;

/** Asks a person at the terminal, or reads what a program answers on the standard input. */
export class Questions {
  readonly #signal: AbortSignal;
  #lines: ReadableStreamDefaultReader<string> | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * The code, from the environment, a person or the standard input.
   *
   * @throws {InletError} `usage` if there is none, or it is wrong
   */
  async code(words: WordList): Promise<Code> {
    const known = variable(CODE_VARIABLE);
    if (known) return words.read(known);
    for (let line; (line = await this.#ask("Code: ")) !== null;) {
      try {
        return words.read(line);
      } catch (error) {
        // Who has mistyped it would type it again to the shell, which keeps what it was told.
        if (!canAsk()) throw error;
        draw(`${explain(error).message}\n`);
      }
    }
    const how = `write it on the standard input, or set ${CODE_VARIABLE}`;
    throw new InletError("usage", `Cannot accept without a code: ${how}`);
  }

  /** Whether a person says yes. */
  async agrees(question: string): Promise<boolean> {
    return /^y(?:es)?$/i.test((await this.#ask(`${question} [y/N] `))?.trim() ?? "");
  }

  async #ask(question: string): Promise<string | null> {
    if (canAsk()) draw(question);
    this.#lines ??= Deno.stdin.readable
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = (): void => {
      // What is told next begins a line.
      if (canAsk()) draw("\n");
      reject(this.#signal.reason);
    };
    this.#signal.addEventListener("abort", stop);
    try {
      this.#signal.throwIfAborted();
      const { value } = await Promise.race([this.#lines.read(), stopped]);
      return value === undefined ? null : value.slice(0, MOST_CHARACTERS);
    } finally {
      this.#signal.removeEventListener("abort", stop);
    }
  }
}
