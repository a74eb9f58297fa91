/**
 * A terminal to test in: tmux holds a real pseudo-terminal, is typed into, and says what stands on
 * the screen.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";

/** How long a screen may take to show something, in milliseconds, on a machine that is very busy. */
const PATIENCE_MS = 60_000;

/** Options of {@linkcode openTerminal}. */
export interface TerminalOptions {
  cwd: string;
  /** Columns of the screen. */
  columns?: number;
}

/** Opens a terminal of 50 rows that runs one command. What the command exits with is shown as `exit 0`. */
export async function openTerminal(
  command: readonly string[],
  { cwd, columns = 100 }: TerminalOptions,
): Promise<Terminal> {
  const socket = await Deno.makeTempFile({ prefix: "inlet_tmux_" });
  const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  // The shell stays, so that the last words stay on the screen.
  const script = `${words}; echo "exit $?"; exec cat`;
  const size = ["-x", String(columns), "-y", "50"];
  const start = ["new-session", "-d", ...size, "-c", cwd, script];
  await tmux(socket, ["-f", "/dev/null", ...start]);
  await tmux(socket, ["set-option", "-g", "window-size", "manual"]);
  return new Terminal(socket);
}

/** A terminal. */
export class Terminal implements AsyncDisposable {
  readonly #socket: string;
  readonly #watcher: Deno.ChildProcess;
  readonly #watching: Promise<void>;
  #changed = Promise.withResolvers<void>();

  constructor(socket: string) {
    this.#socket = socket;
    // In control mode tmux tells of every output.
    this.#watcher = new Deno.Command("tmux", {
      args: ["-S", socket, "-C", "attach-session"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#watching = this.#watch();
  }

  /** Types text as it is. */
  async type(text: string): Promise<void> {
    await tmux(this.#socket, ["send-keys", "-l", text]);
  }

  /** Presses keys by their names in tmux: `Enter`, `Tab`, `C-c`. */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await tmux(this.#socket, ["send-keys", key]);
  }

  /** Gives the screen another width. */
  async resize(columns: number): Promise<void> {
    await tmux(this.#socket, ["resize-window", "-x", String(columns)]);
  }

  /**
   * What stands on the screen.
   *
   * @param options.scrolled Whether to include what was scrolled out of sight.
   */
  async screen({ scrolled = false } = {}): Promise<string> {
    const from = scrolled ? ["-S", "-"] : [];
    return (await tmux(this.#socket, ["capture-pane", "-p", ...from])).trimEnd();
  }

  /** The same with its colours, as escape sequences. */
  async colours(): Promise<string> {
    return (await tmux(this.#socket, ["capture-pane", "-p", "-e"])).trimEnd();
  }

  /** Waits until something stands on the screen, and gives the whole screen. */
  async shows(pattern: RegExp): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed.resolve();
    }, PATIENCE_MS);
    try {
      for (;;) {
        const { promise } = this.#changed;
        const screen = await this.screen();
        if (pattern.test(screen)) return screen;
        if (late) throw new Error(`the screen does not show ${pattern}:\n${screen}`);
        await promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tmux(this.#socket, ["kill-server"]);
    await this.#watching;
    await this.#watcher.stdin.close().catch(() => {});
    await this.#watcher.status;
    await Deno.remove(this.#socket).catch(() => {});
  }

  async #watch(): Promise<void> {
    const lines = this.#watcher.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const _ of lines) {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    }
  }
}

async function tmux(socket: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("tmux", {
    args: ["-S", socket, ...args],
    stdin: "null",
    env: { TERM: "xterm-256color", LC_ALL: "C.UTF-8", TMUX: "" },
  }).output();
  if (!success) throw new Error(`tmux ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
