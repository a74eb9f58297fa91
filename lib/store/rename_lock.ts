/**
 * Publishes files on disks without hard links (exFAT, SMB, many in user space).
 *
 * There a rename gives a file its name, and a rename replaces what is there. So whoever publishes
 * looks first, and holds a lock meanwhile, which is a folder with something in it:
 *
 * 1. The file goes into a folder of its own: `.inlet/ID.d/ID.temp`.
 * 2. That folder is renamed to `.inlet/lock`. This fails while the one that is there is not empty:
 *    somebody else holds the lock.
 * 3. The file is checked, and a free name is looked for.
 * 4. `.inlet/lock/ID.temp` is renamed to that name. This publishes it and empties the folder, which
 *    gives the lock back, in one call.
 *
 * Whoever dies at any step leaves no name behind that is not a whole file's. Whoever waits and sees
 * the same file in the lock for five seconds moves it out, back into `.inlet`. If its holder was
 * only stopped, step 4 then fails for it, and it begins again: its look at the names is too old.
 *
 * So no two programs that use the lock, killed or stopped anywhere, replace a file or show a part of
 * one. Another program that makes the same name between steps 3 and 4 has its file replaced.
 *
 * @module
 */

import { systemCode } from "../system_errors.ts";
import type { Disk } from "./disk.ts";
import { lstatIfThere } from "./folders.ts";
import { newId } from "./folders_in_flight.ts";
import { TEMP } from "./names.ts";
import { tryTo } from "./temp_file.ts";

/** A file that is to be published. It knows where it is. */
export interface Movable {
  readonly path: string;
  /** Renames it. */
  moveTo(path: string): void;
  /** Tells it that a rename of its folder, or by another program, has moved it. */
  foundAt(path: string): void;
}

/** Milliseconds after which a file in the lock counts as left there. */
export const STALE_MS = 5000;

/** Milliseconds between two looks at a lock that somebody holds. */
const [LEAST_PAUSE_MS, MOST_PAUSE_MS] = [2, 10];

/** Most files that are published under one lock. */
const MOST_AT_ONCE = 64;

/** How often a file that was moved out of the lock tries again. */
const MOST_ROUNDS = 20;

const ID = /[0-9a-f]{32}/.source;
/** The names of the store's own files that can be in the lock. */
const OWN = new RegExp(`^(?:get-)?(?:[0-9a-f]{64}-)?${ID}\\.temp$`);

/** A file that waits to be published. */
interface Task {
  readonly file: Movable;
  publish(): void;
  resolve(): void;
  reject(error: unknown): void;
  /** How often it was tried. */
  rounds: number;
}

/** What somebody holds the lock with, and since when it was seen. */
interface Seen {
  entries: string;
  sinceMs: number;
}

/** The lock of one `.inlet`. */
export class RenameLock {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #prefix: string;
  readonly #clock: () => number;
  readonly #waiting: Task[] = [];
  #working: Promise<void> | undefined;

  /**
   * @param folder Path of the `.inlet`.
   * @param prefix What the names of the store's own files begin with.
   * @param clock Milliseconds that never go back.
   */
  constructor(disk: Disk, folder: string, prefix: string, clock = () => performance.now()) {
    this.#disk = disk;
    this.#folder = folder;
    this.#prefix = prefix;
    this.#clock = clock;
  }

