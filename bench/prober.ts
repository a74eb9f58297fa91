/**
 * A client that asks for little, again and again, in a process of its own, so that nothing that the
 * measuring process does delays it. It tells how long its longest wait was.
 *
 * `prober.ts PORT` writes a line once it has its first answers. Each line on its stdin begins a
 * measurement; it then writes the longest wait of the one before, in milliseconds.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { Wire } from "../tests/wire.ts";
import { spawn } from "./processes.ts";

/** Milliseconds between an answer and the next question. */
const PAUSE_MS = 1;

/** Answers before the first measurement. */
const WARM_UP = 100;

/** A running prober, seen from the process that measures. */
export class Prober implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(port: number) {
    const command = [Deno.execPath(), "run", "--allow-all", new URL(import.meta.url).pathname];
    const streams = { stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    this.#process = spawn([...command, String(port)], streams);
    this.#stdin = this.#process.stdin.getWriter();
    this.#lines = this.#process.stdout
      .pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  /** Starts one, and waits until it has had its first answers. */
  static async start(port: number): Promise<Prober> {
    const prober = new Prober(port);
    await prober.#nextLine();
    return prober;
  }

  /** The longest wait for an answer while something is done, in milliseconds. */
  async longestWaitDuring(action: () => Promise<void>): Promise<number> {
    await this.#begin();
    await action();
    return await this.#begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close();
    await this.#process.status;
    await this.#lines.cancel();
  }

  async #begin(): Promise<number> {
    await this.#stdin.write(new TextEncoder().encode("next\n"));
    return Number(await this.#nextLine());
  }

  async #nextLine(): Promise<string> {
    const { value } = await this.#lines.read();
    if (value === undefined) throw new Error("the client that measures the waits has ended");
    return value;
  }
}

/** Asks all the time. */
class Asking {
  #longestMs = 0;
  /** When the question that waits was asked. */
  #asked: number | undefined;

  /** Sends talk and an empty file in turns. */
  async run(port: number): Promise<void> {
    using wire = await Wire.greet({ port });
    for (let number = 0;; number++) {
      this.#asked = performance.now();
      await wire.says(number % 2 === 0 ? "Hello\n" : "push 0 probe.txt\nend 00000000\n");
      if (!/ACK$|^ok /.test(await wire.line())) throw new Error("it was not answered");
      this.#count();
      this.#asked = undefined;
      if (number === WARM_UP) console.log("ready");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** The longest wait since the last call. A question that still waits counts too. */
  next(): number {
    this.#count();
    const longest = this.#longestMs;
    this.#longestMs = 0;
    return longest;
  }

  #count(): void {
    if (this.#asked === undefined) return;
    this.#longestMs = Math.max(this.#longestMs, performance.now() - this.#asked);
  }
}

async function main(port: number): Promise<void> {
  const asking = new Asking();
  asking.run(port).catch((error) => {
    console.error(error);
    Deno.exit(1);
  });
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const _ of lines) console.log(asking.next());
  Deno.exit(0);
}

if (import.meta.main) await main(Number(Deno.args[0]));
