/**
 * The programs that are measured: who receives, who sends, and any receiver with any sender.
 *
 * @module
 */

import { fixture, ROOT } from "../tests/helpers.ts";
import type { Candidate } from "./measure.ts";
import { findProgram, run, type ServerProcess, startServer } from "./processes.ts";
import {
  empty,
  type SourceFile,
  type SourceFolder,
  verify,
  verifyFolder,
  type Workspace,
} from "./workspace.ts";

/** How often a receiver's output is looked at, in milliseconds, once its sender has ended. */
const POLL_MS = 1;

/** How long a receiver may take after its sender has ended, in milliseconds. */
const PATIENCE_MS = 60_000;

/** Where bytes go. */
export interface Receiver {
  /** Servers that outlive a run. */
  readonly pids: readonly number[];
  /** Where it stores. */
  readonly directory: string;
  /** Makes it listen, and gives the port. */
  listen(): Promise<number>;
  /** Waits until it has received so many bytes and is done with them, and gives their path. */
  received(bytes: number): Promise<string>;
  clear(): Promise<void>;
}

/** Sends a file or a folder, and returns when its program has ended. */
export type Sender = (port: number, path: string) => Promise<void>;

/** A file on its way from a sender to a receiver, from the sender's start until both are done. */
export function transfer(
  receiver: Receiver,
  sender: Sender,
  file: SourceFile,
): Omit<Candidate, "name"> {
  let path: string;
  return {
    pids: receiver.pids,
    clear: () => receiver.clear(),
    async ready() {
      const port = await receiver.listen();
      return async () => {
        await sender(port, file.path);
        path = await receiver.received(file.size);
      };
    },
    check: async () => await Promise.resolve(verify(path, file)),
  };
}

/** A folder on its way, from the sender's start until it knows that all has been stored. */
export function transferFolder(
  receiver: Receiver,
  sender: Sender,
  folder: SourceFolder,
): Omit<Candidate, "name"> {
  return {
    pids: receiver.pids,
    clear: () => receiver.clear(),
    async ready() {
      const port = await receiver.listen();
      return () => sender(port, folder.path);
    },
    check: async () =>
      await Promise.resolve(verifyFolder(`${receiver.directory}/${folder.name}`, folder)),
  };
}

/** What a program is permitted. Files below /dev can be written with no narrower permission. */
export const ALL: readonly string[] = ["--allow-all"];

/** The command line of server.ts, on any free port. */
export function serverCommand(
  directory: string,
  args: readonly string[] = [],
  permissions = ALL,
): string[] {
  return [
    ...[Deno.execPath(), "run", ...permissions, new URL("server.ts", ROOT).pathname],
    ...["0", "--dir", directory, ...args],
  ];
}

/** The command line of client.ts. */
export function clientCommand(
  port: number,
  args: readonly string[],
  permissions = ALL,
): string[] {
  return [
    ...[Deno.execPath(), "run", ...permissions, new URL("client.ts", ROOT).pathname],
    ...["127.0.0.1", String(port), ...args],
  ];
}

/** The command line of a Python program under fixtures/peers/. */
export async function pythonCommand(program: string, args: readonly string[]): Promise<string[]> {
  return [await findProgram("python3") ?? "python3", fixture(`peers/${program}`), ...args];
}

/** server.ts, storing files. */
export async function inletReceiver(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  args: readonly string[] = [],
  permissions = ALL,
): Promise<Receiver> {
  const directory = workspace.directory();
  const command = serverCommand(directory, args, permissions);
  return storing(directory, stack.use(await startServer(command)));
}

/** A Python server that is given a port and a directory. */
export async function pythonReceiver(
  program: string,
  workspace: Workspace,
  stack: AsyncDisposableStack,
): Promise<Receiver> {
  const directory = workspace.directory();
  const command = await pythonCommand(program, ["0", directory]);
  const server = stack.use(await startServer(command, { stdout: "/dev/stderr" }));
  return storing(directory, server);
}

/** A server that stores below a directory and lives through all runs. */
export function storing(directory: string, { port, pid }: ServerProcess): Receiver {
  return {
    pids: [pid],
    directory,
    listen: () => Promise.resolve(port),
    received: (bytes) => stored(directory, bytes),
    clear: async () => await Promise.resolve(empty(directory)),
  };
}

/** server.ts with its stdout in a file. */
export async function inletMessageReceiver(
  workspace: Workspace,
  stack: AsyncDisposableStack,
): Promise<Receiver> {
  const directory = workspace.directory();
  const stdout = `${directory}/out`;
  const command = serverCommand(workspace.directory(), ["--mode", "message"]);
  const { port, pid } = stack.use(await startServer(command, { stdout }));
  return {
    pids: [pid],
    directory,
    listen: () => Promise.resolve(port),
    received: (bytes) => stored(directory, bytes),
    // The server has it open: it is not removed.
    clear: () => Deno.truncate(stdout),
  };
}

/** client.ts with a file. */
export function inletSender(args: readonly string[] = []): Sender {
  return (port, path) => run(clientCommand(port, [path, ...args]));
}

/** client.ts with a folder. */
export function inletFolderSender(args: readonly string[] = [], permissions = ALL): Sender {
  return (port, path) => run(clientCommand(port, [`${path}/`, "--quiet", ...args], permissions));
}

/** client.ts with a file as its stdin. */
export function inletMessageSender(): Sender {
  return (port, path) => run(clientCommand(port, ["--mode", "message"]), { stdin: path });
}

/** A Python client that is given a host, a port and a file. */
export async function pythonSender(program: string): Promise<Sender> {
  const command = await pythonCommand(program, ["127.0.0.1"]);
  return (port, path) => run([...command, String(port), path]);
}

/**
 * Waits for the one file of a directory to be complete. A `.temp` is not there yet.
 *
 * @throws {Error} if it is not complete long after it was sent
 */
export async function stored(directory: string, bytes: number): Promise<string> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    for (const { name } of Deno.readDirSync(directory)) {
      const path = `${directory}/${name}`;
      if (!name.endsWith(".temp") && Deno.statSync(path).size >= bytes) return path;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`it did not store ${bytes} bytes`);
}