  /**
   * Publishes a file while it holds the lock. It waits as long as somebody else holds it.
   *
   * @param publish Checks the file and renames it to its final name, without yielding to the event
   * loop. It is called again if the file was moved out of the lock meanwhile. If it fails, the file
   * is in `.inlet` again, if it is anywhere.
   */
  publish(file: Movable, publish: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ file, publish, resolve, reject, rounds: 0 });
    this.#working ??= this.#work();
    return promise;
  }

  async #work(): Promise<void> {
    // Those who come in the same turn of the event loop take the lock together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      let held = this.#waiting.splice(0, MOST_AT_ONCE);
      let box: string | undefined;
      try {
        box = this.#makeBox();
        held = held.filter((task) => this.#try(task, () => this.#pack(task.file, box!)));
        if (held.length > 0) await this.#take(box, held);
        for (const task of held) {
          if (this.#try(task, task.publish)) task.resolve();
          else this.#moveHome(task.file, box);
        }
      } catch (error) {
        for (const task of held) {
          this.#failed(task, error);
          if (box !== undefined) this.#moveHome(task.file, box);
        }
      }
      if (box !== undefined) tryTo(() => this.#disk.removeSync(box));
    }
    this.#working = undefined;
  }

  #try(task: Task, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      this.#failed(task, error);
      return false;
    }
  }

  #failed(task: Task, error: unknown): void {
    if (++task.rounds < MOST_ROUNDS && this.#wasMovedOut(task.file)) this.#waiting.push(task);
    else task.reject(error);
  }

  /**
   * Moves everything out of a folder of steps 1 and 2 that was left.
   *
   * @returns The names of the files in `.inlet`.
   */
  moveOut(box: string): string[] {
    const moved: string[] = [];
    for (const name of namesOf(box)) {
      const home = OWN.test(name) ? name : `${newId()}.stray`;
      try {
        this.#disk.renameSync(`${box}/${name}`, `${this.#folder}/${home}`);
        moved.push(home);
      } catch (error) {
        // It was published in this moment.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return moved;
  }

  get #lock(): string {
    return `${this.#folder}/lock`;
  }

  #makeBox(): string {
    const box = `${this.#folder}/${this.#prefix}${newId()}.d`;
    this.#disk.mkdirSync(box, { mode: 0o700 });
    return box;
  }

  /** Step 1. */
  #pack(file: Movable, box: string): void {
    const name = nameOf(file.path);
    // A number can be given to somebody else as soon as its file is not there.
    file.moveTo(`${box}/${OWN.test(name) ? name : `${newId()}${TEMP}`}`);
  }

  /** Step 2: waits for the lock. */
  async #take(box: string, tasks: readonly Task[]): Promise<void> {
    const seen: Seen = { entries: "", sinceMs: 0 };
    while (!this.#takeIfFree(box)) {
      const pauseMs = LEAST_PAUSE_MS + Math.random() * (MOST_PAUSE_MS - LEAST_PAUSE_MS);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      this.#breakIfStale(seen);
    }
    for (const { file } of tasks) {
      // Its upload may have ended meanwhile.
      if (file.path.startsWith(`${box}/`)) file.foundAt(`${this.#lock}/${nameOf(file.path)}`);
    }
  }

  #takeIfFree(box: string): boolean {
    for (let attempt = 1;; attempt++) {
      try {
        this.#disk.renameSync(box, this.#lock);
        return true;
      } catch (error) {
        if (!isNotEmpty(error)) throw error;
      }
      // SMB does not replace an empty folder either. Removing one that is held fails.
      if (attempt === 2 || !this.#removeLock()) return false;
    }
  }

  #removeLock(): boolean {
    try {
      this.#disk.removeSync(this.#lock);
      return true;
    } catch {
      return false;
    }
  }

  #breakIfStale(seen: Seen): void {
    const entries = namesOf(this.#lock).sort().join("/");
    const nowMs = this.#clock();
    if (entries !== "" && entries === seen.entries && nowMs - seen.sinceMs < STALE_MS) return;
    if (entries !== "" && entries === seen.entries) this.moveOut(this.#lock);
    else seen.sinceMs = nowMs;
    seen.entries = entries;
  }

  /** Whether somebody took a file for left in the lock, and moved it out. */
  #wasMovedOut(file: Movable): boolean {
    const home = `${this.#folder}/${nameOf(file.path)}`;
    if (file.path === home || lstatIfThere(file.path) || !lstatIfThere(home)) return false;
    file.foundAt(home);
    return true;
  }

  /** Gives the lock back, where a file was not published. */
  #moveHome(file: Movable, box: string): void {
    const name = nameOf(file.path);
    if (file.path !== `${this.#lock}/${name}` && file.path !== `${box}/${name}`) return;
    tryTo(() => file.moveTo(`${this.#folder}/${name}`));
  }
}

/** Whether a rename failed because the folder there is not empty, or because there is one at all. */
function isNotEmpty(error: unknown): boolean {
  return ["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "");
}

function namesOf(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
