/**
 * scp and rsync to an sshd of its own, with keys that are thrown away.
 *
 * @module
 */

import { Unavailable } from "./compare.ts";
import { type Receiver, type Sender, storing } from "./peers.ts";
import { freePort, run, type ServerProcess, startServer } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

/** It wants to be called by its whole path. */
const SSHD = "/usr/sbin/sshd";

/** What {@linkcode startSsh} needs. */
export const SSH_PROGRAMS: readonly string[] = [SSHD, "ssh-keygen", "scp", "id"];

/** An empty directory that sshd insists on when root starts it. Systems make it at boot. */
const ROOTS_DIRECTORY = "/run/sshd";

/** An sshd, and those who talk to it. */
export interface Ssh {
  readonly receiver: Receiver;
  /** scp. */
  readonly sender: Sender;
  /** rsync that sends whole files, as `rsyncSender` does to a daemon. */
  readonly rsync: Sender;
  /** scp the other way: a file of the server, and where to store it. */
  fetch(port: number, path: string, output: string): Promise<void>;
}

/**
 * Starts an sshd.
 *
 * @throws {Unavailable} if it does not let itself be started here
 */
export async function startSsh(
  workspace: Workspace,
  stack: AsyncDisposableStack,
): Promise<Ssh> {
  const directory = workspace.directory();
  const home = workspace.directory();
  const [hostKey, userKey] = [`${home}/host`, `${home}/user`];
  for (const key of [hostKey, userKey]) {
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  }
  const config = `${home}/sshd_config`;
  const lines = [
    "ListenAddress 127.0.0.1",
    `Port ${freePort()}`,
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${userKey}.pub`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "Subsystem sftp internal-sftp",
  ];
  await Deno.writeTextFile(config, lines.join("\n") + "\n");
  const receiver = storing(directory, await startSshd(config, stack));
  const options = [
    ...["IdentitiesOnly=yes", "BatchMode=yes"],
    ...["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"],
  ].flatMap((option) => ["-o", option]);
  const identity = ["-F", "/dev/null", "-i", userKey, ...options];
  const scp = ["scp", "-q", "-r", ...identity];
  const there = `${await userName()}@127.0.0.1:`;
  return {
    receiver,
    sender: (port, path) => run([...scp, "-P", String(port), path, `${there}${directory}/`]),
    rsync: (port, path) => {
      const shell = ["ssh", ...identity, "-p", String(port)].join(" ");
      return run(["rsync", "-rtW", "-e", shell, path, `${there}${directory}/`]);
    },
    fetch: (port, path, output) => run([...scp, "-P", String(port), `${there}${path}`, output]),
  };
}

async function startSshd(config: string, stack: AsyncDisposableStack): Promise<ServerProcess> {
  try {
    if (Deno.uid() === 0) {
      await Deno.mkdir(ROOTS_DIRECTORY);
      // Also when a person has seen enough.
      addEventListener("unload", () => Deno.removeSync(ROOTS_DIRECTORY));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  try {
    return stack.use(await startServer([SSHD, "-D", "-e", "-f", config]));
  } catch (error) {
    const said = (error as Error).message.trim().split("\n").at(-1);
    throw new Unavailable(`sshd cannot be started: ${said}`);
  }
}

async function userName(): Promise<string> {
  const { stdout } = await new Deno.Command("id", { args: ["-un"] }).output();
  return new TextDecoder().decode(stdout).trim();
}
