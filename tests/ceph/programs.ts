/**
 * The programs of Ceph, and Debian's packages that have them.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";

/** What a Ceph is started with and asked by. `setpriv` is in every Debian. */
export const CEPH_PROGRAMS: readonly string[] = [
  "ceph",
  "ceph-mon",
  "ceph-osd",
  "monmaptool",
  "radosgw",
  "radosgw-admin",
  "setpriv",
];

/** Debian's packages with them come by this, without what they recommend. */
const INSTALLS = "apt-get install -y --no-install-recommends ceph-mon ceph-osd radosgw ceph-common";

/**
 * Installs what is missing.
 *
 * @param further Programs that are in packages of their own name.
 * @throws {InletError} `usage` if that takes another user, or another system
 */
export async function installCeph(
  say: (line: string) => void,
  further: readonly string[] = [],
): Promise<void> {
  const wanted = [...CEPH_PROGRAMS, ...further];
  const missing = (): string[] => wanted.filter((program) => !isInstalled(program));
  const installs = [INSTALLS, ...further].join(" ");
  if (missing().length === 0) return;
  if (Deno.build.os !== "linux" || !isInstalled("apt-get")) {
    throw cannot(`${lacks(missing())}: there are packages for Debian and Ubuntu`);
  }
  if (Deno.uid() !== 0) throw cannot(`${lacks(missing())}: run sudo ${installs}`);
  say(`installing ${missing().join(", ")}`);
  const script = `apt-get update && DEBIAN_FRONTEND=noninteractive ${installs}`;
  await output("sh", ["-c", script]).catch(({ message }) => {
    throw cannot(`${lacks(missing())}: ${message}`);
  });
}

/**
 * Runs a program and gives what it prints.
 *
 * @param signal Ends it.
 * @throws {Error} with its last line if it fails
 */
export async function output(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  const command = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...signal && { signal },
  });
  const { success, stdout, stderr } = await command.output();
  if (success) return new TextDecoder().decode(stdout);
  const last = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  throw new Error(`${[program, ...args].join(" ")}: ${last}`);
}

/**
 * How often a program of Ceph is tried. The monitor refuses one that asks before it has been told the
 * fsid, which is a race within that program.
 */
export const TRIES = 8;

/** Runs a program of Ceph, and again if it fails. @throws {Error} as `output`, of the last try */
export async function persistently(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  for (let tries = 1;; tries++) {
    signal?.throwIfAborted();
    try {
      return await output(program, args, signal);
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

function lacks(programs: readonly string[]): string {
  return `${programs.join(", ")} missing`;
}

function isInstalled(program: string): boolean {
  const args = ["-c", 'command -v "$0"', program];
  return new Deno.Command("sh", { args, stdout: "null", stderr: "null" }).outputSync().success;
}

function cannot(why: string): InletError {
  return new InletError("usage", `Cannot start Ceph: ${why}`);
}
