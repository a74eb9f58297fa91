/**
 * Programs of a benchmark: started with their streams on files, waited for, and never left behind.
 *
 * @module
 */

import { Running } from "../tests/helpers.ts";

/** Files in place of a program's standard streams. What is written is appended. */
export interface Streams {
  stdin?: string;
  stdout?: string;
}

/** A server that listens. Dispose of it to end it. */
export interface ServerProcess extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Settles when it has ended by itself, for one that serves once. */
  readonly ended: Promise<Deno.CommandStatus>;
}

const children = new Set<Deno.ChildProcess>();

/** Starts a program. `killAll` ends it too. */
export function spawn(command: readonly string[], options: Deno.CommandOptions): Deno.ChildProcess {
  const [program, ...args] = command as [string, ...string[]];
  const child = new Deno.Command(program, { args, env: { NO_COLOR: "1" }, ...options }).spawn();
  children.add(child);
  child.status.finally(() => children.delete(child));
  return child;
}

/** Starts a program with its stderr piped, to be told what it said if it fails. */
export function start(command: readonly string[], streams: Streams = {}): Deno.ChildProcess {
  return spawn(bound(command, streams), { stdin: "null", stdout: "null", stderr: "piped" });
}

/**
 * Runs a program to its end.
 *
 * @throws {Error} if it fails, with what it said
 */
export async function run(command: readonly string[], streams?: Streams): Promise<void> {
  await finish(command, start(command, streams));
}

/**
 * Runs a program to its end, and gives what it wrote to stdout.
 *
 * @throws {Error} if it fails, with what it said
 */
export async function output(command: readonly string[]): Promise<string> {
  const child = spawn(command, { stdin: "null", stdout: "piped", stderr: "piped" });
  const ended = await child.output();
  assertSuccess(command, ended);
  return new TextDecoder().decode(ended.stdout);
}

/**
 * Waits for the end of a program.
 *
 * @throws {Error} if it fails, with what it said
 */
export async function finish(
  command: readonly string[],
  child: Deno.ChildProcess,
): Promise<void> {
  assertSuccess(command, await child.output());
}

function assertSuccess(
  [program]: readonly string[],
  { success, code, stderr }: Pick<Deno.CommandOutput, "success" | "code" | "stderr">,
): void {
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  throw new Error(`${program} ended with ${code}: ${said}`);
}

/**
 * Starts a server and waits for its line `listening on …:PORT`, or `… port PORT`.
 *
 * @param streams A server that says that line on stdout has it moved to `/dev/stderr`.
 * @param listens What a server says instead that was given its port.
 * @throws {Error} if it ends before, with what it said
 */
export async function startServer(
  command: readonly string[],
  streams?: Streams,
  listens?: { says: RegExp; port: number },
): Promise<ServerProcess> {
  const child = start(command, streams);
  const running = new Running(child);
  const [, port] = await running.says(listens?.says ?? /listening on .*(?::|port )(\d+)/);
  return {
    port: listens?.port ?? Number(port),
    pid: child.pid,
    ended: child.status,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** A port of 127.0.0.1 that was free just now, for servers that cannot choose one. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Ends every program that is still running, at once. */
export function killAll(): void {
  for (const child of children) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended.
    }
  }
}

/**
 * Where an installed program is, or `undefined`. A wrapper script that picks one of several
 * interpreters would be measured with it, so Python is asked itself.
 */
export async function findProgram(name: string): Promise<string | undefined> {
  const [program, ...args] = name === "python3"
    ? ["python3", "-c", "import sys; print(sys.executable)"]
    : ["sh", "-c", 'command -v "$0"', name];
  try {
    const { success, stdout } = await new Deno.Command(program!, { args }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** `Deno.Command` binds streams to pipes only; a shell binds them to files, and then is gone. */
function bound(command: readonly string[], { stdin, stdout }: Streams): readonly string[] {
  if (stdin === undefined && stdout === undefined) return command;
  const script = 'out=$1; shift; exec "$@" <"$0" >>"$out"';
  return ["sh", "-c", script, stdin ?? "/dev/null", stdout ?? "/dev/null", ...command];
}
