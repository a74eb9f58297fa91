/**
 * Servers that listen on a Unix socket, as processes, and their clients.
 *
 * @module
 */

import {
  type Ended,
  run,
  Running,
  type RunOptions,
  scriptPath,
  tempDir,
  withKey,
} from "./helpers.ts";

/** A server process at a Unix socket. */
export interface UnixServer extends AsyncDisposable {
  /** The path of its socket. */
  readonly path: string;
  /** Its directory of received files. */
  readonly dir: string;
  readonly key: string | undefined;
  readonly running: Running;
  /** What it has written to stdout, once it has ended. */
  readonly stdout: Promise<string>;
}

/** Options of {@linkcode startUnixServer}. */
export interface UnixServerOptions {
  /** Its folder, with the socket and the directory; without it, one of the server's own. */
  folder?: string;
  args?: readonly string[];
  permissions?: readonly string[];
  /** A command that runs the server. */
  under?: readonly string[];
  key?: string | undefined;
}

/** The words that start a server at `inlet.sock` in a folder, behind those that run Deno. */
export function serverArgs(folder: string, args: readonly string[] = []): string[] {
  return [`unix:${folder}/inlet.sock`, "--dir", `${folder}/received`, ...args];
}

/** Starts server.ts, and waits until it listens. */
export async function startUnixServer(options: UnixServerOptions = {}): Promise<UnixServer> {
  const { args, permissions = ["-A"], under = [], key } = options;
  const own = options.folder === undefined ? await tempDir() : undefined;
  const folder = options.folder ?? own!.path;
  const words = ["run", ...permissions, scriptPath("server.ts"), ...serverArgs(folder, args)];
  const [command, ...rest] = [...under, Deno.execPath(), ...words];
  const process = new Deno.Command(command!, {
    args: rest,
    cwd: folder,
    env: withKey(key),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdout = new Response(process.stdout).text();
  const running = new Running(process);
  const path = `${folder}/inlet.sock`;
  await running.says(/listening on unix:|"event":"listening"/);
  return {
    path,
    dir: `${folder}/received`,
    key,
    running,
    stdout,
    async [Symbol.asyncDispose](): Promise<void> {
      await running[Symbol.asyncDispose]();
      await stdout;
      await own?.[Symbol.asyncDispose]();
    },
  };
}

/** Runs client.ts against a server, to its end. */
export async function runUnixClient(
  server: Pick<UnixServer, "path" | "key">,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const words = ["run", "-A", scriptPath("client.ts"), `unix:${server.path}`, ...args];
  const env = { ...withKey(server.key), ...options.env };
  return await run(Deno.execPath(), words, { ...options, env });
}

/** Starts client.ts against a server, with a pipe to its stdin. What it writes to stdout is lost. */
export function startUnixClient(
  server: Pick<UnixServer, "path">,
  args: readonly string[],
): Running {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", scriptPath("client.ts"), `unix:${server.path}`, ...args],
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  return new Running(process);
}
