/**
 * The directory of a throwaway Ceph, which goes when the process that made it has gone.
 *
 * @module
 */

import { closeSync, constants, openSync } from "node:fs";
import { InletError } from "../../lib/errors.ts";

/** Where disks can be. Some systems have /tmp in memory, where not every kernel has O_DIRECT. */
const parents = (): Set<string> => new Set([Deno.env.get("TMPDIR") ?? "/tmp", "/var/tmp"]);

/** Waits for the end of its input, then removes a directory, also while processes die in it. */
const REMOVES = `trap '' INT TERM HUP; cat >/dev/null
until rm -rf "$0" 2>/dev/null; do sleep 0.1; done`;

/** A directory that is removed when it goes out of scope, and when this process dies. */
export interface MortalDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a directory on a disk that a Ceph can write to.
 *
 * @throws {InletError} `usage` if there is none
 */
export async function mortalDirectory(): Promise<MortalDirectory> {
  for (const parent of parents()) {
    const path = await Deno.makeTempDir({ dir: parent, prefix: "inlet-ceph-" });
    // In a session of its own it gets no Ctrl-C. It holds no file of this process but its input.
    const remover = new Deno.Command("sh", {
      args: ["-c", REMOVES, path],
      detached: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const remove = async (): Promise<void> => {
      await remover.stdin.close();
      await remover.status;
    };
    if (hasDirectWrites(`${path}/probe`)) return { path, [Symbol.asyncDispose]: remove };
    await remove();
  }
  throw new InletError(
    "usage",
    `Cannot start Ceph: files in ${
      [...parents()].join(" and ")
    } cannot be written past the page cache (O_DIRECT); ` +
      "set TMPDIR to a directory on a disk",
  );
}

function hasDirectWrites(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}
