/**
 * The program of `--on-stored`, which runs once for each stored file.
 *
 * A few run at once, in the order in which their files were stored, and the others wait: no transfer
 * waits for any of them. Deno starts a program in the thread that serves, so that as much time passes
 * between two starts as a start takes.
 *
 * @module
 */

import { resolve } from "@std/path/resolve";
import { formatCrc } from "../../protocol.ts";
import { stderr } from "../body/stderr.ts";
import { variable } from "../environment.ts";
import { InletError } from "../errors.ts";
import { Semaphore } from "../semaphore.ts";
import { formatCount, formatSeconds, printable, quoted } from "../text.ts";
import { type Ended, runProgram } from "./child_program.ts";
import type { Log } from "./log.ts";
import type { OnStored, ReceivedFile } from "./stored_hook.ts";

/** Most programs that run at once. */
const MAX_RUNNING = 4;

/** Most files that wait for their program. */
const MAX_WAITING = 50_000;

/** Most lines of what one run prints that are logged. */
const MAX_LINES = 20;

/** Milliseconds for which a server that stops waits for the reader of its log, once. */
const READING_MS = 5000;

/** What a program gets of the server's own environment, as far as Deno lets the server read it. */
const PASSED_ON = ["HOME", "LANG", "PATH", "TMPDIR", "TZ", "SystemRoot"] as const;

/** How the program is run. */
export interface StoredProgramOptions {
  readonly log: Pick<Log, "info" | "warn">;
  /** Milliseconds that one run may take. */
  readonly timeoutMs: number;
  /**
   * Most files that wait.
   *
   * @default {50_000}
   */
  readonly maxWaiting?: number;
}

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/**
 * Checks that a program can be run, and gives the function that runs it for a file.
 *
 * @throws {InletError} `usage` if there is no such program
 */
export function runningFor(command: Command, options: StoredProgramOptions): OnStored {
  const [program, ...args] = command;
  const hook = new StoredProgram([existing(program), ...args], options);
  return (file, signal) => hook.run(file, signal);
}

/** Whether a program is given by its path, and so not looked for in PATH. */
export function isPath(program: string): boolean {
  return program.includes("/") || (Deno.build.os === "windows" && program.includes("\\"));
}

/** A program as it can be run wherever the current folder is. @throws {InletError} `usage` */
function existing(program: string): string {
  const fail = (why: string): InletError =>
    new InletError("usage", `Cannot run ${quoted(program)} for --on-stored: ${why}`);
  if (!isPath(program)) {
    if (!isInPath(program)) {
      throw fail(`there is no such program in PATH; one in this folder is typed ./${program}`);
    }
    return program;
  }
  const path = resolve(program);
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch {
    const hint = program.startsWith("~") ? "; ~ is not expanded here, give the whole path" : "";
    throw fail(`it does not exist${hint}`);
  }
  if (!info.isFile) throw fail("it is no file");
  if (info.mode !== null && (info.mode & 0o111) === 0) throw fail("it is not executable");
  return path;
}

/**
 * Whether Deno finds a program in PATH, which it may not let this one read: it looks for the program
 * before it notices that the folder to run it in is none.
 */
function isInPath(program: string): boolean {
  const cwd = Deno.build.os === "windows" ? "NUL" : "/dev/null";
  try {
    new Deno.Command(program, { cwd }).outputSync();
    return true;
  } catch (error) {
    return !(error as Error).message.includes("entity not found");
  }
}

/** A file whose program has not run yet. */
interface Waiting {
  readonly file: ReceivedFile;
  readonly signal: AbortSignal;
  done(): void;
}

class StoredProgram {
  readonly #command: Command;
  readonly #options: StoredProgramOptions;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  /** Whether the log's reader has kept up. */
  #isRead = true;
  /** One is started at a time. */
  readonly #starts = new Semaphore(1);

  constructor(command: Command, options: StoredProgramOptions) {
    this.#command = command;
    this.#options = options;
  }

