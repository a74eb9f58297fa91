/**
 * One file from a server, by each of those who can.
 *
 * @module
 */

import type { Candidate } from "./measure.ts";
import { clientCommand, serverCommand } from "./peers.ts";
import { run, type ServerProcess, startServer } from "./processes.ts";
import { PLAIN, socat } from "./socat.ts";
import { startSsh } from "./ssh.ts";
import { empty, type SourceFile, verify, type Workspace } from "./workspace.ts";

/** The name under which the server has the file. */
const NAME = "big";

/** server.ts with the file in its directory, and client.ts; both with the same further options. */
export async function inletGet(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  file: SourceFile,
  args: readonly string[] = [],
): Promise<Omit<Candidate, "name">> {
  const directory = workspace.directory();
  // A second name of the same file takes no memory.
  Deno.linkSync(file.path, `${directory}/${NAME}`);
  const { port, pid } = stack.use(await startServer(serverCommand(directory, args)));
  return getting(workspace, file, [pid], (output) => {
    const command = clientCommand(port, ["--get", NAME, "--output", output, "--quiet", ...args]);
    return Promise.resolve(() => run(command));
  });
}

/** A socat that sends the file to whoever connects, once, and another that stores what comes. */
export function socatGet(
  workspace: Workspace,
  file: SourceFile,
  wire = PLAIN,
): Omit<Candidate, "name"> {
  const source = [`OPEN:${file.path},rdonly`, wire.listen];
  let server: ServerProcess | undefined;
  const candidate = getting(workspace, file, [], async (output) => {
    const { port, ended } = server = await startServer([...socat("-d", "-d", "-u"), ...source]);
    return async () => {
      await run([...socat("-u"), wire.connect(port), `CREATE:${output}`]);
      await ended;
    };
  });
  return {
    ...candidate,
    async clear() {
      await server?.[Symbol.asyncDispose]();
      await candidate.clear();
    },
  };
}

/** scp from an sshd. */
export async function scpGet(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  file: SourceFile,
): Promise<Omit<Candidate, "name">> {
  const { receiver, fetch } = await startSsh(workspace, stack);
  const port = await receiver.listen();
  return getting(
    workspace,
    file,
    receiver.pids,
    (output) => Promise.resolve(() => fetch(port, file.path, output)),
  );
}

function getting(
  workspace: Workspace,
  file: SourceFile,
  pids: readonly number[],
  ready: (output: string) => ReturnType<Candidate["ready"]>,
): Omit<Candidate, "name"> {
  const into = workspace.directory();
  const output = `${into}/out`;
  return {
    pids,
    ready: () => ready(output),
    clear: async () => await Promise.resolve(empty(into)),
    check: async () => await Promise.resolve(verify(output, file)),
  };
}
