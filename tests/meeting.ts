/**
 * Two clients that meet by a code, as real programs.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { type Ended, type Reachable, Running, scriptPath, withKey } from "./helpers.ts";

/** A client that offers. It is stopped when it goes out of scope. */
export interface Offerer extends AsyncDisposable {
  /** The code, as it has printed it. */
  readonly code: string;
  readonly running: Running;
  /** Waits for its end. */
  ended(): Promise<Omit<Ended, "stdoutBytes">>;
  /** Kills it, without a word to anybody. */
  kill(): Promise<void>;
}

/** What the two may differ in. */
export interface MeetingOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** What is on its standard input, which then ends. */
  input?: string | Uint8Array | ReadableStream<Uint8Array>;
  /** A command that runs the client. */
  under?: readonly string[];
  /** The server's host, where it is not this machine. */
  host?: string;
  /** Options of the runtime, where not everything is permitted. */
  permissions?: readonly string[];
}

/**
 * Options of the runtime for clients that have to find the direct way: two seconds for it are promised,
 * and a test machine may need longer. So do limits on the rate, which have to be three times as high.
 */
export const SLOW_CLOCK: readonly string[] = ["--preload", scriptPath("tests/slow_clock.ts")];

/** Starts a client that offers, and waits for its code. */
export async function startOffer(
  server: Reachable,
  args: readonly string[],
  options: MeetingOptions = {},
): Promise<Offerer> {
  const process = spawn(server, ["--offer", ...args], options);
  const running = new Running(process);
  const lines = process.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  const reader = lines.getReader();
  const { value: code } = await reader.read();
  if (code === undefined) {
    await running.ended();
    throw new Error(`there is no code:\n${running.log}`);
  }
  const rest = (async (): Promise<string> => {
    let text = `${code}\n`;
    for (let next; !(next = await reader.read()).done;) text += `${next.value}\n`;
    return text;
  })();
  return {
    code,
    running,
    ended: async () => {
      const { code } = await running.ended();
      return { code, stdout: await rest, stderr: running.log };
    },
    kill: async () => void await running.stop("SIGKILL"),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** Starts a client that accepts a code, from its environment unless an input is given. */
export function startAccept(
  server: Reachable,
  code: string,
  args: readonly string[],
  options: MeetingOptions = {},
): Running & { readonly stdout: Promise<string> } {
  const env = options.input === undefined ? { INLET_CODE: code } : {};
  const process = spawn(server, ["--accept", ...args], {
    ...options,
    env: { ...env, ...options.env },
  });
  const stdout = new Response(process.stdout).text();
  return Object.assign(new Running(process), { stdout });
}

/** Runs a client that accepts a code, without a question, to its end. */
export async function accept(
  server: Reachable,
  code: string,
  args: readonly string[],
  options?: MeetingOptions,
): Promise<Omit<Ended, "stdoutBytes">> {
  const running = startAccept(server, code, ["--yes", ...args], options);
  const { code: exit } = await running.ended();
  const stdout = await running.stdout;
  return { code: exit, stdout, stderr: running.log };
}

function spawn(
  server: Reachable,
  args: readonly string[],
  { cwd, env = {}, input, under = [], host = "127.0.0.1", permissions = ["-A"] }: MeetingOptions,
): Deno.ChildProcess {
  const client = [Deno.execPath(), "run", ...permissions, scriptPath("client.ts")];
  const [command, ...words] = [
    ...under,
    ...client,
    host,
    String(server.port),
    ...args,
  ];
  const process = new Deno.Command(command!, {
    args: words,
    ...cwd !== undefined && { cwd },
    env: { ...withKey(server.key), ...env },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) {
    const body = input instanceof ReadableStream ? input : new Blob([input as string]).stream();
    body.pipeTo(process.stdin).catch(() => {});
  }
  return process;
}