  /** Runs the program for a file, in its turn. Settles when that is over; it never fails. */
  run(file: ReceivedFile, signal: AbortSignal): Promise<void> | void {
    const { maxWaiting = MAX_WAITING } = this.#options;
    if (this.#waiting.length >= maxWaiting) {
      return this.#drop(file, `${formatCount(maxWaiting)} files wait for theirs`);
    }
    return new Promise((done) => {
      this.#waiting.push({ file, signal, done });
      if (this.#running < MAX_RUNNING) this.#runAll();
    });
  }

  /** Runs the program for one file after another, until none waits. */
  async #runAll(): Promise<void> {
    this.#running++;
    for (let next; (next = this.#waiting.shift());) {
      await this.#runFor(next.file, next.signal);
      next.done();
      // What is dropped at the end can be more than the log holds for its reader.
      if (next.signal.aborted && stderr.isHalfFull && this.#isRead) {
        this.#isRead = await stderr.flush(READING_MS);
      }
    }
    this.#running--;
  }

  async #runFor(file: ReceivedFile, signal: AbortSignal): Promise<void> {
    const { log, timeoutMs } = this.#options;
    const start = signal.aborted ? undefined : await this.#starts.acquire();
    if (signal.aborted) {
      start?.[Symbol.dispose]();
      return this.#drop(file, "the server stops");
    }
    const since = performance.now();
    const running = runProgram(this.#command, { env: environmentFor(file), timeoutMs, signal });
    setTimeout(() => start?.[Symbol.dispose](), performance.now() - since);
    let ended: Ended;
    try {
      ended = await running;
    } catch (error) {
      const why = `it cannot be started: ${(error as Error).message}`;
      return log.warn("hook-failed", failed(file, why), { file: file.name });
    }
    const ms = Math.round(performance.now() - since);
    this.#logOutput(file, ended);
    if (ended.code === 0 && ended.why === undefined) return;
    const { code, signal: by } = ended;
    log.warn("hook-failed", failed(file, whyEnded(ended, timeoutMs)), {
      ...{ file: file.name, ms },
      ...by === null ? { exit: code } : { signal: by },
    });
  }

  /** Logs what it has printed, a line an event. */
  #logOutput({ name: file }: ReceivedFile, { outputs }: Ended): void {
    const { log } = this.#options;
    const says = (text: string): void =>
      log.info("hook-output", `the hook for ${quoted(file)} says: ${text}`, { file, text });
    for (const { bytes, leftOut } of outputs) {
      const lines = new TextDecoder().decode(bytes).split(/\r?\n/).filter((line) => line !== "");
      for (const line of lines.slice(0, MAX_LINES)) says(line);
      if (leftOut > 0 || lines.length > MAX_LINES) says("… and more, which is left out");
    }
  }

  #drop({ name: file }: ReceivedFile, why: string): void {
    const message = `the hook for ${quoted(file)} does not run: ${why}`;
    this.#options.log.warn("hook-dropped", message, { file });
  }
}

function failed({ name }: ReceivedFile, why: string): string {
  return `the hook for ${quoted(name)} failed: ${why}`;
}

function whyEnded({ code, signal, why }: Ended, timeoutMs: number): string {
  if (why === "timeout") return `it did not end within ${formatSeconds(timeoutMs)} s`;
  if (why === "abort") return "the server stopped";
  return signal === null ? `exit code ${code}` : `ended by ${signal}`;
}

/** All of the environment that the program gets. It never has the keys of the server. */
function environmentFor(
  { name, path, url, size, crc, client }: ReceivedFile,
): Record<string, string> {
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = variable(name);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(passedOn),
    INLET_FILE: path ?? url ?? "",
    INLET_NAME: name,
    INLET_SIZE: String(size),
    INLET_CRC: formatCrc(crc),
    INLET_CLIENT: String(client.number),
    INLET_CLIENT_NAME: printable(client.name),
    INLET_USER: printable(client.user ?? ""),
    INLET_ADDRESS: client.address,
    INLET_WIRE: client.wire,
  };
}
