/**
 * Many clients at once on servers that live through all runs, all driven by one process.
 *
 * @module
 */

import { Driver, type Task } from "./driver.ts";
import type { Candidate } from "./measure.ts";
import { inletReceiver, pythonReceiver, type Receiver } from "./peers.ts";
import type { SourceFolder, Workspace } from "./workspace.ts";
import { verifyFolder } from "./workspace.ts";

/**
 * Room for all clients, also when they come all at once, and time for the last one's handshake; and
 * no line of log for each.
 */
export const ROOM_FOR_MANY: readonly string[] = [
  ...["--max-clients", "2000", "--backlog", "1024", "--quiet"],
  ...["--greeting-timeout", "120"],
];

/** Size of what each client sends, in bytes. */
export const CLIENT_BYTES = 1024 * 1024;

/** server.ts with room for many clients. */
export function inletForMany(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  mode: string,
  args: readonly string[] = [],
): Promise<Receiver> {
  return inletReceiver(workspace, stack, ["--mode", mode, ...ROOM_FOR_MANY, ...args]);
}

/** The Python server of the upload wire, a thread a client. */
export function pythonForMany(
  workspace: Workspace,
  stack: AsyncDisposableStack,
): Promise<Receiver> {
  return pythonReceiver("upload_server.py", workspace, stack);
}

/** A driver, and a server that it has many clients of. */
export class Crowd {
  readonly receiver: Receiver;
  readonly #driver: Driver;
  readonly #mode: string;
  readonly #key: string | undefined;

  constructor(receiver: Receiver, mode: string, stack: AsyncDisposableStack, key?: string) {
    this.receiver = receiver;
    this.#mode = mode;
    this.#key = key;
    this.#driver = stack.use(new Driver());
  }

  /** Has all clients send at once, and tells how long each took, in milliseconds. */
  async send(clients: Task["clients"]): Promise<number[]> {
    const port = await this.receiver.listen();
    return await this.#driver.run({ port, mode: this.#mode, key: this.#key, clients });
  }

  /**
   * Measures what it takes to send the files of a folder.
   *
   * @param parts Clients at once, and then the next ones.
   */
  candidate(folder: SourceFolder, parts: readonly Task["clients"][]): Omit<Candidate, "name"> {
    const run = async (): Promise<number> => {
      let ms = 0;
      for (const clients of parts) ms += Math.max(...await this.send(clients));
      return ms;
    };
    return {
      pids: [...this.receiver.pids, this.#driver.pid],
      ready: () => Promise.resolve(run),
      clear: () => this.receiver.clear(),
      check: async () => await Promise.resolve(verifyFolder(this.receiver.directory, folder)),
    };
  }
}

/** The paths of a folder's files. */
export function pathsOf({ path, files }: SourceFolder): string[] {
  return [...files.keys()].map((name) => `${path}/${name}`);
}

/** A client for each file. */
export function oneEach(paths: readonly string[]): string[][] {
  return paths.map((path) => [path]);
}
