/**
 * rsync to a daemon of its own.
 *
 * @module
 */

import { type Receiver, type Sender, storing } from "./peers.ts";
import { freePort, run, startServer } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

/** What the daemon calls the directory. */
const MODULE = "in";

/** An rsync daemon, with a configuration of its own. */
export async function rsyncReceiver(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  directory: string = workspace.directory(),
): Promise<Receiver> {
  const config = `${workspace.directory()}/rsyncd.conf`;
  // A daemon that root starts would store as nobody, who may not.
  const user = `uid = ${Deno.uid()}\ngid = ${Deno.gid()}\n`;
  await Deno.writeTextFile(
    config,
    // Munged, a link would not be the link that was sent.
    `use chroot = no\nmunge symlinks = no\n${
      Deno.uid() === 0 ? user : ""
    }[${MODULE}]\npath = ${directory}\nread only = no\n`,
  );
  const command = [
    ...["rsync", "--daemon", "--no-detach", `--config=${config}`, "--log-file=/dev/stderr"],
    ...["--address=127.0.0.1", `--port=${freePort()}`],
  ];
  return storing(directory, stack.use(await startServer(command)));
}

/** rsync that sends whole files, without looking for what has changed, and keeps their times. */
export const rsyncSender: Sender = (port, path) =>
  run(["rsync", "-rtW", path, `rsync://127.0.0.1:${port}/${MODULE}/`]);

/**
 * rsync as people type it for a tree: with links, modes and times.
 *
 * @param into A folder of the daemon's directory; without it, the directory.
 */
export function rsyncTreeSender(args: readonly string[] = [], into = ""): Sender {
  return (port, path) =>
    run(["rsync", "-a", ...args, path, `rsync://127.0.0.1:${port}/${MODULE}/${into}`]);
}

/** rsync that gets a folder of the daemon into a directory. */
export function rsyncTreeGetter(port: number, name: string, into: string): Promise<void> {
  return run(["rsync", "-a", `rsync://127.0.0.1:${port}/${MODULE}/${name}`, `${into}/`]);
}
