/**
 * Removes the remains of a crash from a directory store, and expired partial files, but never a
 * file that a live server writes.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import type { Disk } from "./disk.ts";
import { KEPT, TEMP } from "./names.ts";

/**
 * Sweeps a directory and all below it.
 *
 * @param isExpired Whether a partial file that was last changed at this time has expired.
 */
export async function sweep(
  root: string,
  disk: Disk,
  isExpired: (modified: Date) => boolean,
): Promise<void> {
  for await (const { path, isFile } of walk(root, { includeSymlinks: false })) {
    if (isFile && path.endsWith(TEMP)) removeUnlessLive(path, disk, isExpired);
  }
}

/** Removes a file unless it is to be resumed, or a live writer holds its lock. */
function removeUnlessLive(
  path: string,
  disk: Disk,
  isExpired: (modified: Date) => boolean,
): void {
  try {
    using file = Deno.openSync(path);
    const { nlink, mtime } = file.statSync();
    const resumable = path.endsWith(KEPT) && nlink === 1 && !isExpired(mtime ?? new Date(0));
    if (!resumable && file.tryLockSync(true)) disk.removeSync(path);
  } catch (error) {
    // Its writer published or discarded it in the meantime.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
