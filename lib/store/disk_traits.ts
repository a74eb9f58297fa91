/**
 * What a disk keeps of a file's time and permission bits. FAT and exFAT keep every other second and
 * no permission bits, and other systems something in between, so files are compared by what is left.
 *
 * @module
 */

import type { Disk } from "./disk.ts";
import { tryTo } from "./temp_file.ts";

/** What is known of a disk. */
export interface DiskTraits {
  /**
   * Milliseconds between two times that the disk tells apart; `Infinity` if it keeps none;
   * `undefined` if it was not tried.
   */
  readonly stepMs: number | undefined;
  /** Returns what is left of the permission bits of a new file; `undefined` if none are kept. */
  modeFor(mode: number): number | undefined;
}

/** What is known of the disk with a number, as the system gives it. */
export type TraitsOf = (dev: number) => DiskTraits;

/** A disk that nothing may be written to, or that nothing was written to yet. */
export const UNTRIED: DiskTraits = { stepMs: undefined, modeFor: (mode) => mode };

/** A time with an odd second and with milliseconds, of which a coarse disk leaves less. */
const ODD_MS = Date.UTC(2001, 1, 3, 4, 5, 7, 487);

/** Permission bits that no file is made with. */
const ODD_MODE = 0o640;

/**
 * Sets an odd time and odd permission bits on a file of one's own, and looks what is left of them.
 */
export function probeTraits(disk: Disk, path: string): { stepMs: number; keepsModes: boolean } {
  const odd = new Date(ODD_MS);
  // What cannot be set is not kept: the look shows it.
  tryTo(() => disk.utimeSync(path, odd, odd));
  tryTo(() => disk.chmodSync(path, ODD_MODE));
  const { mtime, mode } = Deno.lstatSync(path);
  return { stepMs: stepOf(mtime), keepsModes: mode !== null && (mode & 0o777) === ODD_MODE };
}

/** How far apart the times of a disk are, by what it made of {@linkcode ODD_MS}. */
function stepOf(kept: Date | null): number {
  const ms = kept?.getTime() ?? 0;
  if (ms === ODD_MS) return 1;
  if (Math.abs(ms - ODD_MS) >= 2000) return Infinity;
  if (ms % 1000 !== 0) return 10;
  return ms % 2000 === 0 ? 2000 : 1000;
}
