/**
 * The streams that the client writes data to: its standard output, pipes and devices. Their failures are
 * told as those of this machine.
 *
 * @module
 */

import { writeStdout } from "../lib/body/stdio.ts";
import { InletError } from "../lib/errors.ts";
import { outputError } from "../lib/local_errors.ts";
import { Tally } from "../lib/body/streams.ts";
import type { TerminalOutput } from "../lib/body/terminal_output.ts";
import type { Kept } from "../lib/store/store.ts";
import { quoted } from "../lib/text.ts";
import type { Saving } from "../modes/files/answers.ts";
import type { Plan } from "./plan.ts";

/** Whether the standard output is a terminal, and data or JSON goes there: no progress line may. */
export function takesTerminal(plan: Plan): boolean {
  return writesToScreen(plan) || (plan.json && Deno.stdout.isTerminal());
}

/** Whether data goes to the terminal, where it would clash with a progress line. */
export function writesToScreen({ action, mode }: Plan): boolean {
  const toStdout = action.type === "get" ? action.output === "-" : mode.answers;
  return toStdout && Deno.stdout.isTerminal();
}

/**
 * Writes all bytes.
 *
 * @throws {InletError} `local-disk`
 */
export async function writeOutput(chunk: Uint8Array): Promise<void> {
  try {
    await writeStdout(chunk);
  } catch (error) {
    throw outputError(error);
  }
}

/** Opens a terminal for a server's bytes. Loaded on demand, because few commands show any. */
export async function openScreen(
  write: (chunk: Uint8Array) => Promise<void> = writeOutput,
): Promise<TerminalOutput> {
  const { TerminalOutput } = await import("../lib/body/terminal_output.ts");
  return new TerminalOutput(write);
}

/**
 * A download to the standard output, or to another stream. What was written can be continued, but
 * not taken back.
 */
export class OutputTarget implements Saving {
  readonly #written: Tally;
  readonly #name: string;
  readonly #output: (chunk: Uint8Array) => Promise<void>;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param name For messages.
   * @param output Writes to the stream.
   * @param written What was written to it before.
   */
  constructor(
    name: string,
    output: (chunk: Uint8Array) => Promise<void>,
    written: Pick<Tally, "bytes" | "crc"> = new Tally(),
  ) {
    this.#name = name;
    this.#output = output;
    this.#written = Object.assign(new Tally(), written);
  }

  get kept(): Kept {
    const { bytes, crc } = this.#written;
    return { bytes, crc: () => crc };
  }

  /** Settles when nothing is being written: a lost connection does not wait for that. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#writing = this.#write(chunk);
  }

  /** @throws {InletError} `changed`, always */
  startOver(): void {
    const reason = "the file on the server is no longer the one whose beginning was written";
    throw new InletError("changed", `Cannot continue ${quoted(this.#name)}: ${reason}`);
  }

  async #write(chunk: Uint8Array): Promise<void> {
    await this.#output(chunk);
    this.#written.add(chunk);
  }
}
