/**
 * Messages that clients send, on this process's stdout: each whole, one after the other.
 *
 * @module
 */

import { explain } from "./errors.ts";

/** The way to stdout. Clients take turns, in the order in which they asked. */
export class Messages {
  readonly #output: Pick<typeof Deno.stdout, "write">;
  #last: Promise<void> = Promise.resolve();

  constructor(output: Pick<typeof Deno.stdout, "write"> = Deno.stdout) {
    this.#output = output;
  }

  /** Waits for those who came before. Dispose of the turn to let the next one speak. */
  async turn(): Promise<Turn> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return { write: (chunk) => this.#write(chunk), [Symbol.dispose]: resolve };
  }

  async #write(chunk: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < chunk.length;) {
        written += await this.#output.write(chunk.subarray(written));
      }
    } catch (error) {
      throw explain(error, "Cannot write the message to the standard output");
    }
  }
}

/** The right to write one message. */
export interface Turn extends Disposable {
  write(chunk: Uint8Array): Promise<void>;
}
