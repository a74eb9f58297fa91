/**
 * One daemon of a Ceph, which dies with this process.
 *
 * @module
 */

/** Milliseconds after which a daemon that died by itself is started again, as by a supervisor. */
const RESTART_MS = 2000;

/** Runs a program with its output in a file. The system kills it when this process has gone. */
export const ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"] as const;

/** A program that runs until it is killed. */
export class Daemon {
  /** What it is called: its output and its process id are in files of that name. */
  readonly name: string;
  readonly #directory: string;
  readonly #command: readonly string[];
  readonly #onDeath: (daemon: Daemon) => void;
  #process: Deno.ChildProcess | undefined;
  #restart: ReturnType<typeof setTimeout> | undefined;

  /** @param onDeath Called when it has died by itself. */
  constructor(
    name: string,
    directory: string,
    command: readonly string[],
    onDeath: (daemon: Daemon) => void,
  ) {
    this.name = name;
    this.#directory = directory;
    this.#command = command;
    this.#onDeath = onDeath;
  }

  /** Starts it, if it does not run. */
  start(): void {
    clearTimeout(this.#restart);
    if (this.#process) return;
    const args = ["-c", 'exec "$@" >>"$0" 2>&1', `${this.#directory}/${this.name}.out`];
    const process = new Deno.Command("sh", {
      args: [...args, ...ENDS_WITH_US, ...this.#command],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#process = process;
    Deno.writeTextFileSync(`${this.#directory}/${this.name}.pid`, `${process.pid}\n`);
    process.status.then(() => this.#died(process));
  }

  /** Kills it as a power cut would, and waits until it has gone. It stays so until it is started. */
  async kill(): Promise<void> {
    clearTimeout(this.#restart);
    const process = this.#process;
    this.#process = undefined;
    try {
      process?.kill("SIGKILL");
    } catch {
      // It has died in this moment.
    }
    await process?.status;
  }

  /** The last line that it has printed, or that is in its log. */
  lastWords(): string {
    for (const ending of ["out", "log"]) {
      try {
        const text = Deno.readTextFileSync(`${this.#directory}/${this.name}.${ending}`).trim();
        if (text !== "") return text.slice(text.lastIndexOf("\n") + 1);
      } catch {
        // It has written none.
      }
    }
    return "it said nothing";
  }

  #died(process: Deno.ChildProcess): void {
    if (process !== this.#process) return;
    this.#process = undefined;
    this.#restart = setTimeout(() => this.start(), RESTART_MS);
    this.#onDeath(this);
  }
}
