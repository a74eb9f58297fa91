/**
 * Disks that do not fail, but are not as one would like them: one stalls, one gives every lock.
 *
 * @module
 */

import type { Disk } from "../../lib/store/disk.ts";
import type { Dice } from "./content.ts";

/** Of so many calls, one stalls. */
const CALLS_A_STALL = 200;

/** Milliseconds of a stall. */
const LEAST_STALL_MS = 1600;
const MOST_STALL_MS = 2000;

/** How often a disk stalled. */
export interface Told {
  count: number;
}

/** A disk on which random calls keep the whole process from running for a while. */
export function stallingDisk(dice: Dice, told: Told): Disk {
  const stall = (): void => {
    if (dice.below(CALLS_A_STALL) > 0) return;
    told.count++;
    const milliseconds = LEAST_STALL_MS + dice.below(MOST_STALL_MS - LEAST_STALL_MS);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  };
  return watched(Deno, stall);
}

/** A disk as on a network file system whose locks reach no other machine: each one is given. */
export const UNLOCKED: Disk = {
  ...Deno,
  openSync: (path, options) =>
    Object.assign(Deno.openSync(path, options), { tryLockSync: () => true }),
};

/** The same functions, also those of the files that they open, each with an action before it. */
function watched<T extends object>(target: T, before: () => void): T {
  return new Proxy({} as T, {
    get: (_, key) => {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        before();
        const result = value.apply(target, args);
        return result instanceof Deno.FsFile ? watched(result, before) : result;
      };
    },
  });
}
