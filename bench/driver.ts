/**
 * Many clients in one process, so that the start of none is measured.
 *
 * 1. B: `{"port":5000,"mode":"files","clients":[["a.bin"],["b.bin"]]}`, a line on its stdin.
 * 2. D: sends all of them at once with `send()`, each client what is in its list.
 * 3. D: `{"eachMs":[3.1,2.9]}`, a line on its stdout: each client's time from the common start. Or
 *    `{"error":"…"}`.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { send } from "../client.ts";
import { ROOT } from "../tests/helpers.ts";
import { spawn } from "./processes.ts";

/** Nothing may move for so long: a thousand clients wait for each other. */
const TIMEOUT_MS = 120_000;

/** What all clients are to do at once. */
export interface Task {
  readonly port: number;
  readonly mode: string;
  /** What servers with a key ask for. */
  readonly key?: string | undefined;
  /** The paths that each client sends. */
  readonly clients: readonly (readonly string[])[];
}

type Answer = { eachMs: number[] } | { error: string };

/** A driver that waits for tasks. Dispose of it to end it. */
export class Driver implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  constructor() {
    const script = new URL("bench/driver.ts", ROOT).pathname;
    const command = [Deno.execPath(), "run", "--allow-all", script];
    this.#process = spawn(command, { stdin: "piped", stdout: "piped", stderr: "inherit" });
    this.#stdin = this.#process.stdin.getWriter();
    this.#answers = lines(this.#process.stdout).getReader();
  }

  /** Its process. */
  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Has all clients send at once.
   *
   * @returns How long each took, in milliseconds.
   * @throws {Error} if one file was not acknowledged
   */
  async run(task: Task): Promise<number[]> {
    await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify(task)}\n`));
    const { value } = await this.#answers.read();
    if (value === undefined) throw new Error("the driver of many clients ended");
    const answer: Answer = JSON.parse(value);
    if ("error" in answer) throw new Error(answer.error);
    return answer.eachMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close();
    await this.#process.status;
  }
}

async function perform({ port, mode, key, clients }: Task): Promise<Answer> {
  const address = { hostname: "127.0.0.1", port };
  const started = performance.now();
  try {
    const eachMs = await Promise.all(clients.map(async (files) => {
      await send(address, files, { mode, key, timeoutMs: TIMEOUT_MS });
      return performance.now() - started;
    }));
    return { eachMs };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<string> {
  return stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}

if (import.meta.main) {
  for await (const line of lines(Deno.stdin.readable)) {
    console.log(JSON.stringify(await perform(JSON.parse(line))));
  }
}
