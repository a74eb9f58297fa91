/**
 * When a stored file is taken for the same as a file of the other side: by its size, time and
 * permission bits, without reading it.
 *
 * @module
 */

import { permissionsOf } from "../body/sources.ts";
import type { DiskTraits } from "./disk_traits.ts";

/** Milliseconds after its last change from which on a file is taken for what its time says. */
const SETTLED_MS = 10_000;

/** Programs give their files 1970 or the beginning of 1980 where they know no time, or hide it. */
const FIRST_TIME_MS = Date.UTC(1980, 0, 2, 12);

/** The file of the other side. */
export interface Sent {
  /** In bytes. */
  readonly size: number;
  /** Time of the last change. */
  readonly modified: Date;
  /** Permission bits, if they are compared. */
  readonly mode?: number | undefined;
}

/** What is known of the stored file. */
type There = Pick<Deno.FileInfo, "size" | "mode" | "mtime" | "ctime" | "birthtime">;

/**
 * `same` by size, time and mode; `other` by one of them; `unsure` if only the content can tell.
 */
export type Verdict = "same" | "unsure" | "other";

/**
 * Compares a stored file with one of the other side.
 *
 * A time in whole seconds can hide a later change within its second: such a file counts as the same
 * only if it was published so much later that its source had no newer time.
 *
 * @param traits What is known of the disk. Most files can be told without.
 */
export function judge(there: There, sent: Sent, traits: () => DiskTraits): Verdict {
  if (!hasSameShape(there, sent, traits)) return "other";
  const isEqual = (there.mtime?.getTime() ?? 0) === sent.modified.getTime();
  if (isEqual && (!isWhole(there.mtime) || isSettled(there))) return "same";
  const { stepMs } = traits();
  if (stepMs === Infinity) return "unsure";
  if (!isSameTime(there.mtime, sent.modified, stepMs)) return "other";
  // Disks that keep so little keep no time of publishing either, and every file would be read.
  const isCoarse = stepMs !== undefined && stepMs > 1000;
  return isCoarse || !isWhole(there.mtime) || isSettled(there) ? "same" : "unsure";
}

/** Whether size and permission bits agree, as far as the disk keeps the latter. */
export function hasSameShape(
  { size, mode }: Pick<There, "size" | "mode">,
  sent: Sent,
  traits: () => DiskTraits,
): boolean {
  if (size !== sent.size) return false;
  const there = permissionsOf(mode);
  if (sent.mode === undefined || there === undefined || there === sent.mode) return true;
  const { stepMs, modeFor } = traits();
  const kept = modeFor(sent.mode);
  // Where nothing was tried, the umask is not known: it can only have taken bits away.
  return kept === undefined || there === (stepMs === undefined ? kept & there : kept);
}

/** Whether two times are one, as far as the disk of the first tells times apart. */
export function isSameTime(there: Date | null, sent: Date, stepMs: number | undefined): boolean {
  const one = there?.getTime() ?? 0;
  const other = sent.getTime();
  if (one === other) return true;
  // A disk that was not tried, and a time that looks as if it kept whole seconds.
  const step = stepMs ?? (isWhole(there) ? 1000 : 1);
  return Math.abs(one - other) < step;
}

/** Whether a time has no milliseconds. */
function isWhole(time: Date | null): boolean {
  return (time?.getTime() ?? 0) % 1000 === 0;
}

/**
 * Whether a file was published so long after its last change that its source had no newer one. The
 * time of its last change of status is not enough: a new owner or a backup moves it on.
 */
function isSettled({ birthtime, ctime, mtime }: There): boolean {
  if (ctime === null || mtime === null || mtime.getTime() < FIRST_TIME_MS) return false;
  const published = Math.min(ctime.getTime(), birthtime?.getTime() || Infinity);
  return published - mtime.getTime() >= SETTLED_MS;
}
