/**
 * Removes what a crash left in a directory store, and partial files past their time; never what a
 * live server writes.
 *
 * @module
 */

import { walk } from "@std/fs/walk";
import type { Disk } from "./disk.ts";
import { KEPT, TEMP } from "./names.ts";

/**
 * Sweeps a directory and all below it.
 *
 * @param isExpired Whether a partial file last changed at this time is past its time.
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

/** A live writer holds the lock of its file. */
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
    // Published or discarded by its writer in the meantime.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
